"""Graphs as hardware: the bits of both stages against dot products, and what a cost counts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.targets.reuse.layers import GRAPHS, layers, weights_of

from bitwright.circuits import write_verilog
from bitwright.circuits.builder import Builder
from bitwright.circuits.columns import compress
from bitwright.eda.equivalence import prove_same
from bitwright.eda.vectors import expected_outputs, random_vectors
from bitwright.errors import CircuitError
from bitwright.targets.reuse.cost import LayerShape, compressed, cost_of
from bitwright.targets.reuse.datapath import datapath
from bitwright.targets.reuse.planner import dense_graph
from bitwright.targets.reuse.prices import load_pieces

TABLE = load_pieces("asap7")


def bits_of(weights, vectors, thresholds, rising):
    dots = weights @ (2 * vectors.T.astype(int) - 1)
    return np.where(rising[:, None], dots >= thresholds[:, None], dots <= thresholds[:, None])


def settings(weights, seed):
    rng = np.random.default_rng(seed)
    neurons, fan_in = weights.shape
    return rng.integers(-fan_in - 2, fan_in + 3, neurons), rng.random(neurons) < 0.5


@given(layers(), st.integers(0, 99), st.sampled_from([0, 1, 2, 9]))
def test_both_stages_together_make_the_neurons_bits(layer, seed, cut):
    weights, graph = layer
    thresholds, rising = settings(weights, seed)
    vectors = random_vectors(weights.shape[1], 70, seed)
    made = datapath(graph, thresholds, rising, cut=cut)
    wanted = bits_of(weights, vectors, thresholds, rising)
    held = expected_outputs(made.first, np.concatenate([vectors, ~vectors], axis=1))
    assert held.shape[1] == made.registers
    held = held if held.shape[1] else np.zeros((70, 1), np.bool_)
    ends = expected_outputs(made.second, held)
    for neuron, place in enumerate(made.bits):
        found = ends[:, place] if place >= 0 else np.full(70, made.constant[neuron])
        assert np.array_equal(found, wanted[neuron])
    assert np.array_equal(expected_outputs(made.whole(), vectors), wanted.T)


@given(layers(), st.sampled_from([0, 1, 9]))
def test_a_cost_counts_the_adders_and_registers_of_the_datapath(layer, cut):
    weights, graph = layer
    neurons, fan_in = weights.shape
    made = datapath(graph, np.zeros(neurons, int), np.ones(neurons, np.bool_), cut=cut)
    shape = LayerShape("d", neurons, fan_in, 1, 1, 1, fan_in)
    cost = cost_of(graph, shape, TABLE, cut=cut)
    counts = [stage.counts for stage in (made.first, made.second)]
    built = sum(c.get("FA", 0) + c.get("HA", 0) / 2 for c in counts)
    assert cost.adders == built
    assert cost.registers >= made.registers  # neurons of one kernel share what they hold


@pytest.mark.parametrize("heights", [[1], [3], [4], [0, 5], [7, 7, 7], [2, 0, 9]])
def test_columns_take_as_many_adders_as_their_compression(heights):
    builder = Builder(sum(heights))
    first, columns = 0, {}
    for exponent, height in enumerate(heights):
        columns[exponent] = range(first, first + height)
        first += height
    number = compress(builder, columns)
    counts = builder.finish(number).counts
    adders, mask = compressed(list(heights))
    assert adders == counts.get("FA", 0) + counts.get("HA", 0) / 2
    assert mask == sum(weight for _, weight in number)


def test_programmed_designs_pay_for_what_they_select():
    weights = weights_of(3, 16, 64)
    shape = LayerShape("d", 16, 64, 1, 1, 1, 64)
    graph = GRAPHS["clusters"](weights)
    wired, chosen = (cost_of(graph, shape, TABLE, style=s) for s in ("hardwired", "programmed"))
    assert wired.index_bits == wired.parts["selection"].energy_j == 0
    read = int((graph.sources < 64).sum())
    roots = int(64 * (np.diff(graph.starts) == 64).sum())
    assert chosen.index_bits == (read - roots) * 6 + roots + (len(graph.sources) - read) * 6
    assert chosen.parts["selection"].energy_j > wired.energy_j


@pytest.mark.tool("yosys")
def test_yosys_proves_shared_sums_equal_and_finds_a_wrong_one():
    weights = weights_of(1, 4, 8)
    thresholds, rising = np.array([0, 2, -2, 0]), np.ones(4, np.bool_)
    raised = np.array([0, 2, 0, 0])
    alone = datapath(dense_graph(weights), thresholds, rising)
    shared = datapath(GRAPHS["clusters"](weights), thresholds, rising)
    texts = [write_verilog(made.whole(), "layer") for made in (alone, shared)]
    assert prove_same(*texts, "layer").versions.keys() == {"yosys"}
    other = datapath(dense_graph(weights), raised, rising)
    with pytest.raises(CircuitError, match="not equal"):
        prove_same(texts[0], write_verilog(other.whole(), "layer"), "layer")
