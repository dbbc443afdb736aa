"""The page of ``bitwright study crossbar-precision``: accuracy curves and all numbers."""

from __future__ import annotations

import json

from bitwright import __version__
from bitwright.explore.crossbar_precision import LOSS, Study
from bitwright.explore.sliced_network import Point, Way
from bitwright.records import wilson
from bitwright.report.charts import chart
from bitwright.report.document import Part, document
from bitwright.report.html import Column, Html, join, table, tag
from bitwright.report.numbers import interval, method, percent, short
from bitwright.targets.crossbar.slices import Coding

COLOURS = ("--binary", "--integer", "--good", "--synthesised", "--simulated", "--bad")
"""Of the precisions, in their order; further ones begin again."""
_DASHES = {False: "solid", True: "dot"}


def render(study: Study, command: str) -> str:
    """Return the page; it loads nothing, and the same study gives the same bytes."""
    about = [
        "One perceptron at several precisions, all its layers but the first on arrays of linear "
        "cells.",
        join(
            (
                f"Data {study.data.name}, {study.data.split}, {study.data.count:,} images, ",
                short(study.data.digest),
            )
        ),
    ]
    parts = [
        Part("curves", "Accuracy", _curves(study)),
        Part("tolerated", "Wires that are tolerated", _tolerated(study)),
        Part("points", "All points", _points(study)),
        Part("origin", "Origin", _origin(study, command)),
    ]
    title = "Binary and multi-bit networks on crossbars"
    return document("study", title, about, parts, version=__version__)


def _curves(study: Study) -> Html:
    note = tag(
        "p",
        method("simulated"),
        " every partial sum of every image through its column's circuit. Intervals: 95 %, "
        "Wilson's, of a binomial share. Dotted: with flips.",
        class_="note",
    )
    figures = [
        tag("div", _panel(study, coding, gain))
        for coding in study.settings.codings
        for gain in (False, True)
    ]
    return join((note, tag("div", *figures, class_="two")))


def _panel(study: Study, coding: Coding, gain: bool) -> Html:
    traces = []
    for index, bits in enumerate(study.settings.bits):
        for flips in (False, True):
            line = study.line(Way(bits, coding, flips, gain))
            traces.append(_trace(COLOURS[index % len(COLOURS)], line, study.exact[bits]))
    sensing = "one gain a layer" if gain else "no calibration"
    return chart(
        traces,
        {
            "xaxis": {
                "title": {"text": "wires: x = r G<sub>on</sub> n<sup>2</sup>", "standoff": 8},
                "type": "log",
                "tickvals": list(study.settings.x),
                "ticktext": [f"{x:g}" for x in study.settings.x],
            },
            "yaxis": {
                "title": {"text": "accuracy, %", "standoff": 8},
                "range": [0, 102],
                "dtick": 20,
            },
            "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        },
        alt=f"Accuracy against x by precision: {coding} weights, {sensing}.",
        caption=f"{coding} weights, {sensing}",
        height=400,
    )


def _trace(colour: str, line: list[Point], exact: int) -> dict[str, object]:
    way = line[0].way
    bounds = [wilson(p.correct, p.images) for p in line]
    name = f"{way.bits} bit{', flips' if way.flips else ''}"
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": name,
        "x": [p.x for p in line],
        "y": [100 * p.accuracy for p in line],
        "error_y": {
            "type": "data",
            "symmetric": False,
            "array": [100 * (high - p.accuracy) for p, (_, high) in zip(line, bounds, strict=True)],
            "arrayminus": [
                100 * (p.accuracy - low) for p, (low, _) in zip(line, bounds, strict=True)
            ],
            "color": colour,
            "thickness": 1,
            "width": 3,
        },
        "line": {"color": colour, "width": 2, "dash": _DASHES[way.flips]},
        "marker": {"color": colour, "symbol": "diamond" if way.flips else "circle", "size": 7},
        "hovertext": [
            f"{name}<br>x = {p.x:g}<br>{percent(p.accuracy)} ({interval(p.correct, p.images)})"
            f"<br>exact: {percent(exact / p.images)}"
            for p in line
        ],
        "hoverinfo": "text",
    }


def _tolerated(study: Study) -> Html:
    rows = []
    for way in study.ways:
        sign, x = study.tolerated(way)
        share = study.conducting[way.bits, way.coding, way.flips]
        rows.append(
            [
                *_named(way),
                percent(study.exact[way.bits] / study.data.count),
                percent(share),
                f"{share * study.settings.rows:.1f}",
                f"{'' if sign == '=' else sign + ' '}{x:.3g}",
            ]
        )
    return table(
        f"x at which {100 * LOSS:g} points are lost, interpolated over its logarithm. Cells on: "
        "mean over all columns and cycles of the exact network.",
        [
            *_HEADS,
            Column("Exact", number=True),
            Column("Cells on", number=True),
            Column("Mean partial sum", number=True),
            Column("x", number=True),
        ],
        rows,
        name="Tolerated",
    )


_HEADS = [Column("Bits", number=True), Column("Coding"), Column("Flips"), Column("Sensing")]


def _named(way: Way) -> list[str]:
    flips, sensing = "yes" if way.flips else "no", "gain" if way.gain else "raw"
    return [f"{way.bits}", way.coding, flips, sensing]


def _points(study: Study) -> Html:
    rows = [
        [
            *_named(p.way),
            f"{p.x:g}",
            tag(
                "span",
                percent(p.accuracy),
                tag("span", interval(p.correct, p.images), class_="source"),
            ),
            f"{p.correct:,}",
            f"{p.dot_error:.3g}",
            ", ".join(f"{gain:.3f}" for gain in p.gains),
        ]
        for p in study.points
    ]
    return table(
        f"Of {study.data.count:,} images. Error: of the first layer's dot products on arrays, root "
        "of the mean square by their standard deviation.",
        [
            *_HEADS,
            Column("x", number=True),
            Column("Accuracy", number=True),
            Column("Right", number=True),
            Column("Error", number=True),
            Column("Gains", number=True),
        ],
        rows,
        name="All points",
    )


def _origin(study: Study, command: str) -> Html:
    made = study.to_json()
    settings = [(key, tag("code", json.dumps(value))) for key, value in made["settings"].items()]
    rows = [
        ("Accuracy, Error", method("simulated")),
        ("Cells on", method("counted")),
        ("x", made["numbers"]["x"]),
        (f"Trained on {study.trained.name}", tag("code", study.trained.digest, class_="hash")),
        (f"Evaluated on {study.data.name}", tag("code", study.data.digest, class_="hash")),
        *settings,
    ]
    written = table(
        "What decides the numbers", [Column("What"), Column("Value")], rows, name="Origin"
    )
    return join((tag("h3", "Command"), tag("pre", tag("code", command)), written))
