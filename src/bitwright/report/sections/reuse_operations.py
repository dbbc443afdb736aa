"""Operations left: after each mechanism that skips at run time, and by the chosen plans."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bitwright.records import Measurement
from bitwright.report.charts import LABEL, chart, label
from bitwright.report.html import Column, Html, details, join, table, tag
from bitwright.report.numbers import method, percent, plain
from bitwright.report.sections import reuse_accelerator
from bitwright.report.sections.reuse_record import Measured, chosen, layers, origin, under

STEPS = {
    "after_constants": ("constants", "--line", "constant neurons, known inputs"),
    "after_pool": ("pool", "--simulated", "windows of a pool that was decided"),
    "after_inclusion": ("inclusion", "--good", "bits that another neuron's implied"),
    "done": ("bounds", "--synthesised", "tiles after the one that decided"),
}
"""The mechanisms in the order in which a machine looks for them: name, colour, what is skipped."""
PLAN = "XNORs, chosen plan"
FULL = "full energy, chosen plan"
_DASH = "\N{EN DASH}"


def render(found: Measured) -> Html:
    """Return the operations that are left of each layer, the full cost beside them."""
    steps = {step: under(found, f"skipping_{step}") for step in STEPS}
    planned = layers(found)
    names = list(dict.fromkeys((*planned, *steps["done"])))
    if not names:
        return Html("")
    skipped = [name for name in names if all(name in steps[step] for step in STEPS)]
    traces = [*_skipping(names, skipped, steps), *_plans(found, names, planned)]
    used = [found["operations_left"], *(found[f"energy_saved/{name}"] for name in planned)]
    drawn = chart(
        traces,
        {
            "barmode": "stack",
            "legend": {
                "orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "traceorder": "normal",
            },
            "xaxis": {
                "title": {"text": "of the layer with nothing left out", "standoff": 8},
                "range": [0, max(1.02, *(1.12 * max(t["x"], default=0) for t in traces))],
                "tickformat": ".0%",
                "nticks": 6,
            },
            "yaxis": layer_axis(names),
        },
        alt=f"Operations left of {len(names)} layers; the plans leave "
        f"{percent(found['operations_left'].value)} of the XNORs at "
        f"{percent(1 - found['energy_saved'].value)} of the energy.",
        caption=join((_caption(found, steps, skipped), origin(used))),
        height=110 + 62 * max(2, len(names)),
    )  # fmt: skip
    return join((tag("h3", "Operations left"), drawn, _table(found, names, planned, steps)))


def layer_axis(names: Sequence[str]) -> dict[str, Any]:
    """Return the axis of charts with a row for each layer, the first one on top."""
    return {
        "tickmode": "array",
        "tickvals": list(range(len(names))),
        "ticktext": [label(name, LABEL) for name in names],
        "range": [len(names) - 0.5, -0.5],
        "showgrid": False,
    }


def _bar(
    name: str, colour: str, places: Sequence[float], shares: Sequence[float]
) -> dict[str, Any]:
    return {
        "type": "bar",
        "orientation": "h",
        "name": name,
        "x": list(shares),
        "y": list(places),
        "width": [0.25] * len(places),
        "marker": {"color": colour},
        "hoverinfo": "text",
    }


def _skipping(
    names: Sequence[str], skipped: Sequence[str], steps: dict[str, dict[str, Measurement]]
) -> list[dict[str, Any]]:
    """Return a stack for each layer: what is done, then what each mechanism left out."""
    if not skipped:
        return []
    places = [names.index(name) - 0.28 for name in skipped]
    done = [steps["done"][name].value for name in skipped]
    traces = [
        _bar("XNORs done at run time", "--binary", places, done)
        | {
            "hovertext": [
                f"{label(name)}<br>{percent(share)} of the XNORs are done at run time"
                for name, share in zip(skipped, done, strict=True)
            ]
        }
    ]
    for step, before in reversed(list(zip(STEPS, (None, *STEPS), strict=False))):
        title, colour, meaning = STEPS[step]
        saved = [
            max(0.0, (steps[before][name].value if before else 1.0) - steps[step][name].value)
            for name in skipped
        ]
        traces.append(
            _bar(f"skipped: {title}", colour, places, saved)
            | {
                "hovertext": [
                    f"{label(name)}<br>{title}: {percent(share)} skipped<br>{meaning}"
                    for name, share in zip(skipped, saved, strict=True)
                ]
            }
        )
    return traces


def _plans(found: Measured, names: Sequence[str], planned: Sequence[str]) -> list[dict[str, Any]]:
    """Return of each layer's plan the XNORs that it leaves, and the full energy below."""
    traces = []
    for title, colour, shift, values in (
        (PLAN, "--muted", 0.0, [found[f"operations_left/{name}"].value for name in planned]),
        (FULL, "--integer", 0.28, [1 - found[f"energy_saved/{name}"].value for name in planned]),
    ):
        shown = [percent(value) for value in values]
        traces.append(
            _bar(title, colour, [names.index(name) + shift for name in planned], values)
            | {
                "text": shown,
                "textposition": "outside",
                "cliponaxis": False,
                "textfont": {"color": "--text"},
                "hovertext": [
                    f"{label(name)}, {label(chosen(found, name))}<br>{title}: {share} left"
                    for name, share in zip(planned, shown, strict=True)
                ],
            }
        )
    return traces


def _caption(
    found: Measured, steps: dict[str, dict[str, Measurement]], skipped: Sequence[str]
) -> Html:
    said: list[object] = []
    if skipped:
        sample = found.get("sample_images")
        of = f" on a sample of {plain(sample.value)} images" if sample is not None else ""
        said = [
            "Upper bars: XNORs that a machine which works tile by tile does and skips",
            f"{of}, each mechanism after those to its right ",
            method(steps["done"][skipped[0]].method),
            ". ",
            reuse_accelerator.full_cost(found),
            " Lower bars: ",
        ]
    said.append(
        "XNORs that the chosen plan leaves, and the energy that the layer takes with it, "
        "all parts of the datapath included. "
    )
    return join(said)


def _table(
    found: Measured,
    names: Sequence[str],
    planned: Sequence[str],
    steps: dict[str, dict[str, Measurement]],
) -> Html:
    def cell(known: dict[str, Measurement], name: str) -> str:
        return percent(known[name].value) if name in known else _DASH

    own = under(found, "operations_left")
    rows = [
        [
            name,
            *(cell(steps[step], name) for step in STEPS),
            cell(own, name),
            percent(1 - found[f"energy_saved/{name}"].value if name in planned else None),
        ]
        for name in names
    ]
    shown = [m for step in STEPS for m in steps[step].values()]
    shown += [found["operations_left"], *(found[f"energy_saved/{name}"] for name in planned)]
    written = table(
        join(("Left after each mechanism, and by the chosen plan. ", origin(shown))),
        [
            Column("Layer"),
            *(Column(f"After {title}", number=True) for title, _, _ in STEPS.values()),
            Column("XNORs, plan", number=True),
            Column("Full energy, plan", number=True),
        ],
        rows,
        name="Operations left by layer",
    )
    return details("Operations left as a table", written)
