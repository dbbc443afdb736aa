"""How large partial sums are, with flips and without, and what sensing makes of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bitwright.report.charts import chart, label
from bitwright.report.html import Html, join, tag
from bitwright.report.numbers import badge, percent, plain
from bitwright.report.sections.crossbar_record import Span, furthest_off, layers, spans
from bitwright.report.sections.reuse_record import Measured

DRAWN = 12
"""Of more layers, those are drawn that are furthest off."""


def render(found: Measured) -> Html:
    """Return for each layer the histogram, and the error of each partial sum beside it."""
    sums, plain_sums = spans(found, "partial_sum"), spans(found, "plain_partial_sum")
    errors = spans(found, "partial_sum_error")
    deviations = spans(found, "partial_sum_deviation")
    every = [name for name in layers(found) if name in sums]
    if not every:
        return Html("")
    chosen = furthest_off(found)[:DRAWN]
    names = [name for name in every if name in chosen]
    which = "" if len(names) == len(every) else f"The {DRAWN} layers that are furthest off. "
    figures = []
    for name in names:
        before = plain_sums.get(name, [])
        axis = _axis([*sums[name], *before])
        figures += [
            tag("div", _histogram(name, sums[name], before, axis)),
            tag("div", _errors(name, errors[name], deviations[name], axis)),
        ]
    sample = found["sample_images"]
    images = "image" if sample.value == 1 else "images"
    return join(
        (
            tag("h3", "Partial sums"),
            tag(
                "p",
                f"{which}From a sample of {plain(sample.value)} {images}, all windows and columns, "
                "given what the exact network has there. A partial sum is how many cells of a "
                "column conduct; its error is what is sensed less that, the band one standard "
                "deviation to either side.",
                class_="note",
            ),
            tag("div", *figures, class_="two"),
        )
    )


def _steps(bins: Sequence[Span]) -> tuple[list[float], list[float]]:
    """Return the outline of a histogram."""
    x, y = [bins[0].low - 0.5], [0.0]
    last = bins[0].low
    for one in bins:
        if one.low > last:  # nothing in between
            x += [last - 0.5, one.low - 0.5]
            y += [0.0, 0.0]
        share = 100 * float(one.measurement.value)
        x += [one.low - 0.5, one.high - 0.5]
        y += [share, share]
        last = one.high
    return [*x, last - 0.5], [*y, 0.0]


def _axis(bins: Sequence[Span]) -> dict[str, Any]:
    """Return the axis of partial sums that both charts of a layer have."""
    return {
        "title": {"text": "partial sum, cells", "standoff": 8},
        "nticks": 8,
        "range": [-0.5, max(one.high for one in bins) - 0.5],
    }


def _mean(bins: Sequence[Span]) -> float:
    return sum(one.middle * one.measurement.value for one in bins)


def _histogram(
    name: str, bins: Sequence[Span], before: Sequence[Span], axis: Mapping[str, Any]
) -> Html:
    wide = bins[0].high - bins[0].low
    traces: list[dict[str, Any]] = [
        {
            "type": "bar",
            "name": "with flips" if before else "partial sums",
            "x": [one.middle for one in bins],
            "y": [100 * float(one.measurement.value) for one in bins],
            "width": [wide] * len(bins),
            "marker": {"color": "--binary"},
            "hovertext": [
                f"{label(name)}<br>partial sum {one.said}<br>"
                f"{percent(one.measurement.value, 2)} of all"
                for one in bins
            ],
            "hoverinfo": "text",
        }
    ]
    said = f"mean {plain(_mean(bins))}"
    if before:
        x, y = _steps(before)
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": "without flips",
                "x": x,
                "y": y,
                "line": {"color": "--integer", "width": 2},
                "hoverinfo": "skip",
            }
        )
        said += f" instead of {plain(_mean(before))}"
    return chart(
        traces,
        {
            "bargap": 0,
            "showlegend": bool(before),
            "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
            "xaxis": axis,
            "yaxis": {
                "title": {"text": "columns, %", "standoff": 8},
                "rangemode": "tozero",
                "nticks": 5,
            },
        },
        alt=f"Partial sums of {name} from {bins[0].low} to {bins[-1].high - 1}: {said}.",
        caption=join((tag("strong", name), f": partial sums, {said} ", badge(bins[0].measurement))),
        height=250,
    )


def _errors(
    name: str, means: Sequence[Span], deviations: Sequence[Span], axis: Mapping[str, Any]
) -> Html:
    """Return the error of what is sensed, by the ideal partial sum."""
    x = [one.middle for one in means]
    y = [float(one.measurement.value) for one in means]
    spread = [float(one.measurement.value) for one in deviations]
    high = [mean + off for mean, off in zip(y, spread, strict=True)]
    low = [mean - off for mean, off in zip(y, spread, strict=True)]
    worst = max(means, key=lambda one: abs(one.measurement.value))
    return chart(
        [
            {
                "type": "scatter",
                "mode": "lines",
                "x": [*x, *reversed(x)],
                "y": [*high, *reversed(low)],
                "fill": "toself",
                "fillcolor": "rgba(128,128,128,0.25)",
                "line": {"width": 0},
                "hoverinfo": "skip",
                "showlegend": False,
            },
            {
                "type": "scatter",
                "mode": "lines+markers",
                "x": x,
                "y": y,
                "line": {"color": "--bad", "width": 2},
                "marker": {"color": "--bad", "size": 4},
                "hovertext": [
                    f"{label(name)}<br>partial sum {one.said}<br>error {mean:+.2f}, "
                    f"deviation {off:.2f} cells"
                    for one, mean, off in zip(means, y, spread, strict=True)
                ],
                "hoverinfo": "text",
            },
        ],
        {
            "showlegend": False,
            "xaxis": axis,
            "yaxis": {"title": {"text": "error, cells", "standoff": 8}, "nticks": 6},
        },
        alt=f"Error of {name} by partial sum; at most {worst.measurement.value:+.2f} cells on "
        f"average, at {worst.said}.",
        caption=join(
            (
                tag("strong", name),
                f": error, on average at most {worst.measurement.value:+.2f} cells, at "
                f"{worst.said} ",
                badge(worst.measurement),
            )
        ),
        height=250,
    )
