"""Designs on crossbars beside each other: their accuracies, and the exact network's."""

from __future__ import annotations

from collections.abc import Sequence

from bitwright.flow import Evaluation
from bitwright.records import wilson
from bitwright.report.charts import LABEL, chart, label
from bitwright.report.html import Column, Html, join, table, tag
from bitwright.report.numbers import interval, method, percent
from bitwright.report.outcomes import correct
from bitwright.report.sections.crossbar_record import differing

LINES = 3
"""So many settings of a design are on the axis."""


def render(
    evaluations: Sequence[Evaluation], titles: Sequence[str], exact: Sequence[float]
) -> Html:
    """Return accuracies as bars and as a table.

    Parameters
    ----------
    titles
        What each is called on the page.
    exact
        The exact network's accuracy, of each.
    """
    apart = differing(evaluations)
    names = [
        f"{title}: {', '.join(said)}" if said else title
        for title, said in zip(titles, apart, strict=True)
    ]
    lines = max(min(LINES, len(said)) for said in apart) or 1
    shares = [correct(e) / len(e.data) for e in evaluations]
    bounds = [wilson(correct(e), len(e.data)) for e in evaluations]
    places = list(range(len(evaluations)))
    drawn = chart(
        [
            {
                "type": "bar",
                "orientation": "h",
                "name": "on arrays",
                "x": shares,
                "y": places,
                "width": [0.6] * len(places),
                "marker": {"color": "--binary"},
                "error_x": {
                    "type": "data",
                    "symmetric": False,
                    "array": [
                        high - share for share, (_, high) in zip(shares, bounds, strict=True)
                    ],
                    "arrayminus": [
                        share - low for share, (low, _) in zip(shares, bounds, strict=True)
                    ],
                    "color": "--text",
                    "thickness": 1.5,
                },
                "hovertext": [
                    f"{label(name)}<br>{percent(share)} right"
                    for name, share in zip(names, shares, strict=True)
                ],
                "hoverinfo": "text",
            },
            {
                "type": "scatter",
                "mode": "markers",
                "name": "exact network",
                "x": list(exact),
                "y": places,
                "marker": {
                    "color": "--integer",
                    "symbol": "line-ns",
                    "size": 26,
                    "line": {"width": 3, "color": "--integer"},
                },
                "hovertext": [f"exact network<br>{percent(share)} right" for share in exact],
                "hoverinfo": "text",
            },
        ],
        {
            "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
            "xaxis": {
                "title": {"text": "images decided rightly", "standoff": 8},
                "range": [0, 1.02],
                "tickformat": ".0%",
                "nticks": 6,
            },
            "yaxis": {
                "tickmode": "array",
                "tickvals": places,
                "ticktext": [
                    "<br>".join(label(one, LABEL) for one in said[:LINES] or [title])
                    for title, said in zip(titles, apart, strict=True)
                ],
                "range": [len(places) - 0.5, -0.5],
                "showgrid": False,
            },
        },
        alt="Accuracies on arrays: "
        + ", ".join(f"{n}: {percent(s)}" for n, s in zip(names, shares, strict=True)),
        caption=join(("Accuracy with its 95 % interval. ", method("simulated"))),
        height=110 + (20 + 18 * lines) * max(2, len(places)),
    )
    return join((tag("h3", "Designs beside each other"), drawn, _table(evaluations, names, exact)))


def _table(evaluations: Sequence[Evaluation], names: Sequence[str], exact: Sequence[float]) -> Html:
    rows = []
    for evaluation, name, wanted in zip(evaluations, names, exact, strict=True):
        right, total = correct(evaluation), len(evaluation.data)
        saved = evaluation.record["partial_sum_saved"]
        rows.append(
            [
                name,
                percent(right / total),
                interval(right, total),
                percent(wanted),
                f"{100 * (right / total - wanted):+.1f}",
                percent(saved.value),
            ]
        )
    return table(
        join(
            (
                "Accuracies ",
                method("simulated"),
                "; the share of conducting cells that flips save ",
                method("counted"),
            )
        ),
        [
            Column("Design"),
            Column("Accuracy", number=True),
            Column("95 % interval", number=True),
            Column("Exact network", number=True),
            Column("Points lost or won", number=True),
            Column("Partial sums saved", number=True),
        ],
        rows,
        name="Designs beside each other",
    )
