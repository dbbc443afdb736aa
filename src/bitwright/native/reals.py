"""Vectors of eight doubles or sixteen floats for Numba: expressions in Python, exp and softplus.

Requirements:

- One source serves every processor, as `bitwright.native.simd` has it, but for `look_up`, which
  needs AVX-512; products and sums may be fused (``contract``), nothing else is reordered.
- Arguments are finite. Of doubles, `exp` is right within 2 units in the last place for |x| <= 700,
  `softplus` within 4; of floats, both within 1e-6, for |x| <= 80.
- Either vector takes `BYTES`; scalars in memory are doubles.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from llvmlite import ir
from numba.core import cgutils
from numpy.polynomial import Polynomial
from numpy.polynomial import chebyshev as ch

from bitwright.native import simd
from bitwright.native.simd import LANES, V32, V64

F64, F32 = ir.DoubleType(), ir.FloatType()
VD, VF = ir.VectorType(F64, LANES), ir.VectorType(F32, 2 * LANES)
BYTES = 8 * LANES
"""Of one vector in memory."""

_FLAGS = ("contract", "nnan", "ninf", "nsz")


@dataclass(frozen=True)
class _Format:
    """What differs between doubles and floats."""

    name: str
    permute: str
    integers: ir.VectorType
    fraction_bits: int
    largest: float

    @property
    def rounder(self) -> float:
        """Added to a small number, leaves the nearest integer in its lowest bits."""
        return 1.5 * 2.0**self.fraction_bits


_FORMATS = {
    VD: _Format("v8f64", "df", V64, 52, 700.0),
    VF: _Format("v16f32", "sf", V32, 23, 80.0),
}

# ln 2 in two parts: the first has zeros at its end, so that an integer times it is exact.
_LN2_HIGH = 6.93147180369123816490e-01
_LN2_LOW = 1.90821492927058770002e-10
_EXP_TERMS = tuple(1 / math.factorial(k) for k in range(13))


class Reals:
    """A vector in a register; operators emit instructions.

    Parameters
    ----------
    builder
        Where instructions go.
    value
        Of LLVM type `VD` or `VF`.
    """

    def __init__(self, builder: ir.IRBuilder, value: ir.Value) -> None:
        self.builder = builder
        self.value = value

    @property
    def kind(self) -> ir.VectorType:
        """Its LLVM type."""
        return self.value.type

    def _made(self, value: ir.Value) -> Reals:
        return Reals(self.builder, value)

    def _value(self, other: Reals | float) -> ir.Value:
        return other.value if isinstance(other, Reals) else number(self.kind, other)

    def __add__(self, other: Reals | float) -> Reals:
        return self._made(self.builder.fadd(self.value, self._value(other), flags=_FLAGS))

    def __sub__(self, other: Reals | float) -> Reals:
        return self._made(self.builder.fsub(self.value, self._value(other), flags=_FLAGS))

    def __rsub__(self, other: float) -> Reals:
        return self._made(self.builder.fsub(self._value(other), self.value, flags=_FLAGS))

    def __mul__(self, other: Reals | float) -> Reals:
        return self._made(self.builder.fmul(self.value, self._value(other), flags=_FLAGS))

    def __rtruediv__(self, other: float) -> Reals:
        return self._made(self.builder.fdiv(self._value(other), self.value, flags=_FLAGS))

    __radd__ = __add__
    __rmul__ = __mul__

    def abs(self) -> Reals:
        """Return the absolute values."""
        name = f"llvm.fabs.{_FORMATS[self.kind].name}"
        kind = ir.FunctionType(self.kind, [self.kind])
        function = cgutils.get_or_insert_function(self.builder.module, kind, name)
        return self._made(self.builder.call(function, [self.value]))

    def where_above(self, bound: Reals | float, yes: Reals, no: Reals) -> Reals:
        """Return one vector where this one lies above a bound, another elsewhere."""
        above = self.builder.fcmp_ordered(">", self.value, self._value(bound))
        return self._made(self.builder.select(above, yes.value, no.value))

    def max(self, other: Reals | float) -> Reals:
        """Return the larger ones."""
        return self.where_above(other, self, self._made(self._value(other)))

    def min(self, other: Reals | float) -> Reals:
        """Return the smaller ones."""
        return self.where_above(other, self._made(self._value(other)), self)


def number(kind: ir.VectorType, value: float) -> ir.Constant:
    """Return a number in all lanes."""
    return ir.Constant(kind, [float(value)] * kind.count)


def constant(builder: ir.IRBuilder, value: float, kind: ir.VectorType = VD) -> Reals:
    """Return a number in all lanes, to be reckoned with."""
    return Reals(builder, number(kind, value))


def load(
    builder: ir.IRBuilder, address: ir.Value, offset: int = 0, kind: ir.VectorType = VD
) -> Reals:
    """Load the vector at an address."""
    return Reals(builder, simd.load(builder, simd.offset(builder, address, offset), kind))


def store(vector: Reals, address: ir.Value, offset: int = 0) -> None:
    """Store a vector at an address."""
    simd.store(vector.builder, vector.value, simd.offset(vector.builder, address, offset))


def splat(
    builder: ir.IRBuilder, address: ir.Value, offset: int = 0, kind: ir.VectorType = VD
) -> Reals:
    """Load a scalar, a double, from an address into all lanes."""
    scalar = simd.load(builder, simd.offset(builder, address, offset), F64)
    if kind == VF:
        scalar = builder.fptrunc(scalar, F32)
    return Reals(builder, simd.splat(builder, scalar, kind))


def total(vector: Reals) -> ir.Value:
    """Return the sum of the lanes, a double."""
    builder, kind = vector.builder, vector.kind
    signature = ir.FunctionType(kind.element, [kind.element, kind])
    name = f"llvm.vector.reduce.fadd.{_FORMATS[kind].name}"
    function = cgutils.get_or_insert_function(builder.module, signature, name)
    zero = ir.Constant(kind.element, 0.0)
    found = builder.call(function, [zero, vector.value], fastmath=("reassoc",))
    return builder.fpext(found, F64) if kind == VF else found


def exp(x: Reals) -> Reals:
    """Return e to the x; see the requirements."""
    builder, form = x.builder, _FORMATS[x.kind]
    # Not to be fused away: the addition rounds.
    scaled = builder.fmul(x.value, number(x.kind, 1 / math.log(2)))
    marked = builder.fadd(scaled, number(x.kind, form.rounder))
    whole = Reals(builder, builder.fsub(marked, number(x.kind, form.rounder)))
    rest = x - whole * _LN2_HIGH - whole * _LN2_LOW
    power = polynomial(rest, _EXP_TERMS)
    shift = ir.Constant(form.integers, [form.fraction_bits] * x.kind.count)
    exponent = builder.shl(builder.bitcast(marked, form.integers), shift)
    bits = builder.add(builder.bitcast(power.value, form.integers), exponent)
    return Reals(builder, builder.bitcast(bits, x.kind))


def softplus(x: Reals) -> tuple[Reals, Reals]:
    """Return ln(1 + e^x) and its derivative 1 / (1 + e^-x)."""
    t = exp(0.0 - x.abs().min(_FORMATS[x.kind].largest))
    one, two = t + 1.0, t + 2.0
    inverse = 1.0 / (one * two)
    s = t * one * inverse  # ln(1 + t) = 2 artanh(t / (2 + t))
    log = 2.0 * s * polynomial(s * s, _artanh_terms())
    near = two * inverse
    return x.max(0.0) + log, x.where_above(0.0, near, t * near)


def look_up(x: Reals, table: ir.Value, terms: int, steep: int) -> tuple[Reals, Reals]:
    """Return a piecewise polynomial and its derivative.

    It has as many pieces as `x` has lanes: a power's coefficients are one register, which a
    permutation brings to where they belong. No division, and half of the time of `softplus`.

    Parameters
    ----------
    x
        Within the table's range.
    table
        Address of a vector that starts with two doubles, scale and shift, which take the range to
        -1/2 to (pieces - 1/2); then, for each power of what rounding to a whole piece leaves, one
        of the pieces' coefficients, in the format of `x`.
    terms
        Powers, the zeroth included.
    steep
        Powers whose derivative counts in full; of the others only the lowest is seen.
    """
    builder, kind, form = x.builder, x.kind, _FORMATS[x.kind]
    scale, shift = splat(builder, table, 0, kind), splat(builder, table, 8, kind)
    scaled = x * scale + shift
    # Not to be fused away: the addition rounds, and leaves the piece in the lowest bits.
    marked = builder.fadd(scaled.value, number(kind, form.rounder))
    rest = scaled - Reals(builder, builder.fsub(marked, number(kind, form.rounder)))
    piece = builder.bitcast(marked, form.integers)
    signature = ir.FunctionType(kind, [kind, form.integers])
    name = f"llvm.x86.avx512.permvar.{form.permute}.512"
    permute = cgutils.get_or_insert_function(builder.module, signature, name)

    def coefficients(power: int) -> Reals:
        row = load(builder, table, (power + 1) * BYTES, kind)
        return Reals(builder, builder.call(permute, [row.value, piece]))

    value = coefficients(terms - 1)
    for power in range(terms - 2, steep - 1, -1):
        value = value * rest + coefficients(power)
    slope, value = value, value * rest + coefficients(steep - 1)
    for power in range(steep - 2, -1, -1):
        slope = slope * rest + value
        value = value * rest + coefficients(power)
    return value, slope * scale


def polynomial(x: Reals, terms: Sequence[float]) -> Reals:
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
