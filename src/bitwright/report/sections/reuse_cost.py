"""What reused sums cost in full, of the network: by part, and beside nothing reused."""

from __future__ import annotations

from bitwright.report.html import Column, Html, details, join, table, tag
from bitwright.report.numbers import badge, exact
from bitwright.report.sections.reuse_record import Measured, origin, under
from bitwright.report.stacked_bars import stacked_bars

TOTALS = {
    "energy": "Energy",
    "area": "Area",
    "luts": "LUTs",
    "flip_flops": "Flip-flops",
    "delay": "Delay",
}
BOTH = ("Nothing reused", "Chosen plans")
_DASH = "\N{EN DASH}"


def render(found: Measured) -> Html:
    """Return the energy by part, before and after, and all costs."""
    before, after = under(found, "energy_dense"), under(found, "energy")
    names = [name for name in after if name in before]
    return join(
        (
            tag("h3", "Full cost of the network"),
            _bars(found, names, before, after) if names else "",
            _totals(found),
            _parts_table(names, before, after) if names else "",
        )
    )


def _bars(found: Measured, names: list[str], before: Measured, after: Measured) -> Html:
    """Return two stacked bars: nothing reused, and the chosen plans."""
    return stacked_bars(
        {name: (before[name].value, after[name].value) for name in names},
        BOTH,
        axis="energy",
        unit=found["energy"].unit,
        alt="Energy of an image",
        caption=join(
            (
                "Energy of an image, by the parts of the datapath that take it. ",
                origin([*before.values(), *after.values()]),
            )
        ),
    )


def _totals(found: Measured) -> Html:
    rows = []
    for metric, name in TOTALS.items():
        if metric in found and f"{metric}_dense" in found:
            before, after = found[f"{metric}_dense"], found[metric]
            rows.append(
                [
                    tag("span", name, class_="whole"),
                    exact(before.value),
                    exact(after.value),
                    _relative(after.value, before.value),
                    after.unit,
                    badge(after),
                ]
            )
    used = [found[metric] for metric in TOTALS if metric in found]
    return table(
        join(
            (
                "Energy is of an image, delay of the slowest stage; area, LUTs and flip-flops "
                "are of one datapath for each layer. ",
                origin(used),
            )
        ),
        [
            Column("Cost"),
            *(Column(which, number=True) for which in BOTH),
            Column("Relative", number=True),
            Column("Unit"),
            Column("Method"),
        ],
        rows,
        name="Full cost of the network",
    )


def _parts_table(names: list[str], before: Measured, after: Measured) -> Html:
    rows = [
        [
            name,
            exact(before[name].value),
            exact(after[name].value),
            _relative(after[name].value, before[name].value),
        ]
        for name in names
    ]
    written = table(
        join(
            (f"{after[names[0]].unit}. ", origin([*before.values(), *after.values()])),
        ),
        [
            Column("Part"),
            *(Column(which, number=True) for which in BOTH),
            Column("Relative", number=True),
        ],
        rows,
        name="Energy by part",
    )
    return details("Energy by part as a table", written)


def _relative(value: float, base: float) -> str:
    """Return a value with nothing reused as 1."""
    return f"{value / base:.3f}" if base else _DASH
