"""What it does to an error where along a column the conducting cells are."""

from __future__ import annotations

from bitwright.records import Measurement
from bitwright.report.charts import chart, label
from bitwright.report.html import Column, Html, details, join, table, tag
from bitwright.report.numbers import percent
from bitwright.report.sections.circuit_costs import COLOURS
from bitwright.report.sections.crossbar_record import POSITIONS, furthest_off, positions
from bitwright.report.sections.reuse_record import Measured, origin

LINES = 6
"""So many layers are drawn, those that are furthest off."""
RARE = 0.02
"""Positions that fewer partial sums have are left to the table."""
PLACES = (
    "far end", *(f"{k} of {POSITIONS}" for k in range(2, POSITIONS)), "sense end",
)  # fmt: skip
_DASH = "\N{EN DASH}"


def render(found: Measured) -> Html:
    """Return the errors by position, of partial sums of the same size."""
    effects, errors = positions(found, "position_effect"), positions(found, "position_error")
    names = [name for name in furthest_off(found) if effects.get(name)]
    if not names:
        return Html("")
    shares = positions(found, "position_share")
    drawn = names[:LINES]
    shown = {
        name: {place: m for place, m in effects[name].items() if shares[name][place].value >= RARE}
        for name in drawn
    }
    used = [m for name in names for m in effects[name].values()]
    traces = [
        {
            "type": "scatter",
            "mode": "lines+markers",
            "name": label(name),
            "x": list(shown[name]),
            "y": [m.value for m in shown[name].values()],
            "line": {"color": COLOURS[1:][k % (len(COLOURS) - 1)], "width": 2},
            "marker": {"color": COLOURS[1:][k % (len(COLOURS) - 1)], "size": 6},
            "hovertext": [
                f"{label(name)}<br>{PLACES[place]}<br>{m.value:+.3f} cells beyond the mean, "
                f"{errors[name][place].value:+.3f} in all<br>{percent(shares[name][place].value)} "
                "of the partial sums"
                for place, m in shown[name].items()
            ],
            "hoverinfo": "text",
        }
        for k, name in enumerate(drawn)
    ]
    which = "" if len(drawn) == len(names) else f" of the {len(drawn)} layers that are furthest off"
    figure = chart(
        traces,
        {
            "showlegend": len(drawn) > 1,
            "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
            "xaxis": {
                "title": {"text": "mean row of the cells that conduct", "standoff": 8},
                "tickmode": "array",
                "tickvals": list(range(POSITIONS)),
                "ticktext": list(PLACES),
                "range": [-0.4, POSITIONS - 0.6],
            },
            "yaxis": {"title": {"text": "error beyond the mean, cells", "standoff": 8}},
        },
        alt=f"Effect of position on the error of {len(drawn)} layers.",
        caption=join(
            (
                f"Error{which} by where the cells that conduct are, less the mean error of all "
                "partial sums of the same size; without positions that fewer than "
                f"{percent(RARE, 0)} have. ",
                origin(used),
            )
        ),
        height=320,
    )
    return join((tag("h3", "Position in the column"), figure, _table(found, names)))


def _table(found: Measured, names: list[str]) -> Html:
    effects, shares = positions(found, "position_effect"), positions(found, "position_share")
    rows = [[name, *(_cell(effects[name], place) for place in range(POSITIONS))] for name in names]
    used = [m for name in names for by in (effects[name], shares[name]) for m in by.values()]
    written = table(
        join(("Cells of error beyond the mean of partial sums of the same size. ", origin(used))),
        [Column("Layer"), *(Column(place, number=True) for place in PLACES)],
        rows,
        name="Errors by position",
    )
    return details("Errors by position as a table", written)


def _cell(by_place: dict[int, Measurement], place: int) -> str:
    m = by_place.get(place)
    return _DASH if m is None else f"{m.value:+.3f}"
