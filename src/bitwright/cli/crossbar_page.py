"""The page of ``bitwright crossbar sweep``: accuracy curves, all points, and their origin."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from bitwright import __version__
from bitwright.explore.crossbar_grid import Axis, Value
from bitwright.explore.crossbar_sweep import Point, Sweep
from bitwright.records import wilson
from bitwright.report.charts import chart, label
from bitwright.report.document import Part, document
from bitwright.report.html import Column, Html, join, table, tag
from bitwright.report.numbers import interval, method, percent, short

COLOURS = ("--binary", "--integer", "--good", "--synthesised", "--bad", "--simulated")
"""Of the lines of a chart, in their order; further ones begin again, with other marks."""
MARKS = ("circle", "square", "diamond", "cross", "triangle-up")
TITLES = {
    "x": "wires: x = r G<sub>on</sub> n<sup>2</sup>",
    "y": "ends: y = (R<sub>d</sub> + R<sub>k</sub>) G<sub>on</sub> n",
}
DECADES = 20
"""Values whose ratio is larger get a logarithmic axis."""
_DASH = "\N{EN DASH}"


def render(sweep: Sweep, command: str) -> str:
    """Return the page; it loads nothing, and the same sweep gives the same bytes."""
    made = sweep.to_json()
    about = [
        join(("Program ", short(made["program"]))),
        join(
            (
                f"Data {sweep.data.name}, {sweep.data.split}, {sweep.data.count:,} images, ",
                short(sweep.data.digest),
            )
        ),
    ]
    parts = [
        Part("curves", "Accuracy", _curves(sweep)),
        Part("points", "All points", _points(sweep)),
        *([Part("flagged", "Without numbers", _flagged(sweep))] if sweep.flagged else []),
        Part("origin", "Origin", _origin(sweep, made, command)),
    ]
    title = f"{sweep.program.name or 'Unnamed network'} on crossbars"
    return document("sweep", title, about, parts, version=__version__)


def horizontal(axes: Sequence[Axis]) -> Axis:
    """Return what accuracy is drawn against: the first axis of several numbers, or the first."""
    several = [axis for axis in axes if axis.numeric and len(axis.values) > 1]
    return (several or [axis for axis in axes if axis.numeric] or list(axes))[0]


def logarithmic(axis: Axis) -> bool:
    """Return whether an axis spans decades."""
    numbers = [v for v in axis.values if not isinstance(v, str)]
    return axis.numeric and min(numbers) > 0 and max(numbers) >= DECADES * min(numbers)


def _curves(sweep: Sweep) -> Html:
    """Return a chart for each combination of what neither the axis nor a line stands for."""
    across = horizontal(sweep.axes)
    others = [axis for axis in sweep.axes if axis is not across]
    lines, rest = others[:1], others[1:]
    groups: dict[tuple[Value, ...], dict[tuple[Value, ...], list[Point]]] = {}
    for p in sweep.points:
        panel = groups.setdefault(tuple(p.at[axis.name] for axis in rest), {})
        panel.setdefault(tuple(p.at[axis.name] for axis in lines), []).append(p)
    figures = [
        tag("div", _panel(sweep, across, lines, _named(rest, values), panel))
        for values, panel in groups.items()
    ]
    note = tag(
        "p",
        method("simulated"),
        " every partial sum of every image through its column's circuit. Intervals: 95 %, "
        "Wilson's, of a binomial share. Dotted: the exact network on the same images, ",
        f"{percent(sweep.ideal / sweep.data.count)} ({interval(sweep.ideal, sweep.data.count)}).",
        class_="note",
    )
    body = tag("div", *figures, class_="two") if len(figures) > 1 else join(figures)
    return join((note, body))


def _named(axes: Sequence[Axis], values: Sequence[Value]) -> str:
    return ", ".join(f"{axis.name} = {v}" for axis, v in zip(axes, values, strict=True))


def _panel(
    sweep: Sweep,
    across: Axis,
    lines: Sequence[Axis],
    which: str,
    panel: dict[tuple[Value, ...], list[Point]],
) -> Html:
    ideal = 100 * sweep.ideal / sweep.data.count
    at = [v if across.numeric else label(str(v)) for v in across.values]
    traces: list[dict[str, Any]] = [
        {
            "type": "scatter",
            "mode": "lines",
            "name": "exact",
            "x": [min(at), max(at)] if across.numeric else at,
            "y": [ideal] * (2 if across.numeric else len(at)),
            "line": {"color": "--muted", "width": 1.5, "dash": "dot"},
            "hoverinfo": "skip",
        }
    ]
    for index, (values, points) in enumerate(panel.items()):
        name = ", ".join(map(str, values)) or "accuracy"
        traces.append(_trace(index, name, across, points))
    title = TITLES.get(across.name) or label(across.name)
    by = f", by {lines[0].name}" if lines else ""
    return chart(
        traces,
        {
            "xaxis": {"title": {"text": title, "standoff": 8}, **_scale(across)},
            "yaxis": {
                "title": {"text": "accuracy, %", "standoff": 8},
                "range": [0, 102],
                "dtick": 20,
            },
            "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        },
        alt=f"Accuracy against {across.name}{by}{': ' if which else ''}{which}.",
        caption=f"{which or 'Accuracy'}{by}",
        height=400,
    )


def _scale(axis: Axis) -> dict[str, Any]:
    if not axis.numeric:
        return {"type": "category"}
    if not logarithmic(axis):
        return {"type": "linear"}
    return {
        "type": "log",
        "tickvals": list(axis.values),
        "ticktext": [f"{v:g}" for v in axis.values],
    }


def _trace(index: int, name: str, across: Axis, points: Sequence[Point]) -> dict[str, Any]:
    """Return a line with intervals; it has a gap where a point has no numbers."""
    if across.numeric:
        points = sorted(points, key=lambda p: p.at[across.name])
    colour = COLOURS[index % len(COLOURS)]
    bounds = [wilson(p.correct, p.images) for p in points]
    shares = [p.accuracy for p in points]
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": label(name),
        "x": [
            p.at[across.name] if across.numeric else label(str(p.at[across.name])) for p in points
        ],
        "y": [None if share is None else 100 * share for share in shares],
        "error_y": {
            "type": "data",
            "symmetric": False,
            "array": [100 * (high - (s or 0)) for (_, high), s in zip(bounds, shares, strict=True)],
            "arrayminus": [
                100 * ((s or 0) - low) for (low, _), s in zip(bounds, shares, strict=True)
            ],
            "color": colour,
            "thickness": 1,
            "width": 3,
        },
        "line": {"color": colour, "width": 2},
        "marker": {"color": colour, "symbol": MARKS[index % len(MARKS)], "size": 7},
        "hovertext": [_hover(name, p) for p in points],
        "hoverinfo": "text",
    }


def _hover(name: str, point: Point) -> str:
    return "<br>".join(
        (
            label(name),
            *(label(f"{key} = {value}") for key, value in point.at.items()),
            f"{percent(point.accuracy)} ({interval(point.correct, point.images)})",
            f"partial sums saved: {percent(point.saved)}",
        )
    )


def _points(sweep: Sweep) -> Html:
    rows = []
    for p in sweep.points:
        numbers: list[object] = [_DASH] * 5
        if p.found is not None:
            numbers = [
                tag(
                    "span",
                    percent(p.accuracy),
                    tag("span", interval(p.correct, p.images), class_="source"),
                ),
                f"{p.correct:,}",
                percent(p.agreeing / p.images),
                percent(p.saved),
                f"{p.found.seconds:,.1f}",
            ]
        rows.append([*(str(p.at[axis.name]) for axis in sweep.axes), *numbers])
    return table(
        f"Of {sweep.data.count:,} images; the exact network has {sweep.ideal:,} right. Partial "
        "sums saved: by how much flips shrink the sum of all of them, over all layers. Seconds: "
        "wall clock of the run that finished the point, calibration included.",
        [
            *(Column(a.name, number=a.numeric and k > 0) for k, a in enumerate(sweep.axes)),
            Column("Accuracy", number=True),
            Column("Right", number=True),
            Column("As exact", number=True),
            Column("Partial sums saved", number=True),
            Column("Seconds", number=True),
        ],
        rows,
        name="All points",
    )


def _flagged(sweep: Sweep) -> Html:
    rows = [[", ".join(f"{k} = {v}" for k, v in p.at.items()), p.reason] for p in sweep.flagged]
    return table(
        "Designs that cannot be built, or whose circuit has no solution",
        [Column("Design"), Column("Reason")],
        rows,
        name="Flagged",
    )


def _origin(sweep: Sweep, made: dict[str, Any], command: str) -> Html:
    how = [
        ("Accuracy, Right, As exact", method("simulated")),
        ("Interval", join((method("counted"), " Wilson, of a binomial share"))),
        (
            "Partial sums saved",
            join((method("counted"), " while simulating: ones in cells and on word lines")),
        ),
        ("x", made["numbers"]["x"]),
        ("y", made["numbers"]["y"]),
    ]
    digests = [
        ("Program", tag("code", sweep.program.digest, class_="hash")),
        (f"Data {sweep.data.name}", tag("code", sweep.data.digest, class_="hash")),
    ]
    settings = [(key, tag("code", json.dumps(value))) for key, value in made["settings"].items()]
    swept = [(name, tag("code", json.dumps(values))) for name, values in made["axes"].items()]
    two = [Column("What"), Column("Value")]
    return join(
        (
            tag("h3", "Command"),
            tag("pre", tag("code", command)),
            table("How each number was got", two, how, name="Methods"),
            table("What was swept", two, swept, name="Axes"),
            table(
                "Settings that points share where they are not swept",
                two,
                settings,
                name="Settings",
            ),
            table("SHA-256 of what decides the numbers", two, digests, name="Digests"),
            table(
                "Versions of what the numbers depend on",
                two,
                list(made["versions"].items()),
                name="Versions",
            ),
        )
    )
