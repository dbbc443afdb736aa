"""What arrays take: energy, latency and area, item by item, beside arrays without flips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bitwright.records import Measurement
from bitwright.report.charts import chart, label
from bitwright.report.html import Column, Html, details, join, table, tag
from bitwright.report.numbers import badge, percent, plain
from bitwright.report.sections.crossbar_record import NETWORK, PLAIN
from bitwright.report.sections.reuse_cost import COLOURS
from bitwright.report.sections.reuse_record import Measured, origin

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
OTHER = "other items"
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
    names, sums = cost.items, cost.sums
    # As many items as there are colours but the last, which the rest has.
    drawn = names if len(names) < len(COLOURS) else names[: len(COLOURS) - 1]
    rows = [(name, [name], COLOURS[k]) for k, name in enumerate(drawn)]
    if len(drawn) < len(names):
        rows.append((OTHER, names[len(drawn) :], COLOURS[-1]))
    traces = []
    for name, members, colour in rows:
        values = [
            sum(side[member].value for member in members if member in side)
            for _, side in cost.sides
        ]
        traces.append(
            {
                "type": "bar",
                "orientation": "h",
                "name": label(name),
                "x": [value * factor for value in values],
                "y": list(range(len(values))),
                "width": [0.6] * len(values),
                "marker": {"color": colour},
                "hovertext": [
                    f"{label(name)}, {title}<br>{plain(value * factor)} {label(unit)}<br>"
                    f"{percent(value / total if total else None)} of {plain(total * factor)}"
                    for (title, _), value, total in zip(cost.sides, values, sums, strict=True)
                ],
                "hoverinfo": "text",
            }
        )
    said = " instead of ".join(plain(total * factor) for total in reversed(sums))
    used = [m for _, side in cost.sides for m in side.values()]
    return chart(
        traces,
        {
            "barmode": "stack",
            "legend": {
                "orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "traceorder": "normal",
            },
            "xaxis": {
                "title": {"text": label(f"{cost.kind}, {unit}"), "standoff": 8},
                "rangemode": "tozero",
                "nticks": 6,
            },
            "yaxis": {
                "tickmode": "array",
                "tickvals": list(range(len(sums))),
                "ticktext": [
                    f"{title}<br>{plain(total * factor)}"
                    for (title, _), total in zip(cost.sides, sums, strict=True)
                ],
                "range": [len(sums) - 0.5, -0.5],
                "showgrid": False,
            },
        },
        alt=f"{KINDS[cost.kind]} by {len(names)} items: {said} {unit}.",
        caption=join((tag("strong", KINDS[cost.kind]), f": {said} {unit}. ", origin(used))),
        height=190 + 55 * len(sums),
    )  # fmt: skip


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
