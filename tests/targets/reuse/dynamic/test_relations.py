"""What kernels say about each other, against all inputs there are."""

import itertools

import numpy as np
import pytest

from bitwright.targets.reuse.dynamic.relations import (
    distances,
    implications,
    nearest_before,
    tree_order,
)

TAPS = 7
INPUTS = np.array(list(itertools.product([False, True], repeat=TAPS)))


def family(seed, neurons=9):
    """Kernels that are alike, opposite or random, and counts of matches of all inputs."""
    rng = np.random.default_rng(seed)
    kernels = rng.random((neurons, TAPS)) < 0.5
    kernels[1:6] = kernels[0] ^ (rng.random((5, TAPS)) < 0.2)
    kernels[4:6] ^= True
    return rng, kernels, (INPUTS[:, None] == kernels).sum(axis=2)


def test_bounds_from_another_count_are_reached():
    _, kernels, counts = family(0)
    far = distances(kernels, np.ones(TAPS, np.bool_))
    for i, j in itertools.permutations(range(len(kernels)), 2):
        assert far[i, j] == (kernels[i] ^ kernels[j]).sum()
        for count in range(TAPS + 1):
            other = counts[counts[:, i] == count, j]
            assert other.min() == abs(count - far[i, j])
            assert other.max() == TAPS - abs(TAPS - far[i, j] - count)


def test_only_live_taps_count():
    _, kernels, _ = family(1)
    live = np.arange(TAPS) % 2 == 0
    expected = (kernels[:, None, live] ^ kernels[None, :, live]).sum(axis=2)
    np.testing.assert_array_equal(distances(kernels, live), expected)


@pytest.mark.parametrize("seed", range(8))
def test_implications_are_all_there_are(seed):
    rng, kernels, counts = family(seed)
    limits = rng.integers(1, TAPS + 1, len(kernels))
    outcomes = counts >= limits
    order = rng.permutation(len(kernels))[:-1]
    far = distances(kernels, np.ones(TAPS, np.bool_))
    starts, entries = implications(limits, far, TAPS, order)
    found = set()
    for j in range(len(kernels)):
        mine = entries[starts[j] : starts[j + 1]]
        found |= {(int(i), bool(a), j, bool(b)) for i, a, b in mine}
        places = [list(order).index(i) for i, _, _ in mine]
        assert places == sorted(places, reverse=True)
    expected = {
        (int(order[a]), given, int(order[b]), follows)
        for a, b in itertools.combinations(range(len(order)), 2)
        for given, follows in itertools.product([False, True], repeat=2)
        if (outcomes[outcomes[:, order[a]] == given, order[b]] == follows).all()
    }
    assert found == expected
    assert {(given, follows) for _, given, _, follows in found} >= {(True, True), (False, False)}


def test_set_inclusion_is_an_implication():
    # K_0 within K_1, limits on |a & K|: with n taps, P = 2 |a & K| - |a| - |K| + n.
    kernels = np.array([[1, 1, 0, 0, 0, 0, 0], [1, 1, 1, 0, 0, 0, 0]], np.bool_)
    limits = np.array([5, 4])
    far = distances(kernels, np.ones(TAPS, np.bool_))
    _, entries = implications(limits, far, TAPS, np.arange(2))
    assert entries.tolist() == [[0, 1, 1]]
    matches = (INPUTS[:, None] == kernels).sum(axis=2)
    ones = INPUTS.sum(axis=1)[:, None]
    both = (INPUTS[:, None] & kernels).sum(axis=2)
    np.testing.assert_array_equal(matches, 2 * both - ones - kernels.sum(axis=1) + TAPS)
    assert (both[:, 0] <= both[:, 1]).all()
    assert (both[:, 1] <= np.minimum(both[:, 0] + 1, ones[:, 0])).all()


def test_trees_put_the_nearest_first():
    _, kernels, _ = family(3, neurons=12)
    far = distances(kernels, np.ones(TAPS, np.bool_))
    near = np.minimum(far, TAPS - far)
    chosen = np.array([0, 1, 2, 4, 5, 7, 8, 10, 11])
    order = tree_order(far, TAPS, chosen)
    assert sorted(order) == chosen.tolist()
    assert order[0] == chosen[near[np.ix_(chosen, chosen)].sum(axis=1).argmin()]
    parents = nearest_before(far, TAPS, order)
    assert (parents[[3, 6, 9]] == -1).all()
    assert parents[order[0]] == -1
    cost = 0
    for k, one in enumerate(order[1:], 1):
        assert parents[one] in order[:k]
        assert near[one, parents[one]] == near[one, order[:k]].min()
        # Prim: of all that are left, none is nearer to what has been placed.
        assert near[one, parents[one]] == near[np.ix_(order[:k], order[k:])].min()
        cost += near[one, parents[one]]
    natural = nearest_before(far, TAPS, chosen)
    assert cost <= sum(near[one, natural[one]] for one in chosen[1:])


def test_no_kernels_have_no_order():
    far = distances(np.zeros((3, TAPS), np.bool_), np.ones(TAPS, np.bool_))
    none = np.zeros(0, np.int64)
    assert tree_order(far, TAPS, none).size == 0
    assert (nearest_before(far, TAPS, none) == -1).all()
