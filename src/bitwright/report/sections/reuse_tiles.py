"""Which tile decides a neuron's bit, layer by layer: how many neurons need each tile."""

from __future__ import annotations

from typing import Any

from bitwright.records import Measurement
from bitwright.report.charts import chart, label
from bitwright.report.html import Column, Html, details, join, table, tag
from bitwright.report.numbers import percent, plain
from bitwright.report.sections import reuse_accelerator
from bitwright.report.sections.reuse_operations import layer_axis
from bitwright.report.sections.reuse_record import Measured, origin, tiles

HEIGHT = 0.8
"""Of a row of tiles; rows are 1 apart."""


def render(found: Measured) -> Html:
    """Return how many neurons of each layer need each tile."""
    decided = tiles(found)
    if not decided:
        return Html("")
    names = list(decided)
    rows = range(len(names))
    traces: list[dict[str, Any]] = [
        {
            "type": "bar",
            "x": [0.5 for _ in rows],
            "y": [-HEIGHT for _ in rows],
            "base": [row + HEIGHT / 2 for row in rows],
            "width": [1 for _ in rows],
            "marker": {"color": "--line"},
            "hoverinfo": "skip",
        }
    ]
    for row, name in enumerate(names):
        shares = decided[name]
        last = len(shares) - 1
        # A tile is done for those that the tiles before it have not decided.
        need = [sum(shares[tile:]) for tile in range(1, last + 1)]
        traces.append(
            {
                "type": "bar",
                "name": label(name),
                "x": [(tile - 0.5) / last for tile in range(1, last + 1)],
                "y": [-HEIGHT * share for share in need],
                "base": [row + HEIGHT / 2] * last,
                "width": [1 / last] * last,
                "marker": {"color": "--binary", "line": {"width": 0}},
                "hovertext": [
                    f"{label(name)}, tile {tile} of {last}<br>needed for {percent(share)} of the "
                    f"neurons<br>decides {percent(shares[tile])} of them"
                    for tile, share in enumerate(need, 1)
                ],
                "hoverinfo": "text",
            }
        )
    one = next(m for name, m in found.items() if name.startswith("deciding_tile:"))
    drawn = chart(
        traces,
        {
            "barmode": "overlay",
            "bargap": 0,
            "showlegend": False,
            "xaxis": {
                "title": {"text": "tiles of the layer, in their order", "standoff": 8},
                "range": [0, 1.02],
                "tickformat": ".0%",
                "nticks": 6,
            },
            "yaxis": layer_axis(names),
        },
        alt=f"For how many neurons of {len(names)} layers each tile is needed.",
        caption=join(
            (
                "For how many neurons each tile is needed, by layer; a full row is all neurons "
                "that constants, pool and inclusion left, and the filled part is the work ",
                origin([one]),
                ". ",
                reuse_accelerator.full_cost(found),
            )
        ),
        height=90 + 46 * max(2, len(names)),
    )
    return join((tag("h3", "Which tile decides"), drawn, _table(decided, one)))


def _table(decided: dict[str, list[float]], one: Measurement) -> Html:
    rows = []
    for name, shares in decided.items():
        last = len(shares) - 1
        mean = sum(tile * share for tile, share in enumerate(shares))
        rows.append(
            [
                name,
                f"{last:,}",
                plain(float(mean)),
                percent(sum(s for t, s in enumerate(shares) if 2 * t <= last)),
                percent(shares[last]),
            ]
        )
    written = table(
        join(("Of the neurons that constants, pool and inclusion left. ", origin([one]))),
        [
            Column("Layer"),
            Column("Tiles", number=True),
            Column("Tiles done, mean", number=True),
            Column("Decided by half of them", number=True),
            Column("Need all", number=True),
        ],
        rows,
        name="Deciding tiles",
    )
    return details("Deciding tiles as a table", written)
