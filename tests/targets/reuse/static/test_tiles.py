"""Tiles and tables: neurons share patterns, and compute what they did."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse.csgraph import minimum_spanning_tree
from tests.targets.reuse.static.kernels import apart, check, kernels, random_kernels

from bitwright.errors import ConfigError
from bitwright.targets.reuse.static.operations import count_operations
from bitwright.targets.reuse.static.permutation import similar_inputs
from bitwright.targets.reuse.static.rooted import distinct
from bitwright.targets.reuse.static.tiles import shared_tiles, tables, tile_inputs

similar_inputs(random_kernels(0, 6, 9), 4)  # compiled here, so that no example takes seconds


def flat(weights):
    return 1, 1, weights.shape[1]


@st.composite
def shaped(draw):
    """Draw kernels of some shape, and the shape."""
    shape = draw(st.sampled_from([(3, 3, 2), (1, 1, 7), (2, 1, 5), (3, 2, 1), (1, 1, 1)]))
    neurons = draw(st.integers(1, 12))
    return random_kernels(draw(st.integers(0, 10_000)), neurons, np.prod(shape)), shape


@given(shaped(), st.integers(1, 10), st.sampled_from(["kernel", "stored"]))
def test_tiles_compute_the_layer(layer, width, order):
    weights, shape = layer
    for graph in (
        shared_tiles(weights, shape, width, order=order),
        shared_tiles(weights, shape, width, order=order, depth=1),
        tables(weights, shape, width, order=order),
        shared_tiles(weights, shape, width, order=similar_inputs(weights, width)),
    ):
        check(graph, weights)


@given(kernels(), st.integers(1, 8))
def test_each_pattern_is_made_once_and_for_the_fewest_bits(weights, width):
    xnors = nodes = 0
    rows = distinct(weights).rows
    for start in range(0, weights.shape[1], width):
        patterns = distinct(rows[:, start : start + width]).rows
        nodes += len(patterns)
        xnors += patterns.shape[1] + minimum_spanning_tree(np.triu(apart(patterns))).sum()
    graph = shared_tiles(weights, flat(weights), width)
    sums = len(rows) if width < weights.shape[1] else 0
    assert graph.nodes == nodes + sums
    operations = count_operations(graph)
    assert operations.xnors == xnors
    tiles = -(-weights.shape[1] // width)
    assert operations.merges == (nodes - tiles) + (tiles * sums)


@given(kernels(), st.integers(1, 6))
def test_a_table_has_all_patterns_each_a_bit_from_the_last(weights, width):
    fan_in = weights.shape[1]
    graph = tables(weights, flat(weights), width)
    sizes = [min(width, fan_in - start) for start in range(0, fan_in, width)]
    patterns = sum(2 ** (size - 1) for size in sizes)
    sums = len(distinct(weights).rows) if len(sizes) > 1 else 0
    assert graph.nodes == patterns + sums
    first = 0
    for size in sizes:
        assert len(graph.terms(first)[0]) == size
        for node in range(first + 1, first + 2 ** (size - 1)):
            assert graph.terms(node)[0][0] == fan_in + node - 1
            assert len(graph.terms(node)[0]) == 2
        first += 2 ** (size - 1)
    # Any other weights read the same tables.
    others = tables(random_kernels(1, 5, fan_in), flat(weights), width)
    terms = int(graph.starts[patterns])
    np.testing.assert_array_equal(graph.sources[:terms], others.sources[:terms])


@given(
    st.integers(1, 3), st.integers(1, 4), st.integers(1, 20), st.sampled_from(["kernel", "stored"])
)
def test_tiles_hold_each_input_once(side, channels, width, order):
    tiles = tile_inputs((side, side, channels), width, order)
    assert sorted(np.concatenate(tiles)) == list(range(side * side * channels))
    assert {len(tile) for tile in tiles[:-1]} <= {width}
    assert 1 <= len(tiles[-1]) <= width


def test_a_tile_of_a_kernel_is_one_channel():
    places = np.arange(3 * 3 * 5).reshape(3, 3, 5)
    for channel, tile in enumerate(tile_inputs((3, 3, 5), 9)):
        np.testing.assert_array_equal(tile, places[:, :, channel].ravel())
    np.testing.assert_array_equal(tile_inputs((3, 3, 5), 9, "stored")[1], np.arange(9, 18))


def test_inputs_that_are_alike_come_together():
    rng = np.random.default_rng(0)
    group = rng.permutation(24) // 4
    columns = rng.choice([-1, 1], (40, 6))
    weights = columns[:, group] * rng.choice([-1, 1], 24)
    order = similar_inputs(weights, 4)
    assert all(len(set(group[order[i : i + 4]])) == 1 for i in range(0, 24, 4))
    assert count_operations(shared_tiles(weights, (1, 1, 24), 4, order=order)).xnors == 24
    assert count_operations(shared_tiles(weights, (1, 1, 24), 4)).xnors > 40


@given(kernels(), st.integers(1, 9), st.integers(1, 50))
def test_an_order_holds_each_input_once(weights, width, candidates):
    order = similar_inputs(weights, width, candidates=candidates)
    assert sorted(order) == list(range(weights.shape[1]))


def test_few_candidates_do_nearly_as_well():
    weights = random_kernels(2, 60, 200, alike=0.7, noise=0.25)

    def left(**settings):
        order = similar_inputs(weights, 8, **settings)
        return count_operations(shared_tiles(weights, (1, 1, 200), 8, order=order)).xnors

    plain = count_operations(shared_tiles(weights, (1, 1, 200), 8)).xnors
    assert left() <= left(candidates=30) < 0.97 * plain


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"width": 0}, "tiles of 0"),
        ({"order": "rows"}, "in the order 'rows'"),
        ({"order": np.arange(11)}, "each of 12 inputs once"),
        ({"order": np.zeros(12, int)}, "each of 12 inputs once"),
        ({"shape": (1, 1, 13)}, "do not fit"),
        ({"depth": 0}, "depth 0"),
    ],
)
def test_what_cannot_be_is_refused(settings, words):
    with pytest.raises(ConfigError, match=words):
        shared_tiles(np.ones((2, 12), int), **{"shape": (1, 1, 12), "width": 4, **settings})


def test_tables_too_wide_are_refused():
    with pytest.raises(ConfigError, match="16,384 patterns"):
        tables(np.ones((2, 12), int), (1, 1, 12), 15)


def test_an_order_for_tiles_of_nothing_is_refused():
    with pytest.raises(ConfigError, match="tiles of 0"):
        similar_inputs(np.ones((2, 12), int), 0)
