"""How much one image costs, op by op: counted from the program, nothing measured.

One binary operation is one XNOR of a weight bit with an activation bit whose result is counted.
One integer operation is one product of a weight with an integer that is added up. Taps that lie in
zero padding add nothing and are not counted; taps padded with -1 or +1 are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bitwright.ir.ops import Conv2d, Dense, Op, Threshold
from bitwright.ir.program import Program
from bitwright.ir.types import Bits


@dataclass(frozen=True)
class Work:
    """What one op costs for one image."""

    op: Op
    binary_operations: int = 0
    integer_operations: int = 0
    weight_bits: int = 0
    thresholds: int = 0

    @property
    def operations(self) -> int:
        """Binary and integer operations together."""
        return self.binary_operations + self.integer_operations


def count_work(program: Program) -> tuple[Work, ...]:
    """Return the cost of each op of a program, in the program's order."""
    return tuple(_count(program, op) for op in program.ops)


def _count(program: Program, op: Op) -> Work:
    if isinstance(op, Threshold):
        return Work(op, thresholds=program.tensor(op, "thresholds").size)
    if not isinstance(op, Conv2d | Dense):
        return Work(op)
    weights = program.tensor(op, "weights")
    taps = _counted_taps(program, op) if isinstance(op, Conv2d) else 1
    products = taps * len(weights) * weights.shape[-1]
    one_bit = weights.dtype == np.bool_
    binary = one_bit and isinstance(program.types[op.input], Bits)
    return Work(
        op,
        binary_operations=products if binary else 0,
        integer_operations=0 if binary else products,
        weight_bits=weights.size * (1 if one_bit else 8),
    )


def _counted_taps(program: Program, op: Conv2d) -> int:
    """Kernel positions over all windows of one kernel, without those in zero padding."""
    kh, kw = program.tensor(op, "weights").shape[1:3]
    shape, out = program.types[op.input].shape, program.types[op.output].shape
    if op.pad_value != 0:
        return int(out[0] * out[1] * kh * kw)
    top, _, left, _ = op.padding
    rows = _inside(shape[0], kh, op.stride[0], top, out[0])
    columns = _inside(shape[1], kw, op.stride[1], left, out[1])
    return rows * columns


def _inside(size: int, kernel: int, stride: int, before: int, windows: int) -> int:
    position = np.arange(windows)[:, None] * stride - before + np.arange(kernel)
    return int(((position >= 0) & (position < size)).sum())
