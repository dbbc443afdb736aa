"""Crossbars: what wires and devices do to a binary network, and what BinSparX brings back.

Requirements:

- Every partial sum of every image is solved; accuracies have the binomial error of their images.
- The control is there: flips at random take the same hardware and save nothing, but make the error
  two-sided, as BinSparX's do.
- Energy, latency and area are those of the same images' bits with and without flips.
- What the published networks, devices and circuits were is not known: rows name ours.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bitwright import data as data_sets
from bitwright import flow, network
from bitwright.data import Dataset
from bitwright.ir import reference
from bitwright.records import Measurement, Record
from bitwright.reproduce.claims import Claim, Progress, Reproduction
from bitwright.targets import get_target
from bitwright.targets.crossbar.lower import circuit
from bitwright.targets.crossbar.solver import nodal
from bitwright.targets.crossbar.solver.columns import Columns

CNV, RESNET = "cifar10-cnv", "cifar10-resnet18-half"
"""FINN's CNV and a ResNet-18 of half the width, trained here; they ship with Bitwright."""
ABOUT = (
    "Malhotra, Gupta, BinSparX (arXiv 2412.03553): sparsified BNNs on crossbars of 8T-SRAM and "
    "1T-1ReRAM at 7 nm; up to 77.25 points of accuracy brought back without training, near the "
    "software's in some cases; partial sums fall by 43.1 to 49.8 %, energy by 9 to 9.4 %, latency "
    "and area grow mildly. Their networks (ResNet-18, VGG-small), devices, converters and "
    "accounting were not available; here they are those that the rows name."
)
DATA = "cifar10"
POINTS = 0.7725
"""The most that was brought back, as published."""
CHANCE, NEAR = 0.15, 0.03
"""A network at most so accurate has failed; one that misses at most so much of the software's
accuracy is near it."""
COLUMNS = 200
"""How many are solved by both solvers, of each technology."""
ERRORS = {"linear": 1e-9, "sram8t": 1e-6, "reram1t1r": 1e-6}
"""How far the solvers may be apart, relative, at most."""


@dataclass(frozen=True)
class Setting:
    """An array on which the uncorrected network fails.

    Parameters
    ----------
    name
        For the rows.
    network
        Of the zoo.
    config
        Of the target, without flips.
    images, quick_images
        How many are evaluated, in full and with ``--quick``; 0 to leave it out.
    controls
        On how many of them flips at random are evaluated, at most.
    least
        The share of all images that BinSparX has to bring back.
    layers
        Whether partial sums are told for each layer, too.
    """

    name: str
    network: str
    config: Mapping[str, Any]
    images: int
    quick_images: int
    controls: int = 100
    least: float = 0.7
    layers: bool = False


def _linear(x: float, rows: int, on_ohm: float = 20e3) -> dict[str, Any]:
    """Return linear cells on wires of ``x = r G_on n^2``, of each rail."""
    wires = dict.fromkeys(("source_ohm", "bit_ohm"), x * on_ohm / rows**2)
    return {"technology": "linear", "rows": rows, "device": {"on_ohm": on_ohm}, "wires": wires}


SETTINGS = (
    Setting(
        "CNV, linear cells, 32 rows, x = 0.31",
        CNV,
        _linear(0.31, 32),
        1000,
        100,
        controls=1000,
        least=0.6,
        layers=True,
    ),
    Setting(
        "ResNet-18, half width, linear cells, 32 rows, x = 0.32", RESNET, _linear(0.32, 32), 300, 0
    ),
    Setting(
        "ResNet-18, half width, 8T-SRAM at 7 nm, 32 rows, 66 kohm",
        RESNET,
        {"technology": "sram8t", "rows": 32, "device": {"on_ohm": 66e3}},
        200,
        0,
    ),
    Setting(
        "ResNet-18, half width, 1T-1ReRAM at 7 nm, 32 rows, 19 kohm",
        RESNET,
        {"technology": "reram1t1r", "rows": 32, "device": {"on_ohm": 19e3}},
        200,
        0,
    ),
)
"""No gain and no threshold is calibrated."""


def reproduce(*, quick: bool = False, progress: Progress | None = None) -> Reproduction:
    """Recompute the family's headline claims.

    Parameters
    ----------
    quick
        Whether to take linear cells and few images alone.
    progress
        Called as it goes on.

    Raises
    ------
    DataError, UnknownNameError
        If the images or the network are not on this machine.
    """
    began = time.monotonic()
    report = progress or (lambda _what, _done, _of: None)
    chosen = [(s, s.quick_images if quick else s.images) for s in SETTINGS]
    images = data_sets.load(DATA, "test").head(max(count for _, count in chosen))
    claims = [*_exactness(images.head(20), report)]
    for setting, count in chosen:
        if count:
            claims += _setting(images.head(count), setting, report)
    return Reproduction(
        "crossbar", ABOUT, tuple(claims), images.info(), quick, time.monotonic() - began,
        dict(flow.versions()),
    )  # fmt: skip


