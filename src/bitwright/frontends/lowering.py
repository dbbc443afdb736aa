"""What the frontends of frameworks share: from layers of real numbers to ops of integers.

Requirements:

- Where a sign follows an integer sum through element-wise steps, the threshold is found by
  *running* the framework's own float32 steps on every integer in the sum's bounds. Formulas decide
  nothing there, so rounding at the boundary is the framework's.
- Real values that are stored (shortcuts, pooled features, logits) go through fixed point
  (`bitwright.frontends.fixed`); a threshold on those is found in float64.
- sign(0) is +1. Max-pooling commutes with what rises, and with the sign itself.
- What cannot be expressed is refused by the name of its layer, with a way out.

Maps are (rows, columns, channels); `Value.order` remembers how a framework that flattens channels
first would have numbered the elements.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from bitwright.errors import FrontendError
from bitwright.frontends import thresholds
from bitwright.frontends.borders import valid_sums
from bitwright.frontends.fixed import Form, add_offsets, plain, to_digits
from bitwright.frontends.lines import Floats, Lines
from bitwright.frontends.store import Store
from bitwright.frontends.values import Step, Value, Window
from bitwright.ir import ops as o
from bitwright.ir.types import Bits

Bools = npt.NDArray[np.bool_]
ENUMERATED = 2**22
"""Sums with at most so many values are run one by one."""
_CHUNK = 2**22
_DIGIT_ROOM = 2


class Lowering(Store):
    """Builds a program layer by layer."""

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

    def binary_conv(
        self, value: Value, name: str, weights: Bools, window: Window, pad_value: int
    ) -> Value:
        """Convolve bits or exact integers with kernels (out, kh, kw, in / groups) of +-1."""
        source = value.exact
        if source is None:
            signs = np.where(weights, 1.0, -1.0)
            if pad_value:
                raise FrontendError(
                    f"layer '{name}' pads real numbers with {pad_value}", "pad them with 0"
                )
            return self.real_conv(value, name, signs, None, window)
        output = self.emitter.fresh(name)
        self.emitter.conv2d(
            output,
            source,
            weights,
            stride=window.stride,
            padding=window.padding,
            pad_value=pad_value,
            groups=window.groups,
        )
        return self.integers(output)

    def binary_dense(self, value: Value, name: str, weights: Bools) -> Value:
        """Multiply bits or exact integers with rows (out, in) of +-1, in the framework's order."""
        source = value.exact
        if source is None:
            return self.real_dense(value, name, np.where(weights, 1.0, -1.0), None)
        columns = weights if value.order is None else weights[:, value.order]
        output = self.emitter.fresh(name)
        self.emitter.dense(output, source, columns)
        return self.integers(output)

    def real_conv(
        self, value: Value, name: str, weights: Floats, bias: Floats | None, window: Window
    ) -> Value:
        """Convolve anything with real kernels (out, kh, kw, in / groups), padded with zeros."""
        value = self._small(value, f"{name}.in", weights[0].size * _DIGIT_ROOM)
        source, factor = value.form.terms[0]
        out, _, _, fan = weights.shape
        # Which input channels each kernel sees.
        first = np.arange(out) // (out // window.groups) * fan
        seen = first[:, None] + np.arange(fan)
        scaled = weights * factor[seen][:, None, None, :]
        taps = (weights * value.form.offset[0, 0][seen][:, None, None, :]).sum(axis=3)
        shape = self.emitter.types[source].shape
        offset = valid_sums(taps, (shape[0], shape[1]), window.stride, window.padding)
        cut = to_digits(scaled, self._largest(source))
        terms = []
        for k, digit in enumerate(cut.digits):
            output = self.emitter.fresh(f"{name}.digit{k}")
            self.emitter.conv2d(
                output,
                source,
                digit,
                stride=window.stride,
                padding=window.padding,
                groups=window.groups,
            )
            terms.append((output, cut.scale * float(cut.base) ** k))
        return self.bounded(Form(tuple(terms), offset if bias is None else offset + bias))

    def real_dense(self, value: Value, name: str, weights: Floats, bias: Floats | None) -> Value:
        """Multiply anything with real rows (out, in), in the framework's order."""
        value = self._small(value, f"{name}.in", weights.shape[1] * _DIGIT_ROOM)
        source, factor = value.form.terms[0]
        columns = weights if value.order is None else weights[:, value.order]
        offset = (columns @ value.form.offset[0, 0]) + (0.0 if bias is None else bias)
        cut = to_digits(columns * factor, self._largest(source))
        terms = []
        for k, digit in enumerate(cut.digits):
            output = self.emitter.fresh(f"{name}.digit{k}")
            self.emitter.dense(output, source, digit)
            terms.append((output, cut.scale * float(cut.base) ** k))
        return self.bounded(Form(tuple(terms), offset[None, None]))

    def two_level_conv(
        self,
        bits: Value,
        name: str,
        weights: Bools,
        window: Window,
        activation: tuple[float, float],
        levels: tuple[Floats, Floats],
    ) -> Value:
        """Convolve ``scale (bit + centre)`` with ``spread[o] (+-1) + middle[o]``, zero-padded.

        Parameters
        ----------
        bits
            The activations' bits.
        name, weights, window
            As for `binary_conv`.
        activation
            Scale and centre.
        levels
            Spread and middle, (out,) each.

        Notes
        -----
        The product of the two sums has four parts: the binary dot product; the sum of the bits,
        the same for all kernels; and two constants that depend on the padded taps only.
        """
        scale, centre = activation
        spread, middle = levels
        dot = self.binary_conv(bits, name, weights, window, 0)
        out, kh, kw, fan = weights.shape
        taps = (
            scale
            * centre
            * (
                spread[:, None, None] * np.where(weights, 1.0, -1.0).sum(axis=3)
                + middle[:, None, None] * np.full((out, kh, kw), float(fan))
            )
        )
        shape = self.emitter.types[bits.form.terms[0][0]].shape
        offset = valid_sums(taps, (shape[0], shape[1]), window.stride, window.padding)
        terms = [(dot.form.terms[0][0], scale * spread)]
        if middle.any():
            ones = np.ones((1, kh, kw, fan), np.bool_)
            total = self.binary_conv(bits, f"{name}.ones", ones, window, 0)
            spread_out = np.ones((out, 1, 1, 1), np.bool_)
            everywhere = self.binary_conv(total, f"{name}.sum", spread_out, Window(), 0)
            terms.append((everywhere.form.terms[0][0], scale * middle))
        return self.bounded(Form(tuple(terms), offset))

    def max_pool(self, value: Value, name: str, pool: o.MaxPool2d) -> Value:
        """Max-pool; `pool` gives kernel, stride and padding."""
        if value.pool is not None:
            value = self.stored(value, f"{name}.in")
        if value.source is None and not value.form.single:
            value = self.stored(value, f"{name}.in")
        source = value.form.terms[0][0]
        bits = isinstance(self.emitter.types[source], Bits)
        if not bits and not (value.form.as_lines().direction() == 1).all():
            return replace(value, pool=pool)
        output = self.emitter.fresh(name)
        self.emitter.emit(replace(pool, output=output, inputs=(source,)))
        (_, factor), *_ = value.form.terms
        form = replace(value.form, terms=((output, factor),))
        return replace(value, form=form, source=None if value.source is None else output)

    def average_pool(
        self, value: Value, name: str, kernel: tuple[int, int], stride: tuple[int, int]
    ) -> Value:
        """Average windows that lie within the map."""
        value = self._small(value, f"{name}.in", kernel[0] * kernel[1])
        source, factor = value.form.terms[0]
        output = self.emitter.fresh(name)
        self.emitter.emit(
            o.SumPool2d(output=output, inputs=(source,), kernel=kernel, stride=stride)
        )
        form = replace(value.form, terms=((output, factor / (kernel[0] * kernel[1])),))
        return Value(form, reach=value.reach)

    def add(self, a: Value, b: Value, name: str) -> Value:
        """Add two values of one shape."""
        left, right = self._linear(a, f"{name}.left"), self._linear(b, f"{name}.right")
        shapes = [self.type_of(v).shape for v in (left, right)]
        if shapes[0] != shapes[1]:
            raise FrontendError(f"'{name}' adds the shapes {shapes[0]} and {shapes[1]}", "fix it")
        offset = add_offsets(left.form.offset, right.form.offset)
        form = Form((*left.form.terms, *right.form.terms), offset)
        if left.reach is None or right.reach is None:
            raise TypeError("a value that is only compared is not added")
        return Value(form, order=left.order, reach=left.reach + right.reach)

    def subsample(self, value: Value, name: str, stride: int, before: int, after: int) -> Value:
        """Thin out a map and put channels of zeros around its own."""
        if self.is_bits(value) or value.exact is None:
            value = self._stored_real(value, f"{name}.in")
        source, factor = value.form.terms[0]
        if stride > 1:
            output = self.emitter.fresh(f"{name}.thin")
            source = self.emitter.emit(
                o.Subsample(output=output, inputs=(source,), stride=(stride, stride))
            )
        if before or after:
            output = self.emitter.fresh(name)
            source = self.emitter.emit(
                o.PadChannels(output=output, inputs=(source,), before=before, after=after)
            )
        reach = None if value.reach is None else np.pad(value.reach, (before, after))
        form = plain(source, self.emitter.types[source].shape[-1], float(factor[0]))
        return Value(form, reach=reach)

    def flatten(self, value: Value, name: str) -> Value:
        """Flatten a map to a vector, as a framework that puts channels first does."""
        if self.channels(value) == self.type_of(value).size and len(self.type_of(value).shape) == 1:
            return value
        if value.exact is None:
            value = self.stored(value, f"{name}.in")
        source, factor = value.form.terms[0]
        rows, columns, channels = self.emitter.types[source].shape
        output = self.emitter.fresh(name)
        self.emitter.emit(o.Flatten(output=output, inputs=(source,)))
        index = np.arange(rows * columns * channels).reshape(channels, rows, columns)
        order = index.transpose(1, 2, 0).reshape(-1)
        if value.exact is not None:
            return self.integers(output, order)
        reach = None if value.reach is None else np.tile(value.reach, rows * columns)
        return Value(plain(output, len(order), float(factor[0])), order=order, reach=reach)

    def logits(self, value: Value) -> str:
        """Return the name of integers whose first maximum is that of the value."""
        form = value.form
        if form.single and form.lines is None and value.pool is None and value.order is None:
            factor, offset = form.terms[0][1], form.offset[0, 0]
            alike = np.all(factor == factor[0]) and factor[0] > 0 and np.all(offset == offset[0])
            if alike and not self.is_bits(value):
                return form.terms[0][0]
        if len(self.type_of(value).shape) != 1:
            raise FrontendError("the network returns a map, not a vector of logits", "flatten it")
        if self.is_bits(value):
            raise FrontendError("the network returns bits, not logits", "end it without a sign")
        return self._stored_real(value, "logits").form.terms[0][0]


def _parts(lines: Lines) -> tuple[Any, Any, Any]:
    return lines.breakpoints, lines.slope, lines.intercept
