"""Element-wise layers and signs: from the framework's own arithmetic to thresholds.

Requirements:

- Where a sign follows an integer sum through element-wise steps, the threshold is found by
  *running* the framework's own float32 steps on every integer in the sum's bounds. Formulas decide
  nothing there, so rounding at the boundary is the framework's.
- A threshold on values that were stored in fixed point is found in float64.
- sign(0) is +1. Max-pooling commutes with the sign.
- Values that the framework itself rounds to a grid are exact integers from there on.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from bitwright.errors import FrontendError
from bitwright.frontends import thresholds
from bitwright.frontends.lines import Floats, Lines, clipped, line
from bitwright.frontends.store import Store
from bitwright.frontends.values import Step, Value

Bools = npt.NDArray[np.bool_]
ENUMERATED = 2**22
"""Sums with at most so many values are run one by one."""
_CHUNK = 2**22


class Pointwise(Store):
    """Applies element-wise layers and signs to the values of a program that grows."""

    def elementwise(self, value: Value, step: Step) -> Value:
        """Apply an element-wise layer."""
        if self.is_bits(value):
            raise FrontendError(f"layer '{step.name}' acts on bits", "put it before the sign")
        if value.pool is not None:
            value = self.stored(value, f"{step.name}.in")
        lines = step.lines
        if value.order is not None:
            lines = Lines(*(part[value.order] for part in _parts(lines)))
        form = value.form.through(lines)
        steps = (*value.steps, step) if value.source is not None else ()
        reach = self._reach_after(value, lines)
        if reach is not None and step.reach is not None:
            known = step.reach if value.order is None else step.reach[value.order]
            reach = np.minimum(reach, known)
        return replace(value, form=form, steps=steps, reach=reach)

    def _reach_after(self, value: Value, lines: Lines) -> Floats | None:
        if value.reach is None:
            return None
        inner = lines.breakpoints
        points = np.concatenate(
            [-value.reach[:, None], value.reach[:, None], np.where(np.isfinite(inner), inner, 0.0)],
            axis=1,
        )
        points = np.clip(points, -value.reach[:, None], value.reach[:, None])
        return np.asarray(np.abs(lines(points)).max(axis=1))

    def on_grid(self, integers: str, name: str, fraction_bits: int) -> Value:
        """Return exact integers as multiples of ``2**-fraction_bits``."""
        step = 2.0**-fraction_bits
        whole = self.integers(integers)
        scale = line(np.full(self.channels(whole), step), 0.0)

        def run(x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
            return x * np.float32(step)

        return self.elementwise(whole, Step(name, run, scale))

    def quantise(
        self, value: Value, name: str, fraction_bits: int, clip: tuple[float, float] | None
    ) -> Value:
        """Round half up to multiples of ``2**-fraction_bits``, held within `clip`."""
        if value.pool is not None:
            value = self.stored(value, f"{name}.in")
        form = value.form
        if clip is not None:
            ends = (np.full(self.channels(value), end) for end in clip)
            form = form.through(clipped(*ends))
        integers, used = self.fixed.store(form, name, None, fraction_bits)
        if used != fraction_bits:
            raise FrontendError(
                f"layer '{name}' has room for {used} of its {fraction_bits} fraction bits",
                "give it fewer",
            )
        made = self.on_grid(integers, name, fraction_bits)
        return replace(made, order=value.order)

    def sign(self, value: Value, name: str) -> Value:
        """Take the sign: bits, 1 where the value is >= 0."""
        if self.is_bits(value):
            return value
        output = self.emitter.fresh(name)
        bits = output if value.pool is None else f"{output}.unpooled"
        enumerable = False
        if value.source is not None:
            kind = self.emitter.types[value.source]
            enumerable = kind.hi - kind.lo < ENUMERATED and max(-kind.lo, kind.hi) < 2**24
        if enumerable and value.source is not None:
            limits, rising = self._enumerated(value, name)
            self.emitter.threshold(bits, value.source, limits, rising)
        else:
            single = value if value.pool is None else replace(value, pool=None)
            single = self.one_integer(single, f"{name}.in")
            limits, rising = self._searched(single, name)
            self.emitter.threshold(bits, single.form.terms[0][0], limits, rising)
        if value.pool is not None:
            # sign(max(x)) = max(sign(x)): the sign rises.
            self.emitter.emit(replace(value.pool, output=output, inputs=(bits,)))
        return self.integers(output, value.order)

    def _enumerated(self, value: Value, name: str) -> tuple[npt.NDArray[np.int64], Bools]:
        """Thresholds from running the framework's steps on every integer."""
        kind = self.emitter.types[value.source or ""]
        channels = kind.shape[-1]
        integers = np.arange(kind.lo, kind.hi + 1, dtype=np.float32)
        size = max(1, _CHUNK // channels)
        parts = []
        for first in range(0, len(integers), size):
            x = np.repeat(integers[first : first + size, None], channels, axis=1)
            for step in value.steps:
                x = step.run(x)
            parts.append((x >= 0).T)
        fires = np.concatenate(parts, axis=1)
        limits, rising, bad = thresholds.from_bits(fires, kind.lo)
        if bad is not None:
            self._refuse_turning(name, bad)
        if value.order is not None:
            limits, rising = limits[value.order], rising[value.order]
        return limits, rising

    def _searched(self, value: Value, name: str) -> tuple[npt.NDArray[np.int64], Bools]:
        lines = value.form.as_lines()
        direction = lines.direction()
        if not direction.all():
            self._refuse_turning(name, int(np.argmin(np.abs(direction))))
        kind = self.emitter.types[value.form.terms[0][0]]

        def fires(x: npt.NDArray[np.int64]) -> Bools:
            return lines(x[:, None].astype(np.float64))[:, 0] >= 0

        return thresholds.by_search(fires, lines.channels, kind.lo, kind.hi)

    def _refuse_turning(self, name: str, channel: int) -> None:
        raise FrontendError(
            f"the bit of '{name}' is no threshold of the sum (channel {channel})",
            "use only steps that rise or fall, such as BatchNorm, before a sign",
        )


def _parts(lines: Lines) -> tuple[Any, Any, Any]:
    return lines.breakpoints, lines.slope, lines.intercept
