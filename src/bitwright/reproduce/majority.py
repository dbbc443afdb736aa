"""Approximate popcounts: what a network trained for them loses, and what its circuits save.

Requirements:

- The network and its exact twin ship with Bitwright. The twin of `AWARE` had the same weights to
  start from, and the same epochs, losses and images; that of the larger network is the exact one
  from which its training began.
- The circuits are those that the network's card names; the same objects are simulated and mapped
  to cells. The exact popcounts are mapped by the same flow, adders in cells of their own.
- A saving is that of an accelerator with one popcount for each layer: areas add up, energies are
  those of an image's operations. The delay is that of each layer's popcount.
- What an exact popcount takes if abc alone maps it is told beside, and no claim rests on it.
- Few images do not tell 4.7 points from 5: the short version refutes the accuracy that was
  published only where the loss is larger by more than its 95 % error.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from bitwright import data as data_sets
from bitwright import flow, network, zoo
from bitwright.circuits import Circuit, make
from bitwright.eda.pdk import ChosenLibrary
from bitwright.eda.tools import require
from bitwright.errors import ConfigError, UnknownNameError
from bitwright.explore.comparison import ABC, Row, Settings, in_cells
from bitwright.explore.layers import PopcountLayer, popcount_layers, products
from bitwright.explore.popcounts import EXACT, Popcount, with_threshold
from bitwright.ir.program import Program
from bitwright.records import Z95, Measurement
from bitwright.reproduce.claims import Claim, Progress, Reproduction
from bitwright.targets import get_target
from bitwright.targets.majority.simulate import activations

AWARE = "fmnist-cnn-aware"
TWINS = {AWARE: "fmnist-cnn-twin", "cifar10-cnv-aware": "cifar10-cnv-twin"}
"""Networks trained with their circuits, and those trained without them."""
ABOUT = (
    "Dave et al., Approximation-aware BNNs (IEEE JETCAS 2023): popcounts with majority gates save "
    "64 % area and 80.2 % energy at equal latency for 4.7 points of accuracy, in 28 nm FDSOI with "
    "commercial tools. Their networks and circuits were not available; here the network, circuits, "
    "cells and tools are those that the rows name."
)
AREA, ENERGY, LOSS = 0.64, 0.802, 4.7
"""What was published: shares saved, and points of accuracy lost."""
QUICK_IMAGES, QUICK_INPUTS = 1000, 600
"""Of the short version: test images, and the largest fan-in whose circuits are mapped."""
_APPROXIMATE = "approximate"


def reproduce(
    chosen: ChosenLibrary,
    name: str = AWARE,
    *,
    quick: bool = False,
    progress: Progress | None = None,
) -> Reproduction:
    """Recompute the family's headline claims.

    Parameters
    ----------
    chosen
        The library of cells.
    name
        The network, one of `TWINS`.
    quick
        Whether to take a tenth of the images, and the smaller circuits only.
    progress
        Called as it goes on.

    Raises
    ------
    ToolError
        If yosys is missing.
    DataError, UnknownNameError
        If the images or the networks are not on this machine, or the network has no twin.
    """
    began = time.monotonic()
    report = progress or (lambda _what, _done, _of: None)
    if name not in TWINS:
        raise UnknownNameError("network with a twin", name, tuple(TWINS))
    require("yosys")  # before the images are evaluated
    card = zoo.card(name)
    settings = card.fields["record"]["config"]
    aware, twin = (network.load(one).program for one in (name, TWINS[name]))
    images = data_sets.load(card.fields["recipe"]["data"], "test")
    images = images.head(QUICK_IMAGES if quick else None)

    approximate = flow.evaluate(
        aware, images, target="majority", config=settings,
        progress=lambda what, done, of: report(f"{what} with circuits", done, of),
    )  # fmt: skip
    exact = flow.evaluate(
        twin, images,
        progress=lambda what, done, of: report(f"{what} of the exact twin", done, of),
    )  # fmt: skip
    rows, layers = _implemented(aware, settings, images.images, chosen, quick, report)
    claims = [
        *_accuracies(name, approximate.record, exact.record, quick),
        *_savings(rows, layers),
    ]
    if not quick:
        popcounts = [row.popcount for row in rows if row.circuit == EXACT]
        by_abc = _exact_by_abc(popcounts, chosen, report)
        claims += _savings_on_abc(rows, by_abc, layers)
    claims += _numbers(rows)
    versions = dict(flow.versions())
    for row in rows:
        versions |= row.versions
    return Reproduction(
        "majority", ABOUT, tuple(claims), images.info(), quick, time.monotonic() - began, versions
    )


def _implemented(
    program: Program,
    settings: Mapping[str, Any],
    images: Any,
    chosen: ChosenLibrary,
    quick: bool,
    report: Progress,
) -> tuple[list[Row], dict[str, PopcountLayer]]:
    """Map the network's circuits, and their exact twins, to cells."""
    target = get_target("majority")
    design = target.lower(program, target.configure(dict(settings)))
    circuits: Mapping[str, Circuit] = design.circuits
    layers = {layer.name: layer for layer in popcount_layers(program) if layer.name in circuits}
    if quick:
        layers = {name: one for name, one in layers.items() if one.inputs <= QUICK_INPUTS}
    if not layers:
        raise ConfigError("no layer has a circuit to be mapped", "take another network")
    vectors = 201 if quick else 1001
    alike: dict[tuple[tuple[int, int, int], str], list[str]] = {}
    for name, layer in layers.items():
        alike.setdefault((layer.shape, circuits[name].digest), []).append(name)
    popcounts = []
    for (shape, _), names in alike.items():
        inputs = layers[names[0]].inputs
        made = {
            EXACT: with_threshold(make(EXACT, inputs)),
            _APPROXIMATE: with_threshold(circuits[names[0]]),
        }
        real = {
            n: products(
                program, layers[n], images, count=vectors,
                run=lambda some, n=n: activations(design, some, [layers[n].dot.source]),  # type: ignore[misc]
            )
            for n in names
        }  # fmt: skip
        popcounts.append(Popcount(inputs, made, shape, tuple(names), real))
    options = Settings(vectors=vectors - 1)
    rows = in_cells(popcounts, chosen, options, lambda done, of: report("circuits", done, of))
    return rows, layers


