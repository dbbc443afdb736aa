"""The page of ``bitwright study popcount-scaling``: curves against the kernel, and all numbers."""

from __future__ import annotations

from bitwright import __version__
from bitwright.explore.popcount_scaling import METRICS, Point, Study, by_circuit
from bitwright.report.charts import chart, label
from bitwright.report.document import Part, document
from bitwright.report.html import Column, Html, join, table, tag
from bitwright.report.numbers import method, short

COLOURS = ("--binary", "--integer", "--good", "--synthesised", "--simulated", "--bad")
"""Of the circuits, in their order; further ones begin again, with another mark."""
MARKS = ("circle", "square", "diamond", "cross", "triangle-up")
TITLES = {"area": "Area", "delay": "Delay", "energy": "Energy"}
_DASH = "\N{EN DASH}"


def render(study: Study, command: str) -> str:
    """Return the page; it loads nothing, and the same study gives the same bytes."""
    square = tag("sup", "2")
    about = join(
        (
            "A kernel of k x k taps over C channels counts n = k",
            square,
            " C bits. What is about linear in n grows with the square of k.",
        )
    )
    parts = [
        *(_section(study, metric) for metric in METRICS),
        Part("growth", "Growth", _growth(study, max(study.settings.channels))),
        Part("points", "All points", _points(study)),
        Part("origin", "Origin", _origin(study, command)),
    ]
    title = "How popcounts grow with the kernel"
    return document("study", title, [about, _library(study)], parts, version=__version__)


def _library(study: Study) -> Html:
    library = study.chosen.library
    return join(
        (
            f"Library {library.name} ({', '.join(study.chosen.given)}), "
            f"{library.voltage_v:g} V, {library.temperature_c:g} C, ",
            short(library.digest),
        )
    )


def _unit(study: Study, metric: str) -> str:
    area = study.chosen.area_unit or "library unit"
    return {"area": area, "delay": "ps", "energy": "fJ an operation"}[metric]


def _section(study: Study, metric: str) -> Part:
    how = study.points[0].sources[metric]
    note = tag("p", method(how[0]), f" {how[1]}.", class_="note")
    charts = (_against_side(study, metric), _against_inputs(study, metric))
    return Part(
        metric,
        f"{TITLES[metric]} ({_unit(study, metric)})",
        join((note, tag("div", *(tag("div", one) for one in charts), class_="two"))),
    )


def _look(index: int) -> tuple[str, str]:
    colour = COLOURS[index % len(COLOURS)]
    return colour, MARKS[index // len(COLOURS) % len(MARKS)]


def _trace(
    index: int, name: str, x: list[int], y: list[float], hover: list[str], mode: str
) -> dict[str, object]:
    colour, mark = _look(index)
    return {
        "type": "scatter",
        "mode": mode,
        "name": label(name),
        "x": x,
        "y": y,
        "line": {"color": colour, "width": 2},
        "marker": {"color": colour, "symbol": mark, "size": 7},
        "hovertext": hover,
        "hoverinfo": "text",
    }


def _hover(study: Study, metric: str, points: list[Point]) -> list[str]:
    return [
        f"{label(p.circuit)}<br>k = {p.side}, C = {p.channels}, n = {p.inputs:,}<br>"
        f"{p.value(metric):,.1f} {_unit(study, metric)}"
        for p in points
    ]


def _against_side(study: Study, metric: str) -> Html:
    """Return the curves against k at the most channels, with a straight line to compare."""
    most = max(study.settings.channels)
    traces = []
    for index, spec in enumerate(study.settings.specs):
        line = study.line(spec, most)
        hover = _hover(study, metric, line)
        values = [p.value(metric) for p in line]
        traces.append(_trace(index, spec, [p.side for p in line], values, hover, "lines+markers"))
    first, straight = study.line(study.settings.specs[0], most), ""
    if len(first) > 1 and metric != "delay":
        start, sides = first[0], [p.side for p in first]
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": "linear in k",
                "x": sides,
                "y": [start.value(metric) * side / start.side for side in sides],
                "line": {"color": "--muted", "width": 1.5, "dash": "dot"},
                "hoverinfo": "skip",
            }
        )
        straight = (
            f" The dotted line would be growth in proportion to k from {start.circuit} "
            f"at k = {start.side}."
        )
    return chart(
        traces,
        {
            "xaxis": {
                "title": {"text": f"kernel side k (C = {most})", "standoff": 8},
                "tickvals": list(study.settings.sides),
            },
            "yaxis": _value_axis(study, metric),
            "legend": _LEGEND,
        },
        alt=f"{TITLES[metric]} of {len(study.settings.specs)} circuits against the kernel's side.",
        caption=f"Against the kernel's side k, {most} channels; both axes linear.{straight}",
        height=380,
    )


