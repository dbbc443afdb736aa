"""The rules of each op: what it takes, and the exact bounds of what it gives.

`infer_op` accepts one op and returns the type of its value, or says why not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import singledispatch
from typing import Any, get_args

import numpy as np
import numpy.typing as npt

from bitwright.errors import ProgramError
from bitwright.ir import ops as o
from bitwright.ir.limits import (
    MAX_CHANNEL_PADDING,
    MAX_KERNEL,
    MAX_LOOKUP,
    MAX_SHIFT,
    MAX_VALUE_ELEMENTS,
)
from bitwright.ir.types import MAX_INT, Bits, Int, ValueType

Tensor = npt.NDArray[Any]
Tensors = Mapping[str, Tensor]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.\-]{0,99}")
DTYPES: dict[str, tuple[type[np.generic], ...]] = {
    "weights": (np.bool_, np.int8),
    "thresholds": (np.int32,),
    "rising": (np.bool_,),
    "table": (np.int32,),
    "multiplier": (np.int32,),
    "addend": (np.int64,),
    "breakpoints": (np.int32,),
    "offset": (np.int32,),
}

"""The types that a tensor may have, by the field that names it."""


def infer_op(op: o.Op, types: Mapping[str, ValueType], tensors: Tensors) -> ValueType:
    """Return the type of one op's value, given those of its inputs.

    Raises
    ------
    ProgramError
        If the op breaks a rule of ``docs/ir.md``.
    """
    legal = isinstance(op.inputs, tuple) and len(op.inputs) == op.arity
    check(legal, op.output, f"needs a tuple of {op.arity} input(s)")
    for name in op.inputs:
        check(name in types, op.output, f"reads '{name}', which no earlier op defines")
    value = _infer(op, [types[name] for name in op.inputs], constants(op, tensors))
    check_value(op.output, value)
    return value


def window_shape(
    shape: tuple[int, ...],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int, int, int],
) -> tuple[int, int]:
    """Return (rows, columns) of the windows of a padded map; at most 0 if none fits."""
    top, bottom, left, right = padding
    return (
        (shape[0] + top + bottom - kernel[0]) // stride[0] + 1,
        (shape[1] + left + right - kernel[1]) // stride[1] + 1,
    )


def check(holds: bool, where: str, reason: str) -> None:
    """Raise a `ProgramError` that names where and why, unless the rule holds."""
    if not holds:
        raise ProgramError(f"'{where}' {reason:.200}", "correct the program that is being built")


def check_name(name: Any, what: str) -> None:
    """Check that a value or tensor may be called so."""
    legal = isinstance(name, str) and _NAME.fullmatch(name) is not None
    check(legal, str(name)[:40], f"cannot name {what}: use letters, digits and _.-")


def check_value(name: str, value: ValueType) -> None:
    """Check the shape and the bounds of a value's type."""
    check(isinstance(value, Bits | Int), name, f"has the unknown type {value!r:.40}")
    shape = value.shape
    check(isinstance(shape, tuple), name, f"needs a tuple as its shape, not {shape!r:.40}")
    check(len(shape) in (0, 1, 3), name, f"has {len(shape)} axes; 0, 1 or 3 are allowed")
    check(all(type(n) is int and n >= 1 for n in shape), name, f"has the empty shape {shape}")
    check(value.size <= MAX_VALUE_ELEMENTS, name, f"of shape {shape} is too large")
    if isinstance(value, Int):
        whole = type(value.lo) is int and type(value.hi) is int
        check(whole, name, f"has bounds {value.lo!r}..{value.hi!r} that are no integers")
        check(value.lo <= value.hi, name, f"has the bounds {value.lo}..{value.hi} of no value")
        legal = value.lo >= -MAX_INT and value.hi <= MAX_INT
        check(legal, name, f"may reach {value.lo}..{value.hi}, beyond 32 bits")


def constants(op: o.Op, tensors: Tensors) -> dict[str, Tensor]:
    """Return the tensors of an op by field, if they exist and are of the right type."""
    found = {}
    for field in op.constants:
        name = getattr(op, field)
        check(name in tensors, op.output, f"uses the tensor '{name}', which does not exist")
        tensor = tensors[name]
        names = " or ".join(np.dtype(dtype).name for dtype in DTYPES[field])
        check(tensor.dtype in DTYPES[field], op.output, f"needs {field} of type {names}")
        found[field] = tensor
    return found


def _check_rank(op: o.Op, value: ValueType, rank: int) -> None:
    what = {1: "a vector", 3: "a map"}[rank]
    check(len(value.shape) == rank, op.output, f"needs {what}, not the shape {value.shape}")