def _exactness(images: Dataset, report: Progress) -> Iterable[Claim]:
    """Arrays without losses change nothing; the solver agrees with a plain one."""
    target = get_target("crossbar")
    program = network.load(CNV).program
    config = {"technology": "sram8t", "flips": "both", "wires": _NO_WIRES, "device": _NO_LEAK}
    report("arrays without losses", 0, 1)
    design = target.lower(program, target.configure(config))
    found = target.simulate(design, images.images, None).outputs
    exact = reference.run(program, images.images)
    differing = sum(int((found[name] != exact[name]).sum()) for name in exact)
    outputs = sum(value.size for value in exact.values())
    yield Claim(
        "outputs that differ on 8T-SRAM without wire resistance, both flips",
        Measurement("differing", differing, f"of {outputs:,}", "simulated",
                    f"{len(images)} images, every partial sum solved"),
        0.0, differing == 0,
    )  # fmt: skip
    for technology, most in ERRORS.items():
        report(f"solving {technology} twice", 0, 1)
        error = _disagreement(technology)
        yield Claim(
            f"largest relative difference to a dense solver, at most {most:g}: {technology}",
            Measurement("relative_error", error, "ratio", "simulated",
                        f"{COLUMNS} random columns of 64 rows at 7 nm, seed 0"),
            holds=error <= most,
        )  # fmt: skip


_NO_WIRES = {"source_ohm": 0.0, "bit_ohm": 0.0, "driver_ohm": 0.0, "sink_ohm": 0.0}
_NO_LEAK = {"on_off_ratio": 1e9}


def _disagreement(technology: str) -> float:
    """Return how far the fast solver is from the dense one, relative, at most."""
    config = get_target("crossbar").configure({"technology": technology})
    cell, ladder = circuit(config)
    if cell is None or ladder is None:
        raise AssertionError("no circuit")
    rng = np.random.default_rng(0)
    bits = rng.random((ladder.rows, COLUMNS)) < 0.5
    weights = np.where(bits, 1.0, 1 / cell.on_off_ratio)
    active = rng.random((1, ladder.rows)) < 0.5
    fast = Columns(ladder, cell, weights).solve(active).currents[0]
    slow = [nodal.solve(ladder, cell, weights[:, k], active[0]) for k in range(COLUMNS)]
    return float(np.abs(fast / np.array(slow) - 1).max())


def _setting(images: Dataset, setting: Setting, report: Progress) -> Iterable[Claim]:
    """Accuracy on one array: as it is, with BinSparX, with flips at random, and without losses."""
    program = network.load(setting.network).program
    controls = images.head(setting.controls)
    found = {}
    for flips, some in (("none", images), ("both", images), ("random", controls)):
        what = f"{setting.name}, flips {flips}"
        found[flips] = flow.evaluate(
            program, some, target="crossbar", config={**setting.config, "flips": flips},
            progress=lambda _part, done, of, what=what: report(what, done, of),  # type: ignore[misc]
        )  # fmt: skip
    shares = {flips: one.record["accuracy"].value for flips, one in found.items()}
    failing = found["none"].predicted[: len(controls)] == controls.labels
    exact = flow.evaluate(program, images).record["accuracy"].value
    error = 1.96 * (exact * (1 - exact) / len(images)) ** 0.5
    source = (
        f"{setting.network}, {len(images):,} images of {images.name}, every partial sum solved; "
        f"software {exact:.1%}; 95 % binomial error at most {error:.1%}"
    )

    def row(
        claim: str, value: float, published: float | None = None, holds: bool | None = None
    ) -> Claim:
        ours = Measurement("accuracy", value, "share", "simulated", source)
        return Claim(f"{claim}: {setting.name}", ours, published, holds)

    gained, missing = shares["both"] - shares["none"], exact - shares["both"]
    yield row("accuracy as it is", shares["none"])
    yield row("accuracy with BinSparX", shares["both"])
    yield row(
        f"brought back by BinSparX, of {exact - shares['none']:.1%} that are lost", gained, POINTS
    )
    yield row(
        f"at least {setting.least:.0%} of all images brought back by BinSparX",
        gained,
        holds=gained >= setting.least,
    )
    yield row(
        f"brought back by flips at random, first {len(controls):,} images",
        shares["random"] - float(failing.mean()),
    )
    yield row(
        "missing of the software's accuracy where the network fails as it is",
        missing,
        NEAR,
        shares["none"] <= CHANCE and missing <= NEAR,
    )
    yield from _costs(found["both"].record, setting)
    if setting.layers:
        yield from _layers(found["both"].record)


def _layers(record: Record) -> Iterable[Claim]:
    """Yield how much smaller partial sums are in each layer."""
    for measured in record.measurements:
        metric, _, layer = measured.metric.partition("/")
        if layer and metric == "partial_sum_saved":
            yield Claim(f"partial sums saved, {layer}", measured)


def _costs(record: Record, setting: Setting) -> Iterable[Claim]:
    """What BinSparX saves and takes; published with other networks, converters and accounting."""
    shown = {
        "partial_sum_saved": ("partial sums saved", 0.431),
        "energy_saved": ("energy saved", 0.09),
        "energy_saved_same_adc": ("energy saved, converters alike", 0.09),
        "latency_paid": ("latency paid", None),
        "area_paid": ("area paid", None),
    }
    by_name = {m.metric: m for m in record.measurements}
    for metric, (words, published) in shown.items():
        if metric in by_name:
            yield Claim(f"{words}: {setting.name}", by_name[metric], published)
