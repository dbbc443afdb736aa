"""Which layers carry the loss: how far each one's dot products are off, and what flips save."""

from __future__ import annotations

from bitwright.records import Measurement
from bitwright.report.charts import LABEL, chart, label
from bitwright.report.html import Column, Html, join, table, tag
from bitwright.report.numbers import exact, percent, plain
from bitwright.report.sections.crossbar_record import furthest_off, layers
from bitwright.report.sections.reuse_record import Measured, origin, under

_DASH = "\N{EN DASH}"


def render(found: Measured) -> Html:
    """Return the errors of each layer, as bars and in numbers."""
    names = layers(found)
    off = under(found, "count_error_rms")
    drawn = [name for name in names if name in off and off[name].value > 0]
    return join(
        (
            tag("h3", "Which layers carry the loss"),
            _bars(found, drawn) if drawn else "",
            _table(found, names),
        )
    )


def _bars(found: Measured, names: list[str]) -> Html:
    means, squares = under(found, "count_error_mean"), under(found, "count_error_rms")
    worst = furthest_off(found)[0]
    off = under(found, "dots_off")
    traces = []
    for title, colour, values, meaning in (
        ("root mean square", "--binary", squares, "root mean square of the error"),
        ("mean", "--integer", means, "mean error"),
    ):
        traces.append(
            {
                "type": "bar",
                "orientation": "h",
                "name": title,
                "x": [values[name].value for name in names],
                "y": list(range(len(names))),
                "marker": {"color": colour},
                "hovertext": [
                    f"{label(name)}<br>{meaning} {plain(values[name].value)} ones<br>"
                    f"{percent(off[name].value)} of the dot products are off"
                    for name in names
                ],
                "hoverinfo": "text",
            }
        )
    used = [m for name in names for m in (means[name], squares[name])]
    left = "" if len(names) == len(layers(found)) else " Layers that are exact are not drawn."
    return chart(
        traces,
        {
            "barmode": "group",
            "bargap": 0.3,
            "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
            "xaxis": {"title": {"text": "error of the count, ones", "standoff": 8}, "nticks": 7},
            "yaxis": {
                "tickmode": "array",
                "tickvals": list(range(len(names))),
                "ticktext": [label(name, LABEL) for name in names],
                "range": [len(names) - 0.5, -0.5],
                "showgrid": False,
            },
        },
        alt=f"Errors of {len(names)} layers; {worst} is furthest off with a root mean square of "
        f"{plain(squares[worst].value)} ones.",
        caption=join(
            (
                "How many inputs agree with a neuron's weights, less the exact count; the inputs "
                "are what the exact network has there. A gain or thresholds can make up for the "
                f"mean, not for the spread around it. {worst} is furthest off"
                f"{_most_bits(found)}.{left} ",
                origin(used),
            )
        ),
        height=100 + 44 * max(2, len(names)),
    )


def _most_bits(found: Measured) -> str:
    flips = under(found, "flip_rate")
    if not flips:
        return ""
    worst = max(flips, key=lambda name: flips[name].value)
    return f"; most bits are wrong in {worst}, {percent(flips[worst].value, 2)}"


def _table(found: Measured, names: list[str]) -> Html:
    def cell(metric: str, name: str, share: bool = False) -> object:
        m = found.get(f"{metric}/{name}")
        if m is None:
            return _DASH
        return percent(m.value, 2) if share else exact(m.value)

    used: list[Measurement] = []
    rows = []
    for name in names:
        conversions = found.get(f"conversions/{name}")
        mean = _DASH
        if conversions is not None and conversions.value:
            mean = plain(found[f"on_cells/{name}"].value / conversions.value)
        rows.append(
            [
                name,
                cell("dots_off", name, True),
                cell("flip_rate", name, True),
                cell("count_error_mean", name),
                cell("count_error_rms", name),
                mean,
                cell("partial_sum_saved", name, True),
            ]
        )
        metrics = ("dots_off", "flip_rate", "count_error_rms", "partial_sum_saved")
        used += [found[f"{m}/{name}"] for m in metrics if f"{m}/{name}" in found]
    return table(
        join(
            (
                "Dot products and bits that are off with the same inputs, errors in ones; partial "
                "sums in cells, and the share of them that flips save. ",
                origin(used),
            )
        ),
        [
            Column("Layer"),
            Column("Dot products off", number=True),
            Column("Bits off", number=True),
            Column("Mean error", number=True),
            Column("Root mean square", number=True),
            Column("Mean partial sum", number=True),
            Column("Partial sums saved", number=True),
        ],
        rows,
        name="Layers on arrays",
    )
