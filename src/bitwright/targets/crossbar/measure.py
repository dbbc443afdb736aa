"""What arrays do and cost: counted from a batch, priced by cited models."""

from __future__ import annotations

from collections.abc import Iterator

from bitwright.records import Measurement, Method
from bitwright.targets.base import Counters, work_measurements
from bitwright.targets.crossbar.convergence import convergence
from bitwright.targets.crossbar.cost import (
    activities,
    compare,
    cost_measurements,
    design_costs,
    network_cost,
    settings_of,
)
from bitwright.targets.crossbar.design import Design
from bitwright.targets.crossbar.distributions import distributions


def measure(design: Design, counters: Counters) -> tuple[Measurement, ...]:
    """Return what was done, for each layer: partial sums, how they were solved, and what is wrong.

    Costs follow.
    """
    return (
        *work_measurements(design.program),
        *_counts(design, counters),
        *_gains(design),
        *convergence(design, counters),
        *distributions(design, counters),
        *_costs(design, counters),
    )


def _costs(design: Design, counters: Counters) -> Iterator[Measurement]:
    """Yield energy, latency and area: of each layer, of the network item by item, beside "plain".

    "plain" is the same arrays without flips doing the same work: what wires lose to the larger
    currents is left out (`bitwright.targets.crossbar.cost.activities`). Ideal cells cost nothing.
    """
    if design.cell is None or not any(name.startswith("images/") for name in counters):
        return
    settings = settings_of(design.config.cost)
    layers = design_costs(design, counters, settings)
    network = network_cost(layers)
    for cost in layers:
        yield from (
            m for m in cost_measurements(cost, settings) if "_" not in m.metric.split("/")[0]
        )
    yield from cost_measurements(network, settings)
    if design.config.flips == "none":
        return
    plain = network_cost(design_costs(design, counters, settings, plain=True), "plain")
    yield from cost_measurements(plain, settings)
    found = compare(plain, network)
    yield _share("energy_saved", found.energy_saved, "each with the converter that it needs")
    yield _share("latency_paid", found.latency_paid, "each with the converter that it needs")
    yield _share("area_paid", found.area_paid, "each with the converter that it needs")
    bits = max(a.adc_bits for a in activities(design, counters, plain=True))
    same = compare(
        network_cost(design_costs(design, counters, settings, adc_bits=bits, plain=True)),
        network_cost(design_costs(design, counters, settings, adc_bits=bits)),
    )
    yield _share("energy_saved_same_adc", same.energy_saved, f"both with {bits}-bit converters")


def _share(metric: str, value: float, source: str) -> Measurement:
    return Measurement(
        metric, value, "share", "estimated", f"cost models of energy/network; {source}"
    )


def _counts(design: Design, counters: Counters) -> Iterator[Measurement]:
    totals: dict[str, float] = {}
    for name in design.layers:
        images = counters.get(f"images/{name}", 0)
        if not images:
            continue
        for what, unit in _UNITS.items():
            value = counters[f"{what}/{name}"]
            totals[what] = totals.get(what, 0) + value / images
            yield Measurement(f"{what}/{name}", value / images, unit, _method(what))
        yield Measurement(f"partial_sum_saved/{name}", _saved(counters, name), "share", "counted")
    for what, unit in _UNITS.items():
        if what in totals:
            yield Measurement(what, totals[what], unit, _method(what))
    if totals:
        plain = totals["plain_on_cells"]
        saved = 1 - totals["on_cells"] / plain if plain else 0.0
        yield Measurement("partial_sum_saved", saved, "share", "counted")


def _method(what: str) -> Method:
    return "simulated" if what == "current" else "counted"


def _gains(design: Design) -> Iterator[Measurement]:
    """Yield the gains that were fitted; `Config.gains` takes them."""
    if "gain" not in design.config.calibrate:
        return
    source = "least squares of currents on counts, calibration images"
    for name in design.layers:
        if name not in design.config.gains:
            yield Measurement(f"gain/{name}", design.gain(name), "share", "simulated", source)


def _saved(counters: Counters, name: str) -> float:
    plain = counters[f"plain_on_cells/{name}"]
    return 1 - counters[f"on_cells/{name}"] / plain if plain else 0.0


_UNITS = {
    "reads": "read/image",
    "conversions": "conversion/image",
    "word_lines": "pulse/image",
    "plain_word_lines": "pulse/image",
    "on_cells": "cell/image",
    "plain_on_cells": "cell/image",
    "inverted_reads": "read/image",
    "current": "cell/image",
}