def _check_int(op: o.Op, value: ValueType) -> Int:
    check(isinstance(value, Int), op.output, "needs integers, not bits")
    assert isinstance(value, Int)  # noqa: S101 - narrows the type for mypy; checked above
    return value


def _check_channels(op: o.Op, value: ValueType, tensor: Tensor, what: str) -> None:
    check(len(value.shape) >= 1, op.output, "needs a channel axis")
    channels = value.shape[-1]
    check(
        tensor.ndim >= 1 and tensor.shape[0] == channels,
        op.output,
        f"has {what} of shape {tensor.shape} for {channels} channels",
    )


def _check_pair(op: o.Op, what: str, pair: Any, least: int, most: int) -> None:
    legal = isinstance(pair, tuple) and len(pair) == 2
    legal = legal and all(type(n) is int and least <= n <= most for n in pair)
    check(legal, op.output, f"has {what} {pair}; both must be in {least}..{most}")


def _check_windows(op: Any, shape: tuple[int, ...], kernel: tuple[int, int]) -> tuple[int, int]:
    _check_pair(op, "a kernel of", kernel, 1, MAX_KERNEL)
    _check_pair(op, "a stride of", op.stride, 1, MAX_KERNEL)
    four = isinstance(op.padding, tuple) and len(op.padding) == 4
    check(four, op.output, f"needs padding (top, bottom, left, right), not {op.padding!r:.40}")
    fits = all(type(n) is int and 0 <= n < kernel[0] for n in op.padding[:2])
    fits = fits and all(type(n) is int and 0 <= n < kernel[1] for n in op.padding[2:])
    check(fits, op.output, f"has padding {op.padding}, not smaller than its kernel {kernel}")
    rows, columns = window_shape(shape, kernel, op.stride, op.padding)
    check(rows >= 1 and columns >= 1, op.output, f"has no window that fits into {shape}")
    return rows, columns


def _dot_bounds(op: o.Op, value: ValueType, weights: Tensor, pad_value: int | None) -> Int:
    """Bounds of a dot product; `pad_value` is None where no tap is ever padded."""
    rows = weights.reshape(len(weights), -1)
    # Sums of the positive and of the negative weights of each row, without an array of products.
    if rows.dtype == np.bool_:
        plus = np.count_nonzero(rows, axis=1).astype(np.int64)
        minus = plus - rows.shape[1]
    else:
        plus = np.maximum(rows, 0).sum(axis=1, dtype=np.int64)
        minus = np.minimum(rows, 0).sum(axis=1, dtype=np.int64)
    taps = [value.lo, value.hi] + ([] if pad_value is None else [pad_value])
    largest = int((plus - minus).max()) * max(map(abs, taps))
    check(largest <= MAX_INT, op.output, "has partial sums beyond 32 bits")
    lo, hi = plus * min(taps) + minus * max(taps), plus * max(taps) + minus * min(taps)
    return Int((), int(lo.min()), int(hi.max()))


def divide(value: Any, shift: int, rounding: o.Rounding) -> Any:
    """Return ``value / 2**shift``, rounded, for Python integers or int64 arrays."""
    if shift == 0 or rounding == "floor":
        return value >> shift
    half = 1 << (shift - 1)
    if rounding == "half_up":
        return (value + half) >> shift
    return (value + half - 1 + ((value >> shift) & 1)) >> shift


def _linear_bounds(
    op: o.Affine | o.PiecewiseLinear,
    ends: Tensor,
    multiplier: Tensor,
    addend: Tensor,
    used: Tensor,
) -> tuple[int, int]:
    """Bounds of the rounded line pieces; `ends` (..., 2) are the least and greatest x of each."""
    check(op.rounding in get_args(o.Rounding), op.output, f"rounds by '{op.rounding}'")
    legal = type(op.shift) is int and 0 <= op.shift <= MAX_SHIFT
    check(legal, op.output, f"shifts by {op.shift}; 0..{MAX_SHIFT} are allowed")
    # |x| <= 2**31 - 2 and |multiplier| <= 2**31, so that a product is below 2**62 - 2**31. The sum
    # with an addend may wrap around, but then comes out beyond 2**62 all the same.
    exact = ends[used].astype(np.int64) * multiplier[used].astype(np.int64)[:, None]
    exact += addend[used][:, None]
    margin = 2**62 - (1 << op.shift)
    fits = -margin < int(exact.min()) and int(exact.max()) < margin
    check(fits, op.output, "has products beyond 62 bits")
    results = divide(exact, op.shift, op.rounding)
    return int(results.min()), int(results.max())


