"""Skipping layers: both twins against the reference, and what is counted against brute force."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.native.sketch import Sketch
from tests.targets.reuse.dynamic.skippable import (
    any_skips,
    bits_of,
    check_layer,
    one_layer,
    only_layer,
    output,
    some_channels,
    windows_of,
)

from bitwright.errors import ConfigError, DataError
from bitwright.ir import Bits
from bitwright.ir.work import count_work
from bitwright.targets.reuse.dynamic import (
    NO_SKIPS,
    Channels,
    LayerCounters,
    Skips,
    prepare,
    run_layer,
    skip_layers,
    tiles_used,
)

SAME = (1, 1, 1, 1)
POOL = {"kernel": (2, 2), "stride": (2, 2)}
KINDS = ("random", "equal", "alike")


@settings(max_examples=120)
@given(data=st.data(), skips=any_skips(), seed=st.integers(0, 2**32 - 1))
def test_any_layer_with_any_skips_equals_the_reference(data, skips, seed):
    draw = data.draw
    kernel = draw(st.integers(1, 3))
    shape = (*draw(st.tuples(*[st.integers(4, 6)] * 2)), draw(st.sampled_from([1, 3, 22, 70])))
    pads = st.tuples(*[st.integers(0, kernel - 1)] * 4)
    pool = draw(
        st.sampled_from(
            [
                None,
                {"kernel": (1, 1), "stride": (1, 1)},
                {"kernel": (2, 1), "stride": (1, 1)},
                {"kernel": (1, 1), "stride": (2, 2)},
            ]
        )
    )
    program = one_layer(
        seed, shape, draw(st.sampled_from([1, 2, 5, 9])), kernel, draw(st.sampled_from(KINDS)),
        pool, draw(st.booleans()), stride=(1, draw(st.integers(1, 2))), padding=draw(pads),
        pad_value=draw(st.integers(-1, 1)),
    )  # fmt: skip
    rng = np.random.default_rng(seed)
    layer = only_layer(program)
    order = rng.permutation(-(-layer.fan_in // skips.width))
    channels = some_channels(rng, layer, skips)
    check_layer(program, bits_of(program, rng, draw(st.integers(0, 3))), skips, order, channels)


@pytest.mark.parametrize("pool_first", [False, True])
@pytest.mark.parametrize("skips", [Skips(bounds="parent", channel_order="parents"), Skips()])
@pytest.mark.parametrize(
    "pool",
    [POOL, POOL | {"padding": SAME}, {"kernel": (3, 2), "stride": (1, 2), "padding": (2, 0, 1, 1)}],
)
def test_pools_apart_padded_and_shared(pool, skips, pool_first):
    for seed, kinds in enumerate(KINDS):
        program = one_layer(
            seed, (5, 6, 5), 7, 3, kinds, pool, pool_first, padding=SAME, pad_value=seed - 1
        )
        check_layer(program, bits_of(program, np.random.default_rng(seed)), skips)


@pytest.mark.parametrize("pad_value", [-1, 0, 1])
def test_without_skips_all_work_is_done(pad_value):
    program = one_layer(3, pool=POOL, padding=SAME, pad_value=pad_value, stride=(1, 2))
    counters = check_layer(program, bits_of(program, np.random.default_rng(0)), NO_SKIPS)
    assert counters.done == counters.dense == 3 * count_work(program)[0].binary_operations
    assert counters.deciding_tile == (0, 0, counters.neurons)
    assert counters.activation_bits == counters.implication_checks == 0
    assert counters.share == 1


def prefix_bounds(layer, bits, width, tight):
    """By brute force: the share of operations done under bounds, without padding."""
    windows, _ = windows_of(layer, bits)
    equal = windows[:, :, None] == layer.kernels
    counts = equal.sum(axis=3)
    reached = counts >= layer.limits(np.array([layer.fan_in]))[0]
    done = np.full(counts.shape, layer.fan_in)
    for stop in range(layer.fan_in - layer.fan_in % width, -1, -width):
        if stop == layer.fan_in:
            continue
        rest = layer.fan_in - stop
        ones = windows[..., stop:].sum(axis=2)[:, :, None]
        own = layer.kernels[:, stop:].sum(axis=1)
        low = high = equal[..., :stop].sum(axis=3)
        low = low + (np.abs(ones + own - rest) if tight else 0)
        high = high + rest - (np.abs(ones - own) if tight else 0)
        limit = layer.limits(np.array([layer.fan_in]))[0]
        decided = (low >= limit) | (high < limit)
        assert ((low >= limit) == reached)[decided].all()
        done[decided] = stop
    return done


@pytest.mark.parametrize("width", [8, 32])
@pytest.mark.parametrize("bounds", ["naive", "tight"])
def test_bounds_stop_where_brute_force_says(bounds, width):
    program = one_layer(5, (6, 6, 13), 10)
    layer = only_layer(program)
    bits = bits_of(program, np.random.default_rng(1))
    counters = check_layer(
        program, bits, Skips(width=width, bounds=bounds, inclusion=False, constants=False)
    )
    done = prefix_bounds(layer, bits, width, bounds == "tight")
    assert counters.done == done.sum() < counters.dense
    steps = -(-done // width)
    np.testing.assert_array_equal(
        np.bincount(steps.ravel(), minlength=len(counters.deciding_tile)), counters.deciding_tile
    )
    ones_counted = layer.fan_in * layer.windows * len(bits)
    assert counters.activation_bits == (ones_counted if bounds == "tight" else 0)


@pytest.mark.parametrize("pool_first", [False, True])
def test_pools_stop_at_the_first_window_that_decides(pool_first):
    rising = np.arange(6) % 2 == 0
    program = one_layer(
        2, (8, 8, 7), 6, 3, "random", POOL, pool_first, limits=np.zeros(6), rising=rising
    )
    layer = only_layer(program)
    bits = bits_of(program, np.random.default_rng(3))
    windows, _ = windows_of(layer, bits)
    dots = 2 * (windows[:, :, None] == layer.kernels).sum(axis=3) - layer.fan_in
    fires = np.where(rising, dots >= 0, dots <= 0)
    # The maximum of falling neurons' dot products fires where all do: it stops where one does not.
    stops = np.where(rising, fires, ~fires) if pool_first else fires
    cells = stops.reshape(len(bits), 3, 2, 3, 2, 6).transpose(0, 1, 3, 2, 4, 5)
    cells = cells.reshape(-1, 4, 6)
    looked_at = np.where(cells.any(axis=1), cells.argmax(axis=1) + 1, 4).sum()
    counters = check_layer(program, bits, Skips(bounds="none", inclusion=False))
    assert counters.done == counters.after_pool == looked_at * layer.fan_in < counters.dense
    assert counters.pooled == counters.neurons - looked_at


def test_windows_that_no_pool_reads_are_left_out():
    program = one_layer(1, (5, 5, 4), 3, 1, pool={"kernel": (1, 1), "stride": (4, 4)})
    bits = bits_of(program, np.random.default_rng(0), 2)
    counters = check_layer(program, bits, Skips(bounds="none", inclusion=False, constants=False))
    assert counters.done == 2 * 4 * 3 * 4
    assert counters.dense == 2 * 25 * 3 * 4


def test_equal_kernels_imply_each_other():
    program = one_layer(4, neurons=8, kinds="equal", limits=np.full(8, 3), rising=np.ones(8, bool))
    bits = bits_of(program, np.random.default_rng(0))
    counters = check_layer(program, bits, Skips(bounds="none"))
    assert counters.after_inclusion * 8 == counters.after_pool
    assert counters.implied * 8 == counters.neurons * 7
    # The neuron done last says it all: one look where it fires, a second one where it does not.
    ones = int(output(program, bits)[..., 1:].sum())
    assert counters.implication_checks == 2 * counters.implied - ones
    assert 0 < ones < counters.implied
    assert check_layer(program, bits, Skips(bounds="none", inclusion=False)).implied == 0


def test_opposite_kernels_imply_each_other():
    s = Sketch(Bits((1, 1, 31)), 0)
    value = s.conv("x", 2, 1)
    weights = s.tensors[f"{value}.weights"]
    weights[1] = ~weights[0]
    program = s.program(s.threshold(value, [3, -3], [True, True]))
    # d >= 3 is -d <= -3; the other neuron's -d >= -3 differs from its opposite at d = 3 only.
    bits = np.random.default_rng(0).random((200, 1, 1, 31)) < 0.5
    counters = check_layer(program, bits, Skips(bounds="none"))
    fires = output(program, bits)[..., 0].sum()
    assert counters.implied == 200 - fires > 0


def test_a_parent_that_was_done_decides_its_equals_at_once():
    # Limits that differ: no bit implies the other, but the parent's count is known.
    program = one_layer(6, neurons=2, kinds="equal", limits=[9, -9], rising=[True, False])
    bits = bits_of(program, np.random.default_rng(5), 20)
    skips = Skips(bounds="parent", width=64, inclusion=False)
    counters = check_layer(program, bits, skips)
    tight = check_layer(program, bits, Skips(bounds="tight", width=64, inclusion=False))
    used = tiles_used(only_layer(program), bits, skips)
    full = used[..., 0] == 1
    assert full.any()
    assert not used[..., 1][full].any()
    assert counters.done < tight.done
    assert tight.parent_checks == 0 < counters.parent_checks


def test_saturated_neurons_and_known_inputs_are_no_work():
    s = Sketch(Bits((4, 4, 5)), 1)
    first = s.conv("x", 6, 2)
    limits = [0, 99, -99, 0, 99, 0]
    bits1 = s.threshold(first, limits, [True, True, True, True, False, False])
    program = s.program(s.threshold(s.conv(bits1, 4, 2), [0, 1, 13, 2], np.ones(4, bool)))
    one, two = skip_layers(program).values()
    assert one.known.tolist() == [-1] * 5
    # Channels 1, 2 and 4 of the first layer are 0, 1 and 1.
    assert two.known.tolist() == [-1, 0, 1, -1, 1, -1]
    rng = np.random.default_rng(0)
    images = bits_of(program, rng, 4)
    skips = Skips(bounds="none", inclusion=False)
    made, counters = run_layer(one, images, skips)
    assert counters.constant == counters.neurons / 2
    assert counters.done == counters.after_constants == counters.dense / 2
    outputs, counters = run_layer(two, made, skips)
    np.testing.assert_array_equal(outputs, output(program, images))
    matched = (two.dot.weights[..., [1, 2, 4]] == [False, True, True]).sum(axis=(1, 2, 3))
    # Counts reach matched .. matched + 12 of 24.
    limits = -(-(24 + np.array([0, 1, 13, 2])) // 2)
    open_ = (matched < limits) & (limits <= matched + 12)
    assert counters.done == 4 * 4 * 12 * open_.sum()
    assert not open_.all()
    assert counters.dense == 4 * 4 * 24 * len(matched)
    assert run_layer(two, made, NO_SKIPS)[1].done == counters.dense


@pytest.mark.parametrize(("pad_value", "known"), [(0, False), (-1, True), (1, True)])
def test_padding_is_no_work(pad_value, known):
    program = one_layer(0, (4, 4, 6), 5, padding=SAME, pad_value=pad_value, limits=np.zeros(5))
    layer = only_layer(program)
    bits = bits_of(program, np.random.default_rng(0))
    _, real = windows_of(layer, bits)
    inside = 3 * 5 * int(real.sum())
    without = check_layer(program, bits, Skips(bounds="none", constants=False, inclusion=False))
    counters = check_layer(program, bits, Skips(bounds="none", inclusion=False))
    assert counters.done == inside
    assert without.done == without.dense == (3 * 5 * 16 * 54 if known else inside)


def test_counters_add_up():
    program = one_layer(1, (6, 6, 9), pool=POOL)
    layer = only_layer(program)
    bits = bits_of(program, np.random.default_rng(0), 5)
    whole = run_layer(layer, bits)[1]
    parts = [run_layer(layer, part)[1] for part in (bits[:2], bits[2:])]
    assert parts[0] + parts[1] == whole
    assert isinstance(whole, LayerCounters)


def test_what_cannot_be_is_refused():
    for wrong in (
        {"width": 0},
        {"width": 65},
        {"bounds": "loose"},
        {"tile_order": "random"},
        {"channel_order": "tree"},
    ):
        with pytest.raises(ConfigError, match="take"):
            Skips(**wrong)
    layer = only_layer(one_layer())
    with pytest.raises(ConfigError, match="needs images"):
        prepare(layer, Skips(tile_order="learned"))
    with pytest.raises(ConfigError, match=r"order of channels 'variance' .* needs images"):
        prepare(layer, Skips(channel_order="variance"))
    with pytest.raises(ConfigError, match="no such order of tiles"):
        prepare(layer, Skips(), np.array([0, 0]))
    with pytest.raises(ConfigError, match="no such order of channels"):
        prepare(layer, Skips(), channels=Channels(np.arange(5)))
    with pytest.raises(DataError, match="give bools"):
        run_layer(layer, np.zeros((1, 5, 4, 8), np.bool_))
    with pytest.raises(DataError, match="give bools"):
        run_layer(layer, np.zeros((1, 5, 4, 7), np.uint8))
