"""Mitigations as functions of statistics, against brute force."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from bitwright.targets.majority.mitigate import (
    count_table,
    flip_thresholds,
    fold,
    line_table,
    rate_thresholds,
)

LEAST = -3
COUNTS = st.integers(1, 12).flatmap(
    lambda width: st.tuples(
        arrays(np.int64, (4, width), elements=st.integers(0, 9)),
        arrays(np.int64, (4, width), elements=st.integers(0, 9)),
        arrays(np.bool_, 4),
    )
)


def fires(width, thresholds, rising):
    """Which values make a neuron's bit 1, (neurons, values)."""
    values = LEAST + np.arange(width)
    limits = np.asarray(thresholds)[:, None]
    return np.where(rising[:, None], values >= limits, values <= limits)


def every(width, rising):
    """The bits under each threshold, (thresholds, neurons, values)."""
    limits = range(LEAST - 1, LEAST + width + 1)
    return np.stack([fires(width, np.full(4, t), rising) for t in limits])


@given(COUNTS)
def test_no_threshold_comes_nearer_to_a_rate(drawn):
    histogram, wanted, rising = drawn
    wanted = wanted.sum(axis=1)
    chosen = fires(histogram.shape[1], rate_thresholds(histogram, wanted, rising, LEAST), rising)
    miss = np.abs((histogram * every(histogram.shape[1], rising)).sum(axis=2) - wanted)
    assert (np.abs((histogram * chosen).sum(axis=1) - wanted) == miss.min(axis=0)).all()


@given(COUNTS)
def test_no_threshold_makes_fewer_flips(drawn):
    zeros, ones, rising = drawn
    histogram = zeros + ones
    chosen = fires(histogram.shape[1], flip_thresholds(histogram, ones, rising, LEAST), rising)

    def flips(bits):
        return (zeros * bits + ones * ~bits).sum(axis=-1)

    assert (flips(chosen) == flips(every(histogram.shape[1], rising)).min(axis=0)).all()


@given(COUNTS, st.integers(1, 3))
def test_a_table_is_the_best_that_never_falls(drawn, divisor):
    samples, counts = drawn[0][0], np.where(drawn[0][0] > 0, drawn[1][0], 0)
    table = count_table(samples, counts, divisor)
    assert table.shape == samples.shape
    assert (np.diff(table) >= -1e-9).all()
    seen = np.flatnonzero(samples)
    if not len(seen):
        return
    means = counts[seen] / samples[seen]
    if (np.diff(means) >= 0).all():
        np.testing.assert_allclose(table[seen], means)
    # Each level of the table is the mean of what it pools.
    for level in np.unique(np.round(table[seen], 9)):
        pooled = seen[np.isclose(table[seen], level)]
        assert np.isclose(counts[pooled].sum() / samples[pooled].sum(), level)
    np.testing.assert_allclose(
        np.diff(table[: seen[0] + 1]), np.full(seen[0], 1 / divisor), atol=1e-9
    )


def test_a_table_goes_on_where_nothing_was_seen():
    table = count_table(np.array([0, 0, 2, 0, 1, 0]), np.array([0, 0, 6, 0, 7, 0]), 2)
    np.testing.assert_allclose(table, [2, 2.5, 3, 5, 7, 7.5])
    np.testing.assert_allclose(count_table(np.zeros(3), np.zeros(3), 2), [0, 0.5, 1])


@given(COUNTS)
def test_a_line_is_numpys_least_squares(drawn):
    samples, counts = drawn[0][0], drawn[1][0] * drawn[0][0]
    if (samples > 0).sum() < 2:
        return
    values = LEAST + np.arange(len(samples))
    design = np.stack([values, np.ones(len(values))], axis=1)
    means = np.divide(counts, samples, out=np.zeros(len(values)), where=samples > 0)
    root = np.sqrt(samples)
    (slope, intercept), *_ = np.linalg.lstsq(design * root[:, None], means * root, rcond=None)
    found = line_table(samples, counts, LEAST)
    if slope > 1e-9:
        np.testing.assert_allclose(found, slope * values + intercept, atol=1e-7)
    else:
        np.testing.assert_allclose(found, counts.sum() / samples.sum(), atol=1e-7)


def test_a_line_of_one_value_is_level():
    np.testing.assert_allclose(line_table(np.array([0, 4]), np.array([0, 10]), LEAST), [2.5, 2.5])


@given(
    arrays(np.float64, st.integers(1, 10), elements=st.floats(-5, 12)).map(np.sort),
    arrays(np.int64, (3, 4), elements=st.integers(-8, 14)),
    arrays(np.bool_, 4),
)
def test_folded_thresholds_decide_as_the_table_does(table, thresholds, rising):
    folded = fold(table, LEAST, thresholds, rising)
    assert folded.dtype == np.int64
    counts = np.rint(table)[:, None]
    values = (LEAST + np.arange(len(table)))[:, None]
    for limits, given_limits in zip(folded, thresholds, strict=True):
        bits = np.where(rising, values >= limits, values <= limits)
        true = np.where(rising, counts >= given_limits, counts <= given_limits)
        np.testing.assert_array_equal(bits, true)