@singledispatch
def _infer(op: o.Op, inputs: list[ValueType], constants: dict[str, Tensor]) -> ValueType:
    raise ProgramError(f"'{op.output}' is an unknown op {op.kind}", "use the ops of docs/ir.md")


@_infer.register
def _conv2d(op: o.Conv2d, inputs: list[ValueType], constants: dict[str, Tensor]) -> ValueType:
    (value,), weights = inputs, constants["weights"]
    _check_rank(op, value, 3)
    check(weights.ndim == 4 and weights.size > 0, op.output, "needs weights (out, kh, kw, in)")
    out, kh, kw, fan_in = weights.shape
    legal = type(op.groups) is int and op.groups >= 1 and out % op.groups == 0
    check(legal, op.output, f"has {out} kernels, which {op.groups} groups do not divide")
    check(
        fan_in * op.groups == value.shape[2],
        op.output,
        f"has kernels over {fan_in} x {op.groups} channels for an input of {value.shape[2]}",
    )
    rows, columns = _check_windows(op, value.shape, (kh, kw))
    legal = type(op.pad_value) is int and abs(op.pad_value) <= MAX_INT
    check(legal, op.output, "needs an integer pad value of 32 bits")
    if isinstance(value, Bits):
        legal = op.pad_value in (-1, 0, 1)
        check(legal, op.output, f"pads bits with {op.pad_value}; -1, 0 and 1 are allowed")
    bounds = _dot_bounds(op, value, weights, op.pad_value if any(op.padding) else None)
    return Int((rows, columns, out), bounds.lo, bounds.hi)


@_infer.register
def _dense(op: o.Dense, inputs: list[ValueType], constants: dict[str, Tensor]) -> ValueType:
    (value,), weights = inputs, constants["weights"]
    _check_rank(op, value, 1)
    check(weights.ndim == 2 and weights.size > 0, op.output, "needs weights (out, in)")
    check(
        weights.shape[1] == value.shape[0],
        op.output,
        f"has rows of {weights.shape[1]} weights for an input of {value.shape[0]}",
    )
    bounds = _dot_bounds(op, value, weights, None)
    return Int((len(weights),), bounds.lo, bounds.hi)


@_infer.register
def _threshold(op: o.Threshold, inputs: list[ValueType], constants: dict[str, Tensor]) -> ValueType:
    value = _check_int(op, inputs[0])
    for field in op.constants:
        check(constants[field].ndim == 1, op.output, f"needs one of {field} a channel")
        _check_channels(op, value, constants[field], field)
    return Bits(value.shape)


@_infer.register
def _lookup(op: o.Lookup, inputs: list[ValueType], constants: dict[str, Tensor]) -> ValueType:
    value, table = _check_int(op, inputs[0]), constants["table"]
    entries = value.hi - value.lo + 1
    check(entries <= MAX_LOOKUP, op.output, f"would need a table of {entries} entries")
    check(
        table.ndim in (1, 2) and table.shape[-1] == entries,
        op.output,
        f"has a table of shape {table.shape} for {entries} input values",
    )
    if table.ndim == 2:
        _check_channels(op, value, table, "a table")
    return Int(value.shape, int(table.min()), int(table.max()))


@_infer.register
def _max_pool(op: o.MaxPool2d, inputs: list[ValueType], constants: dict[str, Tensor]) -> ValueType:
    (value,) = inputs
    _check_rank(op, value, 3)
    shape = (*_check_windows(op, value.shape, op.kernel), value.shape[2])
    return Bits(shape) if isinstance(value, Bits) else Int(shape, value.lo, value.hi)


@_infer.register
def _sum_pool(op: o.SumPool2d, inputs: list[ValueType], constants: dict[str, Tensor]) -> ValueType:
    (value,) = inputs
    _check_rank(op, value, 3)
    shape = (*_check_windows(op, value.shape, op.kernel), value.shape[2])
    taps = op.kernel[0] * op.kernel[1]
    # A padded window may hold as few as one real tap: an end beyond zero is then nearer to it.
    fewest = 1 if any(op.padding) else taps
    lo = value.lo * (taps if value.lo < 0 else fewest)
    hi = value.hi * (taps if value.hi > 0 else fewest)
    return Int(shape, lo, hi)


