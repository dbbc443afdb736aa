"""Bits that are the same in every image, proved from the program alone.

A neuron whose threshold lies beyond every count that it can reach has a constant bit. In the next
layer that bit is a known input, which narrows the counts there, and so on. A channel counts as
constant only if all its pixels are, border windows included.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from bitwright.ir import ops as o
from bitwright.ir.program import Program
from bitwright.ir.types import Bits
from bitwright.native.convolution import Dot, dot_of
from bitwright.native.geometry import map_shape

Bytes = npt.NDArray[np.int8]
Integers = npt.NDArray[np.int64]

UNKNOWN = -1
"""Stands for a bit that is not known."""


def constant_bits(program: Program) -> dict[str, Bytes]:
    """Return what is known of each value of bits: one of -1 (unknown), 0, 1 a channel."""
    known: dict[str, Bytes] = {}
    ranges: dict[str, tuple[Integers, Integers]] = {}
    for name, value in program.types.items():
        op = program.definitions.get(name)
        if isinstance(op, o.Conv2d | o.Dense):
            ranges[name] = _reach(dot_of(program, op), known)
        elif isinstance(op, o.MaxPool2d) and op.input in ranges:
            ranges[name] = ranges[op.input]
        if isinstance(value, Bits):
            known[name] = _known(program, op, known, ranges)
    return known


def known_taps(dot: Dot, known: Bytes) -> tuple[Bytes, npt.NDArray[np.bool_]]:
    """Return what is known of the taps of windows, and which of them exist.

    Parameters
    ----------
    dot
        A dot product of bits.
    known
        What is known of its source, one a channel.

    Returns
    -------
    taps
        -1 (unknown), 0 or 1, (classes of windows, taps); taps as kernels are flattened.
    real
        False for taps padded with 0, which add nothing.
    """
    padded = dot.windows.padded_taps()[..., None]
    padded = np.broadcast_to(padded, (len(padded), *dot.weights.shape[1:]))
    fill = int(dot.pad_value > 0) if dot.pad_value else UNKNOWN
    taps = np.where(padded, np.int8(fill), known).astype(np.int8)
    real = ~padded if dot.pad_value == 0 else np.ones_like(padded)
    return taps.reshape(len(taps), -1), real.reshape(len(taps), -1)


def known_matches(dot: Dot, taps: Bytes, real: npt.NDArray[np.bool_]) -> Integers:
    """Return how many of the known taps match each kernel, (classes, kernels)."""
    kernels = dot.weights.reshape(len(dot.weights), -1)
    ones, zeros = ((taps == bit) & real for bit in (1, 0))
    return np.asarray(_products(ones, kernels) + _products(zeros, ~kernels))


def _products(taps: npt.NDArray[np.bool_], kernels: npt.NDArray[np.bool_]) -> Integers:
    return np.rint(taps.astype(np.float32) @ kernels.T.astype(np.float32)).astype(np.int64)


def _reach(dot: Dot, known: dict[str, Bytes]) -> tuple[Integers, Integers]:
    """Return the least and the greatest dot product of each kernel, over all windows."""
    used = np.unique(dot.windows.classes())
    if dot.method == "binary":
        taps, real = known_taps(dot, known[dot.source])
        live = (real & (taps == UNKNOWN)).sum(axis=1)[:, None]
        matched = 2 * known_matches(dot, taps, real) - (real.sum(axis=1)[:, None] - live)
        return (matched - live)[used].min(axis=0), (matched + live)[used].max(axis=0)
    least, greatest = dot.value.lo, dot.value.hi
    if any(dot.padding):
        least, greatest = min(least, dot.pad_value), max(greatest, dot.pad_value)
    numbers = dot.numbers.reshape(len(dot.weights), -1).astype(np.int64)
    plus, minus = np.maximum(numbers, 0).sum(axis=1), np.minimum(numbers, 0).sum(axis=1)
    return plus * least + minus * greatest, plus * greatest + minus * least


def _known(
    program: Program,
    op: o.Op | None,
    known: dict[str, Bytes],
    ranges: dict[str, tuple[Integers, Integers]],
) -> Bytes:
    if isinstance(op, o.Threshold):
        return _decided(program, op, ranges.get(op.input))
    if isinstance(op, o.MaxPool2d | o.Subsample):
        return known[op.input]
    if isinstance(op, o.Flatten):
        rows, columns, _ = map_shape(program.types[op.input])
        return np.tile(known[op.input], rows * columns)
    names: Any = program.types[program.input_name if op is None else op.output]
    return np.full(map_shape(names)[2], UNKNOWN, np.int8)


def _decided(program: Program, op: o.Threshold, reach: tuple[Integers, Integers] | None) -> Bytes:
    value = program.types[op.input]
    least, greatest = (value.lo, value.hi) if reach is None else reach
    limits = program.tensor(op, "thresholds").astype(np.int64)
    rising = program.tensor(op, "rising")
    always = np.where(rising, least >= limits, greatest <= limits)
    never = np.where(rising, greatest < limits, least > limits)
    return np.where(always, 1, np.where(never, 0, UNKNOWN)).astype(np.int8)
