"""What is known of majority popcounts on random inputs, found again from the circuits.

Shares and errors are exact: dynamic programming over the circuit, independent inputs, density 1/2.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from bitwright.circuits import (
    compare,
    error_statistics,
    exact_joint,
    flip_given_count,
    flips,
    make,
    value_table,
    with_table,
)
from bitwright.circuits.statistics import gaussian_flip_given_margin, gaussian_flip_rate

LEVEL = math.sqrt(3) / 2
"""The correlation of a majority of three with the count of its inputs."""


def threshold(inputs: int) -> int:
    """Return the threshold of an even neuron: at least half of the inputs."""
    return (inputs + 1) // 2


@pytest.mark.parametrize(("inputs", "naive", "best"), [(9, 37.5, 10.55), (576, 51.66, 16.59)])
def test_one_level_without_and_with_the_best_threshold(inputs, naive, best):
    found = flips(exact_joint(make("maj", inputs)), threshold(inputs))
    assert 100 * found.naive == pytest.approx(naive, abs=0.005)
    assert 100 * found.best == pytest.approx(best, abs=0.005)


def test_the_naive_threshold_is_off_by_a_sixth_of_the_inputs():
    found = flips(exact_joint(make("maj", 576)), 288)
    assert found.naive_cutoff - found.best_cutoff == 576 // 6


@pytest.mark.parametrize("levels", [1, 2, 3, 4])
def test_the_correlation_of_levels_is_a_power(levels):
    # 243 = 3**5: no bit is left over at any level.
    found = error_statistics(exact_joint(make(f"maj:L={levels}", 243)))
    assert found.correlation == pytest.approx(LEVEL**levels, abs=1e-12)


# At few remaining majorities the flip rate is below that of the limit, which is for many.
RATES = {
    9: (0.1055, 0.1055, 0.1055, 0.1055),
    27: (0.1485, 0.1950, 0.1950, 0.1950),
    243: (0.1648, 0.2264, 0.2669, 0.2905),
    576: (0.1659, 0.2292, 0.2740, 0.3037),
}


@pytest.mark.parametrize("inputs", RATES)
@pytest.mark.parametrize("levels", [1, 2, 3, 4])
def test_flip_rates_of_levels(inputs, levels):
    found = flips(exact_joint(make(f"maj:L={levels}", inputs)), threshold(inputs))
    assert found.best == pytest.approx(RATES[inputs][levels - 1], abs=5e-5)
    limit = gaussian_flip_rate(LEVEL**levels)
    assert found.best < limit + 1e-3
    if inputs == 576:
        assert found.best == pytest.approx(limit, abs=0.0065)


@pytest.mark.parametrize("levels", [1, 2])
def test_flips_depend_on_the_margin(levels):
    joint = exact_joint(make(f"maj:L={levels},centre", 1152))
    rates = flip_given_count(joint, 576, flips(joint, 576).best_cutoff)
    for distance in range(0, 70, 5):
        margin = (distance + 0.5) / (math.sqrt(1152) / 2)
        model = gaussian_flip_given_margin(margin, LEVEL**levels)
        # A cutoff lies between two values, rarely in the middle: that shifts both sides alike.
        both = (rates[576 + distance] + rates[575 - distance]) / 2
        assert both == pytest.approx(model, abs=5e-4)
    assert rates[576] > 0.4
    assert rates[500] < 0.01


def test_value_tables_of_18_inputs():
    twice, one_more = exact_joint(make("maj", 18)), exact_joint(make("maj:gain=1", 18))
    table = with_table(twice, value_table(twice))
    errors = [error_statistics(joint).mean_absolute for joint in (twice, one_more, table)]
    assert errors == pytest.approx([3.0, 0.908, 0.829], abs=5e-4)
    assert error_statistics(one_more).bias == pytest.approx(0, abs=1e-12)
    assert value_table(twice).tolist() == [4, 6, 8, 9, 10, 12, 14]


def test_one_more_is_the_same_information_as_twice():
    for inputs in (27, 576):
        twice, one_more = (make(f"maj:gain={gain}", inputs) for gain in (2, 1))
        first, second = exact_joint(twice), exact_joint(one_more)
        assert np.allclose(first.p, second.p, atol=1e-15)
        cutoff, shifted = (flips(joint, inputs // 2).best_cutoff for joint in (first, second))
        assert compare(twice, cutoff).digest == compare(one_more, shifted).digest


@pytest.mark.parametrize(("levels", "saved"), [(1, 57), (2, 76)])
def test_gates_saved_at_576_inputs(levels, saved):
    """A majority gate counts 0.3 of a full adder; the few half adders are left out."""
    exact = make("exact", 576).counts["FA"]
    counts = make(f"maj:L={levels}", 576).counts
    cost = counts["FA"] + 0.3 * counts["MAJ3"]
    assert 100 * (1 - cost / exact) == pytest.approx(saved, abs=0.5)