@_infer.register
def _add(op: o.Add, inputs: list[ValueType], constants: dict[str, Tensor]) -> ValueType:
    a, b = (_check_int(op, value) for value in inputs)
    check(a.shape == b.shape, op.output, f"adds the shapes {a.shape} and {b.shape}")
    return Int(a.shape, a.lo + b.lo, a.hi + b.hi)


@_infer.register
def _offset(op: o.Offset, inputs: list[ValueType], constants: dict[str, Tensor]) -> ValueType:
    value, offset = _check_int(op, inputs[0]), constants["offset"]
    _check_rank(op, value, 3)
    rows, columns, channels = value.shape
    fits = offset.ndim == 3 and offset.shape[2] == channels
    sides = zip(offset.shape[:2], (rows, columns), strict=True)
    fits = fits and all(n % 2 == 1 and n <= most + 1 for n, most in sides)
    check(fits, op.output, f"has an offset of shape {offset.shape} for a map of {value.shape}")
    return Int(value.shape, value.lo + int(offset.min()), value.hi + int(offset.max()))


@_infer.register
def _affine(op: o.Affine, inputs: list[ValueType], constants: dict[str, Tensor]) -> ValueType:
    (value,), multiplier, addend = inputs, constants["multiplier"], constants["addend"]
    for field, tensor in constants.items():
        check(tensor.ndim == 1, op.output, f"needs one {field} a channel")
        _check_channels(op, value, tensor, field)
    ends = np.broadcast_to(np.array([value.lo, value.hi]), (len(multiplier), 2))
    used = np.ones(len(multiplier), np.bool_)
    return Int(value.shape, *_linear_bounds(op, ends, multiplier, addend, used))


@_infer.register
def _piecewise(
    op: o.PiecewiseLinear, inputs: list[ValueType], constants: dict[str, Tensor]
) -> ValueType:
    value = _check_int(op, inputs[0])
    breaks = constants["breakpoints"]
    for field, tensor in constants.items():
        check(tensor.ndim == 2, op.output, f"needs a row of {field} a channel")
        _check_channels(op, value, tensor, field)
    segments = breaks.shape[1] + 1
    for field in ("multiplier", "addend"):
        shape = constants[field].shape
        check(shape[1] == segments, op.output, f"has {field} {shape} for {segments} segments")
    sorted_breaks = bool(np.all(np.diff(breaks.astype(np.int64), axis=1) > 0))
    check(sorted_breaks, op.output, "has breakpoints that do not increase")
    edge = np.full((len(breaks), 1), 0, np.int64)
    first = np.concatenate([edge + value.lo, breaks], axis=1)
    last = np.concatenate([breaks.astype(np.int64) - 1, edge + value.hi], axis=1)
    ends = np.clip(np.stack([first, last], axis=2), value.lo, value.hi)
    used = (first <= value.hi) & (last >= value.lo)
    bounds = _linear_bounds(op, ends, constants["multiplier"], constants["addend"], used)
    return Int(value.shape, *bounds)


@_infer.register
def _pad_channels(
    op: o.PadChannels, inputs: list[ValueType], constants: dict[str, Tensor]
) -> ValueType:
    value = _check_int(op, inputs[0])
    _check_rank(op, value, 3)
    for count in (op.before, op.after):
        legal = type(count) is int and 0 <= count <= MAX_CHANNEL_PADDING
        check(legal, op.output, f"pads by {count} channels")
    channels = value.shape[2] + op.before + op.after
    return Int((*value.shape[:2], channels), min(value.lo, 0), max(value.hi, 0))


@_infer.register
def _subsample(op: o.Subsample, inputs: list[ValueType], constants: dict[str, Tensor]) -> ValueType:
    (value,) = inputs
    _check_rank(op, value, 3)
    _check_pair(op, "a stride of", op.stride, 1, MAX_KERNEL)
    rows, columns = (-(-n // s) for n, s in zip(value.shape[:2], op.stride, strict=True))
    shape = (rows, columns, value.shape[2])
    return Bits(shape) if isinstance(value, Bits) else Int(shape, value.lo, value.hi)


@_infer.register
def _flatten(op: o.Flatten, inputs: list[ValueType], constants: dict[str, Tensor]) -> ValueType:
    (value,) = inputs
    _check_rank(op, value, 3)
    shape = (value.size,)
    return Bits(shape) if isinstance(value, Bits) else Int(shape, value.lo, value.hi)


@_infer.register
def _arg_max(op: o.ArgMax, inputs: list[ValueType], constants: dict[str, Tensor]) -> ValueType:
    value = _check_int(op, inputs[0])
    _check_rank(op, value, 1)
    return Int((), 0, value.shape[0] - 1)
