"""The semantics of the IR: plain NumPy, one function an op, no cleverness.

This module IS the meaning of a program. The native engine, emitted hardware and every target at
its ideal setting must equal it bit for bit; where two disagree, this one is right.

Values are arrays with the batch in front: bool for bits, int64 for integers. Dot products go
through float64 matrix products, which are exact here: `bitwright.ir.verify` keeps every partial sum
below 2**31 and float64 holds integers up to 2**53.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from functools import singledispatch
from typing import Any

import numpy as np
import numpy.typing as npt

from bitwright.ir import ops as o
from bitwright.ir.program import Program, check_batch, check_names
from bitwright.ir.rules import Tensor, divide, window_shape
from bitwright.ir.types import Bits

Values = dict[str, Tensor]
Compute = Callable[[Tensor], Tensor]
"""An op of one input, done in another way: (images, *input shape) to (images, *output shape)."""

CHUNK = 16
"""Images that go through the program together; bounds the memory that windows take."""


def run(program: Program, batch: Any, keep: Collection[str] | None = None) -> Values:
    """Run a program on a batch.

    Parameters
    ----------
    program
        The program.
    batch
        Integers (N, *input shape) within the input's bounds, or bools for an input of bits.
    keep
        The values to return; by default the program's outputs.

    Returns
    -------
    dict
        For each kept value an array (N, *shape): bool for bits (True is +1), int64 for integers.

    Raises
    ------
    DataError
        If the batch does not fit the program's input.
    UnknownNameError
        If there is no value of a name in `keep`.
    """
    array = check_batch(program, batch)
    names = check_names(program, program.outputs if keep is None else keep)
    kept = {name: _empty(program, name, len(array)) for name in names}
    for start in range(0, len(array), CHUNK):
        stop = min(start + CHUNK, len(array))
        for name, value in trace(program, array[start:stop]):
            if name in kept:
                kept[name][start:stop] = value
    return kept


def trace(
    program: Program, batch: Tensor, instead: Mapping[str, Compute] | None = None
) -> Iterator[tuple[str, Tensor]]:
    """Yield every value of a program on a batch that fits, by name, in order of definition.

    Parameters
    ----------
    instead
        What computes some values, by name: what claims to do as an op does is run in its place.
    """
    others = instead or {}
    first = batch if isinstance(program.input_type, Bits) else batch.astype(np.int64)
    values = {program.input_name: first}
    yield program.input_name, first
    for op in program.ops:
        inputs = [values[name] for name in op.inputs]
        if op.output in others:
            values[op.output] = others[op.output](inputs[0])
            yield op.output, values[op.output]
            continue
        constants = {field: program.tensor(op, field) for field in op.constants}
        if isinstance(op, o.Lookup):
            inputs[0] = inputs[0] - program.types[op.input].lo
        values[op.output] = _compute(op, inputs, constants)
        yield op.output, values[op.output]


def _empty(program: Program, name: str, count: int) -> Tensor:
    value = program.types[name]
    return np.empty((count, *value.shape), np.bool_ if isinstance(value, Bits) else np.int64)


def _numbers(value: Tensor) -> npt.NDArray[np.int64]:
    """Bits as -1 and +1; integers as they are."""
    return np.where(value, 1, -1) if value.dtype == np.bool_ else value.astype(np.int64)


def _dot(x: Tensor, weights: Tensor) -> npt.NDArray[np.int64]:
    """Rows of `x` (..., in) times rows of `weights` (out, in), as (..., out)."""
    product = _numbers(x).astype(np.float64) @ _numbers(weights).astype(np.float64).T
    return np.rint(product).astype(np.int64)


def _windows(
    x: Tensor, kernel: tuple[int, int], op: o.Conv2d | o.MaxPool2d | o.SumPool2d, fill: Any
) -> Tensor:
    """Windows of the padded map, as a view (N, rows, columns, channels, kh, kw)."""
    top, bottom, left, right = op.padding
    margins = ((0, 0), (top, bottom), (left, right), (0, 0))
    padded = np.pad(x, margins, constant_values=fill)
    every = np.lib.stride_tricks.sliding_window_view(padded, kernel, axis=(1, 2))
    windows = every[:, :: op.stride[0], :: op.stride[1]]
    expected = window_shape(x.shape[1:], kernel, op.stride, op.padding)
    if windows.shape[1:3] != expected:
        raise AssertionError("the rule for window shapes disagrees with the windows")
    return windows


@singledispatch
def _compute(op: o.Op, inputs: list[Tensor], constants: Values) -> Tensor:
    raise TypeError(f"no semantics for {op.kind}")


@_compute.register
def _conv2d(op: o.Conv2d, inputs: list[Tensor], constants: Values) -> Tensor:
    weights = constants["weights"]
    out, kh, kw, fan_in = weights.shape
    windows = _windows(_numbers(inputs[0]), (kh, kw), op, op.pad_value)
    parts = []
    for group in range(op.groups):
        part = windows[:, :, :, group * fan_in : (group + 1) * fan_in]
        columns = part.transpose(0, 1, 2, 4, 5, 3).reshape(*part.shape[:3], -1)
        kernels = weights[group * out // op.groups : (group + 1) * out // op.groups]
        parts.append(_dot(columns, kernels.reshape(len(kernels), -1)))
    return np.concatenate(parts, axis=3)


@_compute.register
def _dense(op: o.Dense, inputs: list[Tensor], constants: Values) -> Tensor:
    return _dot(inputs[0], constants["weights"])


@_compute.register
def _threshold(op: o.Threshold, inputs: list[Tensor], constants: Values) -> Tensor:
    thresholds = constants["thresholds"]
    return np.where(constants["rising"], inputs[0] >= thresholds, inputs[0] <= thresholds)


@_compute.register
def _lookup(op: o.Lookup, inputs: list[Tensor], constants: Values) -> Tensor:
    table = constants["table"].astype(np.int64)
    if table.ndim == 1:
        return table[inputs[0]]
    return table[np.arange(len(table)), inputs[0]]


@_compute.register
def _max_pool(op: o.MaxPool2d, inputs: list[Tensor], constants: Values) -> Tensor:
    least = False if inputs[0].dtype == np.bool_ else np.iinfo(np.int64).min
    return np.asarray(_windows(inputs[0], op.kernel, op, least).max(axis=(4, 5)))


@_compute.register
def _sum_pool(op: o.SumPool2d, inputs: list[Tensor], constants: Values) -> Tensor:
    return np.asarray(_windows(_numbers(inputs[0]), op.kernel, op, 0).sum(axis=(4, 5)))


@_compute.register
def _add(op: o.Add, inputs: list[Tensor], constants: Values) -> Tensor:
    return inputs[0] + inputs[1]


def stretch(offset: Tensor, rows: int, columns: int) -> Tensor:
    """Return an ``Offset``'s tensor at the size of its map: the middle repeats."""
    for axis, size in ((0, rows), (1, columns)):
        half = offset.shape[axis] // 2
        index = np.arange(size)
        near = np.where(index < size - half, np.minimum(index, half), index - size + 2 * half + 1)
        offset = offset.take(near, axis=axis)
    return offset


