"""What the frontends of frameworks share: from layers of real numbers to ops of integers.

Requirements:

- Real values that are stored (shortcuts, pooled features, logits) go through fixed point
  (`bitwright.frontends.fixed`); where all values are integers on one grid, nothing is rounded.
- Max-pooling commutes with what rises.
- What cannot be expressed is refused by the name of its layer, with a way out.

Maps are (rows, columns, channels); `Value.order` remembers how a framework that flattens channels
first would have numbered the elements.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bitwright.errors import FrontendError
from bitwright.frontends.borders import valid_sums
from bitwright.frontends.fixed import Form, add_offsets, plain, to_digits
from bitwright.frontends.lines import Floats
from bitwright.frontends.pointwise import Bools, Pointwise
from bitwright.frontends.values import Value, Window
from bitwright.ir import ops as o
from bitwright.ir.types import Bits

_DIGIT_ROOM = 2


class Lowering(Pointwise):
    """Builds a program layer by layer."""

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
        offset = np.zeros((1, 1, out))
        if taps.any():
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
        self, value: Value, name: str, kernel: tuple[int, int], window: Window
    ) -> Value:
        """Average windows; padded zeros count, so that all windows divide by the same number."""
        taps = kernel[0] * kernel[1]
        value = self._small(value, f"{name}.in", taps)
        source, factor = value.form.terms[0]
        output = self.emitter.fresh(name)
        self.emitter.emit(
            o.SumPool2d(
                output=output,
                inputs=(source,),
                kernel=kernel,
                stride=window.stride,
                padding=window.padding,
            )
        )
        # The value's constant is not padded with: it counts where the map is.
        size = (self.emitter.types[source].shape[0], self.emitter.types[source].shape[1])
        inside = valid_sums(np.ones((1, *kernel)), size, window.stride, window.padding) / taps
        form = Form(((output, factor / taps),), value.form.offset * inside)
        return Value(form, reach=value.reach)

    def add(self, a: Value, b: Value, name: str) -> Value:
        """Add two values of one shape."""
        left, right = self._linear(a, f"{name}.left"), self._linear(b, f"{name}.right")
        shared = _shared_step(left.form, right.form)
        if shared is not None:
            inputs = (left.form.terms[0][0], right.form.terms[0][0])
            output = self.emitter.fresh(name)
            self.emitter.emit(o.Add(output=output, inputs=inputs))
            return replace(self.on_grid(output, name, shared), order=left.order)
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


def _shared_step(a: Form, b: Form) -> int | None:
    """The fraction bits of two forms that are integers on one grid; None if they are not."""
    factors = np.concatenate([a.terms[0][1], b.terms[0][1]])
    plain_sums = a.single and b.single and not (a.offset.any() or b.offset.any())
    bits = -np.log2(np.abs(factors[0])) if factors[0] else 0.5
    if plain_sums and np.all(factors == factors[0]) and factors[0] > 0 and bits == int(bits):
        return int(bits)
    return None
