"""Orders of kernels from images: what they are, what they save, and that they only cost time."""

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
    Channels,
    Skips,
    channel_orders,
    channels,
    prepare,
    run_layer,
    skip_layers,
)
from bitwright.targets.reuse.dynamic.channels import (
    along,
    by_variance,
    decided_by,
    learned,
    sample_counts,
    saved_by,
)
from bitwright.targets.reuse.dynamic.relations import distances

BITS_ALONE = Skips(bounds="none", constants=False)
BY_PARENTS = Skips(width=8, bounds="parent", inclusion=False, constants=False)


def alike(seed, neurons=7, **geometry):
    """Kernels that are copies of one with few flips: each bit says much of the others."""
    limits = np.random.default_rng(seed).integers(-24, 25, neurons)
    return one_layer(seed, (6, 6, 7), neurons, kinds="alike", limits=limits, **geometry)


def sampled(program, bits, skips):
    natural = prepare(only_layer(program), skips)
    return natural, *sample_counts(natural, bits, np.random.default_rng(0))


def matches(layer, bits):
    """Counts of all windows by brute force, (windows of all images, neurons)."""
    windows, real = windows_of(layer, bits)
    equal = (windows[:, :, None] == layer.kernels) & real[:, None]
    return equal.sum(axis=3).reshape(-1, layer.neurons)


def test_samples_are_what_kernels_count():
    program = alike(2, padding=(1, 0, 1, 1))
    bits = bits_of(program, np.random.default_rng(0), 2)
    _, counts, classes = sampled(program, bits, BITS_ALONE)
    layer = only_layer(program)
    assert sorted(map(bytes, counts)) == sorted(map(bytes, matches(layer, bits)))
    every = layer.dot.windows.classes().reshape(-1)
    np.testing.assert_array_equal(np.bincount(classes), 2 * np.bincount(every))