@_compute.register
def _offset(op: o.Offset, inputs: list[Tensor], constants: Values) -> Tensor:
    return inputs[0] + stretch(constants["offset"], *inputs[0].shape[1:3])


@_compute.register
def _affine(op: o.Affine, inputs: list[Tensor], constants: Values) -> Tensor:
    exact = _numbers(inputs[0]) * constants["multiplier"].astype(np.int64) + constants["addend"]
    return np.asarray(divide(exact, op.shift, op.rounding))


@_compute.register
def _piecewise(op: o.PiecewiseLinear, inputs: list[Tensor], constants: Values) -> Tensor:
    x, breaks = inputs[0], constants["breakpoints"]
    segment = (x[..., None] >= breaks).sum(axis=-1)
    channel = np.arange(len(breaks))
    multiplier = constants["multiplier"].astype(np.int64)[channel, segment]
    exact = x * multiplier + constants["addend"][channel, segment]
    return np.asarray(divide(exact, op.shift, op.rounding))


@_compute.register
def _pad_channels(op: o.PadChannels, inputs: list[Tensor], constants: Values) -> Tensor:
    return np.pad(inputs[0], ((0, 0), (0, 0), (0, 0), (op.before, op.after)))


@_compute.register
def _subsample(op: o.Subsample, inputs: list[Tensor], constants: Values) -> Tensor:
    return inputs[0][:, :: op.stride[0], :: op.stride[1]]


@_compute.register
def _flatten(op: o.Flatten, inputs: list[Tensor], constants: Values) -> Tensor:
    return inputs[0].reshape(len(inputs[0]), -1)


@_compute.register
def _arg_max(op: o.ArgMax, inputs: list[Tensor], constants: Values) -> Tensor:
    return np.asarray(inputs[0].argmax(axis=1))
