"""What popcounts that are not exact get wrong: flipped bits and errors of the count, by layer.

The metrics are those of the target ``majority`` (`bitwright.targets.majority.measure`); the target
``crossbar`` has some of them. A record without them shows nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bitwright.flow import Evaluation
from bitwright.ir import ops as o
from bitwright.ir.program import Program
from bitwright.records import HISTOGRAM, Measurement
from bitwright.report.charts import LABEL, chart, label
from bitwright.report.html import Column, Html, details, join, table, tag
from bitwright.report.numbers import exact, method, percent, plain
from bitwright.report.outcomes import titles

SAMPLES = {
    "statistics_images": "of each layer a part of its windows and neurons",
    "sample_images": "all windows and neurons of each layer",
}
"""How many images were looked at, and how closely."""
TRAINED = (
    "If the network was trained with these circuits, neither says what they spoil: its thresholds "
    "are those of the circuits' values, not of exact counts. "
)
"""Of thresholds that nothing was done to."""
SPAN = re.compile(r"(-?\d+)\.\.(-?\d+)")


@dataclass(frozen=True)
class Bin:
    """The share of errors in [low, high)."""

    low: int
    high: int
    measurement: Measurement


def render(evaluations: Sequence[Evaluation]) -> Html:
    """Return charts and numbers of each evaluation that has such metrics."""
    parts = []
    for evaluation, title in zip(evaluations, titles(evaluations), strict=True):
        content = _one(evaluation)
        if content:
            heading = tag("h3", title, class_="group") if len(evaluations) > 1 else ""
            parts.append(join((heading, content)))
    return join(parts)


def histograms(measurements: Sequence[Measurement]) -> dict[str, list[Bin]]:
    """Return the bins of each layer's errors, in ascending order."""
    found: dict[str, list[Bin]] = {}
    for m in measurements:
        layer, slash, span = m.metric.removeprefix(HISTOGRAM).rpartition("/")
        matched = SPAN.fullmatch(span)
        if m.metric.startswith(HISTOGRAM) and slash and matched is not None:
            found.setdefault(layer, []).append(Bin(int(matched[1]), int(matched[2]), m))
    return {layer: sorted(bins, key=lambda one: one.low) for layer, bins in found.items()}


def _one(evaluation: Evaluation) -> Html:
    measured = evaluation.record.measurements
    own, propagated = _by_layer(measured, "flip_rate"), _by_layer(measured, "propagated_flip_rate")
    errors = histograms(measured)
    if not (own or propagated or errors):
        return Html("")
    makers = {bits: _maker(evaluation.program, bits) for bits in propagated}
    kept = evaluation.record.config.get("thresholds") == "unchanged"
    flips = _flips(
        own, {makers[bits]: m for bits, m in propagated.items()}, TRAINED if kept else ""
    )
    means, spreads = _by_layer(measured, "count_error_mean"), _by_layer(measured, "count_error_rms")
    samples = {m.metric: m for m in measured if m.metric in SAMPLES}
    note = " ".join(
        f"From a sample of the simulation: {plain(m.value)} {_images(m.value)}, {SAMPLES[metric]}."
        for metric, m in samples.items()
    )
    return join(
        (
            tag("p", note, class_="note") if note else "",
            flips,
            _distributions(errors, means, spreads),
            _table(own, propagated, makers, means, spreads),
        )
    )


def _images(count: float) -> str:
    return "image" if count == 1 else "images"


def _by_layer(measured: Sequence[Measurement], metric: str) -> dict[str, Measurement]:
    start = f"{metric}/"
    return {m.metric[len(start) :]: m for m in measured if m.metric.startswith(start)}


def _maker(program: Program, bits: str) -> str:
    """Return the dot product that decides bits; they themselves if that is not one alone."""
    name = bits
    while (op := program.definitions.get(name)) is not None:
        if isinstance(op, o.Conv2d | o.Dense):
            return name
        if len(op.inputs) != 1:
            return bits
        name = op.inputs[0]
    return bits


