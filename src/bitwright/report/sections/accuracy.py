"""What is taken for what: the confusion matrix, and how sure each class's accuracy is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bitwright.flow import Evaluation
from bitwright.records import wilson
from bitwright.report.charts import LABEL, chart, label
from bitwright.report.html import Column, Html, details, join, table, tag
from bitwright.report.numbers import interval, method, percent
from bitwright.report.outcomes import Array, class_names, confusion, correct, outcomes

NAMED = 40
"""Up to so many classes, each has its name on an axis and its bar."""
COUNTED = 20
"""Up to so many classes, the cells of the matrix hold their counts."""
DRAWN = 100
"""Up to so many classes, the matrix is drawn."""
LOWEST = 20
"""So many bars stand for more than `NAMED` classes."""
PAIRS = 5
"""So many confusions are listed."""


def render(evaluations: Sequence[Evaluation]) -> Html:
    """Return matrix and accuracy by class, once for evaluations that agree in every score."""
    groups = outcomes(evaluations)
    return join(
        join(
            (
                tag("h3", group.label, class_="group") if len(evaluations) > 1 else "",
                _one(group.evaluation),
            )
        )
        for group in groups
    )


def _one(evaluation: Evaluation) -> Html:
    counts, names = confusion(evaluation), class_names(evaluation)
    right, total = correct(evaluation), len(evaluation.data)
    summary = tag(
        "p",
        tag("strong", f"{percent(right / total, 2)} right"),
        f": {right:,} of {total:,} images. With 95 % confidence the accuracy on such images is ",
        f"{interval(right, total)} (Wilson's interval of a binomial share). ",
        method("simulated"),
    )
    parts = [_matrix(counts, names), _by_class(counts, names)]
    return join(
        (
            summary,
            tag("div", *(tag("div", part) for part in parts if part), class_="two"),
            _confused(counts, names),
        )
    )


def _matrix(counts: Array, names: Sequence[str]) -> Html:
    size = len(names)
    if size > DRAWN:
        return Html("")
    rows = counts.sum(axis=1, keepdims=True)
    shares = np.round(counts / np.maximum(rows, 1), 4)
    axis = _axis(names)
    trace = {
        "type": "heatmap",
        "z": shares.tolist(),
        "zmin": 0,
        "zmax": 1,
        "colorscale": "--heat",
        "showscale": size > COUNTED,
        "colorbar": {"thickness": 12, "tickformat": ".0%", "outlinewidth": 0},
        "xgap": 1 if size <= NAMED else 0,
        "ygap": 1 if size <= NAMED else 0,
        "hovertext": [
            [_cell(names[t], names[p], row[p], sum(row)) for p in range(size)]
            for t, row in enumerate(counts.tolist())
        ],
        "hoverinfo": "text",
    }
    if size <= COUNTED:
        trace["text"] = [[f"{n}" if n else "" for n in row] for row in counts.tolist()]
        trace["texttemplate"] = "%{text}"
        trace["textfont"] = {"size": 11}
    layout = {
        "xaxis": axis
        | {"title": {"text": "predicted", "standoff": 8}, "tickangle": -45, "showgrid": False},
        "yaxis": axis
        | {"title": {"text": "true", "standoff": 12}, "autorange": "reversed", "showgrid": False},
    }
    right = int(np.trace(counts))
    drawn = chart(
        [trace],
        layout,
        alt=f"Confusion matrix of {size} classes, rows true, columns predicted: "
        f"{right:,} of {int(counts.sum()):,} images lie on the diagonal.",
        caption="Images by true class (rows) and predicted class (columns). "
        "The deeper the colour, the larger the share of the row.",
        height=min(760, 150 + max(34, 300 // size) * size),
    )
    return join((tag("h3", "Confusion matrix"), drawn, _matrix_table(counts, names)))


def _cell(true: str, predicted: str, count: int, total: int) -> str:
    """Return what shows when the pointer is over a cell; nothing where no image is."""
    if not count:
        return ""
    return (
        f"true: {label(true)}<br>predicted: {label(predicted)}<br>"
        f"{count:,} of {total:,} images ({percent(count / total)})"
    )


def _matrix_table(counts: Array, names: Sequence[str]) -> Html:
    if len(names) > COUNTED:
        return Html("")
    written = table(
        "Images by true class (rows) and predicted class (columns)",
        [Column("true \\ predicted"), *(Column(name, number=True) for name in names)],
        [[name, *row] for name, row in zip(names, counts.tolist(), strict=True)],
        name="Confusion matrix",
    )
    return details("The matrix as a table", written)


def _axis(names: Sequence[str]) -> dict[str, object]:
    if len(names) > NAMED:
        return {}
    return {
        "tickmode": "array",
        "tickvals": list(range(len(names))),
        "ticktext": [label(name, LABEL) for name in names],
    }


def _by_class(counts: Array, names: Sequence[str]) -> Html:
    totals, hits = counts.sum(axis=1).tolist(), np.diagonal(counts).tolist()
    shares = [hit / total if total else None for hit, total in zip(hits, totals, strict=True)]
    tested = [index for index, total in enumerate(totals) if total]
    chosen = tested
    if len(tested) > NAMED:
        chosen = sorted(tested, key=lambda index: (hits[index] / totals[index], index))[:LOWEST]
    written = table(
        "Accuracy by class, with its 95 % interval (Wilson)",
        [
            Column("Class"),
            Column("Images", number=True),
            Column("Right", number=True),
            Column("Accuracy", number=True),
            Column("95 % interval", number=True),
        ],
        [
            [
                name,
                f"{total:,}",
                f"{hit:,}",
                percent(share),
                interval(hit, total) if total else "\N{EN DASH}",
            ]
            for name, total, hit, share in zip(names, totals, hits, shares, strict=True)
        ],
        name="Accuracy by class",
    )
    return join(
        (
            tag("h3", "Accuracy by class"),
            _bars([(names[i], hits[i], totals[i]) for i in chosen], len(tested)),
            details("The bars as a table", written),
        )
    )


def _bars(rows: Sequence[tuple[str, int, int]], tested: int) -> Html:
    shares = [hit / total for _, hit, total in rows]
    bounds = [wilson(hit, total) for _, hit, total in rows]
    trace = {
        "type": "bar",
        "orientation": "h",
        "x": shares,
        "y": list(range(len(rows))),
        "marker": {"color": "--binary"},
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [high - share for share, (_, high) in zip(shares, bounds, strict=True)],
            "arrayminus": [share - low for share, (low, _) in zip(shares, bounds, strict=True)],
            "color": "--text",
            "thickness": 1.2,
            "width": 3,
        },
        "hovertext": [
            f"{label(name)}<br>{hit:,} of {total:,} images: {percent(hit / total)}<br>"
            f"95 % interval {interval(hit, total)}"
            for name, hit, total in rows
        ],
        "hoverinfo": "text",
    }
    low = min(range(len(rows)), key=lambda index: shares[index])
    few = f"The {len(rows)} classes of lowest accuracy, of {tested}. " if len(rows) < tested else ""
    return chart(
        [trace],
        {
            "xaxis": {"range": [0, 1.03], "tickformat": ".0%", "dtick": 0.2},
            "yaxis": _axis([name for name, _, _ in rows])
            | {"autorange": "reversed", "showgrid": False},
            "bargap": 0.35,
        },
        alt=f"Accuracy of {len(rows)} classes; the lowest is {rows[low][0]} with "
        f"{percent(shares[low])}.",
        caption=f"{few}Share of each true class that was predicted rightly. "
        "The whiskers are 95 % intervals.",
        height=60 + max(34, 220 // len(rows)) * len(rows),
    )


def _confused(counts: Array, names: Sequence[str]) -> Html:
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:PAIRS]
    pairs = [divmod(int(cell), len(names)) for cell in order if wrong.flat[cell]]
    if not pairs:
        return Html("")
    return join(
        (
            tag("h3", "Most frequent confusions"),
            table(
                "Pairs of classes by the number of images; share of the true class",
                [
                    Column("True"),
                    Column("Predicted"),
                    Column("Images", number=True),
                    Column("Share", number=True),
                ],
                [
                    [
                        names[true],
                        names[predicted],
                        f"{counts[true, predicted]:,}",
                        percent(counts[true, predicted] / counts[true].sum()),
                    ]
                    for true, predicted in pairs
                ],
                name="Most frequent confusions",
            ),
        )
    )
