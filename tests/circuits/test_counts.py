"""Generators against plain arithmetic: exact counts, majorities, votes, truncation, comparison."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.circuits.drawn import all_patterns, random_bits, random_circuit

from bitwright.circuits import (
    compare,
    count_by_and_or,
    count_by_columns,
    count_by_counters,
    count_by_majority,
    count_by_ripple_tree,
    count_by_votes,
    evaluate,
    truncate,
    value_range,
)
from bitwright.circuits.builder import Builder
from bitwright.circuits.counters import counter63
from bitwright.circuits.grouping import spread
from bitwright.circuits.majority import majority
from bitwright.errors import CircuitError

EXACT = [count_by_columns, count_by_ripple_tree, count_by_counters]
seeds = st.integers(0, 2**32 - 1)


@pytest.mark.parametrize("count", EXACT)
@given(inputs=st.integers(1, 200), seed=seeds)
@settings(deadline=None, max_examples=40)
def test_an_exact_count_is_the_number_of_ones(count, inputs, seed):
    circuit = count(inputs)
    bits = random_bits(seed, 100, inputs)
    bits[0], bits[1] = False, True
    assert np.array_equal(evaluate(circuit, bits), bits.sum(1))
    weights = sorted(output.weight for output in circuit.outputs)
    assert weights == [1 << i for i in range(inputs.bit_length())]
    bounds = value_range(circuit)
    assert bounds.least <= 0
    assert bounds.greatest >= inputs
    if bounds.attained:
        assert (bounds.least, bounds.greatest) == (0, inputs)


@pytest.mark.parametrize("count", [*EXACT, count_by_majority, count_by_and_or, count_by_votes])
@pytest.mark.parametrize("inputs", [0, -3])
def test_nothing_cannot_be_counted(count, inputs):
    with pytest.raises(CircuitError, match=f"popcount of {inputs} inputs"):
        count(inputs)


@given(st.integers(1, 2000))
@settings(deadline=None, max_examples=40)
def test_how_many_adders_column_compression_takes(inputs):
    counts = count_by_columns(inputs).counts
    assert counts.get("FA", 0) == inputs - inputs.bit_length()
    assert counts.get("HA", 0) < inputs.bit_length()
    assert set(counts) <= {"FA", "HA"}


@pytest.mark.parametrize(("inputs", "full", "half"), [(9, 5, 2), (576, 566, 8), (1152, 1141, 9)])
def test_adders_of_known_sizes(inputs, full, half):
    assert count_by_columns(inputs).counts == {"FA": full, "HA": half}
    assert value_range(count_by_columns(inputs)).attained


def test_a_tree_of_compressors_is_shallower_than_one_of_ripple_adders():
    delays = {"FA": 2, "HA": 1, "XOR3": 2, "MAJ3": 1}
    columns, ripple = count_by_columns(576), count_by_ripple_tree(576)
    assert columns.delay(delays) < ripple.delay(delays)
    assert columns.counts["HA"] < ripple.counts["HA"]


def test_a_counter_of_six():
    builder = Builder(6)
    wires = counter63(builder, *range(6))
    circuit = builder.finish(zip(wires, (1, 2, 4), strict=True))
    patterns = all_patterns(6)
    assert np.array_equal(evaluate(circuit, patterns), patterns.sum(1))


@pytest.mark.parametrize("arity", [3, 5, 7])
def test_a_majority(arity):
    builder = Builder(arity)
    circuit = builder.finish([(majority(builder, range(arity)), 1)])
    patterns = all_patterns(arity)
    assert np.array_equal(evaluate(circuit, patterns), patterns.sum(1) > arity // 2)


def majority_value(bits, levels, arity, gain, share, centre):
    """Return the value that `count_by_majority` promises, sample by sample."""
    inputs = bits.shape[1]
    chosen = list(spread(inputs, round(share * inputs))) if levels else []
    value = np.delete(bits, chosen, axis=1).sum(1).astype(float)
    rows, weight = bits[:, chosen].astype(int), 1
    for _ in range(levels):
        groups = rows.shape[1] // arity
        value += weight * rows[:, groups * arity :].sum(1)
        if gain == 1 or centre:
            value += weight * groups * (arity - gain) / 2
        rows = rows[:, : groups * arity].reshape(len(bits), groups, arity).sum(2) > arity // 2
        weight *= gain
    return np.floor(value + weight * rows.sum(1)).astype(np.int64)


@given(
    inputs=st.integers(1, 120),
    levels=st.integers(0, 4),
    arity=st.sampled_from([3, 5, 7]),
    gain=st.sampled_from([1, 2]),
    share=st.sampled_from([0.0, 0.3, 0.5, 0.75, 1.0]),
    centre=st.booleans(),
    seed=seeds,
)
@settings(deadline=None, max_examples=150)
def test_levels_of_majorities(inputs, levels, arity, gain, share, centre, seed):
    circuit = count_by_majority(inputs, levels, arity, gain, share, centre)
    bits = random_bits(seed, 60, inputs)
    expected = majority_value(bits, levels, arity, gain, share, centre)
    assert np.array_equal(evaluate(circuit, bits), expected)


def test_three_bits_become_0022_or_1122():
    patterns = all_patterns(3)
    for gain, table in ((2, [0, 0, 2, 2]), (1, [1, 1, 2, 2])):
        values = evaluate(count_by_majority(3, gain=gain), patterns)
        assert values.tolist() == [table[count] for count in patterns.sum(1)]


def test_the_dot_product_of_xnormaj_is_that_of_gain_one():
    bits = random_bits(3, 100, 27)
    votes = bits.reshape(100, 9, 3).sum(2) >= 2
    dot = (2 * votes.astype(int) - 1).sum(1)
    assert np.array_equal(2 * evaluate(count_by_majority(27, gain=1), bits) - 27, dot)


def test_what_levels_cost():
    assert count_by_majority(576).counts == {"MAJ3": 192, "FA": 184, "HA": 6}
    assert count_by_majority(576, levels=2).counts == {"MAJ3": 256, "FA": 57, "HA": 6}


@given(inputs=st.integers(1, 90), size=st.sampled_from([2, 4]), levels=st.integers(0, 2))
@settings(deadline=None, max_examples=60)
def test_and_or_gates_and_their_duals_take_turns(inputs, size, levels):
    circuit = count_by_and_or(inputs, size, levels)
    bits = random_bits(inputs, 80, inputs).astype(bool)
    groups = inputs // size
    gates = []
    for k in range(groups):
        first = bits[:, size * k : size * k + 2]
        last = bits[:, size * (k + 1) - 2 : size * (k + 1)]
        if k % 2:
            gates.append(first.any(1) & last.any(1))
        else:
            gates.append(first.all(1) | last.all(1))
    one, weight = (3, 8) if size == 4 else (1, 2)
    value = one * bits[:, groups * size :].sum(1)
    for _ in range(levels):
        whole = len(gates) // 3
        value += weight * sum((gate.astype(int) for gate in gates[3 * whole :]), np.zeros(80, int))
        gates = [sum(g.astype(int) for g in gates[3 * k : 3 * k + 3]) >= 2 for k in range(whole)]
        weight *= 2
    value += weight * sum((gate.astype(int) for gate in gates), np.zeros(80, int))
    assert circuit.divisor == one
    assert np.array_equal(evaluate(circuit, bits.astype(np.uint8)), value)


@given(inputs=st.integers(1, 90), size=st.integers(1, 40), local=st.sampled_from([0.3, 0.5, 1.0]))
@settings(deadline=None, max_examples=60)
def test_votes_of_groups(inputs, size, local):
    circuit = count_by_votes(inputs, size, local)
    bits = random_bits(inputs, 80, inputs)
    groups = math.ceil(inputs / size)
    edges = [group * inputs // groups for group in range(groups + 1)]
    votes = np.zeros(80, np.int64)
    for first, last in pairwise(edges):
        votes += bits[:, first:last].sum(1) >= math.ceil(local * (last - first))
    values = evaluate(circuit, bits)
    weight = min(output.weight for output in circuit.outputs)
    assert weight >= 1
    assert np.array_equal(values, circuit.offset + weight * votes)
    sizes = np.diff(edges)
    assert sizes.max() <= size
    assert sizes.max() - sizes.min() <= 1


@given(inputs=st.integers(2, 80), data=st.data())
@settings(deadline=None, max_examples=40)
def test_truncation_drops_the_low_bits_and_what_only_they_need(inputs, data):
    exact = count_by_columns(inputs)
    dropped = data.draw(st.integers(0, len(exact.outputs) - 1))
    bits = random_bits(inputs, 80, inputs)
    unit = 1 << dropped
    truncated = truncate(exact, dropped)
    assert np.array_equal(evaluate(truncated, bits), bits.sum(1) // unit * unit)
    centred = truncate(exact, dropped, centre=True)
    assert np.array_equal(evaluate(centred, bits), bits.sum(1) // unit * unit + (unit - 1) // 2)
    adders = ("FA", "HA")
    assert sum(truncated.counts.get(kind, 0) for kind in adders) <= len(exact.cells) - dropped


def test_all_bits_cannot_be_dropped():
    exact = count_by_columns(9)
    for bits in (4, 5, -1):
        with pytest.raises(CircuitError, match="of 4 outputs cannot be dropped"):
            truncate(exact, bits)
    with pytest.raises(CircuitError, match="cannot be dropped"):
        truncate(compare(exact, 4), 0)


@given(seed=seeds, cells=st.integers(0, 30))
@settings(deadline=None, max_examples=60)
def test_a_comparison_with_any_circuit(seed, cells):
    rng = np.random.default_rng(seed)
    circuit = random_circuit(rng, 7, cells)
    values = evaluate(circuit, all_patterns(7))
    for threshold in rng.integers(values.min() - 2, values.max() + 3, 6):
        bit = compare(circuit, int(threshold))
        assert bit.is_bit
        assert np.array_equal(evaluate(bit, all_patterns(7)), values >= threshold)


@pytest.mark.parametrize("inputs", [1, 2, 3, 7, 8, 9, 10])
def test_a_comparison_with_every_threshold(inputs):
    patterns = all_patterns(inputs)
    for threshold in range(-2, inputs + 4):
        circuit = compare(count_by_columns(inputs), threshold)
        assert np.array_equal(evaluate(circuit, patterns), patterns.sum(1) >= threshold)


def test_what_a_comparison_does_not_need_is_gone():
    assert compare(count_by_columns(3), 2).counts == {"MAJ3": 1}
    assert compare(count_by_columns(9), 10).counts == {"CONST0": 1}
    assert compare(count_by_columns(9), 0).counts == {"CONST1": 1}
    whole = count_by_columns(576)
    assert len(compare(whole, 288).cells) <= len(whole.cells) + len(whole.outputs)
    with pytest.raises(CircuitError, match="is a bit already"):
        compare(compare(whole, 288), 1)
