"""All numbers of the records, each with its unit, method and source, and the settings."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, get_args

from bitwright.flow import Evaluation
from bitwright.records import Measurement, Method
from bitwright.report.html import Column, Html, details, join, table, tag
from bitwright.report.numbers import badge, exact, method
from bitwright.report.outcomes import titles

MEANING: dict[Method, str] = {
    "counted": "exact, from the program and the data",
    "simulated": "ran through the target's simulator",
    "synthesised": "from a tool's report on emitted RTL",
    "estimated": "from a model that the source names",
}
FOLDED = 40
"""More numbers of layers and parts than these are folded away."""


def render(evaluations: Sequence[Evaluation]) -> Html:
    """Return warnings, measurements, what their methods mean, and each evaluation's settings."""
    numbers = _one(evaluations[0]) if len(evaluations) == 1 else _several(evaluations)
    used = {m.method for e in evaluations for m in e.record.measurements}
    legend = tag(
        "dl",
        *(
            join((tag("dt", method(name)), tag("dd", MEANING[name])))
            for name in get_args(Method)
            if name in used
        ),
        class_="methods",
    )
    settings = _settings(evaluations)
    return join((_warnings(evaluations), numbers, legend, tag("h3", "Settings"), settings))


def _warnings(evaluations: Sequence[Evaluation]) -> Html:
    """Return a paragraph for each warning; of several evaluations it names its own."""
    return join(
        tag("p", tag("strong", f"Warning{of}: "), text, class_="warning")
        for e, title in zip(evaluations, titles(evaluations), strict=True)
        for of in (f", {title}" if len(evaluations) > 1 else "",)
        for text in e.record.warnings
    )


def _listed(measurements: Sequence[Measurement]) -> list[Measurement]:
    """Return the measurements that are read one by one: the others are drawn."""
    return [m for m in measurements if not m.detail]


def _name(metric: str) -> Html:
    return tag("span", metric.replace("_", " "), title=metric)


def _one(evaluation: Evaluation) -> Html:
    record = evaluation.record
    sourced = any(m.source for m in record.measurements)
    columns = [Column("Metric"), Column("Value", number=True), Column("Unit"), Column("Method")]
    listed = _listed(record.measurements)
    of_parts = [m for m in listed if "/" in m.metric]
    folded = of_parts if len(of_parts) > FOLDED else []

    def rows(measurements: Sequence[Measurement], caption: str, name: str) -> Html:
        return table(
            caption,
            [*columns, Column("Source")] if sourced else columns,
            [
                [_name(m.metric), exact(m.value), m.unit, badge(m)]
                + ([_source(m)] if sourced else [])
                for m in measurements
            ],
            name=name,
        )

    target = record.target
    shown = [m for m in listed if m not in folded]
    numbers = rows(shown, f"All measurements on target {target}", "Measurements")
    if not folded:
        return numbers
    rest = rows(folded, f"By layer and part on target {target}", "Measurements by layer and part")
    return join((numbers, details("Measurements by layer and part", rest)))


def _source(measurement: Measurement) -> Html:
    return tag("span", measurement.source, class_="origin") if measurement.source else Html("")


def _several(evaluations: Sequence[Evaluation]) -> Html:
    found = [{(m.metric, m.unit): m for m in _listed(e.record.measurements)} for e in evaluations]
    keys = dict.fromkeys(key for measurements in found for key in measurements)
    return table(
        "All measurements, side by side",
        [
            Column("Metric"),
            Column("Unit"),
            *(Column(title, number=True) for title in titles(evaluations)),
        ],
        [
            [_name(metric), unit, *(_cell(by_key.get((metric, unit))) for by_key in found)]
            for metric, unit in keys
        ],
        name="Measurements",
    )


def _cell(measurement: Measurement | None) -> Html:
    if measurement is None:
        return Html("\N{EN DASH}")
    source = tag("span", measurement.source, class_="source") if measurement.source else ""
    return join((exact(measurement.value), " ", badge(measurement), source))


def _settings(evaluations: Sequence[Evaluation]) -> Html:
    names = titles(evaluations)
    keys = dict.fromkeys(key for e in evaluations for key in e.record.config)
    if not keys:
        return tag("p", "The target has no settings.", class_="note")
    return table(
        "What the target was set to, with the defaults of what was not set",
        [Column("Setting"), *(Column(name) for name in names)],
        [[key, *(_setting(e.record.config, key) for e in evaluations)] for key in keys],
        name="Settings",
    )


def _setting(config: Any, key: str) -> Html:
    if key not in config:
        return Html("\N{EN DASH}")
    value = config[key]
    return tag("code", value if isinstance(value, str) else json.dumps(value, default=str))
