"""Each op against plain loops over exact Python numbers, which know nothing of reference.py."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.ir.one_op import one_op, result
from tests.programs import ROUNDINGS, batch, programs

from bitwright.errors import DataError
from bitwright.ir import MAX_INT, Bits, Dense, Int, Program, ValueType, reference

few = settings(max_examples=40, deadline=None)
seeds = st.integers(0, 2**32 - 1)
BOUNDS = ((0, 255), (-3, 5), (-128, 127), (-40_000, -30_000), (9, 9))
CHANNELS = (1, 2, 3, 4)


@st.composite
def maps(draw: st.DrawFn, bits: bool | None = None) -> ValueType:
    shape = (draw(st.integers(1, 6)), draw(st.integers(1, 6)), draw(st.sampled_from(CHANNELS)))
    if draw(st.booleans()) if bits is None else bits:
        return Bits(shape)
    return Int(shape, *draw(st.sampled_from(BOUNDS)))


@st.composite
def windows(draw: st.DrawFn, value: ValueType) -> tuple[tuple[int, int], dict[str, Any]]:
    """A kernel, perhaps larger than the map, with strides and paddings that leave a window."""
    kernel, padding = [], []
    for size in value.shape[:2]:
        kernel.append(draw(st.integers(1, 4)))
        before, after = (draw(st.integers(0, kernel[-1] - 1)) for _ in range(2))
        if size + before + after < kernel[-1]:
            before = after = kernel[-1] - 1
        padding += [before, after]
    stride = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    return (kernel[0], kernel[1]), {"stride": stride, "padding": tuple(padding)}


def numbers(array: np.ndarray) -> Any:
    """One image as Python integers, bits as -1 and +1."""
    return (np.where(array, 1, -1) if array.dtype == np.bool_ else array).tolist()


def taps(image: Any, kernel: tuple[int, int], stride: Any, padding: Any, i: int, j: int) -> Any:
    """The pixels of the window (i, j) as {(u, v): channels}, without the padded ones."""
    inside = {}
    for u, v in product(range(kernel[0]), range(kernel[1])):
        row, column = i * stride[0] + u - padding[0], j * stride[1] + v - padding[2]
        if 0 <= row < len(image) and 0 <= column < len(image[0]):
            inside[u, v] = image[row][column]
    return inside


def places(length: int, kernel: int, stride: int, before: int, after: int) -> int:
    """How many windows fit: counted, not computed."""
    return len(range(-before, length + after - kernel + 1, stride))


def grid(image: Any, kernel: Any, stride: Any, padding: Any) -> tuple[int, int]:
    return (
        places(len(image), kernel[0], stride[0], padding[0], padding[1]),
        places(len(image[0]), kernel[1], stride[1], padding[2], padding[3]),
    )


def naive_conv(image: Any, weights: Any, stride: Any, padding: Any, pad: int, groups: int) -> Any:
    out, (kh, kw), fan_in = len(weights), np.shape(weights)[1:3], np.shape(weights)[3]
    rows, columns = grid(image, (kh, kw), stride, padding)
    y = [[[0] * out for _ in range(columns)] for _ in range(rows)]
    for i, j, o in product(range(rows), range(columns), range(out)):
        inside = taps(image, (kh, kw), stride, padding, i, j)
        first = o // (out // groups) * fan_in
        for u, v, k in product(range(kh), range(kw), range(fan_in)):
            tap = inside[u, v][first + k] if (u, v) in inside else pad
            y[i][j][o] += tap * weights[o][u][v][k]
    return y


def draw_weights(rng: np.random.Generator, shape: tuple[int, ...], one_bit: bool) -> np.ndarray:
    return rng.random(shape) < 0.5 if one_bit else rng.integers(-128, 128, shape, dtype=np.int8)


@pytest.mark.parametrize("one_bit", [True, False], ids=["bits", "int8"])
@pytest.mark.parametrize("pad_value", [-1, 0, 1])
@given(data=st.data(), seed=seeds)
@settings(max_examples=15, deadline=None)
def test_conv2d(one_bit: bool, pad_value: int, data: st.DataObject, seed: int) -> None:
    rng = np.random.default_rng(seed)
    value = data.draw(maps())
    kernel, window = data.draw(windows(value))
    groups = data.draw(st.sampled_from([g for g in CHANNELS if value.shape[2] % g == 0]))
    out = groups * data.draw(st.integers(1, 3))
    weights = draw_weights(rng, (out, *kernel, value.shape[2] // groups), one_bit)
    program = one_op(
        "Conv2d", value, tensors={"weights": weights}, pad_value=pad_value, groups=groups, **window
    )
    images = batch(program, rng, 2)
    expected = [
        naive_conv(numbers(x), numbers(weights), **window, pad=pad_value, groups=groups)
        for x in images
    ]
    got = result(program, images)
    assert got.dtype == np.int64
    assert got.tolist() == expected


def test_conv2d_pads_integers_with_any_value() -> None:
    weights = np.array([[[[1], [2]], [[3], [4]]]], np.int8)
    program = one_op(
        "Conv2d",
        Int((1, 1, 1), 0, 9),
        tensors={"weights": weights},
        padding=(1, 0, 0, 1),
        pad_value=300,
    )
    assert result(program, [[[[7]]]]).tolist() == [[[[300 * (1 + 2 + 4) + 7 * 3]]]]


@pytest.mark.parametrize("one_bit", [True, False], ids=["bits", "int8"])
@given(data=st.data(), seed=seeds)
@settings(max_examples=25, deadline=None)
def test_dense(one_bit: bool, data: st.DataObject, seed: int) -> None:
    rng = np.random.default_rng(seed)
    count = data.draw(st.integers(1, 40))
    value = data.draw(st.sampled_from([Bits((count,)), *(Int((count,), *b) for b in BOUNDS)]))
    weights = draw_weights(rng, (data.draw(st.integers(1, 4)), count), one_bit)
    program = one_op("Dense", value, tensors={"weights": weights})
    images = batch(program, rng, 3)
    rows = numbers(weights)
    expected = [[sum(map(math.prod, zip(numbers(x), row, strict=True))) for row in rows]
                for x in images]  # fmt: skip
    assert result(program, images).tolist() == expected


def test_dense_is_exact_at_the_largest_partial_sums() -> None:
    weights = np.array([[127, -127], [-127, 127]], np.int8)
    end = MAX_INT // 254
    program = one_op("Dense", Int((2,), -end, end), tensors={"weights": weights})
    assert result(program, [[end, -end]]).tolist() == [[254 * end, -254 * end]]


@given(seed=seeds, value=maps(bits=False))
@few
def test_threshold(seed: int, value: Int) -> None:
    rng = np.random.default_rng(seed)
    channels = value.shape[2]
    near = (value.lo - 1, min(value.hi, value.lo + 6) + 2)
    thresholds = rng.integers(*near, channels, dtype=np.int32)
    rising = rng.random(channels) < 0.5
    program = one_op("Threshold", value, tensors={"thresholds": thresholds, "rising": rising})
    images = batch(program, rng, 2)
    images[0] = thresholds.clip(value.lo, value.hi)  # ties
    got = result(program, images)
    assert got.dtype == np.bool_
    for (*_, c), d, bit in zip(np.ndindex(images.shape), images.flat, got.flat, strict=True):
        assert bit == (d >= thresholds[c] if rising[c] else d <= thresholds[c])


@given(seed=seeds, value=maps(bits=False), shared=st.booleans())
@few
def test_lookup(seed: int, value: Int, shared: bool) -> None:
    rng = np.random.default_rng(seed)
    value = Int(value.shape, value.lo, min(value.hi, value.lo + 300))
    entries = value.hi - value.lo + 1
    shape = (entries,) if shared else (value.shape[2], entries)
    table = rng.integers(-(2**31) + 2, 2**31 - 1, shape, dtype=np.int32)
    program = one_op("Lookup", value, tensors={"table": table})
    images = batch(program, rng, 2)
    got = result(program, images)
    for (*_, c), x, y in zip(np.ndindex(images.shape), images.flat, got.flat, strict=True):
        assert y == (table if shared else table[c])[x - value.lo]


@pytest.mark.parametrize("kind", ["MaxPool2d", "SumPool2d"])
@given(data=st.data(), seed=seeds)
@few
def test_pools(kind: str, data: st.DataObject, seed: int) -> None:
    rng = np.random.default_rng(seed)
    value = data.draw(maps())
    kernel, window = data.draw(windows(value))
    program = one_op(kind, value, kernel=kernel, **window)
    images = batch(program, rng, 2)
    got = result(program, images)
    keeps_bits = kind == "MaxPool2d" and isinstance(value, Bits)
    assert got.dtype == (np.bool_ if keeps_bits else np.int64)
    for x, y in zip(images, got, strict=True):
        rows, columns = grid(numbers(x), kernel, **window)
        assert y.shape == (rows, columns, value.shape[2])
        for i, j in product(range(rows), range(columns)):
            inside = taps(numbers(x), kernel, **window, i=i, j=j).values()
            combine = max if kind == "MaxPool2d" else sum
            channels = zip(*inside, strict=True)
            assert numbers(y[i, j]) == [combine(channel) for channel in channels]


@given(seed=seeds)
@few
def test_add(seed: int) -> None:
    rng = np.random.default_rng(seed)
    value = Int((2, 3, 2), -7, 90)
    weights = rng.integers(-128, 128, (2, 1, 1, 2), dtype=np.int8)
    conv = one_op("Conv2d", value, tensors={"weights": weights})
    (first,) = conv.ops
    twice = one_op("Add", value, value).ops[0]
    second = type(twice)(output="z", inputs=("x", "y"))
    program = Program(
        input_name="x",
        input_type=value,
        ops=(first, second),
        tensors=conv.tensors,
        outputs=("y", "z"),
    )
    images = batch(program, rng, 2)
    values = reference.run(program, images)
    assert values["z"].ravel().tolist() == [
        a + b for a, b in zip(images.ravel().tolist(), values["y"].ravel().tolist(), strict=True)
    ]
    assert result(one_op("Add", value, value), images).tolist() == (2 * images).tolist()


def rounded(exact: int, shift: int, rounding: str) -> int:
    """Round by the definitions of the schools, on fractions."""
    value = Fraction(exact, 2**shift)
    if rounding == "floor":
        return math.floor(value)
    if rounding == "half_up":
        return math.floor(value + Fraction(1, 2))
    return round(value)  # Python rounds ties to even


def draw_lines(rng: np.random.Generator, shape: tuple[int, ...], shift: int) -> dict[str, Any]:
    """Small multiples of half a unit, which make ties, and full-size ones."""
    if rng.random() < 0.5:
        half = 2 ** max(shift - 1, 0)
        multiplier, addend = rng.integers(-3, 4, shape), rng.integers(-9, 10, shape) * half
        if half < 2**20:
            multiplier = multiplier * half
    else:
        multiplier, addend = rng.integers(-9999, 9999, shape), rng.integers(-(2**30), 2**30, shape)
    return {"multiplier": multiplier.astype(np.int32), "addend": addend.astype(np.int64)}


SHIFTS = st.sampled_from([0, 1, 2, 3, 8, 31, 40])


@pytest.mark.parametrize("rounding", ROUNDINGS)
@given(seed=seeds, value=maps(), shift=SHIFTS)
@few
def test_affine(rounding: str, seed: int, value: ValueType, shift: int) -> None:
    rng = np.random.default_rng(seed)
    shift = max(shift, 1) if value.hi > 255 or value.lo < -255 else shift
    tensors = draw_lines(rng, value.shape[2:], shift)
    program = one_op("Affine", value, tensors=tensors, shift=shift, rounding=rounding)
    images = batch(program, rng, 2)
    got = result(program, images)
    flat = np.ravel(numbers(images)).tolist()
    for (*_, c), x, y in zip(np.ndindex(images.shape), flat, got.flat, strict=True):
        exact = x * int(tensors["multiplier"][c]) + int(tensors["addend"][c])
        assert y == rounded(exact, shift, rounding)


@pytest.mark.parametrize(
    ("rounding", "expected"),
    [
        ("floor", [-2, -2, -2, -1, -1, -1, -1, 0, 0, 0, 0, 1, 1, 1, 1]),
        ("half_up", [-2, -1, -1, -1, -1, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2]),
        ("half_even", [-2, -2, -1, -1, -1, 0, 0, 0, 0, 0, 1, 1, 1, 2, 2]),
    ],
)
def test_quarters_round_as_tabulated(rounding: str, expected: list[int]) -> None:
    x = np.arange(-7, 8)
    tensors = {"multiplier": np.array([1], np.int32), "addend": np.array([0], np.int64)}
    program = one_op("Affine", Int((1,), -7, 7), tensors=tensors, shift=2, rounding=rounding)
    assert result(program, x[:, None]).ravel().tolist() == expected


@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("shift", [0, 1, 30, 60, 61])
def test_affine_is_exact_at_the_ends_of_its_range(rounding: str, shift: int) -> None:
    top = 2**62 - 2**shift - 1
    tensors = {
        "multiplier": np.array([1, -1, 0, 0], np.int32),
        "addend": np.array([top - 5, 5 - top, top, -top], np.int64),
    }
    if shift < 31:  # the results must fit 32 bits
        tensors["addend"] = np.array([9, -9, 2**30 << shift, -(2**30) << shift], np.int64)
    program = one_op("Affine", Int((4,), 0, 5), tensors=tensors, shift=shift, rounding=rounding)
    for x in range(6):
        exact = [x * int(m) + int(a) for m, a in zip(*tensors.values(), strict=True)]
        expected = [rounded(e, shift, rounding) for e in exact]
        assert result(program, [[x] * 4]).tolist() == [expected]


@pytest.mark.parametrize("rounding", ROUNDINGS)
@given(seed=seeds, value=maps(bits=False), shift=SHIFTS, segments=st.integers(1, 4))
@few
def test_piecewise_linear(rounding: str, seed: int, value: Int, shift: int, segments: int) -> None:
    rng = np.random.default_rng(seed)
    shift = max(shift, 1) if value.hi > 255 or value.lo < -255 else shift
    channels = value.shape[2]
    tensors = draw_lines(rng, (channels, segments), shift)
    reach = np.arange(value.lo - 3, min(value.hi, value.lo + 8) + 4)
    rows = [np.sort(rng.permutation(reach)[: segments - 1]) for _ in range(channels)]
    breaks = tensors["breakpoints"] = np.array(rows, np.int32).reshape(channels, segments - 1)
    program = one_op("PiecewiseLinear", value, tensors=tensors, shift=shift, rounding=rounding)
    images = batch(program, rng, 2)
    images[0] = np.minimum(images[0], value.lo + 8).clip(value.lo, value.hi)
    got = result(program, images)
    for (*_, c), x, y in zip(np.ndindex(images.shape), images.flat, got.flat, strict=True):
        s = 0
        while s < segments - 1 and breaks[c, s] <= x:
            s += 1
        exact = int(x) * int(tensors["multiplier"][c, s]) + int(tensors["addend"][c, s])
        assert y == rounded(exact, shift, rounding)


@given(seed=seeds, value=maps(bits=False), halves=st.tuples(*[st.integers(0, 2)] * 2))
@few
def test_offset(seed: int, value: Int, halves: tuple[int, int]) -> None:
    rows, columns, channels = value.shape
    half_rows, half_columns = (
        min(h, (n - 1) // 2) for h, n in zip(halves, value.shape, strict=False)
    )
    rng = np.random.default_rng(seed)
    shape = (2 * half_rows + 1, 2 * half_columns + 1, channels)
    offset = rng.integers(-50, 50, shape, dtype=np.int32)
    program = one_op("Offset", value, tensors={"offset": offset})
    images = batch(program, rng, 2)
    got = result(program, images)

    def near(i: int, size: int, half: int) -> int:
        from_end = size - 1 - i
        return i if i < half else 2 * half - from_end if from_end < half else half

    for n, i, j, c in np.ndindex(images.shape):
        added = offset[near(i, rows, half_rows), near(j, columns, half_columns), c]
        assert got[n, i, j, c] == images[n, i, j, c] + added


@given(seed=seeds, value=maps(bits=False), before=st.integers(0, 3), after=st.integers(0, 3))
@few
def test_pad_channels(seed: int, value: Int, before: int, after: int) -> None:
    program = one_op("PadChannels", value, before=before, after=after)
    images = batch(program, np.random.default_rng(seed), 2)
    got = result(program, images)
    for index in np.ndindex(images.shape[:3]):
        assert got[index].tolist() == [0] * before + images[index].tolist() + [0] * after


@given(seed=seeds, value=maps(), stride=st.tuples(st.integers(1, 4), st.integers(1, 7)))
@few
def test_subsample_and_flatten(seed: int, value: ValueType, stride: tuple[int, int]) -> None:
    program = one_op("Subsample", value, stride=stride)
    images = batch(program, np.random.default_rng(seed), 2)
    flat = result(one_op("Flatten", value), images).tolist()
    got = result(program, images).tolist()
    for image, vector, y in zip(images.tolist(), flat, got, strict=True):
        rows = [row for i, row in enumerate(image) if i % stride[0] == 0]
        assert y == [[p for j, p in enumerate(row) if j % stride[1] == 0] for row in rows]
        assert vector == [channel for row in image for pixel in row for channel in pixel]


@given(st.lists(st.lists(st.integers(-2, 2), min_size=4, max_size=4), min_size=1, max_size=40))
@few
def test_arg_max_is_the_first_maximum(rows: list[list[int]]) -> None:
    program = one_op("ArgMax", Int((4,), -2, 2))
    assert result(program, rows).tolist() == [row.index(max(row)) for row in rows]


@given(program=programs(), seed=seeds)
@settings(max_examples=150, deadline=None)
def test_every_value_has_its_type(program: Program, seed: int) -> None:
    images = batch(program, np.random.default_rng(seed), 4)
    values = reference.run(program, images, keep=program.types)
    assert list(values) == list(program.types)
    for name, kind in program.types.items():
        value = values[name]
        assert value.shape == (4, *kind.shape)
        assert value.dtype == (np.bool_ if isinstance(kind, Bits) else np.int64)
        if isinstance(kind, Int):
            assert kind.lo <= value.min()
            assert value.max() <= kind.hi


@given(data=st.data(), seed=seeds, one_bit=st.booleans(), dense=st.booleans())
@few
def test_bounds_of_dot_products_are_attained(
    data: st.DataObject, seed: int, one_bit: bool, dense: bool
) -> None:
    """For each end: the kernel that reaches it, on the image made for its signs."""
    rng = np.random.default_rng(seed)
    value = data.draw(maps())
    groups = 1 if dense else data.draw(st.sampled_from([1, value.shape[2]]))
    if dense:
        value = type(value)((value.size,), *([value.lo, value.hi] * isinstance(value, Int)))
        weights = draw_weights(rng, (2 * groups, *value.shape), one_bit)
        program = one_op("Dense", value, tensors={"weights": weights})
    else:  # one window, over the whole map
        shape = (2 * groups, *value.shape[:2], value.shape[2] // groups)
        weights = draw_weights(rng, shape, one_bit)
        program = one_op("Conv2d", value, tensors={"weights": weights}, groups=groups)
    images = []
    for o, signs in enumerate(np.array(numbers(weights)) > 0):
        for high in (False, True):
            image = np.full(value.shape, value.lo)
            first = o // 2 * signs.shape[-1]
            part = image[..., first : first + signs.shape[-1]] if not dense else image
            part[...] = np.where(signs == high, value.hi, value.lo)
            images.append(image > 0 if isinstance(value, Bits) else image)
    y, kind = result(program, np.array(images)), program.types["y"]
    assert (y.min(), y.max()) == (kind.lo, kind.hi)


def test_runs_of_many_and_of_no_images() -> None:
    weights = np.array([[True, False]])
    program = one_op("Dense", Int((2,), -50, 50), tensors={"weights": weights})
    assert isinstance(program.ops[0], Dense)
    count = 2 * reference.CHUNK + 1
    images = np.stack([np.arange(count), np.ones(count, int)], axis=1)
    assert result(program, images).ravel().tolist() == [x - 1 for x in range(count)]
    empty = result(program, np.empty((0, 2), np.uint8))
    assert (empty.shape, empty.dtype) == ((0, 1), np.int64)
    with pytest.raises(DataError):
        reference.run(program, [[0, 51]])
