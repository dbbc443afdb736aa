"""Compiled circuits against the reference evaluator."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitwright.circuits import KINDS, Cell, Circuit, Output, evaluate, make, parse
from bitwright.circuits.evaluate import slice_bits, unslice_bits
from bitwright.circuits.jit import SAMPLES, VECTOR_BYTES, Compiled

INT64_MAX = np.iinfo(np.int64).max


def aligned(size):
    raw = np.zeros(size + VECTOR_BYTES, np.uint8)
    return raw[-raw.ctypes.data % VECTOR_BYTES :][:size]


class Neurons:
    """Neurons of one circuit on 512 samples, called as native code is."""

    def __init__(self, circuit, samples, negative):
        self.code = Compiled(circuit)
        words = slice_bits(samples)
        self.inputs = aligned(words.nbytes).view(np.uint64).reshape(words.shape)
        self.inputs[:] = words
        places = self.inputs.ctypes.data + VECTOR_BYTES * np.arange(circuit.inputs)
        self.places = places.astype(np.int64)
        self.table = aligned(max(self.code.table_bytes, 1))
        self.out = aligned(VECTOR_BYTES * max(1, self.code.planes))
        self.picks = self.code.picks(negative)
        self._call(self.code.prepare, self.places.ctypes.data, self.table.ctypes.data)

    def _call(self, address, *arguments):
        kind = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * len(arguments))
        kind(address)(*arguments)

    def values(self, neuron):
        at = self.picks[neuron].ctypes.data
        self._call(self.code.count, self.table.ctypes.data, at, 0, self.out.ctypes.data)
        planes = self.out.view(np.uint64).reshape(-1, SAMPLES // 64)[: self.code.planes]
        bits = [unslice_bits(plane, SAMPLES).astype(np.int64) for plane in planes]
        return sum((bit << k for k, bit in enumerate(bits)), self.code.least)

    def bits(self, neuron, threshold, rising):
        limits = self.code.limits(np.array([threshold]), np.array([rising]))
        at = self.picks[neuron].ctypes.data
        self._call(
            self.code.decide,
            self.table.ctypes.data,
            at,
            limits.ctypes.data,
            self.out.ctypes.data,
        )
        return unslice_bits(self.out.view(np.uint64)[: SAMPLES // 64], SAMPLES)


def check(circuit, seed=0, neurons=3):
    rng = np.random.default_rng(seed)
    samples = rng.random((SAMPLES, circuit.inputs)) < 0.5
    negative = rng.random((neurons, circuit.inputs)) < 0.5
    made = Neurons(circuit, samples, negative)
    for neuron in range(neurons):
        expected = evaluate(circuit, samples ^ negative[neuron])
        np.testing.assert_array_equal(made.values(neuron) + np.zeros(SAMPLES, int), expected)
        middle = int(np.median(expected))
        ends = [int(expected.min()) - 1, int(expected.max()) + 1, -(1 << 40), 1 << 40]
        for threshold in (middle, middle + 1, *ends):
            for rising in (True, False):
                fires = expected >= threshold if rising else expected <= threshold
                np.testing.assert_array_equal(made.bits(neuron, threshold, rising), fires)


@st.composite
def circuits(draw):
    """Any circuit: every kind of cell, inputs read several times or never, any weights."""
    inputs = draw(st.integers(1, 12))
    wires, cells = inputs, []
    for _ in range(draw(st.integers(0, 20))):
        kind = KINDS[draw(st.sampled_from(sorted(KINDS)))]
        chosen = tuple(draw(st.integers(0, wires - 1)) for _ in range(kind.fan_in))
        cells.append(Cell(kind.name, chosen))
        wires += kind.fan_out
    picked = draw(st.lists(st.integers(0, wires - 1), unique=True, max_size=8))
    outputs = tuple(Output(wire, draw(st.integers(-9, 9))) for wire in picked)
    return Circuit(inputs, tuple(cells), outputs, draw(st.integers(-99, 99)))


@settings(deadline=None, max_examples=60)
@given(circuit=circuits(), seed=st.integers(0, 2**32 - 1))
def test_any_circuit(circuit, seed):
    check(circuit, seed)


@pytest.mark.parametrize("inputs", [1, 2, 3, 9, 27, 64, 288])
@pytest.mark.parametrize(
    "spec", ["exact", "maj", "maj:L=2", "maj:L=3,keep=0.6", "maj:gain=1", "counter63", "ripple"]
)
def test_generated_popcounts(spec, inputs):
    check(make(parse(spec), inputs), neurons=2)


def test_the_form_of_what_a_neuron_is_compared_with():
    code = Compiled(make(parse("exact"), 5))  # 3 planes
    thresholds = np.array([0, 3, 8, -1, 7])
    limits = code.limits(thresholds, np.ones(5, np.bool_))
    expected = [[-1, -1, -1, 0], [0, 0, -1, 0], [-1, -1, -1, -1], [-1, -1, -1, 0], [0, 0, 0, 0]]
    np.testing.assert_array_equal(limits, expected)
    assert code.table_bytes % VECTOR_BYTES == 0
