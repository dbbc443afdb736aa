"""The charts of the page of ``bitwright explore``: the front, the sensitivities, the costs."""

from __future__ import annotations

from typing import Any

from bitwright.cli.explore_table import shown
from bitwright.explore.layer_choice import Point, Search
from bitwright.explore.layer_designs import Choice, Layer, units
from bitwright.explore.popcounts import EXACT
from bitwright.records import Measurement, wilson
from bitwright.report.charts import chart, label
from bitwright.report.html import Column, Html, details, join, table, tag
from bitwright.report.numbers import method, percent
from bitwright.report.sections.circuit_costs import COLOURS, Series, bars

LOST = {
    "accuracy": "Lost are images that are no longer right, less those that become right.",
    "agreement": "Lost are images that are not decided as by the exact network.",
}


def _score(found: Search, point: Point) -> int:
    return point.correct if found.settings.loss == "accuracy" else point.agreeing


def front(found: Search) -> Html:
    """Return the chart of the front: the prediction, the truth, and what joins them."""
    objective, loss = found.settings.objective, found.settings.loss
    unit = units(found.layers)[objective]
    best = 100 * _score(found, found.exact) / found.exact.images
    within = [one for one in found.predicted if one[2] <= found.settings.max_loss]
    evaluated = [point for point in found.points if point.kind == "predicted"]
    joins_x: list[float | None] = []
    joins_y: list[float | None] = []
    for point in evaluated:
        cost = point.cost(objective)
        joins_x += [cost, cost, None]
        joins_y += [best - 100 * point.predicted_loss, _percent(found, point), None]
    traces: list[dict[str, Any]] = [
        {
            "type": "scatter",
            "mode": "lines+markers",
            "name": "predicted front",
            "x": [cost for _, cost, _ in within],
            "y": [best - 100 * lost for *_, lost in within],
            "line": {"color": "--muted", "width": 1.5, "dash": "dot", "shape": "hv"},
            "marker": {"color": "--muted", "size": 5, "symbol": "circle-open"},
            "hovertext": [_predicted(found, one, unit) for one in within],
            "hoverinfo": "text",
        },
        {
            "type": "scatter",
            "mode": "lines",
            "name": "predicted to true",
            "x": joins_x,
            "y": joins_y,
            "line": {"color": "--muted", "width": 6},
            "opacity": 0.35,
            "hoverinfo": "skip",
        },
        {
            "type": "scatter",
            "mode": "lines",
            "name": "front",
            "x": [p.cost(objective) for p in reversed(found.points) if p.on_front],
            "y": [_percent(found, p) for p in reversed(found.points) if p.on_front],
            "line": {"color": "--binary", "width": 2, "shape": "hv"},
            "hoverinfo": "skip",
        },
    ]
    looks = {
        "predicted": ("evaluated", "--binary", "circle", 9),
        "uniform": ("one circuit everywhere", "--integer", "diamond", 10),
        "exact": ("exact", "--good", "star", 14),
    }
    traces += [
        _marks(found, kind, look, unit)
        for kind, look in looks.items()
        if any(point.kind == kind for point in found.points)
    ]
    shown = [p for p in found.points if p.on_front]
    what = "Accuracy" if loss == "accuracy" else "Agreement with the exact network"
    return chart(
        traces,
        {
            "xaxis": {
                "title": {"text": label(f"{objective}, {unit}"), "standoff": 8},
                "rangemode": "tozero",
                "nticks": 7,
            },
            "yaxis": {"title": {"text": f"{what.lower()}, %", "standoff": 8}, "nticks": 8},
            "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        },
        alt=f"{what} against {objective} of {len(found.points)} designs, {len(shown)} of them on "
        "the front.",
        caption=join(
            (
                f"{what} of evaluated designs, with 95 % intervals, against the {objective} of "
                "their popcounts. Broad lines lead from what the layers' losses add up to, to what "
                f"is true. {what}: ",
                method("simulated"),
                f", {objective}: ",
                method(_cost_measurement(found).method),
            )
        ),
        height=460,
    )


def _cost_measurement(found: Search) -> Measurement:
    cost = found.layers[0].costs[EXACT]
    return cost.area if found.settings.objective == "area" else cost.energy


def _percent(found: Search, point: Point) -> float:
    return 100 * _score(found, point) / point.images


def _marks(found: Search, kind: str, look: tuple[str, str, str, int], unit: str) -> dict[str, Any]:
    name, colour, symbol, size = look
    points = [point for point in found.points if point.kind == kind]
    bounds = [wilson(_score(found, p), p.images) for p in points]
    values = [_percent(found, p) for p in points]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": [p.cost(found.settings.objective) for p in points],
        "y": values,
        "error_y": {
            "type": "data",
            "symmetric": False,
            "array": [100 * high - y for (_, high), y in zip(bounds, values, strict=True)],
            "arrayminus": [y - 100 * low for (low, _), y in zip(bounds, values, strict=True)],
            "color": colour,
            "thickness": 1,
            "width": 3,
        },
        "marker": {"color": colour, "symbol": symbol, "size": size},
        "hovertext": [_hover(found, p, unit) for p in points],
        "hoverinfo": "text",
    }


