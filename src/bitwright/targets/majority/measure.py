"""What approximate popcounts cost and get wrong: counted, or from the simulation's sample."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator

from bitwright.circuits import Circuit
from bitwright.records import BETWEEN, WARNINGS, Measurement
from bitwright.targets.base import Counters, work_measurements
from bitwright.targets.majority.costs import costs
from bitwright.targets.majority.counters import bin_width
from bitwright.targets.majority.design import Design
from bitwright.targets.majority.networks import exact

ADDERS = ("FA", "HA")


def measure(design: Design, counters: Counters) -> tuple[Measurement, ...]:
    """Return operations, cells, costs, and what circuits get wrong.

    Operations are of one image; cells and costs are of one popcount of each layer; errors are of a
    sample of the simulation (`bitwright.targets.majority.counters`), layer by layer.
    """
    twins = [exact(circuit.inputs) for circuit in design.circuits.values()]
    return (
        *work_measurements(design.program),
        *_cells("popcount", list(design.circuits.values())),
        *_cells("exact_popcount", twins),
        *costs(design),
        *_calibration(design),
        *_sample(design, counters),
    )


def _cells(name: str, circuits: list[Circuit]) -> list[Measurement]:
    """The cells of one popcount of each layer with a circuit."""
    found: Counter[str] = Counter()
    for circuit in circuits:
        found.update(circuit.counts)
    gates = sum(count for kind, count in found.items() if kind not in ADDERS)
    counts = {"full_adders": found["FA"], "half_adders": found["HA"], "gates": gates}
    return [Measurement(f"{name}_{kind}", n, "cell", "counted") for kind, n in counts.items()]


def _calibration(design: Design) -> Iterator[Measurement]:
    """The check on held-out images, and the warnings."""
    if design.held_out is not None:
        images = design.calibration_images
        yield Measurement("calibration_images", images, "image", "counted")
        yield Measurement("held_out_images", design.held_out.images, "image", "counted")
        for metric in ("agreement", "flip_rate"):
            for name, value in getattr(design.held_out, metric).items():
                suffix = "" if name == "tuned" else f"_{name}"
                yield Measurement(f"held_out_{metric}{suffix}", value, "share", "simulated")
    if design.warnings:
        text = BETWEEN.join(design.warnings)
        yield Measurement(WARNINGS, len(design.warnings), "warning", "counted", source=text)


def _sample(design: Design, counters: Counters) -> Iterator[Measurement]:
    """Flips and errors of each layer."""
    if "statistics_images" not in counters:
        return
    yield Measurement("statistics_images", counters["statistics_images"], "image", "counted")
    names = {
        kind: [key.partition("/")[2] for key in counters if key.startswith(f"{kind}/")]
        for kind in ("flips", "propagated_flips", "counts")
    }
    for name in names["flips"]:
        rate = counters[f"flips/{name}"] / counters[f"counts/{name}"]
        yield Measurement(f"flip_rate/{name}", rate, "share", "simulated")
    for name in names["propagated_flips"]:
        rate = counters[f"propagated_flips/{name}"] / counters[f"propagated_bits/{name}"]
        yield Measurement(f"propagated_flip_rate/{name}", rate, "share", "simulated")
    fan_in = {name: circuit.inputs for name, circuit in design.circuits.items()}
    for name in names["counts"]:
        if name in fan_in:  # other layers count exactly
            yield from _errors(name, fan_in[name], counters)


def _errors(name: str, fan_in: int, counters: Counters) -> Iterator[Measurement]:
    total = counters[f"counts/{name}"]
    mean = counters[f"error_sum/{name}"] / total
    square = math.sqrt(counters[f"square_sum/{name}"] / total)
    yield Measurement(f"count_error_mean/{name}", mean, "count", "simulated")
    yield Measurement(f"count_error_rms/{name}", square, "count", "simulated")
    width = bin_width(fan_in)
    bins = sorted(
        int(key.partition("/")[0].partition(":")[2])
        for key in counters
        if key.startswith("error:") and key.partition("/")[2] == name
    )
    for which in bins:
        share = counters[f"error:{which}/{name}"] / total
        span = f"{which * width}..{(which + 1) * width}"
        yield Measurement(f"count_error/{name}/{span}", share, "share", "simulated")
