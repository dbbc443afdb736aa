"""What arrays take: energy, latency and area, item by item, beside arrays without flips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bitwright.records import Measurement
from bitwright.report.html import Column, Html, details, join, table, tag
from bitwright.report.numbers import badge, plain
from bitwright.report.sections.crossbar_record import NETWORK, PLAIN
from bitwright.report.sections.reuse_record import Measured, origin
from bitwright.report.stacked_bars import stacked_bars

KINDS = {"energy": "Energy of an image", "latency": "Latency of an image", "area": "Area"}
CHANGES = {
    "energy_saved": ("energy", -1),
    "energy_saved_same_adc": ("energy with equal converters", -1),
    "latency_paid": ("latency", 1),
    "area_paid": ("area", 1),
}
"""What flips change: of what, and which sign is more."""
SCALES = (
    (1e-15, "f"), (1e-12, "p"), (1e-9, "n"), (1e-6, "\N{MICRO SIGN}"), (1e-3, "m"), (1.0, ""),
)  # fmt: skip
_DASH = "\N{EN DASH}"


@dataclass(frozen=True, eq=False)
class _Cost:
    """One kind of cost: its items, of this design and, where there are flips, without them."""

    kind: str
    ours: Mapping[str, Measurement]
    before: Mapping[str, Measurement]

    @property
    def sides(self) -> list[tuple[str, Mapping[str, Measurement]]]:
        """What is drawn, and what it is called."""
        if not self.before:
            return [("this design", self.ours)]
        return [("without flips", self.before), ("this design", self.ours)]

    @property
    def sums(self) -> list[float]:
        return [sum(m.value for m in side.values()) for _, side in self.sides]

    @property
    def items(self) -> list[str]:
        """All items, the largest first."""
        names = dict.fromkeys((*self.before, *self.ours))
        return sorted(
            names,
            key=lambda name: -max(side[name].value for _, side in self.sides if name in side),
        )

    @property
    def scale(self) -> tuple[float, str]:
        """By what to multiply, and the unit then, so that numbers are easy to read."""
        return _scale(max(self.sums), next(iter(self.ours.values())).unit)


def render(found: Measured) -> Html:
    """Return a bar for each kind of cost, by item; none if the record has no such numbers."""
    costs = [_Cost(kind, items(found, kind), items(found, kind, PLAIN)) for kind in KINDS]
    costs = [cost for cost in costs if cost.ours]
    if not costs:
        return Html("")
    return join(
        (
            tag("h3", "What it takes"),
            _changes(found),
            *(tag("div", _bar(cost)) for cost in costs),
            details("Costs by item as a table", *(_table(cost) for cost in costs)),
        )
    )


def items(found: Measured, kind: str, of: str = NETWORK) -> dict[str, Measurement]:
    """Return a cost by item: of the network, or of it without flips (`PLAIN`)."""
    start = f"{kind}_"
    return {
        name.partition("/")[0].removeprefix(start).replace("_", " "): m
        for name, m in found.items()
        if name.startswith(start) and name.partition("/")[2] == of
    }


def _changes(found: Measured) -> Html:
    """Return what flips save and take, in a sentence."""
    said: list[object] = []
    used = []
    for metric, (what, sign) in CHANGES.items():
        if metric in found:
            share = sign * found[metric].value
            said += [f"{what} {100 * share:+.1f}\N{NO-BREAK SPACE}%", ", "]
            used.append(found[metric])
    if not said:
        return Html("")
    return tag(
        "p",
        "Beside the same arrays without flips: ",
        tag("strong", *said[:-1]),
        " ",
        badge(used[0]),
        ". The currents without flips are those of the cells that would conduct; what wires would "
        "lose to them is left out.",
    )


def _bar(cost: _Cost) -> Html:
    factor, unit = cost.scale
    said = " instead of ".join(plain(total * factor) for total in reversed(cost.sums))
    used = [m for _, side in cost.sides for m in side.values()]
    return stacked_bars(
        {
            name: [side[name].value * factor if name in side else 0.0 for _, side in cost.sides]
            for name in cost.items
        },
        [title for title, _ in cost.sides],
        axis=cost.kind,
        unit=unit,
        alt=KINDS[cost.kind],
        caption=join((tag("strong", KINDS[cost.kind]), f": {said} {unit}. ", origin(used))),
    )


def _table(cost: _Cost) -> Html:
    factor, unit = cost.scale

    def cells(values: Sequence[float | None]) -> list[str]:
        return [_DASH if value is None else plain(value * factor) for value in values]

    rows = [
        [name, *cells([side[name].value if name in side else None for _, side in cost.sides])]
        for name in cost.items
    ]
    used = [m for _, side in cost.sides for m in side.values()]
    return table(
        join((f"{KINDS[cost.kind]}, {unit}. ", origin(used))),
        [Column("Item"), *(Column(title, number=True) for title, _ in cost.sides)],
        rows,
        ["All", *cells(cost.sums)],
        name=f"{KINDS[cost.kind]} by item",
    )


def _scale(largest: float, unit: str) -> tuple[float, str]:
    if unit == "m2":
        square = "m\N{SUPERSCRIPT TWO}"
        return (1e12, f"\N{MICRO SIGN}{square}") if largest < 1e-9 else (1e6, f"m{square}")
    for size, prefix in reversed(SCALES):
        if largest >= size:
            return 1 / size, f"{prefix}{unit}"
    return 1.0, unit
