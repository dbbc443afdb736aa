"""What a circuit may be, and what it computes."""

from __future__ import annotations

import re
import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.circuits.drawn import MEANING, all_patterns, random_bits, random_circuit, slow_value

from bitwright.circuits import (
    KINDS,
    Cell,
    Circuit,
    Output,
    count_by_columns,
    evaluate,
    prune,
    value_range,
)
from bitwright.circuits.cells import match, truth_table
from bitwright.errors import CircuitError

seeds = st.integers(0, 2**32 - 1)
FULL_ADDER = Circuit(3, (Cell("FA", (0, 1, 2)),), (Output(3, 1), Output(4, 2)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"inputs": 0}, "circuit of 0 inputs"),
        ({"cells": (Cell("FOO", (0,)),)}, "cell 0 is of kind 'FOO'"),
        ({"cells": (Cell("FA", (0, 1)),)}, "cell 0 (FA) has 2 inputs"),
        ({"cells": (Cell("FA", (0, 1, 3)),)}, "cell 0 (FA) reads wire 3"),
        ({"cells": (Cell("NOT", (0,)), Cell("NOT", (4,)))}, "cell 1 (NOT) reads wire 4"),
        ({"cells": (Cell("NOT", (-1,)),)}, "cell 0 (NOT) reads wire -1"),
        ({"outputs": (Output(5, 1),)}, "output wire 5 does not exist"),
        ({"outputs": (Output(3, 1), Output(3, 1))}, "wire 3 is put out twice"),
        ({"divisor": 0}, "the divisor is 0"),
        ({"is_bit": True}, "value is a bit has other outputs"),
        ({"is_bit": True, "outputs": (Output(3, 1),), "offset": 1}, "value is a bit has other"),
    ],
)
def test_what_is_no_circuit_is_refused_by_name(change, message):
    with pytest.raises(CircuitError, match=re.escape(message)):
        replace(FULL_ADDER, **change)


def test_a_cell_that_reads_itself_is_refused():
    with pytest.raises(CircuitError, match=r"cell 0 \(AND2\) reads wire 2"):
        Circuit(2, (Cell("AND2", (0, 2)),), (Output(2, 1),))


def test_an_adder_puts_out_its_sum_then_its_carry():
    assert evaluate(FULL_ADDER, all_patterns(3)).tolist() == [0, 1, 1, 2, 1, 2, 2, 3]


@pytest.mark.parametrize("kind", list(KINDS))
def test_each_kind_computes_what_it_is_called(kind):
    fan_in = KINDS[kind].fan_in
    rows = [MEANING[kind](*(row >> i & 1 for i in range(fan_in))) for row in range(1 << fan_in)]
    tables = tuple(sum(bit << r for r, bit in enumerate(column)) for column in zip(*rows))  # noqa: B905
    assert truth_table(KINDS[kind]) == tables
    found = match(fan_in, tables)
    assert found is not None
    assert found.kind == kind


@given(seeds, st.integers(1, 12), st.integers(0, 60))
@settings(deadline=None, max_examples=60)
def test_the_evaluator_equals_its_slow_twin(seed, inputs, cells):
    rng = np.random.default_rng(seed)
    circuit = random_circuit(rng, inputs, cells)
    bits = rng.random((70, inputs)) < 0.5
    values = evaluate(circuit, bits)
    assert values.dtype == np.int64
    assert values.tolist() == [slow_value(circuit, row) for row in bits]
    bounds = value_range(circuit)
    assert bounds.least <= values.min()
    assert values.max() <= bounds.greatest


@given(seeds, st.integers(0, 12))
@settings(deadline=None, max_examples=100)
def test_bounds_that_are_said_to_occur_do(seed, cells):
    circuit = random_circuit(np.random.default_rng(seed), 8, cells)
    values, bounds = evaluate(circuit, all_patterns(8)), value_range(circuit)
    if bounds.attained:
        assert (bounds.least, bounds.greatest) == (values.min(), values.max())


@pytest.mark.parametrize("samples", [0, 1, 63, 64, 65, 20_000])
def test_any_number_of_samples(samples):
    bits = random_bits(1, samples, 10)
    assert np.array_equal(evaluate(count_by_columns(10), bits), bits.sum(1))


