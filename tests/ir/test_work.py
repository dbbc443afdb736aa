"""Work counts against counting one product at a time."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from tests.ir.one_op import one_op
from tests.programs import programs

from bitwright.ir import Bits, Conv2d, Dense, Int, Op, Program, Threshold, count_work


def naive_products(program: Program, op: Conv2d | Dense) -> int:
    shape, out = program.types[op.input].shape, program.types[op.output].shape
    weights = program.tensor(op, "weights")
    if isinstance(op, Dense):
        return sum(1 for _ in np.ndindex(weights.shape))
    count = 0
    _, kh, kw, fan_in = weights.shape
    for i, j, _ in np.ndindex(out):
        for u, v in product(range(kh), range(kw)):
            row, column = i * op.stride[0] + u - op.padding[0], j * op.stride[1] + v - op.padding[2]
            inside = 0 <= row < shape[0] and 0 <= column < shape[1]
            count += fan_in * (inside or op.pad_value != 0)
    return count


def naive(program: Program, op: Op) -> tuple[int, int, int, int]:
    """Return (binary operations, integer operations, weight bits, thresholds)."""
    if isinstance(op, Threshold):
        return 0, 0, 0, program.types[op.input].shape[-1]
    if not isinstance(op, Conv2d | Dense):
        return 0, 0, 0, 0
    weights, products = program.tensor(op, "weights"), naive_products(program, op)
    if weights.dtype == np.int8:
        return 0, products, 8 * weights.size, 0
    if isinstance(program.types[op.input], Bits):
        return products, 0, weights.size, 0
    return 0, products, weights.size, 0


@given(program=programs(most=8))
@settings(max_examples=100, deadline=None)
def test_counts_of_random_programs(program: Program) -> None:
    works = count_work(program)
    assert tuple(work.op for work in works) == program.ops
    for work in works:
        binary, integer, bits, thresholds = naive(program, work.op)
        assert work.binary_operations == binary
        assert work.integer_operations == integer
        assert work.weight_bits == bits
        assert work.thresholds == thresholds
        assert work.operations == binary + integer


@pytest.mark.parametrize(
    ("pad_value", "stride", "expected"),
    [
        (0, (1, 1), (2 + 3 + 2) ** 2),  # rows: 2 + 3 + 2 taps, and so the columns
        (1, (1, 1), 81),
        (-1, (1, 1), 81),
        (0, (2, 2), 16),
        (1, (2, 2), 36),
        (0, (3, 1), 2 * 7),
    ],
)
def test_padding_by_hand(pad_value: int, stride: tuple[int, int], expected: int) -> None:
    """3 x 3 kernels on a 3 x 3 map with one padded tap on each side."""
    program = one_op(
        "Conv2d",
        Bits((3, 3, 1)),
        tensors={"weights": np.ones((1, 3, 3, 1), np.bool_)},
        padding=(1, 1, 1, 1),
        pad_value=pad_value,
        stride=stride,
    )
    (work,) = count_work(program)
    assert work.binary_operations == expected


def test_uneven_padding_by_hand() -> None:
    """Windows of 2 x 3 at the rows -1 and 1 (1 + 2 taps) and the columns -2, 0, 2 (1 + 3 + 2)."""
    program = one_op(
        "Conv2d",
        Bits((4, 4, 1)),
        tensors={"weights": np.ones((1, 2, 3, 1), np.bool_)},
        padding=(1, 0, 2, 1),
        stride=(2, 2),
    )
    (work,) = count_work(program)
    assert work.binary_operations == (1 + 2) * (1 + 3 + 2)


def test_groups_by_hand() -> None:
    weights = np.ones((8, 3, 3, 2), np.int8)
    program = one_op("Conv2d", Int((5, 5, 8), 0, 1), tensors={"weights": weights}, groups=4)
    (work,) = count_work(program)
    assert work.integer_operations == 9 * 8 * 9 * 2
    assert work.weight_bits == 8 * 8 * 9 * 2
