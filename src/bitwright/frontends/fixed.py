"""Real numbers as sums of integers, and integers made of them when they are needed.

Requirements:

- A real value is kept as a `Form`, a sum of integer values with a factor a channel and an offset
  that may depend on the distance to a border, seen through straight pieces. Scales and BatchNorms
  only change factors and offsets; nothing is rounded until a value must be stored.
- Storing rounds each term once, half up, to the chosen number of fraction bits, or to as many as
  let every sum on the way stay within 32 bits; what fewer bits hold exactly gets no more.
  Multipliers get as many bits as fit, so that the rounding of the result dominates, and no more
  than make them exact; the worst error is kept.
- Weights that are real become 30-bit integers a kernel and are cut into digits of at most 8 bits,
  as narrow as it takes for every partial sum to stay within 32 bits. Kernels that are 8-bit
  multiples of a power of two are one digit.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from bitwright.errors import FrontendError
from bitwright.frontends.emitter import Emitter
from bitwright.frontends.lines import Floats, Lines, clipped, line
from bitwright.ir import ops as o
from bitwright.ir.limits import MAX_SHIFT
from bitwright.ir.types import MAX_INT

WEIGHT_BITS = 30
LEAST_BITS = -8
_ROOM = 2.0**60


@dataclass(frozen=True, eq=False)
class Form:
    """``lines(sum of factor * value + offset)``.

    Parameters
    ----------
    terms
        Integer values by name, each with a factor a channel, (channels,).
    offset
        (rows, columns, channels) as in an ``Offset`` op: (1, 1, channels) if it is the same
        everywhere.
    lines
        What is done to the sum; None for nothing.
    """

    terms: tuple[tuple[str, Floats], ...]
    offset: Floats
    lines: Lines | None = None

    @property
    def uniform(self) -> bool:
        """Whether the offset is the same everywhere."""
        return self.offset.shape[:2] == (1, 1)

    @property
    def single(self) -> bool:
        """Whether it is a function of one integer a channel."""
        return len(self.terms) == 1 and self.uniform

    def through(self, lines: Lines) -> Form:
        """Return the form with one more function behind it."""
        if self.lines is not None:
            return replace(self, lines=lines.after(self.lines))
        if not lines.straight:
            return replace(self, lines=lines)
        slope, intercept = lines.slope[:, 0], lines.intercept[:, 0]
        terms = tuple((name, factor * slope) for name, factor in self.terms)
        return Form(terms, self.offset * slope + intercept)

    def as_lines(self) -> Lines:
        """Return a `single` form as functions of its integers."""
        whole = line(self.terms[0][1], self.offset[0, 0])
        return whole if self.lines is None else self.lines.after(whole)


def plain(name: str, channels: int, factor: float = 1.0) -> Form:
    """Return an integer value times a factor."""
    return Form(((name, np.full(channels, factor)),), np.zeros((1, 1, channels)))


def add_offsets(a: Floats, b: Floats) -> Floats:
    """Add two offsets of any sizes: the smaller is stretched."""
    shape = tuple(max(m, n) for m, n in zip(a.shape[:2], b.shape[:2], strict=True))
    return _stretch(a, shape) + _stretch(b, shape)


def _stretch(offset: Floats, shape: tuple[int, ...]) -> Floats:
    for axis, size in enumerate(shape):
        half, wide = offset.shape[axis] // 2, size // 2
        index = np.arange(size) - wide  # distance from the middle
        inner = wide - half
        near = np.where(np.abs(index) <= inner, 0, index - np.sign(index) * inner) + half
        offset = offset.take(near, axis=axis)
    return offset


@dataclass(frozen=True)
class Rounding:
    """How one stored value was rounded: its fraction bits and the most that this may err by."""

    value: str
    fraction_bits: int
    error: float


@dataclass(eq=False)
class FixedPoint:
    """Stores forms as integers with `bits` fraction bits."""

    emitter: Emitter
    bits: int
    roundings: list[Rounding] = field(default_factory=list)

    def store(
        self, form: Form, name: str, reach: Floats | None, bits: int | None = None
    ) -> tuple[str, int]:
        """Emit ops that compute a form in fixed point.

        Parameters
        ----------
        form
            What to store.
        name
            What to call it.
        reach
            Where the stored value saturates, (channels,), unless it cannot come near; None if it
            never does.
        bits
            The most fraction bits, if not the usual number.

        Returns
        -------
        tuple
            The name of the integers, and how many fraction bits they have.
        """
        if form.single:
            source = form.terms[0][0]
            lines = self._held(form.as_lines(), source, reach)
            used = self._bits_for(self._reach(lines, source), name, bits)
            if bits is None:
                exact = _exact_shift(np.concatenate([lines.slope, lines.intercept]), used)
                used = used if exact is None else exact
            return self._lines(lines, source, 2.0**used, name), used
        bound = float(np.abs(form.offset).max())
        for source, factor in form.terms:
            bound += float(np.abs(factor).max()) * self._largest(source)
        held = bound
        if form.lines is not None and reach is not None:
            held = max(bound, float(reach.max()))
        used = self._bits_for(held, name, bits)
        scale = 2.0**used
        parts = [
            self._lines(line(factor, np.zeros(len(factor))), source, scale, f"{name}.term{i}")
            for i, (source, factor) in enumerate(form.terms)
        ]
        total = parts[0]
        for i, part in enumerate(parts[1:], start=1):
            total = self._add(total, part, f"{name}.sum{i}")
        total = self._offset(total, form.offset * scale, f"{name}.offset")
        channels = form.offset.shape[2]
        back = line(np.full(channels, 1 / scale), np.zeros(channels))
        whole = back if form.lines is None else form.lines.after(back)
        return self._lines(self._held(whole, total, reach), total, scale, name), used

    def metadata(self) -> dict[str, str]:
        """Return what a program says of its roundings; nothing if there are none."""
        if not self.roundings:
            return {}
        worst = max(rounding.error for rounding in self.roundings)
        return {
            "fixed_point": f"at most {self.bits} fraction bits, "
            f"{len(self.roundings)} roundings, each off by at most {worst:.3g}",
            "fraction_bits": json.dumps({r.value: r.fraction_bits for r in self.roundings}),
        }

    def _bits_for(self, bound: float, name: str, most: int | None) -> int:
        """The fraction bits with which numbers up to `bound` fit 32 bits, with a little room."""
        wanted = self.bits if most is None else min(most, self.bits)
        if not np.isfinite(bound):
            raise FrontendError(f"'{name}' has no finite bound", "repair the checkpoint")
        fitting = int(np.floor(np.log2(MAX_INT / 2 / max(bound, 2.0**-20))))
        if min(wanted, fitting) < LEAST_BITS:
            raise FrontendError(
                f"'{name}' reaches {bound:.3g}, which leaves {fitting} fraction bits of 32",
                "scale the network's activations down",
            )
        return min(wanted, fitting)

    def _largest(self, name: str) -> int:
        kind = self.emitter.types[name]
        return max(-kind.lo, kind.hi)

    def _reach(self, lines: Lines, source: str) -> float:
        kind = self.emitter.types[source]
        inner = np.where(np.isfinite(lines.breakpoints), lines.breakpoints, 0.0)
        ends = np.tile([float(kind.lo), float(kind.hi)], (lines.channels, 1))
        points = np.clip(np.concatenate([ends, inner, inner - 1], axis=1), kind.lo, kind.hi)
        return float(np.abs(lines(points)).max())

    def _held(self, lines: Lines, source: str, reach: Floats | None) -> Lines:
        """Let functions saturate at their reach, if the source can take them well beyond it."""
        if reach is None:
            return lines
        kind = self.emitter.types[source]
        ends = np.tile([float(kind.lo), float(kind.hi)], (lines.channels, 1))
        within = np.abs(lines(ends)).max() <= 2 * reach.max()
        return lines if within else clipped(-reach, reach).after(lines)

    def _add(self, a: str, b: str, name: str) -> str:
        output = self.emitter.fresh(name)
        return self.emitter.emit(o.Add(output=output, inputs=(a, b)))

    def _offset(self, source: str, offset: Floats, name: str) -> str:
        whole = np.rint(offset)
        if not whole.any():
            return source
        self._check_finite(whole, name)
        output = self.emitter.fresh(name)
        if len(self.emitter.types[source].shape) == 1:
            ones = np.ones(offset.shape[2], np.int32)
            op = o.Affine(
                output=output,
                inputs=(source,),
                multiplier=f"{output}.multiplier",
                addend=f"{output}.addend",
            )
            return self.emitter.emit(op, multiplier=ones, addend=whole[0, 0].astype(np.int64))
        op_map = o.Offset(output=output, inputs=(source,), offset=f"{output}.offset")
        return self.emitter.emit(op_map, offset=whole.astype(np.int32))

    def _lines(self, lines: Lines, source: str, scale: float, name: str) -> str:
        """Emit ``round(scale * lines(source))``."""
        value = self.emitter.types[source]
        slope, intercept = lines.slope * scale, lines.intercept * scale
        self._check_finite(np.concatenate([slope, intercept]), name)
        identity = lines.straight and np.all(slope == 1.0) and not intercept.any()
        if identity:
            return source
        largest = float(max(-value.lo, value.hi, 1))
        steepest = max(float(np.abs(slope).max()), 2.0**-40)
        room = np.abs(slope).max() * largest + np.abs(intercept).max() + 1.0
        shift = int(min(np.floor(np.log2(MAX_INT / steepest)), np.floor(np.log2(_ROOM / room))))
        shift = max(0, min(shift, MAX_SHIFT))
        exact = _exact_shift(np.concatenate([slope, intercept]), shift)
        shift = shift if exact is None else exact
        multiplier = np.rint(slope * 2.0**shift)
        addend = np.rint(intercept * 2.0**shift)
        error = 0.5 if shift else 0.0
        if exact is None:
            error = 0.5 + (largest + 1.0) * 2.0 ** -(shift + 1)
        output = self.emitter.fresh(name)
        self.roundings.append(Rounding(output, int(np.log2(scale)), error / scale))
        multipliers, addends = multiplier.astype(np.int32), addend.astype(np.int64)
        if lines.straight:
            affine = o.Affine(
                output=output,
                inputs=(source,),
                multiplier=f"{output}.multiplier",
                addend=f"{output}.addend",
                shift=shift,
                rounding="half_up",
            )
            return self.emitter.emit(affine, multiplier=multipliers[:, 0], addend=addends[:, 0])
        pieces = o.PiecewiseLinear(
            output=output,
            inputs=(source,),
            breakpoints=f"{output}.breakpoints",
            multiplier=f"{output}.multiplier",
            addend=f"{output}.addend",
            shift=shift,
            rounding="half_up",
        )
        return self.emitter.emit(
            pieces,
            breakpoints=_integer_breaks(lines.breakpoints),
            multiplier=multipliers,
            addend=addends,
        )

    def _check_finite(self, numbers: Floats, name: str) -> None:
        if not np.isfinite(numbers).all() or np.abs(numbers).max(initial=0.0) > _ROOM:
            raise FrontendError(
                f"the constants of '{name}' are not finite, or too large for fixed point",
                "repair the checkpoint, or use fewer fraction bits",
            )


def _exact_shift(numbers: Floats, most: int) -> int | None:
    """The least shift with which all numbers are integers; None if `most` is not enough."""
    for shift in range(most + 1):
        scaled = numbers * 2.0**shift
        if np.array_equal(scaled, np.rint(scaled)):
            return shift
    return None


def _integer_breaks(breakpoints: Floats) -> npt.NDArray[np.int32]:
    """The same breakpoints for integers: rounded up, rising, with the unused ones at the end."""
    limit = MAX_INT - breakpoints.shape[1]
    whole = np.ceil(np.clip(breakpoints, -limit, limit)).astype(np.int64)
    for k in range(1, whole.shape[1]):
        whole[:, k] = np.maximum(whole[:, k], whole[:, k - 1] + 1)
    return whole.astype(np.int32)


def _dyadic_steps(kernels: Floats) -> Floats | None:
    """The powers of two of which kernels (out, taps) are 8-bit multiples; None if some are not."""
    peak = np.abs(kernels).max(axis=1)
    steps = np.exp2(np.ceil(np.log2(np.where(peak > 0, peak, 127.0) / 127)))
    whole = kernels / steps[:, None]
    return steps if np.array_equal(whole, np.rint(whole)) else None


@dataclass(frozen=True, eq=False)
class Digits:
    """Real kernels as integers: ``scale[o] * sum of base**k * digits[k]``."""

    digits: tuple[npt.NDArray[np.int8], ...]
    base: int
    scale: Floats


def to_digits(weights: Floats, largest: int) -> Digits:
    """Cut real kernels (out, ...) into 8-bit digits.

    Parameters
    ----------
    weights
        The kernels.
    largest
        The greatest magnitude of what they multiply: decides how many bits a digit may have.
    """
    flat = weights.reshape(len(weights), -1)
    top = 2 ** (WEIGHT_BITS - 1) - 1
    peak = np.abs(flat).max(axis=1)
    scale = np.where(peak > 0, peak / top, 1.0)
    exact = _dyadic_steps(flat)
    if exact is not None:
        scale = exact
    left = np.rint(flat / scale[:, None]).astype(np.int64)
    room = MAX_INT // max(1, flat.shape[1] * largest)
    bits = min(8, int(room).bit_length())
    if bits < 2:
        raise FrontendError(
            f"sums of {flat.shape[1]} products with numbers up to {largest} pass 32 bits",
            "use fewer fraction bits",
        )
    base, half = 2**bits, 2 ** (bits - 1)
    digits: list[npt.NDArray[np.int8]] = []
    while left.any() or not digits:
        digit = (left + half) % base - half
        digits.append(digit.astype(np.int8).reshape(weights.shape))
        left = (left - digit) // base
    return Digits(tuple(digits), base, scale)
