"""The first look: how accurate, and how much of what."""

from __future__ import annotations

from collections.abc import Sequence

from bitwright.flow import Evaluation
from bitwright.records import Measurement
from bitwright.report.html import Html, tag
from bitwright.report.numbers import badge, exact, interval, percent
from bitwright.report.outcomes import correct, titles

COSTS = ("binary_operations", "integer_operations", "weight_bits")
"""What every target says of a program, shown if a page has one evaluation."""


def render(evaluations: Sequence[Evaluation]) -> Html:
    """Return the accuracy of each evaluation, and what a single one costs."""
    names = titles(evaluations)
    tiles = [_accuracy(e, name) for e, name in zip(evaluations, names, strict=True)]
    if len(evaluations) == 1:
        tiles += [_cost(m) for m in evaluations[0].record.measurements if m.metric in COSTS]
    return tag("div", *tiles, class_="tiles")


def _accuracy(evaluation: Evaluation, title: str) -> Html:
    found = {m.metric: m for m in evaluation.record.measurements}.get("accuracy")
    if found is None:
        return Html("")
    bounds = tag("span", interval(correct(evaluation), len(evaluation.data)), class_="whole")
    return tag(
        "div",
        tag("p", f"Accuracy, {title}", class_="name"),
        tag("p", tag("data", percent(found.value, 2), value=repr(found.value)), class_="value"),
        tag(
            "p",
            "95 % interval ",
            bounds,
            class_="more",
        ),
        tag("p", badge(found)),
        class_="tile",
    )


def _cost(measurement: Measurement) -> Html:
    unit = tag("small", f" {measurement.unit}")
    return tag(
        "div",
        tag("p", measurement.metric.replace("_", " ").capitalize(), class_="name"),
        tag("p", exact(measurement.value), unit, class_="value"),
        tag("p", badge(measurement)),
        class_="tile",
    )
