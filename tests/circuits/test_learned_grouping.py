from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitwright.circuits import Spec, evaluate, make, parse
from bitwright.circuits.learned_grouping import (
    learned_order,
    product_covariance,
    with_learned_order,
)


def within(matrix: np.ndarray, order: list[int], size: int) -> float:
    """Return the sum of covariances of different inputs of one group."""
    groups = [order[k : k + size] for k in range(0, len(order) // size * size, size)]
    return sum(matrix[i, j] for group in groups for i, j in itertools.combinations(group, 2))


def covariance(inputs: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    factors = rng.normal(size=(inputs, 3))
    return factors @ factors.T


@given(inputs=st.integers(1, 40), sizes=st.sampled_from([(3,), (4, 3), (3, 3, 3), ()]))
@settings(deadline=None, max_examples=40)
def test_an_order_is_a_permutation_and_no_worse_than_the_natural_one(inputs, sizes):
    matrix = covariance(inputs, inputs)
    order = learned_order(matrix, sizes, np.random.default_rng(0))
    assert sorted(order) == list(range(inputs))
    if sizes:
        natural = within(matrix, list(range(inputs)), sizes[0])
        assert within(matrix, order, sizes[0]) <= natural + 1e-9


@pytest.mark.parametrize("seed", range(10))
def test_small_cases_come_near_the_best_of_all_orders(seed):
    matrix = covariance(6, seed)
    best = min(within(matrix, list(p), 3) for p in itertools.permutations(range(6)))
    found = within(matrix, learned_order(matrix, (3,), np.random.default_rng(seed)), 3)
    # Exchanges of two can stop short of the best; the sum within the natural groups is not near.
    assert found <= best + 0.25 * abs(best)


def test_covariances_are_those_of_products():
    rng = np.random.default_rng(0)
    activations = rng.random((500, 9)) < rng.random((500, 1))
    weights = rng.random((7, 9)) < 0.5
    products = (2.0 * activations[:, None] - 1) * (2.0 * weights - 1)
    wanted = np.mean([np.cov(products[:, k].T, bias=True) for k in range(7)], axis=0)
    assert np.allclose(product_covariance(activations, weights), wanted)


@pytest.mark.parametrize("spec", ["maj:L=2", "andor"])
def test_fewer_bits_flip_on_inputs_that_are_alike_in_neighbours(spec):
    rng = np.random.default_rng(1)
    # 27 places with 8 channels; the channels of a place are nearly all alike.
    place = rng.random((6000, 27, 1)) < 0.5
    bits = (place ^ (rng.random((6000, 27, 8)) < 0.05)).reshape(6000, 216)
    weights = np.ones((1, 216), np.bool_)
    better = with_learned_order(parse(spec), product_covariance(bits[:3000], weights), rng)
    counts = bits[3000:].sum(axis=1)

    def flips(popcount: Spec) -> float:
        values = evaluate(make(popcount, 216), bits[3000:].astype(np.uint8))
        one = counts >= np.median(counts)
        cutoff = np.quantile(values, 1 - one.mean())
        return float(((values >= cutoff) != one).mean())

    assert flips(better) < 0.9 * flips(parse(spec))


def test_majorities_of_equal_inputs_lose_nothing_and_learned_ones_do():
    rng = np.random.default_rng(0)
    bits = np.repeat(rng.random((2000, 20)) < 0.5, 3, axis=1)
    weights = np.ones((1, 60), np.bool_)
    learned = with_learned_order(parse("maj"), product_covariance(bits, weights), rng)
    lost = {}
    for name, spec in (("natural", parse("maj")), ("learned", learned)):
        values = evaluate(make(spec, 60), bits.astype(np.uint8))
        lost[name] = 1 - np.corrcoef(values, bits.sum(axis=1))[0, 1]
    assert lost["natural"] == pytest.approx(0, abs=1e-12)
    assert lost["learned"] > 0.001


@pytest.mark.parametrize("text", ["maj:keep=0.6", "maj:share=0.5", "maj:L=2,keep=0.7,share=0.4"])
def test_only_inputs_that_meet_in_gates_change_places(text):
    spec = parse(text)
    better = with_learned_order(spec, covariance(60, 3), np.random.default_rng(0))
    kept = {cell for gate in make(spec, 60).cells for cell in gate.inputs if cell < 60}
    used = {cell for gate in make(better, 60).cells for cell in gate.inputs if cell < 60}
    assert used == kept
    meeting = set(spec.grouped(60))
    assert meeting <= kept
    assert all(better.order[i] == i for i in range(60) if i not in meeting)
    assert better.order != tuple(range(60))
