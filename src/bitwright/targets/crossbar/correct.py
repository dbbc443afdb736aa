"""Partial sums put together: what arrays count turned into dot products, as a loop for Numba."""
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def add_read(counts, per_count, rounded, column_sums, ones, sizes, columns, rows, total):
    """Add what a read counted to dot products: ``s_w s_a (4 count - 2 W' - 2 A' + n)``.

    Parameters
    ----------
    counts
        (windows of all images, columns) doubles.
    per_count
        What one count is in them.
    rounded
        Whether counts are whole.
    column_sums
        (windows or 1, columns): sum of W' over the rows in use.
    ones, sizes
        (windows of all images,), (windows or 1,): sum of A', and rows in use.
    columns, rows
        (columns,), (windows of all images,): s_w and s_a, +1 or -1.
    total
        (windows of all images, columns) doubles, added to.
    """
    inverse = 1.0 / per_count
    for p in range(counts.shape[0]):
        window = p % column_sums.shape[0]
        size = sizes[p % sizes.shape[0]]
        shared = size - 2.0 * ones[p]
        sign = rows[p]
        for c in range(counts.shape[1]):
            count = counts[p, c] * inverse
            if rounded:
                count = np.rint(count)
            total[p, c] += sign * columns[c] * (4.0 * count - 2.0 * column_sums[window, c] + shared)


@njit(cache=True, nogil=True)
def add_agreements(counts, per_count, rounded, sizes, total):
    """Add what an array of complementary cells counted: ``2 count - n``; see `add_read`."""
    inverse = 1.0 / per_count
    for p in range(counts.shape[0]):
        size = sizes[p % sizes.shape[0]]
        for c in range(counts.shape[1]):
            count = counts[p, c] * inverse
            if rounded:
                count = np.rint(count)
            total[p, c] += 2.0 * count - size
