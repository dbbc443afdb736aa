"""Shallow trees: never deeper than asked, and cheaper than without virtual kernels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.targets.reuse.static.kernels import apart, check, kernels, noisy_copies, random_kernels

from bitwright.errors import ConfigError
from bitwright.targets.reuse.static.clusters import cluster_tree, hierarchy
from bitwright.targets.reuse.static.improve import improved
from bitwright.targets.reuse.static.operations import count_operations
from bitwright.targets.reuse.static.rooted import distinct
from bitwright.targets.reuse.static.trees import spanning_tree

cluster_tree(random_kernels(0, 6, 9))  # compiled here, so that no example takes seconds


@given(kernels(), st.integers(1, 5), st.sampled_from([None, 1.5, 4]))
def test_shallow_trees_compute_the_layer(weights, depth, ratio):
    graph = cluster_tree(weights, depth, ratio=ratio)
    check(graph, weights)
    assert graph.depth.max() <= depth


@given(kernels(most_neurons=20), st.integers(1, 4), st.integers(0, 9))
def test_search_only_saves_and_keeps_the_depth(weights, depth, merge_cost):
    rows = distinct(weights).rows
    start = hierarchy(rows, 2.5, depth)
    assert start.depth.max() <= depth
    found = improved(start, merge_cost, depth=depth)
    assert found.cost(merge_cost) <= start.cost(merge_cost)
    assert found.depth.max() <= depth
    np.testing.assert_array_equal(found.rows[: len(rows)], rows)
    # A virtual kernel with one child never pays.
    children = np.bincount(found.parents[found.parents >= 0], minlength=len(found.parents))
    assert (children[len(rows) :] >= 2).all()


def test_clusters_are_found():
    weights, centres = noisy_copies(1, 5, 8, 300, 20)
    graph = cluster_tree(weights, 2)
    check(graph, weights)
    operations = count_operations(graph)
    # All from 5 hidden kernels, and these from one.
    assert operations.nodes <= 40 + 5 + 1
    assert operations.xnors <= 300 + apart(centres).sum(0).min() + 40 * 20
    assert operations.xnors < 0.75 * count_operations(spanning_tree(weights, depth=2)).xnors


def test_deeper_trees_are_cheaper():
    weights = random_kernels(0, 60, 150, alike=0)
    left = [count_operations(cluster_tree(weights, depth)).xnors for depth in (1, 2, 3, 5)]
    assert left == sorted(left, reverse=True)
    assert left[-1] < 0.8 * left[0]


def test_merges_that_cost_much_are_few():
    weights = random_kernels(3, 40, 100, alike=0)
    few = cluster_tree(weights, 3, merge_cost=30)
    many = cluster_tree(weights, 3, merge_cost=0)
    assert few.nodes < many.nodes
    assert count_operations(few).xnors > count_operations(many).xnors


def test_a_tree_is_the_same_each_time():
    weights = random_kernels(5, 50, 120)
    first, second = cluster_tree(weights), cluster_tree(weights)
    np.testing.assert_array_equal(first.sources, second.sources)


@pytest.mark.parametrize(
    ("settings", "words"),
    [({"depth": 0}, "depth 0"), ({"ratio": 1.0}, "clusters of 1"), ({"ratio": 0}, "clusters of 0")],
)
def test_what_cannot_be_is_refused(settings, words):
    with pytest.raises(ConfigError, match=words):
        cluster_tree(np.ones((2, 3), int), **settings)
