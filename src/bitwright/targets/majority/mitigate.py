"""Mitigations: from statistics of a layer's values to integers that make up for its errors.

Requirements:

- Values lie on a grid: entry k of a histogram or table belongs to value ``least + k``.
- A rising neuron's bit is ``value >= threshold``, a falling one's ``value <= threshold``.
- Tables never fall, so a comparison with what they say is one with the value itself (`fold`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import isotonic_regression  # type: ignore[import-untyped]

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


def rate_thresholds(histogram: Integers, wanted: Integers, rising: Bools, least: int) -> Integers:
    """Return the thresholds at which bits are 1 as often as wanted, or as nearly as values allow.

    Parameters
    ----------
    histogram
        How often each neuron has each value, (neurons, values).
    wanted
        How often its bit shall be 1, (neurons,).
    rising
        (neurons,).
    least
        The first value.
    """
    fired = _fired(histogram, rising)
    return _threshold(np.abs(fired - wanted[:, None]), rising, least)


def flip_thresholds(histogram: Integers, ones: Integers, rising: Bools, least: int) -> Integers:
    """Return the thresholds at which the fewest bits are not the true ones.

    Parameters
    ----------
    histogram
        How often each neuron has each value, (neurons, values).
    ones
        How often its true bit is 1 then, (neurons, values).
    rising
        (neurons,).
    least
        The first value.
    """
    right = _fired(ones, rising)
    wrong = _fired(histogram, rising) - right
    missed = ones.sum(axis=1)[:, None] - right
    return _threshold(wrong + missed, rising, least)


def _fired(histogram: Integers, rising: Bools) -> Integers:
    """How often bits are 1: at column k for value >= least + k, or value <= least + k - 1."""
    below = np.pad(histogram.cumsum(axis=1), ((0, 0), (1, 0)))
    return np.where(rising[:, None], below[:, -1:] - below, below)


def _threshold(cost: npt.NDArray[Any], rising: Bools, least: int) -> Integers:
    best = cost.argmin(axis=1)
    return np.asarray(least + np.where(rising, best, best - 1), np.int64)


def count_table(samples: npt.NDArray[Any], counts: npt.NDArray[Any], divisor: int) -> Floats:
    """Return the mean count that goes with each value, made monotone.

    Parameters
    ----------
    samples
        How often, or with which probability, each value occurs, (values,).
    counts
        The sum of the exact counts that occur with it, (values,).
    divisor
        The circuit's. Where values do not occur, the table goes on with ``value / divisor`` beyond
        the last that do, and straight between them.

    Returns
    -------
    array
        (values,), unrounded.

    Notes
    -----
    Monotone by isotonic regression, which is the least-squares fit among tables that never fall
    (R. E. Barlow et al., Statistical Inference under Order Restrictions, 1972).
    """
    seen = np.flatnonzero(np.asarray(samples) > 0)
    every = np.arange(len(samples))
    if not len(seen):
        return every / divisor
    means = np.asarray(counts, np.float64)[seen] / np.asarray(samples, np.float64)[seen]
    fitted = isotonic_regression(means, weights=np.asarray(samples, np.float64)[seen]).x
    table = np.interp(every, seen, fitted)
    beyond = np.minimum(every - seen[0], 0) + np.maximum(every - seen[-1], 0)
    # Means that are halves come out some 1e-16 off; this puts them back before they are rounded.
    return np.asarray(np.round(table + beyond / divisor, 9), np.float64)


def line_table(samples: npt.NDArray[Any], counts: npt.NDArray[Any], least: int) -> Floats:
    """Return the counts ``a * value + b`` of the least-squares line, a at least 0.

    Parameters are those of `count_table`; `least` is the first value.
    """
    values = least + np.arange(len(samples), dtype=np.float64)
    weights, sums = np.asarray(samples, np.float64), np.asarray(counts, np.float64)
    total = weights.sum()
    value, count = weights @ values / total, sums.sum() / total
    spread = weights @ (values - value) ** 2
    slope = max(0.0, float(sums @ (values - value) / spread)) if spread > 0 else 0.0
    return np.asarray(slope * (values - value) + count, np.float64)


def fold(table: npt.NDArray[Any], least: int, thresholds: Integers, rising: Bools) -> Integers:
    """Return thresholds of values that decide as those of counts do after the table.

    Parameters
    ----------
    table
        The count of each value, (values,), which is rounded to an integer, halves to even.
    least
        The first value.
    thresholds
        Thresholds of counts, (..., neurons).
    rising
        (neurons,).
    """
    counts = np.rint(table).astype(np.int64)
    at_least = np.searchsorted(counts, thresholds, "left")
    at_most = np.searchsorted(counts, thresholds, "right") - 1
    return np.asarray(least + np.where(rising, at_least, at_most), np.int64)
