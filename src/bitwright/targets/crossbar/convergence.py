"""What it took to solve columns, and how well they are known: told with every batch.

Requirements:

- Counters add up over images and batches, and the worst of several moves does not. So it is counted
  how often the last move, and the residual, was at most so much, rounded up to two digits: what was
  ever counted is known, however batches were put together, and there are few such counters.
- Marching is exact and has no steps; ideal cells are not solved at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import ROUND_CEILING, Context

from bitwright.records import Measurement
from bitwright.targets.base import Counters
from bitwright.targets.crossbar.design import Design
from bitwright.targets.crossbar.solver.columns import Solution

WORST = ("last_move", "residual")
"""What is known by its worst."""

_COUNTED = ("columns_solved", "newton_groups", "newton_steps", "fallbacks")
_TWO_DIGITS = Context(prec=2, rounding=ROUND_CEILING)


def solving(solution: Solution | None) -> Counters:
    """Return what the solver did for some columns as counters; none of ideal cells."""
    if solution is None:
        return {}
    if not solution.groups:
        return {"columns_solved": solution.columns}
    worst = {what: getattr(solution, what) for what in WORST}
    return {
        "columns_solved": solution.columns,
        "newton_groups": solution.groups,
        "newton_steps": solution.steps,
        "fallbacks": solution.fallbacks,
        **{f"{what}<={_rounded(value)}": 1 for what, value in worst.items() if value is not None},
    }


def _rounded(value: float) -> str:
    return f"{_TWO_DIGITS.create_decimal_from_float(value):.1e}"


def convergence(design: Design, counters: Counters) -> Iterator[Measurement]:
    """Yield how columns were solved: of every layer whose cells are circuits, and of all.

    - ``columns_solved``: those of a pattern of word lines that is repeated once, where it is looked
      for. The others' currents are copies.
    - ``newton_steps``: on average, in double precision; where no word line is on there are none.
    - ``fallbacks``: groups of eight columns that the damped solver had to do, of all images.
    - ``last_move``: by how much of the read voltage the last step moved any node, at most.
    - ``residual``: what the currents at any node were still off by after it, as the voltage that
      would make it good, at most, of a sample of columns of every batch. It is of the order of the
      last move's square.
    """
    layers = {name: _of(counters, name) for name in design.layers}
    total: Counters = {}
    images = 0.0
    for name, found in layers.items():
        if not found:
            continue
        images = counters[f"images/{name}"]
        yield from _measured(f"/{name}", found, images)
        for what, number in found.items():
            total[what] = total.get(what, 0) + number
    if total:
        yield from _measured("", total, images)


def _of(counters: Counters, layer: str) -> Counters:
    """Return a layer's counters of what the solver did, by what they count."""
    split = ((key.partition("/"), number) for key, number in counters.items())
    return {
        what: number
        for (what, _, name), number in split
        if name == layer and _parted(what)[0] in (*_COUNTED, *WORST)
    }


def _measured(end: str, found: Counters, images: float) -> Iterator[Measurement]:
    solved = found["columns_solved"] / images
    yield Measurement(f"columns_solved{end}", solved, "column/image", "counted")
    if "newton_groups" not in found:
        return
    steps = found["newton_steps"] / found["newton_groups"]
    yield Measurement(f"newton_steps{end}", steps, "step/column", "simulated")
    yield Measurement(f"fallbacks{end}", found["fallbacks"], "group", "simulated")
    for worst in WORST:
        bounds = [float(bound) for what, _, bound in map(_parted, found) if what == worst]
        if bounds:
            note = "of the read voltage, rounded up"
            yield Measurement(f"{worst}{end}", max(bounds), "share", "simulated", note)


def _parted(counter: str) -> tuple[str, str, str]:
    return counter.partition("<=")
