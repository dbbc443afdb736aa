"""Exact, sampled and measured error statistics against enumeration."""

from __future__ import annotations

import math
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.circuits.drawn import all_patterns, enumerated, random_bits, random_circuit

from bitwright.circuits import (
    Joint,
    compare,
    data_joint,
    error_statistics,
    evaluate,
    exact_joint,
    flip_given_count,
    flips,
    make,
    sampled_joint,
    value_given_count,
    value_table,
    with_table,
)
from bitwright.circuits.statistics import gaussian_flip_given_margin, gaussian_flip_rate
from bitwright.errors import CircuitError

SPECS = [
    "exact",
    "maj",
    "maj:L=2,centre",
    "maj:L=3,gain=1",
    "maj:arity=5",
    "maj:arity=7,share=0.7",
    "maj:share=0.5",
    "maj:keep=0.6",
    "exact:truncate=1",
    "exact:truncate=2,centre",
    "maj:truncate=1",
    "maj:truncate=1,gain=1",
    "andor",
    "andor:size=2,L=2",
    "lta:size=4",
    "lta:size=5,local=0.7",
]
RATES = np.random.default_rng(11).random(14)


@pytest.fixture
def no_enumeration(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Small circuits take the ways that large ones take."""
    monkeypatch.setattr(import_module("bitwright.circuits.exact_joint"), "MOST_ENUMERATED", 3)
    return


def assert_equal(found: Joint, expected: Joint) -> None:
    occurs = found.p.sum(1) > 0
    assert np.array_equal(found.values[occurs], expected.values)
    assert np.allclose(found.p[occurs], expected.p, rtol=1e-9, atol=1e-15)
    assert found.divisor == expected.divisor
    assert found.samples is None


@pytest.mark.parametrize("inputs", [1, 3, 5, 9, 12, 14])
@pytest.mark.parametrize("spec", SPECS)
def test_dynamic_programming_equals_enumeration(spec, inputs, no_enumeration):
    if "truncate" in spec and inputs < 9:
        return
    circuit = make(spec, inputs)
    rates = RATES[:inputs]
    assert_equal(exact_joint(circuit, rates), enumerated(circuit, rates))
    assert_equal(exact_joint(circuit), enumerated(circuit, np.full(inputs, 0.5)))


@pytest.mark.parametrize("spec", ["exact", "maj:L=2", "maj:gain=1,share=0.5", "lta:size=4"])
def test_the_bit_of_a_neuron_too(spec, no_enumeration):
    for threshold in (4, 5, 7, 8):
        circuit = compare(make(spec, 12), threshold)
        assert_equal(exact_joint(circuit, RATES[:12]), enumerated(circuit, RATES[:12]))


@given(st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=60)
def test_any_small_circuit_is_enumerated(seed):
    circuit = random_circuit(np.random.default_rng(seed), 9, 25)
    assert_equal(exact_joint(circuit, RATES[:9]), enumerated(circuit, RATES[:9]))


def test_inputs_that_are_never_or_always_one():
    circuit = make("maj", 6)
    rates = np.array([0, 1, 0.5, 0.5, 1, 0])
    found = exact_joint(circuit, rates)
    assert_equal(found, enumerated_without_zeros(enumerated(circuit, rates)))
    assert error_statistics(found).worst == 2  # 2 of {0, 1, x}: never 3 or 0 ones in both groups


def enumerated_without_zeros(joint: Joint) -> Joint:
    occurs = joint.p.sum(1) > 0
    return Joint(joint.values[occurs], joint.p[occurs], joint.divisor)


@pytest.mark.parametrize("p", [-0.1, 1.1, math.nan, [0.5, 2.0, 0.5]])
def test_what_is_no_probability_is_refused(p):
    with pytest.raises(CircuitError, match=r"not in 0\.\.1"):
        exact_joint(make("exact", 3), p)
    with pytest.raises(CircuitError, match=r"not in 0\.\.1"):
        sampled_joint(make("exact", 3), 10, np.random.default_rng(0), p)


def test_what_cannot_be_exact_says_what_to_do_instead():
    with pytest.raises(CircuitError, match="estimate its statistics"):
        exact_joint(make("counter63", 40))


@pytest.mark.parametrize("spec", ["maj", "maj:L=2,keep=0.6", "lta:size=64", "maj:share=0.5"])
def test_a_thousand_inputs_are_exact(spec):
    circuit = make(spec, 1152)
    exact = error_statistics(joint := exact_joint(circuit))
    assert joint.p.sum() == pytest.approx(1, abs=1e-12)
    assert joint.p.shape[1] == 1153
    drawn = error_statistics(sampled_joint(circuit, 3000, np.random.default_rng(5)))
    assert drawn.bias == pytest.approx(exact.bias, abs=5 * drawn.bias_error)
    assert drawn.mean_absolute == pytest.approx(
        exact.mean_absolute, abs=5 * drawn.mean_absolute_error
    )
    assert drawn.correlation == pytest.approx(exact.correlation, abs=0.05)


def test_samples_come_from_the_seed_and_the_rates():
    circuit = make("maj", 30)
    first = sampled_joint(circuit, 5000, np.random.default_rng(1), 0.3)
    again = sampled_joint(circuit, 5000, np.random.default_rng(1), 0.3)
    assert np.array_equal(first.p, again.p)
    assert first.p.sum(0) @ np.arange(31) == pytest.approx(9, abs=0.2)
    with pytest.raises(CircuitError, match="no samples"):
        sampled_joint(circuit, 0, np.random.default_rng(1))


def test_standard_errors_are_those_of_repeated_draws():
    circuit = make("maj", 18)
    drawn = [sampled_joint(circuit, 400, np.random.default_rng(seed), 0.4) for seed in range(120)]
    errors = [error_statistics(joint) for joint in drawn]
    rates = [flips(joint, 9) for joint in drawn]
    for found, claimed in [
        ([e.bias for e in errors], [e.bias_error for e in errors]),
        ([e.mean_absolute for e in errors], [e.mean_absolute_error for e in errors]),
        ([e.probability for e in errors], [e.probability_error for e in errors]),
        ([r.naive for r in rates], [r.naive_error for r in rates]),
    ]:
        assert np.std(found) == pytest.approx(np.mean(claimed), rel=0.3)


def test_statistics_on_given_bits_are_those_of_the_bits():
    circuit = make("maj:L=2", 27)
    bits = random_bits(3, 500, 27)
    joint = data_joint(circuit, bits.reshape(5, 100, 27))
    errors = evaluate(circuit, bits) - bits.sum(1)
    found = error_statistics(joint)
    assert joint.samples == 500
    assert found.bias == pytest.approx(errors.mean())
    assert found.mean_absolute == pytest.approx(abs(errors).mean())
    assert found.root_mean_square == pytest.approx(math.sqrt((errors**2).mean()))
    assert found.worst == abs(errors).max()
    assert found.probability == pytest.approx((errors != 0).mean())
    assert found.bias_error == pytest.approx(errors.std() / math.sqrt(500))
    values, counts = evaluate(circuit, bits), bits.sum(1)
    assert found.correlation == pytest.approx(np.corrcoef(values, counts)[0, 1])
    for empty in (np.zeros((0, 27), np.bool_), np.bool_(1)):
        with pytest.raises(CircuitError, match="there are no samples"):
            data_joint(circuit, empty)


@pytest.mark.parametrize("spec", ["maj", "maj:gain=1", "maj:keep=0.6", "lta:size=4"])
@pytest.mark.parametrize("threshold", [-1, 0, 4, 6, 7, 12, 13])
def test_flips_are_what_counting_them_gives(spec, threshold):
    circuit = make(spec, 12)
    joint = exact_joint(circuit)
    patterns = all_patterns(12)
    values, truth = evaluate(circuit, patterns), patterns.sum(1) >= threshold
    found = flips(joint, threshold)

    def wrong(cutoff: int) -> Any:
        return ((values >= cutoff) != truth).mean()

    cutoffs = range(int(values.min()), int(values.max()) + 2)
    assert found.naive == pytest.approx(wrong(threshold * circuit.divisor))
    assert found.best == pytest.approx(min(wrong(cutoff) for cutoff in cutoffs))
    assert wrong(found.best_cutoff) == pytest.approx(found.best)
    given_count = flip_given_count(joint, threshold, found.best_cutoff)
    for count in range(13):
        here = patterns.sum(1) == count
        expected = ((values >= found.best_cutoff) != truth)[here].mean()
        assert given_count[count] == pytest.approx(expected)


def test_values_given_the_count_and_counts_given_the_value():
    circuit = make("maj", 9)
    joint = exact_joint(circuit, 0.4)
    patterns = all_patterns(9)
    values, counts = evaluate(circuit, patterns), patterns.sum(1)
    table = value_given_count(joint)
    assert np.allclose(table.sum(0), 1)
    assert table[1, 4] == pytest.approx((values[counts == 4] == joint.values[1]).mean())
    weight = 0.4**counts * 0.6 ** (9 - counts)
    mean = [np.average(counts[values == v], weights=weight[values == v]) for v in joint.values]
    assert value_table(joint).tolist() == np.rint(mean).tolist()


def test_counts_that_never_occur_have_no_flip_rate():
    joint = exact_joint(make("exact", 3), [1, 0.5, 0.5])
    assert np.isnan(flip_given_count(joint, 2, 2)).tolist() == [True, False, False, False]
    assert np.isnan(value_given_count(joint)[:, 0]).all()


def test_a_table_replaces_values():
    joint = exact_joint(make("maj", 18))
    flat = with_table(joint, np.full(len(joint.values), 9))
    assert flat.values.tolist() == [9]
    assert error_statistics(flat).bias == pytest.approx(0)
    assert math.isnan(error_statistics(flat).correlation)
    with pytest.raises(CircuitError, match="a table of 3 entries does not fit 7 values"):
        with_table(joint, np.array([1, 2, 3]))


def test_the_gaussian_model():
    assert gaussian_flip_rate(1.0) == 0
    assert gaussian_flip_rate(0.0) == 0.5
    assert gaussian_flip_given_margin(0.0, 0.8) == 0.5
    assert gaussian_flip_given_margin(3.0, 1.0) == 0
    # Averaged over a normal margin, the conditional rate is the rate.
    z = np.linspace(-8, 8, 4001)
    density = np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
    mean = sum(d * gaussian_flip_given_margin(x, 0.75) for x, d in zip(z, density, strict=True))
    assert mean * (z[1] - z[0]) == pytest.approx(gaussian_flip_rate(0.75), abs=1e-6)
