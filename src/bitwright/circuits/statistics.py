"""What a popcount gets wrong: statistics of the joint distribution of count and value.

The count c is the number of ones at the inputs; the estimate is value / divisor. A neuron's true
bit is ``c >= threshold``; the circuit's is ``value >= cutoff``. The naive cutoff is the threshold
times the divisor; the best one makes the fewest bits wrong.

The distribution comes from one of three places: `bitwright.circuits.exact_joint` (exact),
`bitwright.circuits.sampling` (random inputs, or a layer's real ones; standard errors then).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from bitwright.errors import CircuitError

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Joint:
    """The joint distribution of a circuit's value and the count of ones.

    Parameters
    ----------
    values
        (V,) the values that occur, ascending.
    p
        (V, inputs + 1), the probability of each value with each count; all add up to 1.
    divisor
        What the values are divided by to estimate the count.
    samples
        How many samples it was counted from, None if it is exact.
    """

    values: Integers
    p: Floats
    divisor: int = 1
    samples: int | None = None

    @property
    def inputs(self) -> int:
        """The number of inputs."""
        return int(self.p.shape[1]) - 1

    @property
    def errors(self) -> Floats:
        """(V, inputs + 1): the estimate minus the count."""
        return self.values[:, None] / self.divisor - np.arange(self.inputs + 1)

    def standard_error(self, variance: float) -> float:
        """Return the standard error of a mean of that variance; 0 if the distribution is exact."""
        return math.sqrt(max(variance, 0.0) / self.samples) if self.samples else 0.0


@dataclass(frozen=True)
class ErrorStatistics:
    """How far the estimate is from the count, in ones; standard errors are 0 where exact.

    Parameters
    ----------
    bias, mean_absolute, root_mean_square
        Mean of the error, of its absolute value, and the root of the mean of its square.
    worst
        The greatest absolute error that occurs at all.
    probability
        How often the estimate is not the count.
    correlation
        Of value and count; NaN if one of them is constant.
    bias_error, mean_absolute_error, probability_error
        Standard errors.
    """

    bias: float
    mean_absolute: float
    root_mean_square: float
    worst: float
    probability: float
    correlation: float
    bias_error: float
    mean_absolute_error: float
    probability_error: float


def error_statistics(joint: Joint) -> ErrorStatistics:
    """Return the statistics of the error of a value as an estimate of the count."""
    errors, p = joint.errors, joint.p
    bias = float((p * errors).sum())
    absolute = float((p * abs(errors)).sum())
    square = float((p * errors**2).sum())
    # value / divisor == count, in integers
    right = joint.values[:, None] == joint.divisor * np.arange(joint.inputs + 1)
    wrong = float(p[~right].sum())
    return ErrorStatistics(
        bias=bias,
        mean_absolute=absolute,
        root_mean_square=math.sqrt(square),
        worst=float(abs(errors[p > 0]).max()),
        probability=wrong,
        correlation=_correlation(joint),
        bias_error=joint.standard_error(square - bias**2),
        mean_absolute_error=joint.standard_error(square - absolute**2),
        probability_error=joint.standard_error(wrong * (1 - wrong)),
    )


def _correlation(joint: Joint) -> float:
    counts = np.arange(joint.inputs + 1, dtype=np.float64)
    value, count = joint.values.astype(np.float64), counts
    of_value, of_count = joint.p.sum(1), joint.p.sum(0)
    value = value - of_value @ value
    count = count - of_count @ count
    spread = (of_value @ value**2) * (of_count @ count**2)
    return float(value @ joint.p @ count / math.sqrt(spread)) if spread > 0 else math.nan


@dataclass(frozen=True)
class Flips:
    """How often the circuit's bit is not the true one.

    Parameters
    ----------
    threshold
        The true bit is ``count >= threshold``.
    naive, best
        The share of wrong bits at the naive and at the best cutoff.
    naive_cutoff, best_cutoff
        Those cutoffs: the circuit's bit is ``value >= cutoff``.
    naive_error, best_error
        Standard errors; 0 where exact. The best cutoff is chosen on the same distribution, so where
        that is of few samples its rate is optimistic.
    """

    threshold: int
    naive: float
    best: float
    naive_cutoff: int
    best_cutoff: int
    naive_error: float
    best_error: float


def flips(joint: Joint, threshold: int) -> Flips:
    """Return how often bits flip, at the naive and at the best cutoff."""
    rates = _flip_rates(joint, threshold)
    naive_cutoff = threshold * joint.divisor
    naive = float(rates[np.searchsorted(joint.values, naive_cutoff)])
    index = int(np.argmin(rates))
    best = float(rates[index])
    last = int(joint.values[-1]) + 1
    return Flips(
        threshold=threshold,
        naive=naive,
        best=best,
        naive_cutoff=naive_cutoff,
        best_cutoff=int(joint.values[index]) if index < len(joint.values) else last,
        naive_error=joint.standard_error(naive * (1 - naive)),
        best_error=joint.standard_error(best * (1 - best)),
    )


def _flip_rates(joint: Joint, threshold: int) -> Floats:
    """Return (V + 1,): the flip rate at a cutoff of each value, and beyond the last."""
    at = min(max(threshold, 0), joint.inputs + 1)
    low, high = joint.p[:, :at].sum(1), joint.p[:, at:].sum(1)
    missed = np.concatenate(([0.0], np.cumsum(high)))
    false = np.concatenate((np.cumsum(low[::-1])[::-1], [0.0]))
    return np.asarray(missed + false, np.float64)


def flip_given_count(joint: Joint, threshold: int, cutoff: int) -> Floats:
    """Return (inputs + 1,): how often the bit is wrong at each count; NaN at counts that never are.

    The margin of a count c is ``c - (threshold - 1/2)``: this is P(flip | margin).
    """
    one = joint.values >= cutoff
    truth = np.arange(joint.inputs + 1) >= threshold
    wrong = np.where(truth, joint.p[~one].sum(0), joint.p[one].sum(0))
    return _divided(wrong, joint.p.sum(0))


def value_given_count(joint: Joint) -> Floats:
    """Return (V, inputs + 1): P(value | count); NaN at counts that never occur."""
    return _divided(joint.p, joint.p.sum(0))


def _divided(part: Floats, whole: Floats) -> Floats:
    """Return part / whole, NaN where whole is 0."""
    found: Floats = np.full(part.shape, np.nan)
    np.divide(part, whole, out=found, where=whole > 0)
    return found


def value_table(joint: Joint) -> Integers:
    """Return (V,): for each value the mean count that goes with it, rounded, halves to even.

    As a mitigation of errors this is the integer estimate of least mean square.
    """
    total = joint.p.sum(1)
    mean = joint.p @ np.arange(joint.inputs + 1) / np.where(total > 0, total, 1)
    # Means that are halves come out some 1e-16 off; the first rounding puts them back.
    return np.rint(np.round(mean, 9)).astype(np.int64)


def with_table(joint: Joint, table: Integers) -> Joint:
    """Return the distribution with each value replaced by an estimate of the count.

    Parameters
    ----------
    joint
        The distribution.
    table
        (V,) an estimate for each of its values.

    Raises
    ------
    CircuitError
        If the table is not as long as there are values.
    """
    if np.shape(table) != joint.values.shape:
        raise CircuitError(
            f"a table of {np.size(table)} entries does not fit {len(joint.values)} values",
            "give one estimate for each value",
        )
    values, row = np.unique(np.asarray(table, np.int64), return_inverse=True)
    p = np.zeros((len(values), joint.p.shape[1]))
    np.add.at(p, row, joint.p)
    return replace(joint, values=values, p=p, divisor=1)


def gaussian_flip_rate(correlation: float) -> float:
    """Return the flip rate of two jointly normal numbers, both compared with their mean.

    ``arccos(rho) / pi`` (W. F. Sheppard, 1899). L levels of majorities of three have
    rho = (sqrt(3) / 2)**L at independent inputs of density 1/2.
    """
    return math.acos(correlation) / math.pi


def gaussian_flip_given_margin(margin: float, correlation: float) -> float:
    """Return the probability of a flip of jointly normal numbers, given one of them.

    Parameters
    ----------
    margin
        How far the count is from the threshold, in standard deviations of the count:
        ``(count - (threshold - 1/2)) / (sqrt(n) / 2)`` at density 1/2.
    correlation
        Of value and count.
    """
    if correlation >= 1:
        return 0.0
    z = -abs(margin) * correlation / math.sqrt(1 - correlation**2)
    return 0.5 * math.erfc(-z / math.sqrt(2))
