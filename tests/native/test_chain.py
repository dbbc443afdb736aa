"""Passes over a map - scale, add, bend, compare - against the reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.native.sketch import Sketch, check, random_batch

from bitwright.ir import Int, Program
from bitwright.ir import ops as o
from bitwright.native import NativeProgram
from bitwright.native.convolution import dot_of
from bitwright.native.fusion import find_chains, find_fused

CHANNELS = (8, 16, 24, 40, 64, 72)


def affine(s: Sketch, x: str, multiplier: int, shift: int, rounding: str = "half_up") -> str:
    channels = s.types[x].shape[-1]
    tensors = {
        "multiplier": s.rng.integers(-multiplier, multiplier + 1, channels).astype(np.int32),
        "addend": s.rng.integers(-1000, 1000, channels),
    }
    return s.add(o.Affine, x, tensors=tensors, shift=shift, rounding=rounding)


def bend(s: Sketch, x: str, shift: int, pieces: int = 2, rounding: str = "half_up") -> str:
    channels = s.types[x].shape[-1]
    breaks = np.sort(s.rng.integers(-99, 99, (channels, pieces - 1)), axis=1)
    tensors = {
        "breakpoints": (breaks + np.arange(pieces - 1)).astype(np.int32),
        "multiplier": s.rng.integers(-99, 99, (channels, pieces)).astype(np.int32),
        "addend": s.rng.integers(-99, 99, (channels, pieces)),
    }
    return s.add(o.PiecewiseLinear, x, tensors=tensors, shift=shift, rounding=rounding)


def steps(program: Program, keep: Any = None) -> list[str]:
    return [
        type(program.definitions.get(s.op)).__name__
        for s in NativeProgram(program, keep).plan.steps
    ]


def residual(channels: int, multiplier: int = 500, seed: int = 0) -> tuple[Sketch, str, str]:
    """A shortcut around a scaled convolution, bent; and the bits of that."""
    s = Sketch(Int((5, 6, 3), 0, 255), seed)
    stem = s.conv("x", channels, padding=(1, 1, 1, 1))
    first = s.threshold(stem)
    dot = s.conv(first, channels, padding=(1, 1, 1, 1))
    total = s.add(o.Add, stem, affine(s, dot, multiplier, 6 if multiplier < 2**20 else 22))
    bent = bend(s, total, 3)
    return s, bent, s.threshold(bent)


@pytest.mark.parametrize("c", CHANNELS)
@pytest.mark.parametrize("multiplier", [500, 2**26])  # in 32 and in 64 bits
def test_a_residual_block_is_one_pass(c: int, multiplier: int) -> None:
    s, bent, bits = residual(c, multiplier)
    last = s.conv(bits, 4, padding=(1, 1, 1, 1))
    program = s.program(last, bent)
    kinds = steps(program)
    assert "Add" not in kinds
    assert "Affine" not in kinds
    s.check(last, bent)
    s.check(last)  # the integers are not stored


def test_what_is_kept_in_the_middle_is_stored() -> None:
    s, _, bits = residual(16)
    program = s.program(bits)
    batch = random_batch(program, 4, s.rng)
    check(program, batch, keep=list(program.types)[1:])


@settings(deadline=None)
@given(data=st.data(), seed=st.integers(0, 2**32 - 1))
def test_chains_of_any_parts(data: st.DataObject, seed: int) -> None:
    s = Sketch(Int((3, 4, 3), 0, 255), seed)
    c = data.draw(st.sampled_from(CHANNELS))
    values = [s.conv("x", c), s.conv("x", c)]
    for _ in range(data.draw(st.integers(1, 6))):
        x = data.draw(st.sampled_from(values))
        match data.draw(st.sampled_from(["affine", "add", "bend"])):
            case "affine":
                wide = data.draw(st.booleans())
                rounding = data.draw(st.sampled_from(["floor", "half_up", "half_even"]))
                made = affine(s, x, 2**20 if wide else 40, 14 if wide else 5, rounding)
            case "add":
                made = s.add(o.Add, x, data.draw(st.sampled_from(values)))
            case _:
                made = bend(s, x, 6, data.draw(st.integers(1, 4)))
        if max(-s.types[made].lo, s.types[made].hi) > 2**26:
            made = s.add(
                o.Affine,
                made,
                tensors={"multiplier": np.ones(c, np.int32), "addend": np.zeros(c, np.int64)},
                shift=10,
            )
        values.append(made)
    bits = [s.threshold(v) for v in values if data.draw(st.booleans())]
    kept = [v for v in values[2:] if data.draw(st.booleans())]
    s.check(*(kept + bits or values[-1:]), images=3)


def test_a_value_added_to_itself() -> None:
    s = Sketch(Int((2, 2, 3), 0, 255))
    dot = s.conv("x", 16, 1)
    line = affine(s, dot, 9, 2)
    s.check(s.threshold(s.add(o.Add, line, line)))


def test_both_sides_scaled() -> None:
    s = Sketch(Int((4, 4, 3), 0, 255))
    a, b = (affine(s, s.conv("x", 16), 30, 4) for _ in range(2))
    total = s.add(o.Add, a, b)
    s.check(total, s.threshold(total))


def test_thresholds_beyond_what_a_value_reaches() -> None:
    s = Sketch(Int((2, 3, 3), 0, 255))
    value = affine(s, s.conv("x", 64, 1), 3, 1)
    kind = s.types[value]
    ends = [kind.lo - 1, kind.lo, kind.hi, kind.hi + 1, -(2**31), 2**31 - 1]
    limits = np.resize(ends, 64)
    bits = [s.threshold(value, limits, np.full(64, rising)) for rising in (False, True)]
    s.check(*bits)


def test_only_whole_blocks_of_made_integers_are_chained() -> None:
    s = Sketch(Int((2, 2, 12), 0, 99))
    odd = affine(s, s.conv("x", 12, 1), 3, 1)
    direct = affine(s, "x", 3, 1)
    program = s.program(odd, direct)
    dots = {op.output: dot_of(program, op) for op in program.ops if isinstance(op, o.Conv2d)}
    fused = find_fused(program, program.outputs, dots)
    assert not find_chains(program, program.outputs, fused)
    s.check(odd, direct)
