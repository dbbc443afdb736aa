"""What a record says of crossbars: by layer, by partial sum, by position.

The metrics are those of the target ``crossbar`` (`bitwright.targets.crossbar.measure` and
``distributions``):

- ``metric/<layer>``, and ``metric`` of the network;
- ``metric:<from>..<to>/<layer>``, of partial sums in [from, to);
- ``metric:<eighth>/<layer>``, of columns whose cells are there, the last one at the sense end;
- ``energy_<item>/network``, so ``latency`` and ``area``; ``energy_<item>/plain`` without flips.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bitwright.flow import Evaluation
from bitwright.records import Measurement
from bitwright.report.outcomes import model
from bitwright.report.sections.circuit_errors import SPAN
from bitwright.report.sections.reuse_record import Measured, candidates, under

TARGET = "crossbar"
NEEDED = ("on_cells", "plain_on_cells", "partial_sum_saved", "accuracy")
POSITIONS = 8
NETWORK, PLAIN = "network", "plain"
"""What costs have for the layer: all, with flips or without them."""


@dataclass(frozen=True)
class Span:
    """Something of the partial sums in [low, high)."""

    low: int
    high: int
    measurement: Measurement

    @property
    def middle(self) -> float:
        """Where it stands on an axis."""
        return (self.low + self.high - 1) / 2

    @property
    def said(self) -> str:
        """The partial sums in words."""
        return f"{self.low}" if self.high == self.low + 1 else f"{self.low} to {self.high - 1}"


def measured(evaluation: Evaluation) -> Measured | None:
    """Return the measurements by name; None if they are not of crossbars."""
    if evaluation.record.target != TARGET:
        return None
    found = {m.metric: m for m in evaluation.record.measurements}
    return found if all(name in found for name in NEEDED) else None


def layers(found: Measured) -> list[str]:
    """Return the layers on arrays, in the program's order."""
    return [name for name in under(found, "plain_on_cells") if f"on_cells/{name}" in found]


def spans(found: Measured, metric: str) -> dict[str, list[Span]]:
    """Return by layer the measurements of partial sums, in ascending order."""
    by_layer = {}
    for layer, which in candidates(found, metric).items():
        matched = [(SPAN.fullmatch(span), m) for span, m in which.items()]
        known = [Span(int(span[1]), int(span[2]), m) for span, m in matched if span is not None]
        if known:
            by_layer[layer] = sorted(known, key=lambda one: one.low)
    return by_layer


def positions(found: Measured, metric: str) -> dict[str, dict[int, Measurement]]:
    """Return by layer the measurements of positions, in ascending order."""
    by_layer = {}
    for layer, which in candidates(found, metric).items():
        known = {int(place): m for place, m in which.items() if place.isdecimal()}
        by_layer[layer] = dict(sorted(known.items()))
    return by_layer


def furthest_off(found: Measured) -> list[str]:
    """Return the layers, the ones first whose dot products are furthest off."""
    errors = under(found, "count_error_rms")
    return sorted(
        (name for name in layers(found) if name in errors), key=lambda name: -errors[name].value
    )


def setting(evaluation: Evaluation, name: str) -> Any:
    """Return what the design was set to."""
    return evaluation.record.config.get(name)


def differing(evaluations: Sequence[Evaluation]) -> list[list[str]]:
    """Return for each evaluation the settings in which they differ, in words."""
    configs: list[dict[str, Any]] = [_flat(e.record.config) for e in evaluations]
    names = dict.fromkeys(name for config in configs for name in config)
    apart = [n for n in names if len({repr(config.get(n)) for config in configs}) > 1]
    networks = {e.record.program for e in evaluations}
    return [
        [
            *([model(evaluation)] if len(networks) > 1 else ()),
            *(f"{n}: {_said(config[n])}" for n in apart if n in config),
        ]
        for evaluation, config in zip(evaluations, configs, strict=True)
    ]


def _flat(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings with those of tables by their own names."""
    flat: dict[str, Any] = {}
    for name, value in config.items():
        flat |= dict(value) if isinstance(value, Mapping) else {name: value}
    return flat


def _said(value: Any) -> str:
    if isinstance(value, list | tuple):
        return " and ".join(map(str, value)) or "nothing"
    return "nothing" if value is None else str(value)
