"""Horizontal bars of parts on top of each other, one for each design that is compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bitwright.report.charts import chart, label
from bitwright.report.html import Html
from bitwright.report.numbers import percent, plain

COLOURS = ("--binary", "--simulated", "--synthesised", "--integer", "--good", "--bad", "--muted")
"""Of the parts; the last is that of the rest where there are more of them."""
REST = "other items"


def stacked_bars(
    parts: Mapping[str, Sequence[float]],
    titles: Sequence[str],
    *,
    axis: str,
    unit: str,
    alt: str,
    caption: object,
) -> Html:
    """Return a chart of one bar for each design.

    Parameters
    ----------
    parts
        Each part's value in every design, in the order in which they are drawn.
    titles
        Of the designs; the totals are written behind them.
    axis, unit
        What is drawn, and in what.
    alt, caption
        As for `bitwright.report.charts.chart`; the totals are put behind the text for `alt`.
    """
    totals = [sum(values) for values in zip(*parts.values(), strict=True)]
    traces = [
        _trace(name, values, colour, titles, totals, unit)
        for (name, values), colour in zip(_drawn(parts).items(), COLOURS, strict=False)
    ]
    said = " instead of ".join(plain(total) for total in reversed(totals))
    return chart(
        traces,
        {
            "barmode": "stack",
            "legend": {
                "orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "traceorder": "normal",
            },
            "xaxis": {
                "title": {"text": label(f"{axis}, {unit}"), "standoff": 8},
                "rangemode": "tozero",
                "nticks": 6,
            },
            "yaxis": {
                "tickmode": "array",
                "tickvals": list(range(len(titles))),
                "ticktext": [
                    f"{title}<br>{plain(total)}"
                    for title, total in zip(titles, totals, strict=True)
                ],
                "range": [len(titles) - 0.5, -0.5],
                "showgrid": False,
            },
        },
        alt=f"{alt} by {len(parts)} items: {said} {unit}.",
        caption=caption,
        height=190 + 55 * len(titles),
    )  # fmt: skip


def _drawn(parts: Mapping[str, Sequence[float]]) -> Mapping[str, Sequence[float]]:
    """Return the parts, the last of them as one if they are more than colours."""
    if len(parts) <= len(COLOURS):
        return parts
    names = list(parts)
    kept, rest = names[: len(COLOURS) - 1], names[len(COLOURS) - 1 :]
    drawn = {name: parts[name] for name in kept}
    drawn[REST] = [sum(values) for values in zip(*(parts[name] for name in rest), strict=True)]
    return drawn


def _trace(
    name: str,
    values: Sequence[float],
    colour: str,
    titles: Sequence[str],
    totals: Sequence[float],
    unit: str,
) -> Mapping[str, object]:
    return {
        "type": "bar",
        "orientation": "h",
        "name": label(name),
        "x": list(values),
        "y": list(range(len(values))),
        "width": [0.6] * len(values),
        "marker": {"color": colour},
        "hovertext": [
            f"{label(name)}, {title}<br>{plain(value)} {label(unit)}<br>"
            f"{percent(value / total if total else None)} of {plain(total)}"
            for title, value, total in zip(titles, values, totals, strict=True)
        ],
        "hoverinfo": "text",
    }
