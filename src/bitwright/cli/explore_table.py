"""What ``bitwright explore`` prints: sensitivities, points, and where the numbers come from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bitwright.cli import common
from bitwright.explore.layer_designs import units
from bitwright.explore.popcounts import EXACT
from bitwright.report.numbers import plain
from bitwright.targets.majority.design import CALIBRATED

LOST = {
    "accuracy": "images that are no longer right, less those that become right",
    "agreement": "images that are not decided as by the exact network",
}

if TYPE_CHECKING:
    from bitwright.data import Dataset
    from bitwright.eda.pdk import ChosenLibrary
    from bitwright.explore.layer_choice import Point, Search


def show(found: Search, test: Dataset, held_out: Dataset, chosen: ChosenLibrary | None) -> None:
    """Print a search."""
    _sensitivities(found)
    _points(found)
    for line in origin(found, test, held_out, chosen):
        common.console.print(line, style="dim", soft_wrap=True, markup=False)


def shown(value: float) -> str:
    """Return a cost to read."""
    return plain(int(value) if value == int(value) else value)


def grouped(found: Search, point: Point) -> str:
    """Return the circuits of a design with the layers that have them."""
    specs = dict.fromkeys(point.choice)
    if len(specs) == 1:
        return f"{point.choice[0]} everywhere"
    parts = []
    for spec in specs:
        names = [a.name for a, s in zip(found.layers, point.choice, strict=True) if s == spec]
        parts.append(f"{spec}: {' '.join(names)}")
    return "; ".join(parts)


def _sensitivities(found: Search) -> None:
    specs = dict.fromkeys(s for layer in found.layers for s in layer.circuits if s != EXACT)
    lost = {(one.layer, one.circuit): one.lost / found.held_out for one in found.sensitivities}
    objective = found.settings.objective
    table = common.table(
        {
            "layer": False,
            "popcounts/image": True,
            "fan-in": True,
            "energy": True,
            **dict.fromkeys((f"{spec}: lost, {objective}" for spec in specs), True),
        }
    )
    total = sum(layer.energy(EXACT) for layer in found.layers)
    for layer in found.layers:
        cells = [f"{layer.popcounts:,}", f"{layer.inputs:,}"]
        cells.append(f"{layer.energy(EXACT) / total:.0%}")
        for spec in specs:
            share = lost.get((layer.name, spec))
            if share is None:
                cells.append("-")
                continue
            mark = " (slower)" if layer.is_slower(spec) else ""
            ratio = layer.cost(spec, objective) / layer.cost(EXACT, objective)
            cells.append(f"{100 * share:+.2f}, {ratio:.0%}{mark}")
        table.add_row(layer.name, *cells)
    common.console.print(table)


def _points(found: Search) -> None:
    unit, exact = units(found.layers), found.exact
    table = common.table(
        {
            "point": True,
            "": False,
            f"energy {unit['energy']}": True,
            f"area {unit['area']}": True,
            f"delay {unit['delay']}": True,
            "accuracy": True,
            "lost": True,
            "predicted": True,
            "circuits": False,
        }
    )
    for number, point in enumerate(found.points):
        slower = " (!)" if point.slower else ""
        table.add_row(
            f"{number}",
            "front" if point.on_front else "",
            f"{shown(point.energy)} ({point.energy / exact.energy:.0%})",
            f"{shown(point.area)} ({point.area / exact.area:.0%})",
            f"{shown(point.delay)}{slower}",
            f"{point.accuracy:.2%}",
            f"{100 * point.loss:+.2f}",
            f"{100 * point.predicted_loss:+.2f}",
            grouped(found, point),
        )
    common.console.print(table)


def origin(
    found: Search, test: Dataset, held_out: Dataset, chosen: ChosenLibrary | None
) -> list[str]:
    """Return the lines that say how the numbers were got."""
    cost = found.layers[0].costs[EXACT]
    lines = [
        f"lost: {LOST[found.settings.loss]}, in percentage points. A layer alone: on "
        f"{len(held_out):,} training images of {held_out.name} that calibrate nothing. Points: on "
        f"{len(test):,} images of {test.name} ({test.split}). Predicted: the layers' losses added "
        "up, gains as none.",
        f"energy: of all popcounts of one image in these {len(found.layers)} layers; area: one "
        "popcount for each layer; delay: the slowest layer's"
        + ("; (!): some layer is slower than its exact popcount" if _any_slower(found) else ""),
        f"percentages are of the exact popcounts' number; {len(found.predicted):,} of "
        f"{found.designs:,} designs are on the predicted front",
    ]
    if chosen is not None:
        library = chosen.library
        how = ", by default" if chosen.by_default else ""
        lines.append(
            f"library: {library.name} ({', '.join(chosen.given)}{how}), SHA-256 "
            f"{library.digest[:12]}, energies on random bits, glitches counted"
        )
    lines += [
        f"{m.metric} of a popcount: {m.method}, {m.source}"
        for m in (cost.energy, cost.area, cost.delay)
    ]
    thresholds = found.base["thresholds"]
    lines.append(
        f"thresholds = '{thresholds}', calibrated on {found.base['calibration_images']:,} training "
        f"images of {found.base['calibration']}"
        if thresholds in CALIBRATED
        else f"thresholds = '{thresholds}'"
    )
    return lines


def _any_slower(found: Search) -> bool:
    return any(point.slower for point in found.points)