def test_the_sample_is_small(monkeypatch):
    monkeypatch.setattr(channels, "PAIRS", 500)
    program = alike(2)
    _, counts, classes = sampled(program, bits_of(program, np.random.default_rng(0), 9), BITS_ALONE)
    assert counts.shape == (500 // 49, 7)
    assert classes.shape == (500 // 49,)


def test_the_kernels_that_vary_most_come_first():
    program = alike(3, 20)
    bits = bits_of(program, np.random.default_rng(0), 5)
    variance = matches(only_layer(program), bits).var(axis=0)
    _, counts, _ = sampled(program, bits, BITS_ALONE)
    order = by_variance(counts).order
    assert (np.diff(variance[order]) <= 0).all()
    assert variance[order[0]] > variance[order[-1]]


def implied_by_hand(layer, bits, order):
    """How many neurons of all windows the bits of those before them decide, without padding.

    Kernel i has a count that its bit allows; kernel j's then lies within what `relations` derives.
    """
    counts, inputs = matches(layer, bits), layer.fan_in
    limits = layer.limits(np.array([inputs]))[0]
    far = distances(layer.kernels, np.ones(inputs, np.bool_))
    every = np.arange(inputs + 1)
    says = np.zeros((2, layer.neurons, layer.neurons), np.bool_)
    for i, j in itertools.permutations(range(layer.neurons), 2):
        low, high = abs(every - far[i, j]), inputs - abs(inputs - far[i, j] - every)
        sure = (low >= limits[j]).astype(int) - (high < limits[j])
        for outcome in (0, 1):
            allowed = sure[(every >= limits[i]) == outcome]
            says[outcome, i, j] = len(allowed) and ((allowed == 1).all() or (allowed == -1).all())
    fires = counts >= limits
    total = 0
    for row in fires.astype(int):
        for place, j in enumerate(order):
            total += any(says[row[i], i, j] for i in order[:place])
    return total


@pytest.mark.parametrize("how", ["natural", "variance", "learned"])
def test_what_bits_imply_is_what_a_direct_count_says(how):
    program = alike(11)
    layer = only_layer(program)
    bits = bits_of(program, np.random.default_rng(4), 4)
    skips = Skips(bounds="none", constants=False, channel_order=how)
    given = channel_orders(program, skip_layers(program), skips, bits).get(layer.name)
    counters = check_layer(program, bits, skips, channels=given)
    order = np.arange(7) if given is None else given.order
    assert counters.implied == implied_by_hand(layer, bits, order) > 0
    assert counters.done == (counters.neurons - counters.implied) * layer.fan_in


def test_the_learned_order_is_near_the_best_there_is():
    better = 0
    for seed in range(10, 14):
        program = alike(seed, 6)
        layer = only_layer(program)
        bits = bits_of(program, np.random.default_rng(seed), 4)
        implied = decided_by(*sampled(program, bits, BITS_ALONE))
        costs = {}
        for order in itertools.permutations(range(6)):
            decided = sum(
                implied[:, order[:k], j].any(axis=1).sum() for k, j in enumerate(order) if k
            )
            costs[order] = -int(decided)
        mine = tuple(learned(implied).order.tolist())
        found = run_layer(prepare(layer, BITS_ALONE, None, Channels(np.array(mine))), bits)[1]
        assert found.implied == -costs[mine]
        ordered = sorted(costs.values())
        assert costs[mine] <= ordered[len(ordered) // 20]
        better += costs[mine] < costs[tuple(range(6))]
    assert better >= 3


def test_what_is_constant_or_never_looked_at_decides_nothing():
    limits = np.array([3, 3, 99, -99])
    program = one_layer(0, (5, 5, 4), 4, kinds="equal", limits=limits, rising=np.ones(4, bool))
    bits = bits_of(program, np.random.default_rng(0), 2)
    skips = Skips(bounds="none")
    decided = decided_by(*sampled(program, bits, skips))
    assert decided[:, [0, 1], [1, 0]].all()
    assert decided.sum() == 2 * len(decided)
    silent = decided_by(*sampled(program, bits, Skips(bounds="none", inclusion=False)))
    assert not silent.any()
    assert learned(silent).order.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("pad_value", [-1, 0])
def test_parents_save_what_running_them_says(pad_value):
    program = alike(5, 3, padding=(1, 1, 0, 1), pad_value=pad_value)
    layer = only_layer(program)
    bits = bits_of(program, np.random.default_rng(1), 2)
    skips = Skips(width=8, bounds="parent", inclusion=False, pool=False)
    saved = saved_by(prepare(layer, skips), bits, np.random.default_rng(0))
    nobody = np.full(3, -1)

    def done(order, parents):
        given = prepare(layer, skips, None, Channels(np.array(order), parents))
        return run_layer(given, bits, twin="plain")[1].done

    alone = done(range(3), nobody)
    assert (saved.diagonal() == 0).all()
    assert saved.sum() > 0
    for one, other in itertools.permutations(range(3), 2):
        parents = nobody.copy()
        parents[other] = one
        rest = [k for k in range(3) if k not in (one, other)]
        assert saved[one, other] == alone - done([one, other, *rest], parents)


def test_parents_are_done_before_their_children():
    saved = np.array([[0, 5, 0, 0], [9, 0, 3, 0], [0, 4, 0, 0], [0, 0, 0, 0]])
    found = along(saved)
    assert found.order.tolist() == [1, 0, 2, 3]
    assert found.parents.tolist() == [1, -1, 1, -1]


def test_learned_parents_save_more_than_near_ones():
    total = dict.fromkeys(("natural", "parents", "learned"), 0)
    for seed in range(4):
        program = alike(seed, 24)
        rng = np.random.default_rng(seed)
        images = rng.random((12, *program.input_type.shape)) < rng.random()
        for how in total:
            skips = Skips(**{**vars(BY_PARENTS), "channel_order": how})
            found = channel_orders(program, skip_layers(program), skips, images[:6])
            given = found.get(only_layer(program).name)
            total[how] += check_layer(program, images[6:], skips, channels=given).done
    assert total["learned"] < total["parents"] < total["natural"]


def test_orders_of_a_program():
    program = alike(4)
    bits = bits_of(program, np.random.default_rng(1), 20)
    layers = skip_layers(program)
    for how in ("natural", "parents"):
        assert channel_orders(program, layers, Skips(channel_order=how), bits) == {}
    tiles = np.random.default_rng(2).permutation(8)
    for how in ("variance", "learned"):
        for bounds in ("none", "naive", "tight", "parent"):
            skips = Skips(width=8, channel_order=how, tile_order="learned", bounds=bounds)
            given = dict.fromkeys(layers, tiles)
            (found,) = channel_orders(program, layers, skips, bits, tiles=given).values()
            assert sorted(found.order) == list(range(7))
            (again,) = channel_orders(program, layers, skips, bits, tiles=given).values()
            np.testing.assert_array_equal(found.order, again.order)
            check_layer(program, bits, skips, tiles, found)
