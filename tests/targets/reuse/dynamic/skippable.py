"""Small programs whose layers skip, and brute-force counts of what skipping leaves."""

import numpy as np
from hypothesis import strategies as st
from tests.native.sketch import Sketch

from bitwright.ir import Bits, Int, reference
from bitwright.ir import ops as o
from bitwright.native.convolution import window_view
from bitwright.targets.reuse.dynamic import (
    Channels,
    Skips,
    prepare,
    run_layer,
    skip_layers,
    tiles_used,
)
from bitwright.targets.reuse.dynamic.skips import CALIBRATED

ORDERS = {"channel_order": st.sampled_from(["natural", "parents", "variance", "learned"])}
SWITCHES = {name: st.booleans() for name in ("inclusion", "pool", "constants")}


def any_skips():
    """Every switch; the order of tiles is given by hand."""
    return st.builds(
        Skips,
        width=st.sampled_from([1, 3, 8, 20, 32, 64]),
        bounds=st.sampled_from(["none", "naive", "tight", "parent"]),
        **ORDERS,
        **SWITCHES,
    )


def alike(rng, weights, kinds):
    """Make kernels equal, or alike: copies of the first with few flips, or their opposites."""
    if kinds == "equal":
        weights[:] = weights[0]
    elif kinds == "alike":
        flips = rng.random(weights.shape) < 0.1
        opposite = rng.random(len(weights)) < 0.3
        weights[:] = weights[0] ^ flips ^ opposite.reshape(-1, *[1] * (weights.ndim - 1))


def one_layer(
    seed=0, shape=(5, 4, 7), neurons=6, kernel=3, kinds="random", pool=None, pool_first=False,
    limits=None, rising=None, **geometry,
):  # fmt: skip
    """A convolution of bits, a threshold, and perhaps a max-pool before or behind it."""
    s = Sketch(Bits(shape), seed)
    value = s.conv("x", neurons, kernel, **geometry)
    alike(s.rng, s.tensors[f"{value}.weights"], kinds)
    if pool and pool_first:
        value = s.pool(value, **pool)
    value = s.threshold(value, limits, rising)
    if pool and not pool_first:
        value = s.pool(value, **pool)
    return s.program(value)


def random_network(seed):
    """Layers of bits one after the other, dead neurons among them, and perhaps a shortcut."""
    rng = np.random.default_rng(seed)
    shape = (*map(int, rng.integers(5, 9, 2)), int(rng.choice([1, 3, 20])))
    s = Sketch(Bits(shape) if rng.random() < 0.3 else Int(shape, 0, 255), seed)
    bits = s.threshold(s.conv("x", int(rng.choice([4, 33])), padding=(1, 1, 1, 1)))
    for _ in range(int(rng.integers(1, 4))):
        neurons, kernel = int(rng.choice([1, 5, 16])), int(rng.integers(1, 4))
        kernel = min(kernel, *s.types[bits].shape[:2])
        padding = tuple(map(int, rng.integers(0, kernel, 4)))
        value = s.conv(bits, neurons, kernel, padding=padding, pad_value=int(rng.integers(-1, 2)))
        alike(rng, s.tensors[f"{value}.weights"], rng.choice(["random", "alike"]))
        small, how = min(s.types[value].shape[:2]) < 2, rng.random()
        if how < 0.2 and s.types[value].shape[:2] == s.types[bits].shape[:2]:
            value = s.add(o.Add, value, s.conv(bits, neurons, 1))  # a shortcut
        elif how < 0.5 and not small:
            value = s.pool(value)
        bits = s.threshold(value)
        if how > 0.8 and not small:
            bits = s.pool(bits, kernel=(2, 2), stride=(1, 2), padding=(1, 0, 0, 1))
    flat = s.add(o.Flatten, bits)
    scores = s.dense(s.threshold(s.dense(flat, 12)), 3)
    return s.program(*dict.fromkeys([scores, bits if seed % 3 == 0 else scores]))


def only_layer(program):
    (layer,) = skip_layers(program).values()
    return layer


def output(program, batch):
    """The reference's only output."""
    (value,) = reference.run(program, batch).values()
    return value


def bits_of(program, rng, images=3):
    return rng.random((images, *program.input_type.shape)) < rng.random()


def some_channels(rng, layer, skips):
    """Any order of the kernels, and any parents that it allows."""
    if skips.channel_order not in CALIBRATED:
        return None
    order = rng.permutation(layer.neurons)
    parents = np.full(layer.neurons, -1)
    for k in range(1, layer.neurons):
        parents[order[k]] = rng.choice([-1, order[rng.integers(k)]])
    return Channels(order, parents if rng.random() < 0.5 else None)


def check_layer(program, bits, skips, tile_order=None, channels=None):
    """Both twins give the reference's bits, the same counters and the same tiles; return them."""
    prepared = prepare(only_layer(program), skips, tile_order, channels)
    expected = output(program, bits)
    found, counters = run_layer(prepared, bits)
    np.testing.assert_array_equal(found.reshape(expected.shape), expected)
    plain, same = run_layer(prepared, bits, twin="plain")
    np.testing.assert_array_equal(plain, found)
    assert same == counters
    used = tiles_used(prepared, bits)
    np.testing.assert_array_equal(tiles_used(prepared, bits, twin="plain"), used)
    check_sums(prepared, counters, used)
    return counters


def check_sums(prepared, counters, used):
    """What must hold of counters, however they came about."""
    layer = prepared.layer
    assert counters.images == len(used)
    assert counters.neurons == used.size
    assert used.sum() == counters.tile_steps
    steps = np.arange(prepared.tiles + 1)
    assert (counters.deciding_tile * steps).sum() == counters.tile_steps
    decided = sum(counters.deciding_tile)
    assert counters.constant + counters.pooled + counters.implied + decided == counters.neurons
    falling = [
        counters.dense, counters.after_constants, counters.after_pool, counters.after_inclusion,
        counters.done,
    ]  # fmt: skip
    assert falling == sorted(falling, reverse=True)
    if layer.pool is None or not prepared.skips.pool:
        assert counters.slowest_steps == used.max(axis=2).sum()
    if prepared.skips.bounds == "none":
        assert counters.done == counters.after_inclusion
        assert counters.bound_checks == 0
    else:
        assert counters.bound_checks <= counters.tile_steps + decided
    assert counters.parent_checks <= counters.bound_checks


def windows_of(layer, bits):
    """Windows (images, windows, taps) and whether each tap lies in the map, (windows, taps)."""
    view = window_view(layer.dot, bits)
    flat = view.reshape(len(bits), layer.windows, layer.fan_in)
    windows = layer.dot.windows
    real = ~windows.padded_taps()[windows.classes().reshape(-1)]
    return flat, np.repeat(real.reshape(layer.windows, -1), layer.dot.weights.shape[3], axis=1)
