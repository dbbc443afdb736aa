"""Straight pieces, thresholds by search, borders and digits: the parts of fixed-point lowering."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitwright.errors import FrontendError
from bitwright.frontends import thresholds
from bitwright.frontends.borders import valid_sums
from bitwright.frontends.fixed import Form, add_offsets, plain, to_digits
from bitwright.frontends.lines import clipped, kinked, line
from bitwright.ir.reference import stretch
from bitwright.ir.types import MAX_INT

seeds = st.integers(0, 2**32 - 1)


def random_lines(rng, channels):
    kind = rng.integers(3)
    numbers = rng.normal(size=(3, channels)).round(2)
    if kind == 0:
        return line(numbers[0], numbers[1])
    if kind == 1:
        return kinked(numbers[0], numbers[1], numbers[2])
    return clipped(-np.abs(numbers[0]), np.abs(numbers[1]))


@given(seeds)
@settings(deadline=None, max_examples=60)
def test_a_composition_is_one_function_after_the_other(seed):
    rng = np.random.default_rng(seed)
    steps = [random_lines(rng, 3) for _ in range(rng.integers(2, 5))]
    whole = steps[0]
    for step in steps[1:]:
        whole = step.after(whole)
    x = rng.normal(size=(3, 50)) * 3
    expected = x
    for step in steps:
        expected = step(expected)
    assert np.allclose(whole(x), expected, atol=1e-9)


@given(seeds)
@settings(deadline=None, max_examples=60)
def test_the_direction_is_that_of_the_values(seed):
    rng = np.random.default_rng(seed)
    lines = random_lines(rng, 4).after(random_lines(rng, 4))
    breaks = lines.breakpoints[np.isfinite(lines.breakpoints)]
    far = np.abs(breaks).max(initial=1.0)
    points = np.concatenate([breaks - 1e-3, breaks + 1e-3, [-2 * far, 2 * far]])
    steps = np.diff(lines(np.tile(np.unique(points), (4, 1))), axis=1)
    for direction, row in zip(lines.direction(), steps, strict=True):
        assert direction != 1 or (row >= -1e-9).all()
        assert direction != -1 or (row <= 1e-9).all()
        assert direction != 0 or ((row > 0).any() and (row < 0).any())


@given(seeds)
@settings(deadline=None, max_examples=60)
def test_a_search_finds_the_threshold_that_enumeration_finds(seed):
    rng = np.random.default_rng(seed)
    lo = int(rng.integers(-30, 10))
    hi = lo + int(rng.integers(0, 40))
    slope = rng.choice([-1, 1], 6)
    cut = rng.integers(lo - 3, hi + 4, 6) + 0.5

    def fires(x):
        return slope * (x - cut) >= 0

    integers = np.arange(lo, hi + 1)
    bits = np.stack([fires(np.full(6, x)) for x in integers], axis=1)
    limits, rising = thresholds.by_search(fires, 6, lo, hi)
    found = np.where(rising[:, None], integers >= limits[:, None], integers <= limits[:, None])
    assert np.array_equal(found, bits)
    limits, rising, bad = thresholds.from_bits(bits, lo)
    assert bad is None
    found = np.where(rising[:, None], integers >= limits[:, None], integers <= limits[:, None])
    assert np.array_equal(found, bits)


def test_bits_that_turn_twice_are_named():
    assert thresholds.from_bits(np.array([[0, 1, 1], [0, 1, 0]], bool), 0)[2] == 1


@given(seeds)
@settings(deadline=None, max_examples=60)
def test_border_sums_are_the_sums_of_the_taps_inside(seed):
    rng = np.random.default_rng(seed)
    kernel = tuple(rng.integers(1, 6, 2))
    stride = tuple(int(n) for n in rng.integers(1, 4, 2))
    padding = tuple(int(rng.integers(0, k)) for k in np.repeat(kernel, 2))
    size = tuple(int(rng.integers(max(1, k - 1), 12)) for k in kernel)
    counts = [
        (size[a] + padding[2 * a] + padding[2 * a + 1] - kernel[a]) // stride[a] + 1 for a in (0, 1)
    ]
    if min(counts) < 1:
        return
    taps = rng.normal(size=(2, *kernel))
    offset = valid_sums(taps, size, stride, padding)
    assert all(
        n % 2 == 1 and n <= most + 1 for n, most in zip(offset.shape[:2], counts, strict=True)
    )
    whole = stretch(offset, *counts)
    for i, j in np.ndindex(*counts):
        expected = np.zeros(2)
        for a, b in np.ndindex(*kernel):
            row, column = i * stride[0] - padding[0] + a, j * stride[1] - padding[2] + b
            if 0 <= row < size[0] and 0 <= column < size[1]:
                expected += taps[:, a, b]
        assert np.allclose(whole[i, j], expected)


def test_offsets_of_different_sizes_add_up():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(3, 1, 2)), rng.normal(size=(1, 5, 2))
    total = add_offsets(a, b)
    assert total.shape == (3, 5, 2)
    expected = stretch(a, 8, 9) + stretch(b, 8, 9)
    assert np.allclose(stretch(total, 8, 9), expected)


@given(seeds, st.integers(1, 2**22))
@settings(deadline=None, max_examples=60)
def test_digits_make_up_the_weights_and_keep_sums_in_32_bits(seed, largest):
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=(3, 2, 2, 5)) * 10.0 ** rng.integers(-6, 3)
    weights[0] = 0
    cut = to_digits(weights, largest)
    total = sum(d.astype(np.float64) * float(cut.base) ** k for k, d in enumerate(cut.digits))
    error = np.abs(total * cut.scale[:, None, None, None] - weights).max(axis=(1, 2, 3))
    assert (error <= np.abs(weights).max(axis=(1, 2, 3)) * 2.0**-29).all()
    for digit in cut.digits:
        sums = np.abs(digit.astype(np.int64)).reshape(3, -1).sum(axis=1)
        assert sums.max() * largest <= MAX_INT


def test_sums_that_cannot_fit_are_refused():
    with pytest.raises(FrontendError, match="pass 32 bits"):
        to_digits(np.ones((1, 4096)), 2**22)


def test_straight_steps_only_change_factors():
    form = plain("x", 2, 0.5).through(line(np.array([2.0, -1.0]), np.array([1.0, 0.0])))
    assert isinstance(form, Form)
    assert form.lines is None
    assert form.terms[0][1].tolist() == [1.0, -0.5]
    assert form.offset[0, 0].tolist() == [1.0, 0.0]
