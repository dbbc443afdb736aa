"""The operations of the IR, one frozen dataclass each.

An op names the value that it defines, the values that it reads, and the constant tensors that it
uses; it holds no arrays itself. What each op computes is told in ``docs/ir.md``, done by
`bitwright.ir.reference`, and what is legal is decided in `bitwright.ir.verify`.

All maps are NHWC; weights are ``(out, kernel height, kernel width, in)``. Per-channel tensors have
one entry for each element of the last axis of the op's input.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

Rounding = Literal["floor", "half_up", "half_even"]
"""How ``Affine`` and ``PiecewiseLinear`` drop fraction bits.

``floor``: towards minus infinity; ``half_up``: to nearest, ties towards plus infinity;
``half_even``: to nearest, ties to even.
"""


@dataclass(frozen=True, kw_only=True)
class Op:
    """What all ops share: one output and its inputs, by name."""

    output: str
    inputs: tuple[str, ...]

    arity: ClassVar[int] = 1
    constants: ClassVar[tuple[str, ...]] = ()
    """The fields that name a tensor of the program."""

    @property
    def input(self) -> str:
        """The name of the first input."""
        return self.inputs[0]

    @property
    def kind(self) -> str:
        """The op's name in files and tables."""
        return type(self).__name__


@dataclass(frozen=True, kw_only=True)
class Conv2d(Op):
    """Signed dot product of a window with each kernel.

    ``padding`` is ``(top, bottom, left, right)``. A padded tap has the value ``pad_value``; with 0
    it adds nothing. For bits ``pad_value`` is -1, 0 or +1.
    """

    weights: str
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    pad_value: int = 0
    groups: int = 1

    constants: ClassVar[tuple[str, ...]] = ("weights",)


@dataclass(frozen=True, kw_only=True)
class Dense(Op):
    """Signed dot product of a vector with each row of ``weights`` (out, in)."""

    weights: str

    constants: ClassVar[tuple[str, ...]] = ("weights",)


@dataclass(frozen=True, kw_only=True)
class Threshold(Op):
    """Bit per channel: ``d >= thresholds[c]`` where ``rising[c]``, else ``d <= thresholds[c]``."""

    thresholds: str
    rising: str

    constants: ClassVar[tuple[str, ...]] = ("thresholds", "rising")


@dataclass(frozen=True, kw_only=True)
class Lookup(Op):
    """``table[x - lo]``, or ``table[c, x - lo]``, for an input in ``lo..hi``."""

    table: str

    constants: ClassVar[tuple[str, ...]] = ("table",)


@dataclass(frozen=True, kw_only=True)
class MaxPool2d(Op):
    """Largest value in each window; on bits, the OR. Padded taps never win."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)


@dataclass(frozen=True, kw_only=True)
class SumPool2d(Op):
    """Sum of each window (bits count as -1 and +1). Padded taps add nothing."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)


@dataclass(frozen=True, kw_only=True)
class Add(Op):
    """Elementwise sum of two integer values of one shape."""

    arity: ClassVar[int] = 2


@dataclass(frozen=True, kw_only=True)
class Offset(Op):
    """An integer map plus a constant one, which is stretched by repeating its middle.

    ``offset`` is (rows, columns, channels), rows and columns odd: its outer halves lie on the
    borders of the map, its middle row and column fill the rest. So it says what depends on the
    distance to a border, as padding does.
    """

    offset: str

    constants: ClassVar[tuple[str, ...]] = ("offset",)


@dataclass(frozen=True, kw_only=True)
class Affine(Op):
    """``(x * multiplier[c] + addend[c]) / 2**shift``, rounded; bits count as -1 and +1."""

    multiplier: str
    addend: str
    shift: int = 0
    rounding: Rounding = "floor"

    constants: ClassVar[tuple[str, ...]] = ("multiplier", "addend")


@dataclass(frozen=True, kw_only=True)
class PiecewiseLinear(Op):
    """``(x * multiplier[c, s] + addend[c, s]) / 2**shift``, rounded.

    The segment s is the number of ``breakpoints[c]`` that are ``<= x``.
    """

    breakpoints: str
    multiplier: str
    addend: str
    shift: int = 0
    rounding: Rounding = "floor"

    constants: ClassVar[tuple[str, ...]] = ("breakpoints", "multiplier", "addend")


@dataclass(frozen=True, kw_only=True)
class PadChannels(Op):
    """Channels of zeros in front of and behind those of an integer map."""

    before: int
    after: int


@dataclass(frozen=True, kw_only=True)
class Subsample(Op):
    """Every ``stride``-th row and column, beginning with the first."""

    stride: tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class Flatten(Op):
    """A map as a vector, in (height, width, channel) order."""


@dataclass(frozen=True, kw_only=True)
class ArgMax(Op):
    """Index of the largest element of a vector; the first of them on a tie."""


OPS: dict[str, type[Op]] = {
    op.__name__: op
    for op in (
        Conv2d,
        Dense,
        Threshold,
        Lookup,
        MaxPool2d,
        SumPool2d,
        Add,
        Offset,
        Affine,
        PiecewiseLinear,
        PadChannels,
        Subsample,
        Flatten,
        ArgMax,
    )
}
"""Every op by its name in files."""