def test_shapes_and_types_of_bits():
    circuit = count_by_columns(6)
    bits = random_bits(2, 24, 6).reshape(2, 3, 4, 6)
    assert np.array_equal(evaluate(circuit, bits), bits.sum(-1))
    assert np.array_equal(evaluate(circuit, bits.astype(np.int8)), bits.sum(-1))
    assert evaluate(circuit, [1, 0, 1, 1, 0, 0]) == 3
    with pytest.raises(CircuitError, match=r"shape \(2, 5\) do not fit a circuit of 6"):
        evaluate(circuit, np.zeros((2, 5), np.bool_))
    with pytest.raises(CircuitError, match="neither 0 nor 1"):
        evaluate(circuit, [1, 0, 2, 0, 0, 0])


@given(seeds)
@settings(deadline=None, max_examples=40)
def test_rewiring_reads_other_inputs(seed):
    rng = np.random.default_rng(seed)
    circuit = random_circuit(rng, 8, 30)
    sources = rng.permutation(11)[:8]
    bits = rng.random((50, 11)) < 0.5
    rewired = circuit.rewire(sources.tolist(), 11)
    assert np.array_equal(evaluate(rewired, bits), evaluate(circuit, bits[:, sources]))


@pytest.mark.parametrize("sources", [(0, 1), (0, 1, 1), (0, 1, 3), (0, 1, -1)])
def test_sources_that_do_not_fit_are_refused(sources):
    with pytest.raises(CircuitError, match="do not feed 3 inputs out of 3"):
        FULL_ADDER.rewire(sources)


@given(seeds)
@settings(deadline=None, max_examples=60)
def test_pruning_keeps_the_value_and_leaves_nothing_unneeded(seed):
    rng = np.random.default_rng(seed)
    circuit = random_circuit(rng, 8, 40)
    pruned = prune(circuit)
    bits = rng.random((100, 8)) < 0.5
    assert np.array_equal(evaluate(pruned, bits), evaluate(circuit, bits))
    assert len(pruned.cells) <= len(circuit.cells)
    assert prune(pruned) == pruned
    read = {wire for cell in pruned.cells for wire in cell.inputs}
    read |= {output.wire for output in pruned.outputs}
    assert set(range(8, pruned.wires)) <= read


def test_half_an_adder_is_a_gate():
    assert prune(replace(FULL_ADDER, outputs=(Output(4, 1),))).counts == {"MAJ3": 1}
    assert prune(replace(FULL_ADDER, outputs=(Output(3, 1),))).counts == {"XOR3": 1}


def test_the_digest_tells_circuits_apart():
    changed = [
        FULL_ADDER,
        replace(FULL_ADDER, inputs=4, outputs=(Output(4, 1), Output(5, 2))),
        replace(FULL_ADDER, offset=1),
        replace(FULL_ADDER, divisor=2),
        replace(FULL_ADDER, outputs=(Output(3, 2), Output(4, 2))),
        replace(FULL_ADDER, cells=(Cell("FA", (0, 2, 1)),)),
        replace(FULL_ADDER, outputs=(Output(4, 1),)),
        replace(FULL_ADDER, outputs=(Output(4, 1),), is_bit=True),
    ]
    assert len({circuit.digest for circuit in changed}) == len(changed)
    assert replace(FULL_ADDER).digest == FULL_ADDER.digest
    assert replace(FULL_ADDER) == FULL_ADDER


def test_delays_add_up_along_the_slowest_way():
    chain = Circuit(
        2, (Cell("NOT", (0,)), Cell("AND2", (1, 2)), Cell("XOR2", (0, 3))), (Output(4, 1),)
    )
    assert chain.depth == 3
    assert chain.delay({"NOT": 1, "AND2": 2, "XOR2": 4}) == 7
    assert Circuit(2, (), (Output(0, 1),)).depth == 0


def test_a_circuit_of_1152_inputs_builds_in_milliseconds():
    times = []
    for _ in range(5):
        start = time.perf_counter()
        circuit = count_by_columns(1152)
        times.append(time.perf_counter() - start)
    assert min(times) < 0.1
    assert len(circuit.cells) == 1150