def _against_inputs(study: Study, metric: str) -> Html:
    """Return all points against the fan-in."""
    traces = []
    for index, (spec, points) in enumerate(by_circuit(study)):
        x, y = [p.inputs for p in points], [p.value(metric) for p in points]
        traces.append(_trace(index, spec, x, y, _hover(study, metric, points), "markers"))
    logarithmic = metric == "delay"
    scale = "its axis is logarithmic" if logarithmic else "both axes linear"
    return chart(
        traces,
        {
            "xaxis": {
                "title": {"text": "fan-in n = k<sup>2</sup> C", "standoff": 8},
                "type": "log" if logarithmic else "linear",
                "rangemode": "normal" if logarithmic else "tozero",
                **({"dtick": 1} if logarithmic else {}),
            },
            "yaxis": _value_axis(study, metric),
            "legend": _LEGEND,
        },
        alt=f"{TITLES[metric]} of {len(study.settings.specs)} circuits against the fan-in.",
        caption=f"Against the fan-in n, all {len(study.points)} points; {scale}.",
        height=380,
    )


_LEGEND = {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"}


def _value_axis(study: Study, metric: str) -> dict[str, object]:
    title = {"text": f"{metric}, {label(_unit(study, metric))}", "standoff": 10}
    return {"title": title, "rangemode": "tozero"}


def _growth(study: Study, most: int) -> Html:
    rows = []
    for spec in study.settings.specs:
        found = [study.exponent(spec, m, axis) for m in METRICS for axis in ("n", "k")]
        rows.append([spec, *(_DASH if e is None else f"{e:.2f}" for e in found)])
    return table(
        f"Exponent e of the power that fits best: in n over all points, in k at C = {most}. "
        "Least squares of logarithms.",
        [
            Column("Circuit"),
            *(Column(f"{TITLES[m]}, {axis}", number=True) for m in METRICS for axis in ("n", "k")),
        ],
        rows,
        name="Growth",
    )


def _points(study: Study) -> Html:
    titles = [f"Area, {_unit(study, 'area')}", "Cells", "Delay, ps", "Energy, fJ"]
    titles += ["Without input nets, fJ"]
    rows = [
        [
            p.circuit,
            f"{p.side}",
            f"{p.channels}",
            f"{p.inputs:,}",
            f"{p.area:,.1f}",
            f"{p.cells:,}",
            f"{p.delay_ps:,.0f}",
            f"{p.energy_fj:,.1f}",
            f"{p.without_input_nets_fj:,.1f}",
        ]
        for p in study.points
    ]
    heads = [Column("Circuit"), *(Column(t, number=True) for t in ("k", "C", "n", *titles))]
    checked = min(p.checked for p in study.points)
    caption = f"Every netlist equals its circuit on {checked:,} random vectors"
    return table(caption, heads, rows, name="All points")


def _origin(study: Study, command: str) -> Html:
    settings, boundary = study.settings, study.boundary
    rows = [
        ("Library SHA-256", tag("code", study.chosen.library.digest, class_="hash")),
        ("Input transition", f"{boundary.input_slew_s * 1e12:.2f} ps"),
        ("Load of an output", f"{boundary.output_load_f * 1e15:.3f} fF"),
        ("Wires", "none"),
        (
            "Energy",
            f"mean of {settings.vectors:,} operations on random bits, seed {settings.seed}, "
            "glitches counted",
        ),
    ]
    written = table(
        "What decides the numbers", [Column("What"), Column("Value")], rows, name="Origin"
    )
    return join((tag("h3", "Command"), tag("pre", tag("code", command)), written))
