"""From the bits that a float expression gives to the threshold that gives the same."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Bools = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]


def from_bits(fires: Bools, lo: int) -> tuple[Integers, Bools, int | None]:
    """Return thresholds and polarities that give these bits.

    Parameters
    ----------
    fires
        (channels, integers): the bit of each channel at ``lo, lo + 1, ...``.
    lo
        The first integer.

    Returns
    -------
    tuple
        Thresholds and rising flags (channels,), and a channel whose bits are no threshold, if
        there is one. Constant channels get a threshold at an end, or one beyond it.
    """
    changes = (fires[:, 1:] != fires[:, :-1]).sum(axis=1)
    bad = int(np.argmax(changes)) if (changes > 1).any() else None
    rising = ~fires[:, 0] | fires[:, -1]
    count = fires.sum(axis=1)
    # Rising: the top `count` integers fire. Falling: the lowest `count` do.
    thresholds = np.where(rising, lo + fires.shape[1] - count, lo + count - 1)
    return thresholds, rising, bad


def by_search(
    fires: Callable[[Integers], Bools], channels: int, lo: int, hi: int
) -> tuple[Integers, Bools]:
    """Return the same for bits that are known to change at most once, by bisection.

    Parameters
    ----------
    fires
        The bit of each channel at one integer a channel, (channels,) to (channels,).
    channels, lo, hi
        How many channels, and the integers in question.
    """
    first = fires(np.full(channels, lo, np.int64))
    last = fires(np.full(channels, hi, np.int64))
    rising = ~first | last
    # Invariant: the bit at `low` is the first one, that at `high` the last one.
    low, high = np.full(channels, lo, np.int64), np.full(channels, hi, np.int64)
    while (high - low > 1).any():
        middle = (low + high) // 2
        same = fires(middle) == first
        low, high = np.where(same, middle, low), np.where(same, high, middle)
    # The last integer with the first bit is `low`; a falling channel fires up to it.
    thresholds = np.where(rising, high, low)
    constant = first == last
    thresholds = np.where(constant, np.where(first, lo, hi + 1), thresholds)
    return thresholds, rising
