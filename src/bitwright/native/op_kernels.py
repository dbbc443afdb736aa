"""Kernels of ops that are no dot products, and of passes over maps in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from bitwright.ir import ops as o
from bitwright.ir.program import Program
from bitwright.ir.reference import stretch
from bitwright.ir.types import Bits
from bitwright.native import chain, elementwise, lines
from bitwright.native.convolution import Kernel
from bitwright.native.geometry import Layout

Array = npt.NDArray[Any]
Arrays = Sequence[Array]
OneOutput = Callable[[Arrays, Array], None]
"""A kernel of one output: inputs, and where to write."""


def of_op(program: Program, op: o.Op) -> OneOutput:
    """Return the kernel of an op that is no dot product, on maps without halos."""
    constant = {field: program.tensor(op, field) for field in op.constants}
    value = program.types[op.input]
    match op:
        case o.Threshold():
            thresholds, rising = constant["thresholds"], constant["rising"]
            return lambda x, out: elementwise.threshold(x[0], thresholds, rising, out)
        case o.Lookup():
            table, lo = np.atleast_2d(constant["table"]), value.lo
            return lambda x, out: elementwise.lookup(x[0], lo, table, out)
        case o.MaxPool2d():
            return lambda x, out: elementwise.max_pool(x[0], op.kernel, op.stride, op.padding, out)
        case o.SumPool2d():
            return lambda x, out: elementwise.sum_pool(x[0], op.kernel, op.stride, op.padding, out)
        case o.Offset():
            offset = np.ascontiguousarray(stretch(constant["offset"], *value.shape[:2])).reshape(
                1, -1
            )
            return lambda x, out: elementwise.add(_rows(x[0]), offset, _rows(out))
        case o.Add():
            return lambda x, out: elementwise.add(_rows(x[0]), _rows(x[1]), _rows(out))
        case o.Affine() | o.PiecewiseLinear():
            return _fixed_point(program, op)
        case o.PadChannels():
            return lambda x, out: elementwise.pad_channels(x[0], op.before, out)
        case o.Subsample():
            rows, columns = op.stride
            return lambda x, out: elementwise.copy(x[0][:, ::rows, ::columns], out)
        case o.Flatten():
            if isinstance(value, Bits):
                channels = value.shape[-1]
                return lambda x, out: elementwise.flatten_bits(x[0], channels, out)
            return lambda x, out: elementwise.copy(x[0].reshape(out.shape), out)
        case o.ArgMax():
            return lambda x, out: elementwise.arg_max(x[0], out)
    raise TypeError(f"no kernel for {op.kind}")


def over_maps(made: chain.Pass, packed: Layout | None) -> Kernel:
    """Return the kernel of a pass over maps in memory; `packed` is what it writes last."""
    stores = bool(made.parts & chain.STORE)

    def kernel(inputs: Arrays, outputs: Arrays) -> None:
        x = inputs[0]
        ints = outputs[0] if stores else x
        last = outputs[-1] if packed is None else packed.interior(outputs[-1])
        chain.apply(made.wide, made.parts, x, inputs[-1], ints, last, made.rows, made.shifts)

    return kernel


def _rows(array: Array) -> Array:
    """A batch of integer maps, which have no halo, as one row an image."""
    return array.reshape(len(array), -1)


def _fixed_point(program: Program, op: o.Affine | o.PiecewiseLinear) -> OneOutput:
    """Return the kernel of lines: eight channels at a time, and plain loops for what is left."""
    multiplier, addend = program.tensor(op, "multiplier"), program.tensor(op, "addend")
    multiplier, addend = (t.reshape(len(t), -1) for t in (multiplier, addend))
    channels, pieces = multiplier.shape
    breaks = np.empty((channels, 0), np.int32)
    if isinstance(op, o.PiecewiseLinear):
        breaks = program.tensor(op, "breakpoints")
    rounding = elementwise.ROUNDINGS[op.rounding]
    even = op.rounding == "half_even" and op.shift > 0
    direct = op.input == program.input_name or isinstance(program.types[op.input], Bits)
    whole = 0 if even or direct or pieces > lines.MAX_PIECES else channels // 8 * 8
    half = (1 << op.shift) >> 1 if op.rounding == "half_up" else 0
    packed = lines.pack(breaks[:whole], multiplier[:whole], addend[:whole] + half)
    rest = tuple(np.ascontiguousarray(t[whole:]) for t in (breaks, multiplier, addend))

    def kernel(inputs: Arrays, out: Array) -> None:
        x = inputs[0]
        if whole:
            flat = (x.reshape(-1, channels), out.reshape(-1, channels))
            lines.apply(flat[0], packed, pieces, op.shift, flat[1])
        if whole < channels:
            elementwise.piecewise(x[..., whole:], *rest, op.shift, rounding, out[..., whole:])

    return kernel