def _flips(
    own: Mapping[str, Measurement], propagated: Mapping[str, Measurement], remark: str
) -> Html:
    """Return the bars of flip rates, two for a layer that has both."""
    names = list(dict.fromkeys((*own, *propagated)))
    if not names:
        return Html("")
    kinds = (
        (own, "of its own", "--binary", "decided otherwise than an exact count of the same inputs"),
        (propagated, "of the network", "--integer", "other than in the exact network"),
    )
    traces = [
        {
            "type": "bar",
            "orientation": "h",
            "name": kind,
            "x": [100 * found[name].value for name in names if name in found],
            "y": [names.index(name) for name in names if name in found],
            "marker": {"color": colour},
            "hovertext": [
                f"{label(name)}<br>{percent(found[name].value, 2)} of the bits {meaning}"
                for name in names
                if name in found
            ],
            "hoverinfo": "text",
        }
        for found, kind, colour, meaning in kinds
        if found
    ]
    every = [*own.values(), *propagated.values()]
    return chart(
        traces,
        {
            "barmode": "group",
            "bargap": 0.3,
            "showlegend": len(traces) > 1,
            "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
            "xaxis": {"title": {"text": "flipped bits, %", "standoff": 8}, "rangemode": "tozero"},
            "yaxis": {
                "tickmode": "array",
                "tickvals": list(range(len(names))),
                "ticktext": [label(name, LABEL) for name in names],
                "range": [len(names) - 0.5, -0.5],
                "showgrid": False,
            },
        },
        alt=f"Share of flipped bits of {len(names)} layers, at most "
        f"{percent(max(m.value for m in every), 2)}.",
        caption=join(
            (
                "Flipped bits of each layer. Of its own: not what an exact count of the same "
                "inputs decides. Of the network: not what the exact network has there. ",
                remark,
                method(every[0].method),
            )
        ),
        height=90 + 44 * max(2, len(names)),
    )


def _distributions(
    errors: Mapping[str, Sequence[Bin]],
    means: Mapping[str, Measurement],
    spreads: Mapping[str, Measurement],
) -> Html:
    """Return one histogram a layer."""
    if not errors:
        return Html("")
    figures = []
    for layer, bins in errors.items():
        moments = []
        if layer in means:
            moments.append(f"mean {means[layer].value:+.2f}")
        if layer in spreads:
            moments.append(f"root mean square {spreads[layer].value:.2f}")
        figures.append(tag("div", _histogram(layer, bins, ", ".join(moments))))
    return join(
        (
            tag("h3", "Errors of the count"),
            tag(
                "p",
                "What a circuit's value stands for, less the exact count of the same inputs; "
                "before thresholds make up for it. ",
                method(next(iter(errors.values()))[0].measurement.method),
                class_="note",
            ),
            tag("div", *figures, class_="two"),
        )
    )


def _histogram(layer: str, bins: Sequence[Bin], moments: str) -> Html:
    shares = [100 * float(one.measurement.value) for one in bins]
    wide = bins[0].high - bins[0].low
    spans = [f"{one.low} to below {one.high}" for one in bins]
    middle = 0 if wide == 1 else 0.5  # errors are integers unless inputs are left out
    return chart(
        [
            {
                "type": "bar",
                "x": [one.low + middle * wide for one in bins],
                "y": shares,
                "width": [wide] * len(bins),
                "marker": {"color": "--binary"},
                "hovertext": [
                    f"{label(layer)}<br>error {span}<br>{share:.2f} % of the counts"
                    for span, share in zip(spans, shares, strict=True)
                ],
                "hoverinfo": "text",
            }
        ],
        {
            "bargap": 0,
            "showlegend": False,
            "xaxis": {"title": {"text": "error, ones", "standoff": 8}, "nticks": 7},
            "yaxis": {
                "title": {"text": "counts, %", "standoff": 8},
                "rangemode": "tozero",
                "nticks": 5,
            },
        },
        alt=f"Errors of {layer} from {bins[0].low} to below {bins[-1].high}; {moments}.",
        caption=join((tag("strong", layer), f": {moments}" if moments else "")),
        height=240,
    )


def _table(
    own: Mapping[str, Measurement],
    propagated: Mapping[str, Measurement],
    makers: Mapping[str, str],
    means: Mapping[str, Measurement],
    spreads: Mapping[str, Measurement],
) -> Html:
    by_maker = {makers[bits]: m for bits, m in propagated.items()}
    names = dict.fromkeys((*own, *by_maker, *means))
    columns = (own, by_maker, means, spreads)
    rows = [
        [name, *(exact(found[name].value) if name in found else _DASH for found in columns)]
        for name in names
    ]
    methods = {m.method for found in columns for m in found.values()}
    written = table(
        join(("Shares of bits, and errors in ones. ", *map(method, sorted(methods)))),
        [
            Column("Layer"),
            Column("Flips of its own", number=True),
            Column("Of the network", number=True),
            Column("Mean error", number=True),
            Column("Root mean square", number=True),
        ],
        rows,
        name="Errors by layer",
    )
    return details("Numbers", written)


_DASH = "\N{EN DASH}"
