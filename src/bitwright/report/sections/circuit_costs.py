"""What popcounts take, beside exact ones: cells, and area, delay and energy where they are known.

A record tells the cells of one popcount of each layer (``popcount_full_adders``,
``exact_popcount_full_adders``), and perhaps numbers of a layer's popcount
(``popcount_area/<layer>``, ``exact_popcount_area/<layer>``; so ``delay`` and ``energy``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bitwright.flow import Evaluation
from bitwright.records import Measurement
from bitwright.report.charts import LABEL, chart, label
from bitwright.report.html import Html, join, tag
from bitwright.report.numbers import method, percent, plain
from bitwright.report.outcomes import titles

METRICS = ("area", "energy", "delay")
CELLS = {"full_adders": "full adders", "half_adders": "half adders", "gates": "gates"}
COLOURS = ("--muted", "--binary", "--integer", "--good", "--synthesised", "--simulated", "--bad")
"""Of the bars of a group: the exact popcount's first; further ones begin again."""


@dataclass(frozen=True)
class Series:
    """One bar in each group; None where there is none."""

    name: str
    values: Sequence[float | None]


def render(evaluations: Sequence[Evaluation]) -> Html:
    """Return the charts of each evaluation that has such metrics."""
    parts = []
    for evaluation, title in zip(evaluations, titles(evaluations), strict=True):
        measured = {m.metric: m for m in evaluation.record.measurements}
        figures = [_cells(measured), *(_by_layer(measured, metric) for metric in METRICS)]
        shown = [tag("div", figure) for figure in figures if figure]
        if shown:
            heading = tag("h3", title, class_="group") if len(evaluations) > 1 else ""
            parts.append(join((heading, tag("div", *shown, class_="two"))))
    return join(parts)


def bars(
    groups: Sequence[str], series: Sequence[Series], axis: str, *, alt: str, caption: object
) -> Html:
    """Return horizontal bars side by side, and of each its share of the first one.

    Parameters
    ----------
    groups
        What the bars belong to.
    series
        The first is what others are compared with.
    axis
        What is shown, with its unit.
    """
    base = series[0].values
    traces = [
        {
            "type": "bar",
            "orientation": "h",
            "name": label(one.name),
            "x": [value for value in one.values if value is not None],
            "y": [i for i, value in enumerate(one.values) if value is not None],
            "marker": {"color": COLOURS[k % len(COLOURS)]},
            "hovertext": [
                f"{label(groups[i])}<br>{label(one.name)}: {plain(value)}{_share(value, base[i])}"
                for i, value in enumerate(one.values)
                if value is not None
            ],
            "hoverinfo": "text",
        }
        for k, one in enumerate(series)
    ]
    return chart(
        traces,
        {
            "barmode": "group",
            "bargap": 0.3,
            "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
            "xaxis": {
                "title": {"text": label(axis), "standoff": 8},
                "rangemode": "tozero",
                "nticks": 6,
            },
            "yaxis": {
                "tickmode": "array",
                "tickvals": list(range(len(groups))),
                "ticktext": [label(group, LABEL) for group in groups],
                "range": [len(groups) - 0.5, -0.5],
                "showgrid": False,
            },
        },
        alt=alt,
        caption=caption,
        height=100 + len(groups) * (14 + 13 * len(series)),
    )


def _share(value: float, base: float | None) -> str:
    return f"<br>{percent(value / base)} of {plain(base)}" if base else ""


def _cells(measured: Mapping[str, Measurement]) -> Html:
    """Return the bars of cells."""
    kinds = [kind for kind in CELLS if f"popcount_{kind}" in measured]
    if not kinds or not all(f"exact_popcount_{kind}" in measured for kind in kinds):
        return Html("")
    both = [
        Series(name, [measured[f"{start}_{kind}"].value for kind in kinds])
        for name, start in (("exact", "exact_popcount"), ("these circuits", "popcount"))
    ]
    caption = join(
        ("Cells of one popcount for each layer. ", method(measured[f"popcount_{kinds[0]}"].method))
    )
    names = [CELLS[kind] for kind in kinds]
    said = ", ".join(
        f"{name} {plain(ours or 0)} against {plain(theirs or 0)}"
        for name, theirs, ours in zip(names, both[0].values, both[1].values, strict=True)
    )
    return bars(names, both, "cells", alt=f"Cells of popcounts: {said}.", caption=caption)


def _by_layer(measured: Mapping[str, Measurement], metric: str) -> Html:
    """Return the bars of a metric that each layer's popcount has."""
    start = f"popcount_{metric}/"
    layers = [
        name.removeprefix(start)
        for name in measured
        if name.startswith(start) and f"exact_{name}" in measured
    ]
    if not layers:
        return Html("")
    ours = [measured[f"{start}{layer}"] for layer in layers]
    theirs = [measured[f"exact_{start}{layer}"] for layer in layers]
    caption = join(
        (
            f"{metric.capitalize()} of one popcount of each layer. ",
            method(ours[0].method),
            f" {ours[0].source}" if ours[0].source else "",
        )
    )
    return bars(
        layers,
        [
            Series("exact", [m.value for m in theirs]),
            Series("these circuits", [m.value for m in ours]),
        ],
        f"{metric}, {ours[0].unit}",
        alt=f"{metric.capitalize()} of the popcounts of {len(layers)} layers, beside exact ones.",
        caption=caption,
    )