def _exact_by_abc(
    popcounts: Sequence[Popcount], chosen: ChosenLibrary, report: Progress
) -> list[Row]:
    """Map the exact popcounts by abc alone, which finds neither adders nor majority gates."""
    alone = [
        replace(one, circuits={EXACT: one.circuits[EXACT]}, real={})
        for one in {one.inputs: one for one in popcounts}.values()
    ]
    settings = Settings(mappings=(ABC,))
    return in_cells(alone, chosen, settings, lambda done, of: report("exact by abc", done, of))


def _accuracies(name: str, approximate: Any, exact: Any, quick: bool) -> tuple[Claim, ...]:
    shares = [record["accuracy"].value for record in (exact, approximate)]
    count = exact.data.count
    loss = 100 * (shares[0] - shares[1])
    error = 100 * Z95 * math.sqrt(sum(share * (1 - share) for share in shares) / count)
    source = f"bit-exact, {count:,} images; 95 % error at most {error:.1f} points"
    lost = Measurement("accuracy_lost", loss, "point", "simulated", source)
    holds = loss <= LOSS + (error if quick else 0.0)
    return (
        Claim(f"accuracy lost to {TWINS[name]}, exact", lost, LOSS, holds),
        Claim(f"accuracy of {TWINS[name]}, exact", exact["accuracy"]),
        Claim(f"accuracy of {name} with its circuits", approximate["accuracy"]),
    )


def _savings(rows: list[Row], layers: Mapping[str, PopcountLayer]) -> tuple[Claim, ...]:
    """Return what the circuits save, over all layers."""
    area = _saved(rows, layers, "area")
    approximate = (row for row in rows if row.circuit == _APPROXIMATE)
    slowest = max(approximate, key=lambda row: row.ratios["delay"])
    slower, delay = slowest.ratios["delay"], slowest.measurement("delay")
    claims = [
        Claim("area saved by the popcounts", area, AREA, area.value >= AREA),
        Claim(
            "delay over the exact popcount's, slowest layer",
            Measurement("delay_ratio", slower, "ratio", delay.method, delay.source),
            1.0,
            slower <= 1,
        ),
    ]
    for metric, words in (
        ("energy", "random vectors"),
        ("energy_without_input_nets", "random vectors, input nets left out"),
    ):
        saved = _saved(rows, layers, metric)
        claims.append(
            Claim(f"energy saved by the popcounts, {words}", saved, ENERGY, saved.value >= ENERGY)
        )
    for metric, words in (
        ("energy_on_data", "real activations"),
        ("energy_without_input_nets_on_data", "real activations, input nets left out"),
    ):
        saved = _saved(rows, layers, metric)
        claims.append(Claim(f"energy saved by the popcounts, {words}", saved))
    return tuple(claims)


def _savings_on_abc(
    rows: list[Row], by_abc: list[Row], layers: Mapping[str, PopcountLayer]
) -> Iterator[Claim]:
    """Yield what the circuits save where abc alone maps the exact popcounts."""
    found = {row.popcount.inputs: row for row in by_abc}
    others = [
        replace(found[row.popcount.inputs], popcount=row.popcount) if row.circuit == EXACT else row
        for row in rows
    ]
    for metric in ("area", "energy"):
        saved = _saved(others, layers, metric)
        words = f"{metric} saved by the popcounts, exact ones mapped by abc alone"
        yield Claim(words, replace(saved, metric=f"{metric}_saved_abc"))


def _saved(rows: list[Row], layers: Mapping[str, PopcountLayer], metric: str) -> Measurement:
    """Return the share of a number that the approximate circuits save, over all layers."""
    totals = {EXACT: 0.0, _APPROXIMATE: 0.0}
    on_data = metric.endswith("_on_data")
    for row in rows:
        for name in row.popcount.layers:
            weight = 1 if metric == "area" else layers[name].dot.sums
            totals[row.circuit] += weight * row.value(metric, name if on_data else "")
    share = 1 - totals[_APPROXIMATE] / totals[EXACT]
    known = rows[0].measurement(metric, rows[0].popcount.layers[0] if on_data else "")
    return Measurement(f"{metric}_saved", share, "share", known.method, known.source)


def _numbers(rows: list[Row]) -> tuple[Claim, ...]:
    """Return the numbers of each popcount that savings come from."""
    shown = ("area", "delay", "energy")
    return tuple(
        Claim(
            f"{measurement.metric} of a popcount of {row.popcount.inputs} inputs "
            f"({', '.join(row.popcount.layers)}), {row.circuit}",
            measurement,
        )
        for row in rows
        for measurement in row.measurements
        if measurement.metric in shown
    )
