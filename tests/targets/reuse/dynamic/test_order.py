"""Orders of tiles from images: what they are, and that they only cost time."""

import itertools

import numpy as np
import pytest
from tests.targets.reuse.dynamic.skippable import (
    bits_of,
    check_layer,
    one_layer,
    only_layer,
    windows_of,
)

from bitwright.targets.reuse.dynamic import (
    Skips,
    order,
    prepare,
    run_layer,
    skip_layers,
    tile_orders,
)
from bitwright.targets.reuse.dynamic.order import by_variance, learned, sample_of

BOUNDS_ONLY = {"width": 8, "inclusion": False, "constants": False}


def sample(program, bits, **settings):
    layer = only_layer(program)
    return sample_of(layer, Skips(**settings), bits, np.random.default_rng(0))


def test_samples_are_what_tiles_count():
    program = one_layer(2, (6, 6, 7), 5, padding=(1, 0, 1, 1))
    bits = bits_of(program, np.random.default_rng(0), 2)
    layer = only_layer(program)
    found = sample(program, bits, width=10)
    windows, real = windows_of(layer, bits)
    equal = (windows[:, :, None] == layer.kernels) & real[:, None]
    edges = range(0, 63, 10)
    tiles = np.add.reduceat(equal.astype(np.int64), edges, axis=3)
    expected = tiles.reshape(-1, 5, 7)
    # All windows of the sample, in an order of its own.
    assert found.matches.shape == (expected.shape[0] * 5, 7)
    rows = found.matches.reshape(expected.shape)
    assert sorted(map(bytes, rows)) == sorted(map(bytes, expected))
    ones = np.add.reduceat((windows & real).astype(np.int64), edges, axis=2)
    np.testing.assert_array_equal(
        np.bincount(found.activations[:, 3]), 5 * np.bincount(ones[..., 3].ravel())
    )
    own = np.add.reduceat((layer.kernels & real[:, None]).astype(np.int64), edges, axis=2)
    assert found.kernels.sum() == len(bits) * own.sum()
    assert found.left.sum() == len(bits) * 5 * real.sum()
    reached = found.matches.sum(axis=1) >= found.limits
    fires = run_layer(layer, bits)[0][..., layer.rising].sum()
    assert reached.reshape(-1, 5)[:, layer.rising].sum() == fires


def test_the_sample_is_small(monkeypatch):
    monkeypatch.setattr(order, "SAMPLES", 1000)
    program = one_layer(2, (6, 6, 7), 5)
    bits = bits_of(program, np.random.default_rng(0), 9)
    found = sample(program, bits, width=10)
    assert found.matches.shape == (1000 // (7 * 5) * 5, 7)


def test_the_tiles_that_vary_most_come_first():
    program = one_layer(0, (4, 4, 8), 6, kernel=2)
    rng = np.random.default_rng(0)
    bits = np.zeros((30, 4, 4, 8), np.bool_)
    bits[..., :4] = rng.random((30, 4, 4, 4)) < 0.5  # tiles of 4: every other one is dead
    found = sample(program, bits, width=4)
    variance = found.matches.var(axis=0)
    best = by_variance(found)
    assert sorted(best[:4]) == [0, 2, 4, 6]
    assert (np.diff(variance[best]) <= 0).all()


def done(program, bits, tiles, **settings):
    return check_layer(program, bits, Skips(**BOUNDS_ONLY, **settings), tiles).done


@pytest.mark.parametrize("bounds", ["naive", "tight"])
def test_the_learned_order_is_near_the_best_there_is(bounds):
    for seed in range(3):
        program = one_layer(seed, (5, 5, 10), 7, 2, limits=np.full(7, 6), rising=np.ones(7, bool))
        rng = np.random.default_rng(seed)
        bits = rng.random((6, 5, 5, 10)) < rng.random((1, 1, 1, 10))
        skips = {"bounds": bounds, "width": 8}
        tiles = learned(sample(program, bits, **skips), tight=bounds == "tight")
        assert sorted(tiles) == [0, 1, 2, 3, 4]
        costs = {
            every: run_layer_cost(program, bits, every, bounds)
            for every in itertools.permutations(range(5))
        }
        mine = costs[tuple(tiles)]
        assert mine == done(program, bits, tiles, bounds=bounds)
        ordered = sorted(costs.values())
        assert mine <= ordered[len(ordered) // 10]
        assert mine < costs[tuple(range(5))] < ordered[-1] or mine == ordered[0]


def run_layer_cost(program, bits, tiles, bounds):
    skips = Skips(**BOUNDS_ONLY, bounds=bounds)
    return run_layer(prepare(only_layer(program), skips, np.array(tiles)), bits)[1].done


def test_orders_of_a_program():
    program = one_layer(4, (6, 6, 20), 7)
    bits = bits_of(program, np.random.default_rng(1), 20)
    layers = skip_layers(program)
    assert tile_orders(program, layers, Skips(), bits) == {}
    for how in ("variance", "learned"):
        for bounds in ("naive", "tight", "parent"):
            skips = Skips(tile_order=how, bounds=bounds)
            (tiles,) = tile_orders(program, layers, skips, bits).values()
            assert sorted(tiles) == list(range(6))
            again = tile_orders(program, layers, skips, bits, seed=0)
            np.testing.assert_array_equal(tiles, *again.values())
            check_layer(program, bits, skips, tiles)