def _hover(found: Search, point: Point, unit: str) -> str:
    number = found.points.index(point)
    cost, whole = (p.cost(found.settings.objective) for p in (point, found.exact))
    return "<br>".join(
        (
            f"point {number}: {shown(cost)} {label(unit)} ({percent(cost / whole)} of exact)",
            f"accuracy {percent(point.accuracy, 2)}, {_points_of(point.loss)} lost, "
            f"{_points_of(point.predicted_loss)} predicted",
            *_by_layer(found, point.choice),
        )
    )


def _predicted(found: Search, one: tuple[Choice, float, float], unit: str) -> str:
    choice, cost, lost = one
    whole = found.exact.cost(found.settings.objective)
    first = f"predicted: {shown(cost)} {label(unit)} ({percent(cost / whole)} of exact)"
    return "<br>".join((first, f"{_points_of(lost)} lost", *_by_layer(found, choice)))


def _by_layer(found: Search, choice: Choice) -> list[str]:
    return [
        f"{label(layer.name, 30)}: {label(spec, 40)}"
        for layer, spec in zip(found.layers, choice, strict=True)
    ]


def _points_of(share: float) -> str:
    return f"{100 * share:+.2f} points"


def _specs(found: Search) -> list[str]:
    return list(dict.fromkeys(s for layer in found.layers for s in layer.circuits if s != EXACT))


def sensitivities(found: Search) -> Html:
    """Return bars of what each circuit loses in each layer alone, and the numbers."""
    specs = _specs(found)
    lost = {(s.layer, s.circuit): 100 * s.lost / found.held_out for s in found.sensitivities}
    names = [layer.name for layer in found.layers]
    traces = []
    for k, spec in enumerate(specs, 1):
        there = [i for i, name in enumerate(names) if (name, spec) in lost]
        traces.append(
            {
                "type": "bar",
                "orientation": "h",
                "name": label(spec),
                "x": [lost[names[i], spec] for i in there],
                "y": there,
                "marker": {"color": COLOURS[k % len(COLOURS)]},
                "hovertext": [
                    f"{label(names[i])}<br>{label(spec)}: {lost[names[i], spec]:+.2f} points"
                    for i in there
                ],
                "hoverinfo": "text",
            }
        )
    picture = chart(
        traces,
        {
            "barmode": "group",
            "bargap": 0.3,
            "showlegend": True,
            "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
            "xaxis": {"title": {"text": "lost, percentage points", "standoff": 8}, "nticks": 6},
            "yaxis": {
                "tickmode": "array",
                "tickvals": list(range(len(names))),
                "ticktext": [label(name, 22) for name in names],
                "range": [len(names) - 0.5, -0.5],
                "showgrid": False,
            },
        },
        alt=f"What each of {len(specs)} circuits loses in each of {len(names)} layers alone.",
        caption=join(
            (
                f"One layer with the circuit, all others exact, on {found.held_out:,} training "
                f"images that calibrate nothing, of which the exact network has "
                f"{percent(found.exact_held_out / found.held_out)} right. "
                f"{LOST[found.settings.loss]} ",
                method("simulated"),
            )
        ),
        height=100 + len(names) * (14 + 13 * len(specs)),
    )
    rows = [
        [s.layer, s.circuit, f"{s.lost:+,}", f"{s.correct:,}", f"{s.agreeing:,}"]
        for s in found.sensitivities
    ]
    numbers = table(
        f"Images of {found.held_out:,}",
        [
            Column("Layer"),
            Column("Circuit"),
            Column("Lost", number=True),
            Column("Right", number=True),
            Column("As exact", number=True),
        ],
        rows,
        name="Sensitivities",
    )
    return join((picture, details("Numbers", numbers)))


def costs(found: Search) -> Html:
    """Return bars of energy and area of each layer with each circuit."""
    unit = units(found.layers)
    specs = [EXACT, *_specs(found)]
    names = [layer.name for layer in found.layers]
    figures = []
    for metric, what in (
        ("energy", "all popcounts of one image"),
        ("area", "one popcount"),
        ("delay", "one popcount"),
    ):
        source = getattr(found.layers[0].costs[EXACT], metric)
        series = [
            Series(spec, [_cost(layer, metric, spec) for layer in found.layers]) for spec in specs
        ]
        caption = join(
            (
                f"{metric.capitalize()} of {what} of each layer. ",
                method(source.method),
                f" {source.source}.",
            )
        )
        alt = f"{metric.capitalize()} of {len(names)} layers with {len(specs)} circuits."
        figure = bars(names, series, f"{metric}, {unit[metric]}", alt=alt, caption=caption)
        figures.append(tag("div", figure))
    return tag("div", *figures, class_="two")


def _cost(layer: Layer, metric: str, spec: str) -> float | None:
    if spec not in layer.circuits:
        return None
    if metric == "delay":
        return float(layer.costs[spec].delay.value)
    return float(layer.cost(spec, metric))
