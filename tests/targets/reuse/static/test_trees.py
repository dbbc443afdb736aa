"""Trees of whole kernels: they compute the layer, and are as cheap as can be checked."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.csgraph import minimum_spanning_tree
from tests.targets.reuse.static.kernels import apart, check, kernels, noisy_copies, random_kernels

from bitwright.errors import ConfigError
from bitwright.targets.reuse.static.operations import count_operations
from bitwright.targets.reuse.static.parsimony import parsimonious
from bitwright.targets.reuse.static.rooted import (
    RootedTree,
    centred,
    distinct,
    relabelled,
    rerooted,
)
from bitwright.targets.reuse.static.trees import minimum_tree, spanning_tree, steiner_tree

steiner_tree(random_kernels(0, 6, 9))  # compiled here, so that no example takes seconds


@given(kernels(), st.sampled_from([None, 1, 2, 3]))
def test_spanning_trees_compute_the_layer(weights, depth):
    graph = spanning_tree(weights, depth=depth)
    check(graph, weights)
    assert graph.nodes == len(np.unique(weights * weights[:, :1], axis=0))
    assert depth is None or graph.depth.max() <= depth


@given(kernels(), st.integers(0, 8))
def test_steiner_trees_compute_the_layer_for_no_more_than_spanning_trees(weights, merge_cost):
    graph = steiner_tree(weights, merge_cost=merge_cost)
    check(graph, weights)

    def cost(graph):
        return count_operations(graph).xnors + merge_cost * graph.nodes

    assert cost(graph) <= cost(spanning_tree(weights))


@given(kernels())
def test_no_spanning_tree_is_cheaper(weights):
    rows = distinct(weights).rows
    least = minimum_spanning_tree(np.triu(apart(rows))).sum()
    assert count_operations(spanning_tree(weights)).xnors == weights.shape[1] + least


@given(kernels())
def test_of_stars_the_cheapest_is_taken(weights):
    rows = distinct(weights).rows
    found = count_operations(spanning_tree(weights, depth=1)).xnors
    assert found == weights.shape[1] + apart(rows).sum(0).min()


def test_trees_of_some_depth_cost_more_than_deeper_ones():
    weights = random_kernels(0, 60, 90, alike=0)
    xnors = [count_operations(spanning_tree(weights, depth=d)).xnors for d in (1, 2, 4, None)]
    assert xnors == sorted(xnors, reverse=True)
    assert xnors[0] > xnors[1] > xnors[3]


@given(kernels(most_neurons=20))
def test_the_root_is_in_the_middle(weights):
    tree = minimum_tree(distinct(weights).rows)
    around = [rerooted(tree, root) for root in range(len(tree.parents))]
    assert {other.cost(0) for other in around} == {tree.cost(0)}
    assert centred(around[-1]).depth.max() == min(other.depth.max() for other in around)


def test_equal_kernels_and_complements_are_one():
    row = np.random.default_rng(0).choice([-1, 1], 30)
    weights = np.array([row, -row, row, -row])
    for graph in (spanning_tree(weights), steiner_tree(weights)):
        check(graph, weights)
        assert (graph.nodes, len(graph.sources)) == (1, 30)


def test_kernels_around_a_hidden_one_are_made_from_it():
    centre = np.random.default_rng(0).choice([-1, 1], 90)
    weights = np.array([centre] * 5)
    for kernel, row in enumerate(weights):
        row[10 * kernel : 10 * kernel + 10] *= -1
    weights[2:] *= -1
    graph = steiner_tree(weights)
    check(graph, weights)
    operations = count_operations(graph)
    assert (operations.nodes, operations.xnors) == (6, 90 + 5 * 10)
    assert operations.depth == 1
    assert count_operations(spanning_tree(weights)).xnors == 90 + 4 * 20
    # A merge that costs more than is saved is not worth it.
    assert steiner_tree(weights, merge_cost=40).nodes == 5


def test_virtual_kernels_save_bits_where_kernels_are_alike():
    weights, _ = noisy_copies(0, 4, 10, 200, 30)
    left = count_operations(steiner_tree(weights)).xnors
    assert left < 0.75 * count_operations(spanning_tree(weights)).xnors
    assert left < 200 + 4 * 100 + 40 * 30  # what the hidden kernels need


@given(st.integers(0, 10_000), st.integers(1, 3), st.integers(2, 5))
def test_labels_are_the_cheapest_for_each_bit(seed, virtual, count):
    rng = np.random.default_rng(seed)
    nodes = count + virtual
    rows = rng.choice([-1, 1], (nodes, 12)).astype(np.int8)
    order = rng.permutation(nodes)
    parents = np.full(nodes, -1)
    for place in range(1, nodes):
        parents[order[place]] = order[rng.integers(place)]
    tree = RootedTree(rows, parents, count)
    children = np.flatnonzero(parents >= 0)
    signs = np.where((rows[children] * rows[parents[children]]).sum(1) >= 0, 1, -1)

    def bits(labels):
        return (labels[children] != signs[:, None] * labels[parents[children]]).sum(0)

    choices = []
    for chosen in itertools.product([-1, 1], repeat=virtual):
        labels = rows.copy()
        labels[count:] = np.array(chosen)[:, None]
        choices.append(bits(labels))
    found = relabelled(tree)
    np.testing.assert_array_equal(found.rows[:count], rows[:count])
    np.testing.assert_array_equal(bits(found.rows), np.min(choices, axis=0))
    assert found.cost(0) <= tree.cost(0)


@given(st.integers(0, 10_000), st.integers(3, 12), st.integers(1, 80))
def test_parsimony_only_saves(seed, count, fan_in):
    rows = distinct(random_kernels(seed, count, fan_in)).rows
    if len(rows) < 3:
        return
    start = minimum_tree(rows)
    found = parsimonious(start)
    np.testing.assert_array_equal(found.rows[: len(rows)], rows)
    assert len(found.parents) == 2 * len(rows) - 2
    assert found.cost(0) <= start.cost(0)
    # Labels were exact for the tree that was found.
    assert relabelled(found).cost(0) == found.cost(0)
    assert parsimonious(start, passes=0).cost(0) <= start.cost(0)


@pytest.mark.parametrize("seed", range(20))
def test_four_kernels_have_the_best_of_all_trees(seed):
    rng = np.random.default_rng(seed)
    rows = distinct(rng.choice([-1, 1], (4, 70))).rows
    bits = []
    for signs in itertools.product([-1, 1], repeat=3):
        turned = rows * np.array([1, *signs])[:, None]
        for other in (1, 2, 3):
            one, two = (i for i in (1, 2, 3) if i != other)
            left = turned[0] + turned[other]
            right = turned[one] + turned[two]
            # A pair that disagrees costs a bit; two that agree each, but not with each other, one.
            split = (left != 0) & (right != 0) & (left != right)
            bits.append(((left == 0) * 1 + (right == 0) + split).sum())
    assert parsimonious(minimum_tree(rows)).cost(0) == 70 + min(bits)


@settings(max_examples=10)
@given(kernels(most_neurons=20))
def test_a_tree_is_the_same_each_time(weights):
    first, second = steiner_tree(weights), steiner_tree(weights)
    np.testing.assert_array_equal(first.sources, second.sources)
    np.testing.assert_array_equal(first.starts, second.starts)


@pytest.mark.parametrize(
    "weights", [np.ones(3), np.zeros((2, 3), int), np.full((2, 3), 2), np.ones((0, 3), int)]
)
def test_what_are_no_kernels_is_refused(weights):
    with pytest.raises(ConfigError, match="no kernels of -1 and"):
        spanning_tree(weights)


def test_a_depth_that_no_tree_has_is_refused():
    with pytest.raises(ConfigError, match="depth 0"):
        spanning_tree(np.ones((1, 3), int), depth=0)
