"""Where the operations of one image go: op by op, counted from the program."""

from __future__ import annotations

import math
from collections.abc import Sequence

from bitwright.flow import Evaluation
from bitwright.ir.program import Program
from bitwright.ir.work import Work, count_work
from bitwright.report.charts import LABEL, chart, label
from bitwright.report.html import Column, Html, join, table, tag
from bitwright.report.numbers import method, percent
from bitwright.report.outcomes import model, programs

LOGARITHMIC = 50
"""Where the largest layer has more than so many times the operations of the smallest one, a bar
of the smallest would not be seen on a linear scale."""
KINDS = (("binary", "XNOR and count"), ("integer", "multiply and add"))


def render(evaluations: Sequence[Evaluation]) -> Html:
    """Return chart and table of each program."""
    distinct = programs(evaluations)
    return join(
        join((tag("h3", model(e), class_="group") if len(distinct) > 1 else "", _one(e.program)))
        for e in distinct
    )


def _one(program: Program) -> Html:
    work = count_work(program)
    total = sum(w.operations for w in work)
    layers = [w for w in work if w.operations]
    return join((_bars(layers, total) if layers else "", _table(program, work, total)))


def _bars(layers: Sequence[Work], total: int) -> Html:
    most, least = max(w.operations for w in layers), min(w.operations for w in layers)
    logarithmic = most > LOGARITHMIC * least
    traces = []
    for kind, meaning in KINDS:
        rows = [
            (i, w) for i, w in enumerate(layers) if (w.binary_operations > 0) == (kind == "binary")
        ]
        if not rows:
            continue
        traces.append(
            {
                "type": "bar",
                "orientation": "h",
                "name": kind,
                "x": [w.operations for _, w in rows],
                "y": [i for i, _ in rows],
                "text": [percent(w.operations / total) for _, w in rows],
                "textposition": "outside",
                "cliponaxis": False,
                "textfont": {"color": "--text"},
                "marker": {"color": f"--{kind}"},
                "hovertext": [
                    f"{label(w.op.output)} ({w.op.kind})<br>{w.operations:,} {kind} operations "
                    f"({meaning})<br>{percent(w.operations / total)} of all operations"
                    for _, w in rows
                ],
                "hoverinfo": "text",
            }
        )
    largest = max(layers, key=lambda w: w.operations)
    caption = join(
        (
            "Operations for one image: ",
            *(_key(kind, meaning) for kind, meaning in KINDS),
            f"{'logarithmic' if logarithmic else 'linear'} scale; "
            "percentages are shares of all operations. ",
            method("counted"),
        )
    )
    return chart(
        traces,
        {
            "barmode": "overlay",
            "bargap": 0.35,
            "showlegend": False,
            "xaxis": _scale(least, most, logarithmic),
            "yaxis": {
                "tickmode": "array",
                "tickvals": list(range(len(layers))),
                "ticktext": [label(w.op.output, LABEL) for w in layers],
                "range": [len(layers) - 0.5, -0.5],
                "showgrid": False,
            },
        },
        alt=f"Operations of {len(layers)} layers; the largest is {largest.op.output} with "
        f"{percent(largest.operations / total)} of {total:,} operations an image.",
        caption=caption,
        height=60 + 36 * max(3, len(layers)),
    )


def _key(kind: str, meaning: str) -> Html:
    return join((tag("span", class_=f"legend {kind}", aria_hidden="true"), f"{kind} ({meaning}), "))


def _scale(least: int, most: int, logarithmic: bool) -> dict[str, object]:
    """Return the axis of operations, with room for the text beyond the longest bar."""
    if not logarithmic:
        return {"range": [0, 1.3 * most], "nticks": 6}
    low, high = math.floor(math.log10(least)), math.log10(most)
    low -= low == math.log10(least)
    return {"type": "log", "dtick": 1, "range": [low, high + 0.3 * (high - low)]}


def _table(program: Program, work: Sequence[Work], total: int) -> Html:
    rows = [
        [
            w.op.output,
            w.op.kind,
            tag("span", program.types[w.op.output], class_="whole"),
            _count(w.binary_operations),
            _count(w.integer_operations),
            _count(w.weight_bits),
            _count(w.thresholds),
            _share(w, total),
        ]
        for w in work
    ]
    sums = (
        f"{sum(getattr(w, name) for w in work):,}"
        for name in ("binary_operations", "integer_operations", "weight_bits", "thresholds")
    )
    return table(
        join(("Every op of the program, for one image. ", method("counted"))),
        [
            Column("Op"),
            Column("Kind"),
            Column("Output"),
            Column("Binary operations", number=True),
            Column("Integer operations", number=True),
            Column("Weight bits", number=True),
            Column("Thresholds", number=True),
            Column("Share of operations", number=True),
        ],
        rows,
        ["All", "", "", *sums, percent(1.0 if total else None)],
        name="Work op by op",
    )


def _count(value: int) -> str:
    return f"{value:,}" if value else "\N{EN DASH}"


def _share(work: Work, total: int) -> Html:
    if not work.operations:
        return Html("\N{EN DASH}")
    share = work.operations / total
    kind = "integer" if work.integer_operations else "binary"
    bar = tag("span", style=f"width:{100 * share:.2f}%")
    return join((tag("span", bar, class_=f"meter {kind}", aria_hidden="true"), percent(share)))
