"""Random legal programs over all ops, from a seed, with maps of up to 130 channels.

Those of `tests.programs` shrink; these are wide enough to fill words of 64 channels, blocks of
kernels and tiles of windows, and to leave their last ones in part empty.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from tests.native.sketch import Sketch

from bitwright.errors import ProgramError
from bitwright.ir import Bits, Int, Program
from bitwright.ir import ops as o
from bitwright.ir.types import MAX_INT

CHANNELS = (1, 2, 3, 5, 8, 16, 31, 33, 64, 65, 96, 130)
BOUNDS = ((0, 255), (-128, 127), (0, 1), (-3, 90_000), (-32_767, 32_767), (-(2**20), 2**20))
ROUNDINGS = ("floor", "half_up", "half_even")
KINDS = tuple(o.OPS)


def random_program(seed: int, least: int = 3, most: int = 12) -> Program:
    """Return a program of `least` to `most` ops whose outputs are a few of its values."""
    rng = np.random.default_rng(seed)
    s = Sketch(_input(rng))
    s.rng = rng
    wanted = int(rng.integers(least, most + 1))
    values = ["x"]
    for _ in range(50 * wanted):
        if len(s.ops) == wanted:
            break
        # A new value is read more often than an old one, so that programs become deep.
        value = values[-1] if rng.random() < 0.6 else str(rng.choice(values))
        before = len(s.ops), dict(s.tensors), s.types
        try:
            values.append(_add(s, str(rng.choice(KINDS)), value))
        except (ProgramError, _UnsuitableError):
            s.ops, s.tensors, s.types = s.ops[: before[0]], before[1], before[2]
    count = int(rng.integers(1, 4))
    outputs = dict.fromkeys([values[-1], *rng.choice(values, count).tolist()])
    return s.program(*outputs)


class _UnsuitableError(Exception):
    """The op has no use for the value."""


def _need(holds: bool) -> None:
    if not holds:
        raise _UnsuitableError


def _input(rng: np.random.Generator) -> Bits | Int:
    channels = int(rng.choice(CHANNELS))
    shape = (*map(int, rng.integers(1, 8, 2)), channels) if rng.random() < 0.8 else (channels,)
    if rng.random() < 0.3:
        return Bits(shape)
    return Int(shape, *BOUNDS[rng.integers(len(BOUNDS))])


def _window(rng: np.random.Generator, kernel: tuple[int, int]) -> dict[str, Any]:
    padding = [int(rng.integers(0, k)) if rng.random() < 0.6 else 0 for k in np.repeat(kernel, 2)]
    return {"stride": tuple(map(int, rng.integers(1, 4, 2))), "padding": tuple(padding)}


def _add(s: Sketch, kind: str, x: str) -> str:
    rng, value = s.rng, s.types[x]
    is_map, is_int = len(value.shape) == 3, isinstance(value, Int)
    channels = value.shape[-1] if value.shape else 0
    if kind == "Conv2d":
        _need(is_map)
        groups = int(rng.choice([g for g in range(1, channels + 1) if channels % g == 0][:4]))
        out = max(1, int(rng.choice(CHANNELS)) // groups) * groups
        kernel = int(rng.integers(1, 5))
        pads = (-1, 0, 1) if not is_int else (0, 1, -7, 300, 40_000)
        window = _window(rng, (kernel, kernel))
        pad_value = int(rng.choice(pads))
        int8 = bool(rng.random() < 0.3)
        return s.conv(x, out, kernel, int8=int8, groups=groups, pad_value=pad_value, **window)
    if kind == "Dense":
        _need(len(value.shape) == 1)
        return s.dense(x, int(rng.choice(CHANNELS)), int8=bool(rng.random() < 0.3))
    if kind == "Threshold":
        _need(is_int and channels > 0)
        return s.threshold(x)
    if kind == "Lookup":
        _need(is_int and value.hi - value.lo < 2**16)
        entries = value.hi - value.lo + 1
        shape = (channels, entries) if channels and rng.random() < 0.5 else (entries,)
        _need(np.prod(shape) < 2**18)
        reach = int(rng.choice([100, 30_000, 100_000]))
        table = rng.integers(-reach, reach, shape).astype(np.int32)
        return s.add(o.Lookup, x, tensors={"table": table})
    if kind in ("MaxPool2d", "SumPool2d"):
        _need(is_map)
        kernel = tuple(map(int, rng.integers(1, 4, 2)))
        return s.pool(x, o.OPS[kind], kernel=kernel, **_window(rng, kernel))
    if kind == "Add":
        _need(is_int)
        fitting = [n for n, t in s.types.items() if isinstance(t, Int) and t.shape == value.shape]
        return s.add(o.Add, x, str(rng.choice(fitting)))
    if kind == "Affine":
        _need(channels > 0)
        return s.add(o.Affine, x, tensors=_lines(rng, value, (channels,)), **_rounding(rng))
    if kind == "PiecewiseLinear":
        _need(is_int and channels > 0)
        segments = int(rng.integers(1, 4))
        tensors = _lines(rng, value, (channels, segments))
        spread = max(2, (value.hi - value.lo) // 4)
        steps = rng.integers(1, spread, (channels, segments - 1)).cumsum(axis=1) + value.lo
        tensors["breakpoints"] = np.clip(steps, -MAX_INT, MAX_INT).astype(np.int32)
        return s.add(o.PiecewiseLinear, x, tensors=tensors, **_rounding(rng))
    if kind == "Offset":
        _need(is_int and is_map)
        sides = [1 + 2 * int(rng.integers(0, (n + 1) // 2)) for n in value.shape[:2]]
        offset = rng.integers(-300, 300, (*sides, channels), dtype=np.int32)
        return s.add(o.Offset, x, tensors={"offset": offset})
    if kind == "PadChannels":
        _need(is_int and is_map)
        before, after = map(int, rng.integers(0, 5, 2))
        return s.add(o.PadChannels, x, before=before, after=after)
    if kind == "Subsample":
        return s.add(o.Subsample, x, stride=tuple(map(int, rng.integers(1, 4, 2))))
    return s.add(o.OPS[kind], x)


def _lines(rng: np.random.Generator, value: Any, shape: tuple[int, ...]) -> dict[str, Any]:
    reach = max(1, min(2**31, 2**40 // max(abs(value.lo), abs(value.hi), 1)) // 2)
    multiplier = rng.integers(-reach, reach, shape).astype(np.int32)
    addend = rng.integers(-(2**40), 2**40, shape).astype(np.int64)
    if rng.random() < 0.5:  # small numbers reach ties
        multiplier, addend = multiplier % 16 - 8, addend % 64 - 32
    return {"multiplier": multiplier.astype(np.int32), "addend": addend}


def _rounding(rng: np.random.Generator) -> dict[str, Any]:
    shift = int(rng.choice([0, 1, 3, 12, 30]))
    return {"shift": shift, "rounding": str(rng.choice(ROUNDINGS))}
