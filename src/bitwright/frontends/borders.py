"""What zero padding leaves out of a sum that is not zero at zero, by distance to the border."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bitwright.ir.rules import window_shape

Floats = npt.NDArray[np.float64]


def valid_sums(
    taps: Floats,
    size: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int, int, int],
) -> Floats:
    """Return for each window the sum of the taps that lie inside the map, as an ``Offset``.

    Parameters
    ----------
    taps
        What each tap adds to each kernel: (out, kh, kw).
    size
        Rows and columns of the map.
    stride, padding
        As of a ``Conv2d``.

    Returns
    -------
    numpy.ndarray
        (rows, columns, out), rows and columns odd: as small as they can be.
    """
    kernel = (taps.shape[1], taps.shape[2])
    counts = window_shape(size, kernel, stride, padding)
    inside = [
        _distinct(size[axis], kernel[axis], stride[axis], padding[2 * axis], counts[axis])
        for axis in (0, 1)
    ]
    return np.asarray(np.einsum("ra,cb,oab->rco", inside[0], inside[1], taps))


def _distinct(size: int, kernel: int, stride: int, before: int, count: int) -> Floats:
    """Which taps lie inside, for the windows near either end and for one in the middle."""
    tap = np.arange(count)[:, None] * stride - before + np.arange(kernel)
    inside = ((tap >= 0) & (tap < size)).astype(np.float64)
    half = 0
    while len(middle := inside[half : count - half]) and (middle != middle[0]).any():
        half += 1
    centre = inside[min(half, count - 1)]
    return np.concatenate([inside[:half], centre[None], inside[count - half :]])
