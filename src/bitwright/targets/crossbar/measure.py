"""What arrays do and cost: counted from a batch, priced by cited models."""

from __future__ import annotations

from collections.abc import Iterator

from bitwright.records import Measurement, Method
from bitwright.targets.base import Counters, work_measurements
from bitwright.targets.crossbar.design import Design


def measure(design: Design, counters: Counters) -> tuple[Measurement, ...]:
    """Return partial sums with and without flips, and what was done, for each layer."""
    return (*work_measurements(design.program), *_counts(design, counters))


def _counts(design: Design, counters: Counters) -> Iterator[Measurement]:
    totals: dict[str, float] = {}
    for name in design.layers:
        images = counters.get(f"images/{name}", 0)
        if not images:
            continue
        for what, unit in _UNITS.items():
            value = counters[f"{what}/{name}"]
            totals[what] = totals.get(what, 0) + value / images
            yield Measurement(f"{what}/{name}", value / images, unit, _method(what))
        yield Measurement(f"partial_sum_saved/{name}", _saved(counters, name), "share", "counted")
    for what, unit in _UNITS.items():
        if what in totals:
            yield Measurement(what, totals[what], unit, _method(what))
    if totals:
        saved = 1 - totals["on_cells"] / max(totals["plain_on_cells"], 1)
        yield Measurement("partial_sum_saved", saved, "share", "counted")


def _method(what: str) -> Method:
    return "simulated" if what == "current" else "counted"


def _saved(counters: Counters, name: str) -> float:
    return 1 - counters[f"on_cells/{name}"] / max(counters[f"plain_on_cells/{name}"], 1)


_UNITS = {
    "reads": "read/image",
    "conversions": "conversion/image",
    "word_lines": "pulse/image",
    "plain_word_lines": "pulse/image",
    "on_cells": "cell/image",
    "plain_on_cells": "cell/image",
    "inverted_reads": "read/image",
    "current": "cell/image",
}
