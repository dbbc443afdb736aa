"""Common subexpressions, against the same rule done plainly; and what graphs are counted as."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.targets.reuse.static.kernels import check, kernels, random_kernels

from bitwright.errors import ConfigError
from bitwright.targets.reuse.graph import AdderGraph
from bitwright.targets.reuse.planner import WHOLE
from bitwright.targets.reuse.static.clusters import cluster_tree
from bitwright.targets.reuse.static.cse import (
    WORK,
    affordable,
    common_subexpressions,
    share_pairs,
)
from bitwright.targets.reuse.static.operations import count_operations, node_sums
from bitwright.targets.reuse.static.rooted import distinct
from bitwright.targets.reuse.static.tiles import shared_tiles
from bitwright.targets.reuse.static.trees import spanning_tree, steiner_tree

common_subexpressions(random_kernels(0, 6, 9))  # compiled here, not in an example


def graph_of(inputs, nodes, outputs):
    """Return the graph whose nodes are mappings of wires to coefficients."""
    starts = np.cumsum([0, *map(len, nodes)])
    sources = np.array([wire for node in nodes for wire in node], int)
    coefficients = np.array([c for node in nodes for c in node.values()], int)
    return AdderGraph(
        inputs, starts, sources, coefficients, np.array(outputs), np.ones_like(outputs)
    )


def plain(rows):
    """Return the pairs, the best first, that are taken out of rows one at a time, and the rows.

    A row is a mapping of wires to signs, a pair is of two wires and the sign of the second.
    """
    rows = [dict(enumerate(row)) for row in rows.tolist()]
    sizes = dict.fromkeys(rows[0], 1)
    pairs = []
    while True:
        found = Counter()
        for row in rows:
            for later in row:
                for earlier in row:
                    if earlier < later:
                        found[later, earlier, -row[later] * row[earlier]] += 1
        # Most nodes first, then fewest bits of the sum, then the wires that were there first.
        many = [
            (-count, (sizes[pair[0]] + sizes[pair[1]]).bit_length(), pair)
            for pair, count in found.items()
            if count > 1
        ]
        if not many:
            return pairs, rows
        later, earlier, opposite = min(many)[2]
        wire = len(sizes)
        sizes[wire] = sizes[later] + sizes[earlier]
        pairs.append((earlier, later, -opposite))
        for row in rows:
            if earlier in row and later in row and -row[later] * row[earlier] == opposite:
                row[wire] = row.pop(earlier)
                del row[later]


@given(kernels(most_neurons=9, most_inputs=12))
def test_pairs_are_those_of_the_plain_rule(weights):
    rows = distinct(weights).rows
    pairs, left = plain(rows)
    graph = common_subexpressions(weights)
    check(graph, weights)
    adds = len(pairs) + sum(len(row) - 1 for row in left)
    assert count_operations(graph).adds == adds
    made = {tuple(sorted(graph.terms(node)[0])) for node in range(graph.nodes)}
    first = [(a, b) for a, b, _ in pairs if max(a, b) < weights.shape[1]]
    assert set(first) <= made


@given(kernels(), st.sampled_from(["spanning", "steiner", "clusters", "tiles"]))
def test_any_graph_may_share_pairs(weights, kind):
    graph = {
        "spanning": spanning_tree,
        "steiner": steiner_tree,
        "clusters": cluster_tree,
        "tiles": lambda weights: shared_tiles(weights, (1, 1, weights.shape[1]), 4),
    }[kind](weights)
    found = share_pairs(graph)
    check(found, weights)
    assert count_operations(found).adds <= count_operations(graph).adds


def test_a_sum_and_a_difference_are_made_once():
    weights = np.array([[1, 1, 1, 1, -1], [1, 1, 1, -1, 1], [-1, -1, 1, 1, -1], [1, 1, 1, 1, 1]])
    graph = common_subexpressions(weights)
    check(graph, weights)
    # x0 + x1 in all four, x3 - x4 in three, and these with x2 once more in two; 4 * 4 without.
    assert count_operations(graph).adds == 9


def test_trees_first_leave_fewer_additions():
    weights = random_kernels(0, 40, 120, noise=0.3)
    alone = count_operations(common_subexpressions(weights)).adds
    both = count_operations(share_pairs(steiner_tree(weights))).adds
    assert both < 0.9 * alone < 0.9 * 0.4 * 40 * 119


@given(kernels(), st.integers(0, 20))
def test_no_more_pairs_are_made_than_may_be(weights, most):
    graph = common_subexpressions(weights, most=most)
    check(graph, weights)
    assert graph.nodes <= len(distinct(weights).rows) + most


@given(st.integers(1, 5000), st.integers(1, 20_000))
def test_affordable_steps_are_as_many_as_the_work_allows(neurons, inputs):
    words = -(-neurons // 64)
    steps = affordable(neurons, inputs)
    assert steps * (inputs + steps) * words <= WORK < (steps + 2) * (inputs + steps + 2) * words


def test_the_planner_makes_what_is_affordable(monkeypatch):
    weights = random_kernels(0, 20, 72)
    every = WHOLE["subexpressions"](weights).nodes
    assert every == common_subexpressions(weights).nodes
    monkeypatch.setattr("bitwright.targets.reuse.static.cse.WORK", 2**12)
    graph = WHOLE["subexpressions"](weights)
    check(graph, weights)
    assert graph.nodes == 20 + affordable(20, 72) < every


def test_progress_is_told(monkeypatch):
    monkeypatch.setattr("bitwright.targets.reuse.static.cse.STEPS", 10)
    told = []
    weights = random_kernels(0, 20, 60)
    graph = common_subexpressions(weights, most=35, progress=told.append)
    assert told == [10, 20, 30, 35]
    assert graph.nodes == 20 + 35
    slow = common_subexpressions(weights)
    monkeypatch.undo()
    np.testing.assert_array_equal(common_subexpressions(weights).sources, slow.sources)


def test_a_node_that_reads_a_wire_twice_is_refused():
    graph = AdderGraph(2, *map(np.array, ([0, 3], [0, 0, 1], [1, 1, 1], [2], [1])))
    with pytest.raises(ConfigError, match="reads a wire twice"):
        share_pairs(graph)


def test_operations_are_counted():
    #  n0 = x0 - x1 + x2;  n1 = n0 + 2 x1 = x0 + x1 + x2;  n2 = n0 - n1 + 2 x0;  n3 = nothing
    graph = graph_of(3, [{0: 1, 1: -1, 2: 1}, {3: 1, 1: 2}, {3: 1, 4: -1, 0: 2}, {}], [5, 4])
    found = count_operations(graph)
    assert (found.neurons, found.inputs, found.nodes) == (2, 3, 4)
    assert (found.dense_xnors, found.dense_adds) == (6, 4)
    assert (found.xnors, found.merges, found.adds) == (5, 3, 2 + 1 + 2)
    # A count up to 3 has two bits; n2 = 2 x0 - 2 x1 is read by none.
    assert found.merge_bits == 3 * 2
    assert found.depth == 2
    assert found.xnors_left == 5 / 6
    assert found.bits_left == 11 / 6
    np.testing.assert_array_equal(node_sums(graph), [3, 3, 4, 0])


@given(kernels(most_inputs=30))
def test_sums_of_coefficients_are_those_of_the_expanded_nodes(weights):
    graph = share_pairs(steiner_tree(weights))
    rows = np.eye(graph.inputs, dtype=int).tolist()
    for node in range(graph.nodes):
        terms = zip(*graph.terms(node), strict=True)
        rows.append(sum(int(c) * np.array(rows[w]) for w, c in terms))
    np.testing.assert_array_equal(node_sums(graph), np.abs(rows[graph.inputs :]).sum(1))


@pytest.mark.parametrize("inputs", [256, 257, 700])
def test_sums_of_wide_nodes(inputs):
    weights = random_kernels(0, 3, inputs)
    np.testing.assert_array_equal(node_sums(steiner_tree(weights)), inputs)
