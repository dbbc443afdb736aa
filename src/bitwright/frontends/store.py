"""Values in memory: when a real value becomes integers, and with how many fraction bits.

Requirements:

- A value is stored once, however many layers read it, and not at all if none needs it as integers.
- Where sums of many numbers follow, it is stored with so few fraction bits that they fit 32 bits.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from bitwright.frontends.emitter import Emitter
from bitwright.frontends.fixed import FixedPoint, Form, plain
from bitwright.frontends.values import Value
from bitwright.ir import ops as o
from bitwright.ir.rules import window_shape
from bitwright.ir.types import MAX_INT, Bits, ValueType


class Store:
    """The values of a program that grows."""

    def __init__(self, input_type: ValueType, fraction_bits: int) -> None:
        self.emitter = Emitter("image", input_type)
        self.fixed = FixedPoint(self.emitter, fraction_bits)
        self._stored: dict[int, tuple[Value, Value]] = {}

    def type_of(self, value: Value) -> ValueType:
        """Return the type of the first integer value behind a value: its shape is the value's."""
        kind = self.emitter.types[value.form.terms[0][0]]
        if value.pool is not None:
            rows, columns = self._pooled_shape(kind, value.pool)
            return replace(kind, shape=(rows, columns, kind.shape[2]))
        return kind

    def channels(self, value: Value) -> int:
        """Return the number of channels of a value."""
        return self.emitter.types[value.form.terms[0][0]].shape[-1]

    def integers(self, name: str, order: npt.NDArray[np.intp] | None = None) -> Value:
        """Return the value of an op as it is."""
        channels = self.emitter.types[name].shape[-1]
        reach = np.full(channels, float(self._largest(name)))
        return Value(plain(name, channels), source=name, order=order, reach=reach)

    def bounded(self, form: Form) -> Value:
        """Return a sum of integers, as far from zero as its terms can be."""
        reach = np.abs(form.offset).max(axis=(0, 1))
        for name, factor in form.terms:
            reach = reach + np.abs(factor) * self._largest(name)
        return Value(form, reach=reach)

    def is_bits(self, value: Value) -> bool:
        """Whether a value is bits and nothing else."""
        return value.exact is not None and isinstance(self.emitter.types[value.exact], Bits)

    def stored(self, value: Value, name: str, bits: int | None = None) -> Value:
        """Return the same value as integers in memory, rounded to fixed point if it must be."""
        if value.exact is not None:
            return value
        if bits is None and id(value) in self._stored:
            return self._stored[id(value)][1]
        if value.reach is None:
            raise TypeError("a value that is only compared is not stored")
        integers, used = self.fixed.store(value.form, name, value.reach, bits)
        if value.pool is not None:
            output = self.emitter.fresh(f"{name}.pool")
            integers = self.emitter.emit(replace(value.pool, output=output, inputs=(integers,)))
        form = plain(integers, self.emitter.types[integers].shape[-1], 2.0**-used)
        made = Value(form, order=value.order, reach=value.reach)
        if bits is None:
            self._stored[id(value)] = (value, made)
        return made

    def _stored_real(self, value: Value, name: str, bits: int | None = None) -> Value:
        """Return a value in fixed point, also where it is exact integers."""
        real = value if value.source is None else replace(value, source=None, steps=())
        return self.stored(real, name, bits)

    def one_integer(self, value: Value, name: str) -> Value:
        """Return a value as a function of one integer a channel: stored, if it is a sum."""
        return value if value.form.single else self.stored(value, name)

    def _linear(self, value: Value, name: str) -> Value:
        """Return a value as a sum without pieces or a pool behind it."""
        known = self._stored.get(id(value))
        if known is not None:
            return known[1]
        if value.form.lines is None and value.pool is None:
            return value
        return self.stored(value, name)

    def _single(self, value: Value, name: str) -> Value:
        """Return a value as a factor of one integer value, plus a constant."""
        linear = self._linear(value, name)
        return linear if linear.form.single else self.stored(linear, name)

    def _small(self, value: Value, name: str, taps: int) -> Value:
        """Return a single value of which sums of `taps` numbers stay within 32 bits."""
        value = self._single(value, name)
        room = MAX_INT / taps
        if self._largest(value.form.terms[0][0]) <= room:
            return value
        kind = self.emitter.types[value.form.terms[0][0]]
        ends = np.tile([float(kind.lo), float(kind.hi)], (self.channels(value), 1))
        reach = float(np.abs(value.form.as_lines()(ends)).max())
        bits = int(np.floor(np.log2(room / reach)))
        return self._stored_real(value, name, min(bits, self.fixed.bits))

    def _largest(self, name: str) -> int:
        kind = self.emitter.types[name]
        return max(-kind.lo, kind.hi)

    def _pooled_shape(self, kind: ValueType, pool: o.MaxPool2d) -> tuple[int, int]:

        return window_shape(kind.shape, pool.kernel, pool.stride, pool.padding)
