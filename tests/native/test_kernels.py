"""Each native kernel against the reference, on small programs that need it."""

from __future__ import annotations

import numpy as np
import pytest
from tests.native.sketch import INT32, Sketch, check, random_batch

from bitwright.ir import Bits, Int
from bitwright.ir import ops as o
from bitwright.native import NativeProgram, binary, elementwise, integer
from bitwright.native.convolution import dot_of

CHANNELS = (1, 3, 10, 33, 64, 65, 128, 200)
NO_PADDING = (0, 0, 0, 0)
channels = pytest.mark.parametrize("c", CHANNELS)


def paddings(kernel: int) -> list[tuple[int, int, int, int]]:
    half, most = kernel // 2, kernel - 1
    return list(dict.fromkeys([NO_PADDING, (half,) * 4, (most, 0, 0, most), (0, half, most, 0)]))


def method(s: Sketch, name: str) -> str:
    program = s.program(name)
    op = program.definitions[name]
    assert isinstance(op, o.Conv2d | o.Dense)
    return dot_of(program, op).method


# Packing.


@channels
def test_packing_is_undone_and_padding_bits_are_zero(c: int) -> None:
    bits = np.random.default_rng(c).random((2, 3, c)) < 0.5
    words = binary.pack_channels(bits)
    assert words.shape == (2, 3, -(-c // 64))
    assert words.dtype == np.uint64
    np.testing.assert_array_equal(binary.unpack_channels(words, c), bits)
    assert int(np.bitwise_count(words).sum()) == bits.sum()
    packed = np.full((2, 1, 3, words.shape[2]), 2**64 - 1, np.uint64)
    elementwise.pack(bits[:, None], packed)
    np.testing.assert_array_equal(packed[:, 0], words)
    numbers = np.zeros((2, 1, 3, c), np.int32)
    elementwise.unpack(packed, numbers)
    np.testing.assert_array_equal(numbers[:, 0], np.where(bits, 1, -1))


@pytest.mark.parametrize("out", [1, 7, 8, 16, 31, 32, 33, 64])
def test_packed_weights_fill_whole_aligned_blocks(out: int) -> None:
    rng = np.random.default_rng(out)
    bits = rng.random((out, 2, 3, 70)) < 0.5
    packed = binary.pack_weights(bits)
    assert packed.ctypes.data % 64 == 0
    halves = packed.transpose(0, 2, 1).reshape(-1, packed.shape[1])
    plain = binary.pack_channels(bits).reshape(out, -1).view(np.uint32)
    np.testing.assert_array_equal(halves[:out, ::2], plain[:, ::2])
    np.testing.assert_array_equal(halves[:out, 1::2], plain[:, ::2] ^ plain[:, 1::2])
    assert not halves[out:].any()
    numbers = rng.integers(-128, 128, (out, 2, 3, 3))
    for dtype, taps in ((np.int16, 10), (np.int8, 12)):  # 9 taps a row, then zeros
        words = integer.pack_weights(numbers, dtype)
        assert words.ctypes.data % 64 == 0
        kernels = words.transpose(0, 2, 1, 3).reshape(-1, 2, taps)
        np.testing.assert_array_equal(kernels[:out, :, :9], numbers.reshape(out, 2, 9))
        assert not kernels[:, :, 9:].any()
        assert not kernels[out:].any()


# Convolutions.


@channels
@pytest.mark.parametrize("kernel", [1, 2, 3, 5])
def test_binary_convolutions(c: int, kernel: int) -> None:
    for seed, padding in enumerate(paddings(kernel)):
        for pad_value in (-1, 0, 1):
            s = Sketch(Bits((6, 7, c)), seed)
            stride = (1 + seed % 2, 1 + pad_value % 2)
            out = CHANNELS[(seed + c + pad_value) % len(CHANNELS)]
            dot = s.conv("x", out, kernel, stride=stride, padding=padding, pad_value=pad_value)
            assert method(s, dot) == "binary"
            bits = s.threshold(dot)
            s.check(bits)  # fused
            s.check(bits, dot)  # dot product kept


@channels
@pytest.mark.parametrize("kernel", [1, 2, 3, 5])
@pytest.mark.parametrize("int8", [False, True])
def test_narrow_convolutions(c: int, kernel: int, int8: bool) -> None:
    for seed, padding in enumerate(paddings(kernel)):
        s = Sketch(Int((6, 5, c), -128, 127), seed)
        dot = s.conv(
            "x",
            CHANNELS[(seed + c) % len(CHANNELS)],
            kernel,
            int8=int8,
            stride=(1 + seed % 2, 2 - seed % 2),
            padding=padding,
            pad_value=(0, 1, -100, 3_000 if int8 else 32_767)[seed % 4],
        )
        assert method(s, dot) == "narrow"
        bits = s.threshold(dot)
        s.check(bits)
        s.check(bits, dot)


@channels
def test_int8_weights_on_bits(c: int) -> None:
    for pad_value in (-1, 0, 1):
        s = Sketch(Bits((5, 5, c)), c)
        dot = s.conv("x", 20, int8=True, padding=(1, 1, 1, 1), pad_value=pad_value)
        assert method(s, dot) == "narrow"
        bits = s.threshold(dot)
        s.check(bits)
        s.check(dot)


@pytest.mark.parametrize("groups", [2, 3, 6])
@pytest.mark.parametrize("input_type", [Bits((5, 6, 66)), Int((5, 6, 66), -20, 300)])
def test_groups(groups: int, input_type: Bits | Int) -> None:
    for int8 in (False, True):
        s = Sketch(input_type, groups)
        dot = s.conv("x", 6 * groups, groups=groups, int8=int8, padding=(1, 1, 0, 1), pad_value=1)
        bits = s.threshold(dot)
        s.check(bits)
        s.check(bits, dot)


def test_depthwise() -> None:
    s = Sketch(Bits((5, 6, 70)))
    dot = s.conv("x", 70, groups=70, padding=(1, 1, 1, 1))
    s.check(s.threshold(dot))


@pytest.mark.parametrize("limit", [32_767, 32_768, 40_000, 10**6])
def test_values_at_and_beyond_16_bits(limit: int) -> None:
    for groups in (1, 2):
        s = Sketch(Int((5, 4, 6), -limit, limit), limit)
        dot = s.conv("x", 8, int8=limit < 10**6, groups=groups, padding=(1, 1, 1, 0), pad_value=-7)
        assert method(s, dot) == ("narrow" if limit < 2**15 else "wide")
        bits = s.threshold(dot)
        s.check(bits)
        s.check(bits, dot)
    batch = np.full((1, 5, 4, 6), -limit)
    check(s.program(dot), batch)


def test_dot_products_that_reach_the_largest_integer() -> None:
    # 32767 * 65538 < 2**31 - 2 < 32767 * 65539: all sums are int32 sums of int16 products.
    s = Sketch(Int((32_767, 1, 2), -32_767, 32_767))
    weights = np.stack([np.ones((32_767, 2), np.bool_), np.zeros((32_767, 2), np.bool_)])
    flat = s.add(o.Flatten, "x")
    dot = s.add(o.Dense, flat, tensors={"weights": weights.reshape(2, -1)})
    assert s.types[dot].hi == 32_767 * 65_534
    limits = np.array([32_767 * 65_534, 32_767 * 65_534])
    for rising in ([True, True], [False, False], [True, False]):
        bits = s.threshold(dot, limits, rising)
        for sign in (-1, 1):
            for step in (0, 1):
                batch = np.full((1, 32_767, 1, 2), sign * 32_767)
                batch[0, 5, 0, 1] -= sign * step
                check(s.program(bits), batch)
                check(s.program(bits, dot), batch)


@pytest.mark.parametrize("pad_value", [40_000, -32_768, 2**20])
def test_pad_values_beyond_16_bits(pad_value: int) -> None:
    s = Sketch(Int((5, 4, 3), 0, 255))
    dot = s.conv("x", 8, int8=False, padding=(1, 1, 1, 1), pad_value=pad_value)
    bits = s.threshold(dot)
    s.check(bits)
    s.check(dot)
    s = Sketch(Int((5, 4, 3), 0, 255))  # the attribute is legal even where nothing is padded
    s.check(s.conv("x", 8, pad_value=pad_value))


@channels
def test_dense_after_flattened_bits(c: int) -> None:
    s = Sketch(Bits((3, 2, c)), c)
    other = s.conv("x", c, padding=(1, 1, 1, 1))  # gives the source a halo
    bits = s.threshold(other)
    flat, input_flat = s.add(o.Flatten, bits), s.add(o.Flatten, "x")
    scores, direct = s.dense(flat, 10), s.dense(input_flat, 65)
    heavy = s.dense(flat, 33, int8=True)
    fused = s.threshold(direct)
    s.check(scores, heavy, fused)
    s.check(scores, fused, flat, input_flat)


@channels
def test_dense_of_vectors(c: int) -> None:
    for input_type in (Bits((c,)), Int((c,), 0, 255), Int((c,), -(10**5), 10**5)):
        for int8 in (False, True):
            s = Sketch(input_type, c)
            dot = s.dense("x", 10, int8=int8)
            bits = s.threshold(dot)
            again = s.dense(bits, 3)
            s.check(again, s.add(o.ArgMax, dot), images=5)


@channels
def test_dense_of_a_flattened_table(c: int) -> None:
    s = Sketch(Int((2, 3, c), 0, 15), c)
    table = s.rng.integers(-1000, 1000, (c, 16)).astype(np.int32)
    mapped = s.add(o.Lookup, "x", tensors={"table": table})
    scores = s.dense(s.add(o.Flatten, mapped), 12)
    s.check(scores, images=4)
    s.check(scores, s.threshold(s.conv(mapped, 5, 2)), images=4)


# Thresholds, alone and behind a dot product.


@pytest.mark.parametrize("rising", [True, False])
@pytest.mark.parametrize("int8", [False, True])
def test_thresholds_at_every_reachable_value_and_beyond(rising: bool, int8: bool) -> None:
    for input_type in (Bits((7,)), Int((3,), -2, 2)):
        s = Sketch(input_type, 3)
        one = s.weights((1, input_type.size), int8)
        most = input_type.hi * (int(np.abs(one.astype(int)).sum()) if int8 else one.size)
        limits = np.arange(-most - 3, most + 4)
        limits = np.r_[limits, INT32.min, INT32.min + 1, INT32.max - 1, INT32.max]
        dot = s.add(o.Dense, "x", tensors={"weights": np.repeat(one, len(limits), axis=0)})
        bits = s.threshold(dot, limits, np.full(len(limits), rising))
        s.check(bits, images=40)
        s.check(bits, dot, images=40)


@channels
def test_thresholds_of_plain_integers(c: int) -> None:
    for input_type in (Int((3, 2, c), 0, 255), Int((c,), -(2**31) + 2, 2**31 - 2)):
        s = Sketch(input_type, c)
        s.check(s.threshold("x"), images=6)


@channels
@pytest.mark.parametrize("kernel", [(2, 2), (3, 3), (3, 2)])
def test_pool_between_a_dot_product_and_its_threshold(c: int, kernel: tuple[int, int]) -> None:
    half = (kernel[0] - 1, kernel[0] // 2, kernel[1] // 2, kernel[1] - 1)
    for stride in ((2, 2), (1, 3)):
        for padding in (NO_PADDING, half):
            for input_type in (Bits((7, 6, 5)), Int((7, 6, 5), 0, 255)):
                s = Sketch(input_type, c)
                dot = s.conv("x", c, padding=(1, 1, 1, 1))
                pooled = s.pool(dot, kernel=kernel, stride=stride, padding=padding)
                bits = s.threshold(pooled)
                after = s.threshold(s.conv(bits, 9, 2, padding=(1, 0, 0, 1), pad_value=-1))
                steps = {step.op for step in NativeProgram(s.program(after)).plan.steps}
                assert pooled not in steps, "the pool of integers should have been fused"
                s.check(after)
                s.check(bits)
                s.check(bits, pooled)
                s.check(bits, dot)


# One value, several readers.


def test_readers_with_different_paddings() -> None:
    s = Sketch(Int((6, 6, 3), 0, 255))
    bits = s.threshold(s.conv("x", 40, padding=(1, 1, 1, 1)))
    readers = [
        s.conv(bits, 8, 3, padding=(1, 1, 1, 1), pad_value=1),
        s.conv(bits, 8, 5, padding=(0, 4, 3, 0), pad_value=-1),
        s.conv(bits, 8, 3, padding=(2, 0, 0, 2), pad_value=0, stride=(2, 2)),
        s.conv(bits, 8, 1),
        s.conv(bits, 8, 3, padding=(1, 1, 1, 1), pad_value=1, int8=True),
        s.conv(bits, 8, 3, padding=(1, 1, 1, 1), pad_value=-1, groups=2),
        s.pool(bits, padding=(1, 1, 1, 1)),
        s.pool(bits, o.SumPool2d),
        s.add(o.Subsample, bits, stride=(2, 3)),
        s.add(o.Flatten, bits),
    ]
    s.check(*readers)
    s.check(*readers, bits)
    s.check(*readers[:4], bits)
    thresholds = [s.threshold(reader) for reader in readers[:6]]
    s.check(*thresholds)


def test_integer_readers_with_different_paddings() -> None:
    for limit in (255, 10**5):
        s = Sketch(Int((6, 6, 5), 0, limit))
        values = ("x", s.add(o.Subsample, "x", stride=(1, 1)))
        for value in values:
            readers = [
                s.conv(value, 7, padding=(1, 1, 1, 1), pad_value=pad) for pad in (0, 5, -3, 40_000)
            ]
            readers += [s.conv(value, 7, 2, padding=(1, 0, 0, 1)), s.pool(value)]
            s.check(*readers)
            s.check(*[s.threshold(reader) for reader in readers], value)


def test_a_table_with_several_readers() -> None:
    s = Sketch(Int((6, 6, 5), 0, 255))
    table = s.rng.integers(-300, 300, 256).astype(np.int32)
    mapped = s.add(o.Lookup, "x", tensors={"table": table})
    one = s.conv(mapped, 7, padding=(1, 1, 1, 1), pad_value=4)
    two = s.threshold(s.conv(mapped, 7, 2))
    wide = s.conv(mapped, 7, padding=(1, 1, 1, 1), pad_value=50_000)
    s.check(one, two)
    s.check(one, two, wide)
    s.check(one, two, mapped)
    s.check(one, two, s.pool(mapped))


def test_a_value_that_is_output_and_read() -> None:
    s = Sketch(Bits((5, 5, 10)))
    dot = s.conv("x", 12, padding=(1, 1, 1, 1))
    bits = s.threshold(dot)
    pooled = s.pool(dot)
    low = s.threshold(pooled)
    twice = s.add(o.Add, dot, dot)
    last = s.threshold(s.conv(bits, 3))
    for keep in (["x", dot, bits], [last, bits], [pooled, low], [twice, "x"], ["x"], [low, last]):
        s.check(*keep)


def test_two_thresholds_of_one_dot_product() -> None:
    s = Sketch(Bits((5, 5, 10)))
    dot = s.conv("x", 12)
    s.check(s.threshold(dot), s.threshold(dot))


# What an input may be.


@channels
def test_inputs_of_bits(c: int) -> None:
    s = Sketch(Bits((4, 5, c)), c)
    readers = [
        s.pool("x"),
        s.pool("x", padding=(1, 0, 1, 1)),
        s.pool("x", o.SumPool2d, padding=(0, 1, 1, 0)),
        s.add(o.Flatten, "x"),
        s.add(o.Subsample, "x", stride=(3, 2)),
        _affine(s, "x", "half_even"),
        s.conv("x", 6, padding=(1, 1, 1, 1), pad_value=1),
    ]
    s.check(*readers)
    s.check(*readers, "x")
    for reader in readers:
        s.check(reader)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int16, np.uint16, np.int64, np.uint64])
def test_inputs_of_any_integer_type(dtype: type) -> None:
    s = Sketch(Int((4, 4, 3), 0, 100))
    readers = [s.conv("x", 5, padding=(1, 1, 1, 1)), s.pool("x"), s.pool("x", o.SumPool2d), "x"]
    readers += [s.add(o.Add, "x", "x"), _affine(s, "x", "floor"), s.add(o.Flatten, "x")]
    readers += [s.threshold("x"), s.add(o.PadChannels, "x", before=1, after=2)]
    program = s.program(*readers)
    batch = random_batch(program, 3, s.rng).astype(dtype)
    check(program, batch)
    check(program, batch[::-1, :, ::-1])  # not contiguous
    check(program, np.asfortranarray(batch))


@pytest.mark.parametrize("images", [0, 1, 5, 33])
def test_batch_sizes(images: int) -> None:
    s = Sketch(Int((6, 6, 3), 0, 255))
    bits = s.threshold(s.conv("x", 33, padding=(1, 1, 1, 1)))
    scores = s.dense(s.add(o.Flatten, s.pool(bits)), 10)
    for threads in (1, 2, None):
        s.check(s.add(o.ArgMax, scores), scores, bits, images=images, threads=threads)


# The other ops.


def _affine(s: Sketch, x: str, rounding: str, shift: int = 3) -> str:
    c = s.types[x].shape[-1]
    tensors = {
        "multiplier": s.rng.integers(-50, 50, c).astype(np.int32),
        "addend": s.rng.integers(-5000, 5000, c).astype(np.int64),
    }
    return s.add(o.Affine, x, tensors=tensors, shift=shift, rounding=rounding)


@channels
@pytest.mark.parametrize("rounding", ["floor", "half_up", "half_even"])
def test_affine(c: int, rounding: str) -> None:
    for input_type in (Bits((2, 3, c)), Int((2, 3, c), 0, 255), Int((c,), -(10**6), 10**6)):
        for shift in (0, 1, 4):
            s = Sketch(input_type, c)
            s.check(_affine(s, "x", rounding, shift), images=8)


@pytest.mark.parametrize("rounding", ["floor", "half_up", "half_even"])
def test_affine_at_its_limits(rounding: str) -> None:
    s = Sketch(Int((4,), -(2**31) + 2, 2**31 - 2))
    tensors = {
        "multiplier": np.array([2**30, -(2**30), 2**30, 0], np.int32),
        "addend": np.array([0, 1, 2**60, 2**61], np.int64),
    }
    line = s.add(o.Affine, "x", tensors=tensors, shift=50, rounding=rounding)
    s.check(line, images=50)
    ends = np.array([[-(2**31) + 2] * 4, [2**31 - 2] * 4, [0] * 4, [-1] * 4])
    check(s.program(line), ends)


@channels
@pytest.mark.parametrize("rounding", ["floor", "half_up", "half_even"])
def test_piecewise_linear(c: int, rounding: str) -> None:
    for segments in (1, 2, 5):
        for input_type in (Int((2, 3, c), 0, 255), Int((c,), -300, 300)):
            s = Sketch(input_type, c)
            steps = s.rng.integers(1, 60, (c, segments - 1))
            tensors = {
                "breakpoints": (np.cumsum(steps, axis=1) - 40).astype(np.int32),
                "multiplier": s.rng.integers(-9, 9, (c, segments)).astype(np.int32),
                "addend": s.rng.integers(-99, 99, (c, segments)).astype(np.int64),
            }
            lines = s.add(o.PiecewiseLinear, "x", tensors=tensors, shift=2, rounding=rounding)
            s.check(lines, images=20)


@channels
def test_lookup(c: int) -> None:
    for input_type in (Int((2, 3, c), 0, 255), Int((c,), -7, 100)):
        entries = input_type.hi - input_type.lo + 1
        for shape in ((entries,), (c, entries)):
            s = Sketch(input_type, c)
            table = s.rng.integers(-(2**30), 2**30, shape).astype(np.int32)
            s.check(s.add(o.Lookup, "x", tensors={"table": table}), images=9)


@channels
def test_pools_of_bits_and_integers(c: int) -> None:
    for input_type in (Bits((5, 6, c)), Int((5, 6, c), -1000, 1000)):
        for kernel, stride in (((2, 2), (2, 2)), ((3, 1), (1, 2)), ((5, 6), (1, 1))):
            for padding in (NO_PADDING, (kernel[0] - 1, 0, 0, kernel[1] - 1)):
                s = Sketch(input_type, c)
                args = {"kernel": kernel, "stride": stride, "padding": padding}
                s.check(s.pool("x", **args), s.pool("x", o.SumPool2d, **args))


@channels
def test_the_remaining_ops(c: int) -> None:
    s = Sketch(Int((5, 4, c), -9, 200), c)
    values = [
        s.add(o.Add, "x", "x"),
        s.add(o.PadChannels, "x", before=3, after=0),
        s.add(o.PadChannels, "x", before=0, after=70),
        s.add(o.Subsample, "x", stride=(2, 3)),
        s.add(o.Subsample, s.threshold("x"), stride=(7, 1)),
        s.add(o.Flatten, "x"),
        s.add(o.Flatten, s.threshold("x")),
    ]
    values.append(s.add(o.Add, values[0], "x"))
    values.append(s.add(o.ArgMax, values[5]))
    s.check(*values)
    s.check(*values, "x")


def test_arg_max_takes_the_first_maximum() -> None:
    s = Sketch(Int((6,), 0, 2))
    best = s.add(o.ArgMax, "x")
    s.check(best, images=200)
    named = s.add(o.Lookup, best, tensors={"table": np.arange(6, 0, -1, dtype=np.int32)})
    s.check(named, s.add(o.Add, best, named), images=20)  # scalars
