"""Adder graphs: their values, their parts, and the proof that they are a layer."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.targets.reuse.layers import layers, weights_of

from bitwright.errors import ConfigError
from bitwright.targets.reuse.graph import AdderGraph, GraphBuilder
from bitwright.targets.reuse.planner import dense_graph
from bitwright.targets.reuse.proof import check


@given(layers(), st.integers(0, 99))
def test_values_are_the_dot_products_of_any_integers(layer, seed):
    weights, graph = layer
    x = np.random.default_rng(seed).integers(-5, 6, (weights.shape[1], 7))
    assert np.array_equal(graph.values(x), weights @ x)


@given(layers())
def test_the_checker_accepts_what_is_the_layer(layer):
    weights, graph = layer
    assert check(graph, weights).holds


@given(layers(), st.data())
def test_the_checker_finds_any_wrong_coefficient(layer, data):
    weights, graph = layer
    if not len(graph.coefficients):
        return
    at = data.draw(st.integers(0, len(graph.coefficients) - 1))
    turned = graph.coefficients.copy()
    turned[at] = -turned[at]
    changed = replace(graph, coefficients=turned)
    x = np.eye(weights.shape[1], dtype=np.int64)
    differ = np.flatnonzero((changed.values(x) != weights).any(axis=1))
    assert check(changed, weights).wrong == tuple(differ)


def test_the_checker_finds_wrong_signs_outputs_and_shapes():
    weights = weights_of(0, 4, 6)
    graph = dense_graph(weights)
    assert check(replace(graph, signs=np.array([1, 1, -1, 1])), weights).wrong == (2,)
    assert check(replace(graph, outputs=graph.outputs[[0, 1, 2, 2]]), weights).wrong == (3,)
    assert not check(graph, weights[:, :5]).holds
    assert not check(graph, weights[:3]).holds


@given(layers(), st.data())
def test_a_part_is_the_layer_of_those_inputs(layer, data):
    weights, graph = layer
    fan_in = weights.shape[1]
    if (graph.outputs < fan_in).any():
        return
    first = data.draw(st.integers(0, fan_in - 1))
    inputs = data.draw(st.integers(1, fan_in - first))
    neurons = data.draw(st.integers(1, len(weights)))
    part = graph.part(first, inputs, neurons)
    assert check(part, weights[:neurons, first : first + inputs]).holds


@pytest.mark.parametrize(
    ("field", "value"),
    [("sources", [5]), ("sources", [-1]), ("coefficients", [3]), ("signs", [0]), ("outputs", [9])],
)
def test_graphs_that_break_a_rule_are_refused(field, value):
    fields = {
        "inputs": 2, "starts": np.array([0, 1]), "sources": np.array([1]),
        "coefficients": np.array([1]), "outputs": np.array([2]), "signs": np.array([1]),
    }  # fmt: skip
    AdderGraph(**fields)
    with pytest.raises(ConfigError, match="adder graph"):
        AdderGraph(**fields | {field: np.array(value)})


def test_a_child_is_made_from_the_nearer_of_parent_and_complement():
    rows = np.array([[1, 1, 1, 1, 1], [-1, -1, -1, -1, 1]])
    builder = GraphBuilder(5)
    parent = builder.root(rows[0])
    graph = builder.finish([parent, builder.child(parent, rows[0], rows[1])], [1, 1])
    assert check(graph, rows).holds
    sources, coefficients = graph.terms(1)
    assert sources.tolist() == [5, 4]
    assert coefficients.tolist() == [-1, 2]
