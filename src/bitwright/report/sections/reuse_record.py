"""What a record says of reuse: by layer, by candidate, by tile.

The metrics are those of the target ``reuse`` (`bitwright.targets.reuse.measure`):

- ``metric/<layer>`` or ``metric/<part>``, of the chosen plans;
- ``metric:<method>/<layer>``, of every candidate; the source of ``energy_saved/<layer>`` begins
  with the chosen one;
- ``deciding_tile:<tiles>/<layer>``, the share of neurons that were decided after so many tiles.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from bitwright.flow import Evaluation
from bitwright.records import Measurement
from bitwright.report.html import Html, join
from bitwright.report.numbers import method

Measured = Mapping[str, Measurement]

DENSE = "dense"
"""The candidate that reuses nothing."""
NEEDED = ("operations_left", "energy_saved", "energy", "energy_dense")
"""What a record must have: operations that are left are shown beside the full cost only."""


def measured(evaluation: Evaluation) -> Measured | None:
    """Return the measurements by name; None if they are not of reuse."""
    found = {m.metric: m for m in evaluation.record.measurements}
    return found if all(name in found for name in NEEDED) else None


def under(found: Measured, metric: str) -> dict[str, Measurement]:
    """Return the measurements ``metric/<name>`` by that name."""
    start = f"{metric}/"
    return {name[len(start) :]: m for name, m in found.items() if name.startswith(start)}


def candidates(found: Measured, metric: str) -> dict[str, dict[str, Measurement]]:
    """Return the measurements ``metric:<which>/<layer>`` by layer, then by what is between."""
    start = f"{metric}:"
    by_layer: dict[str, dict[str, Measurement]] = {}
    for name, m in found.items():
        which, slash, layer = name[len(start) :].partition("/")
        if name.startswith(start) and slash:
            by_layer.setdefault(layer, {})[which] = m
    return by_layer


def chosen(found: Measured, layer: str) -> str:
    """Return the method that the planner chose for a layer."""
    return found[f"energy_saved/{layer}"].source.partition(";")[0]


def layers(found: Measured) -> list[str]:
    """Return the layers that have a plan, in the program's order."""
    return [layer for layer in under(found, "energy_saved") if f"operations_left/{layer}" in found]


def tiles(found: Measured) -> dict[str, list[float]]:
    """Return by layer the shares of neurons that were decided after 0, 1, .. all tiles."""
    shares = {}
    for layer, by_tile in candidates(found, "deciding_tile").items():
        numbers = {int(tile): m for tile, m in by_tile.items() if tile.isdecimal()}
        last = max(numbers, default=0)
        if last:
            counted = range(last + 1)
            shares[layer] = [float(numbers[t].value) if t in numbers else 0.0 for t in counted]
    return shares


def origin(of: Iterable[Measurement]) -> Html:
    """Return each method of measurements with its sources."""
    sources: dict[str, dict[str, None]] = {}
    for m in of:
        # The source of a layer begins with its method, which the tables name.
        own = m.source.partition("; ")[2] if m.metric.startswith("energy_saved/") else m.source
        sources.setdefault(m.method, {}).update({own: None} if own else {})
    said = (
        join((method(name), f" {', '.join(own)}" if own else "")) for name, own in sources.items()
    )
    return join(said, "; ")
