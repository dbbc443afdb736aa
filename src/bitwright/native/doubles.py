"""Vectors of eight doubles for Numba: arithmetic written as Python expressions, exp and softplus.

Requirements:

- One source serves every processor, as `bitwright.native.simd` has it, but for `look_up`, which
  needs AVX-512; products and sums may be fused (``contract``), nothing else is reordered.
- Arguments are finite. `exp` is right within 2 units in the last place for |x| <= 700, `softplus`
  within 4.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

import numpy as np
from llvmlite import ir
from numba.core import cgutils
from numpy.polynomial import Polynomial
from numpy.polynomial import chebyshev as ch

from bitwright.native import simd
from bitwright.native.simd import I64, LANES, V64

F64 = ir.DoubleType()
VD = ir.VectorType(F64, LANES)
BYTES = 8 * LANES
"""Of one vector in memory."""

_FLAGS = ("contract", "nnan", "ninf", "nsz")
_ROUNDER = 1.5 * 2.0**52
"""Added to a small double, leaves the nearest integer in its lowest bits."""

# ln 2 in two parts: the first has zeros at its end, so that an integer times it is exact.
_LN2_HIGH = 6.93147180369123816490e-01
_LN2_LOW = 1.90821492927058770002e-10
_EXP_TERMS = tuple(1 / math.factorial(k) for k in range(13))


class Doubles:
    """A vector in a register; operators emit instructions.

    Parameters
    ----------
    builder
        Where instructions go.
    value
        Of LLVM type ``<8 x double>``.
    """

    def __init__(self, builder: ir.IRBuilder, value: ir.Value) -> None:
        self.builder = builder
        self.value = value

    def _made(self, value: ir.Value) -> Doubles:
        return Doubles(self.builder, value)

    def __add__(self, other: Doubles | float) -> Doubles:
        return self._made(self.builder.fadd(self.value, _value(other), flags=_FLAGS))

    def __sub__(self, other: Doubles | float) -> Doubles:
        return self._made(self.builder.fsub(self.value, _value(other), flags=_FLAGS))

    def __rsub__(self, other: float) -> Doubles:
        return self._made(self.builder.fsub(_value(other), self.value, flags=_FLAGS))

    def __mul__(self, other: Doubles | float) -> Doubles:
        return self._made(self.builder.fmul(self.value, _value(other), flags=_FLAGS))

    def __rtruediv__(self, other: float) -> Doubles:
        return self._made(self.builder.fdiv(_value(other), self.value, flags=_FLAGS))

    __radd__ = __add__
    __rmul__ = __mul__

    def abs(self) -> Doubles:
        """Return the absolute values."""
        kind = ir.FunctionType(VD, [VD])
        function = cgutils.get_or_insert_function(self.builder.module, kind, "llvm.fabs.v8f64")
        return self._made(self.builder.call(function, [self.value]))

    def where_above(self, bound: Doubles | float, yes: Doubles, no: Doubles) -> Doubles:
        """Return one vector where this one lies above a bound, another elsewhere."""
        above = self.builder.fcmp_ordered(">", self.value, _value(bound))
        return self._made(self.builder.select(above, yes.value, no.value))

    def max(self, other: Doubles | float) -> Doubles:
        """Return the larger ones."""
        return self.where_above(other, self, self._made(_value(other)))

    def min(self, other: Doubles | float) -> Doubles:
        """Return the smaller ones."""
        return self.where_above(other, self._made(_value(other)), self)


def _value(other: Doubles | float) -> ir.Value:
    return other.value if isinstance(other, Doubles) else ir.Constant(VD, [float(other)] * LANES)


def load(builder: ir.IRBuilder, address: ir.Value, offset: int = 0) -> Doubles:
    """Load the vector at an address."""
    return Doubles(builder, simd.load(builder, simd.offset(builder, address, offset), VD))


def store(vector: Doubles, address: ir.Value, offset: int = 0) -> None:
    """Store a vector at an address."""
    simd.store(vector.builder, vector.value, simd.offset(vector.builder, address, offset))


def splat(builder: ir.IRBuilder, address: ir.Value, offset: int = 0) -> Doubles:
    """Load a scalar from an address into all lanes."""
    scalar = simd.load(builder, simd.offset(builder, address, offset), F64)
    return Doubles(builder, simd.splat(builder, scalar, VD))


def exp(x: Doubles) -> Doubles:
    """Return e to the x, for |x| <= 700."""
    builder = x.builder
    # Not to be fused away: the addition rounds.
    scaled = builder.fmul(x.value, _value(1 / math.log(2)))
    marked = builder.fadd(scaled, _value(_ROUNDER))
    whole = Doubles(builder, builder.fsub(marked, _value(_ROUNDER)))
    rest = x - whole * _LN2_HIGH - whole * _LN2_LOW
    power = polynomial(rest, _EXP_TERMS)
    exponent = builder.shl(builder.bitcast(marked, V64), ir.Constant(V64, [52] * LANES))
    bits = builder.add(builder.bitcast(power.value, V64), exponent)
    return Doubles(builder, builder.bitcast(bits, VD))


def softplus(x: Doubles) -> tuple[Doubles, Doubles]:
    """Return ln(1 + e^x) and its derivative 1 / (1 + e^-x)."""
    t = exp(0.0 - x.abs().min(700.0))
    one, two = t + 1.0, t + 2.0
    inverse = 1.0 / (one * two)
    s = t * one * inverse  # ln(1 + t) = 2 artanh(t / (2 + t))
    log = 2.0 * s * polynomial(s * s, _artanh_terms())
    near = two * inverse
    return x.max(0.0) + log, x.where_above(0.0, near, t * near)


PIECES = LANES
"""Of a function that `look_up` knows: as many as a register holds coefficients of one power."""


def look_up(x: Doubles, table: ir.Value, terms: int, steep: int) -> tuple[Doubles, Doubles]:
    """Return a piecewise polynomial and its derivative.

    A piece's coefficients are lanes of registers, which one permutation brings to the lanes of `x`:
    no division, and a quarter of the time of `softplus`.

    Parameters
    ----------
    x
        Within the table's range.
    table
        Address of rows of eight doubles: scale and shift, which take the range to -1/2 to 7 1/2;
        then, for each power of what rounding to a whole piece leaves, the pieces' coefficients.
    terms
        Powers, the zeroth included.
    steep
        Powers whose derivative counts in full; of the others only the lowest is seen.
    """
    builder = x.builder
    scale, shift = splat(builder, table), splat(builder, table, 8)
    scaled = x * scale + shift
    # Not to be fused away: the addition rounds, and leaves the piece in the lowest bits.
    marked = builder.fadd(scaled.value, _value(_ROUNDER))
    rest = scaled - Doubles(builder, builder.fsub(marked, _value(_ROUNDER)))
    piece = builder.bitcast(marked, V64)
    kind = ir.FunctionType(VD, [VD, V64])
    name = "llvm.x86.avx512.permvar.df.512"
    permute = cgutils.get_or_insert_function(builder.module, kind, name)

    def coefficients(power: int) -> Doubles:
        row = load(builder, table, (power + 1) * BYTES)
        return Doubles(builder, builder.call(permute, [row.value, piece]))

    value = coefficients(terms - 1)
    for power in range(terms - 2, steep - 1, -1):
        value = value * rest + coefficients(power)
    slope, value = value, value * rest + coefficients(steep - 1)
    for power in range(steep - 2, -1, -1):
        slope = slope * rest + value
        value = value * rest + coefficients(power)
    return value, slope * scale


def polynomial(x: Doubles, terms: Sequence[float]) -> Doubles:
    """Return ``terms[0] + terms[1] x + ...``, by Horner's rule."""
    total = x * terms[-1] + terms[-2]
    for term in terms[-3::-1]:
        total = total * x + term
    return total


@cache
def _artanh_terms() -> tuple[float, ...]:
    """Return the coefficients of artanh(sqrt(z)) / sqrt(z) on [0, 1/9]; its error is below 2e-16.

    Interpolated at Chebyshev nodes.
    """
    nodes = np.cos(np.pi * (np.arange(256) + 0.5) / 256)
    z = (nodes + 1) / 18
    fit = ch.cheb2poly(ch.chebfit(nodes, np.arctanh(np.sqrt(z)) / np.sqrt(z), 10))
    return tuple(float(c) for c in Polynomial(fit)(Polynomial([-1, 18])).coef)


__all__ = [
    "BYTES",
    "F64",
    "I64",
    "PIECES",
    "VD",
    "Doubles",
    "exp",
    "load",
    "look_up",
    "softplus",
    "splat",
    "store",
]
