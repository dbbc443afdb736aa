"""The kernels that are not dot products: pools, thresholds, fixed-point lines, packing.

Maps come as arrays (images, rows, columns, channels or words of channels); views with a halo cut
off are fine. Each kernel does what the op of its name does in `bitwright.ir.reference`, its twin.
"""
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import numpy as np
from numba import njit

_FLOOR, _HALF_UP, _HALF_EVEN = range(3)
ROUNDINGS = {"floor": _FLOOR, "half_up": _HALF_UP, "half_even": _HALF_EVEN}
"""How the kernels take `bitwright.ir.ops.Rounding`."""


@njit(cache=True, nogil=True)
def threshold(x, thresholds, rising, out):
    """Compare integers with their channel's threshold; write packed bits."""
    for n in range(x.shape[0]):
        for i in range(x.shape[1]):
            for j in range(x.shape[2]):
                for word in range(out.shape[3]):
                    first = word * 64
                    bits = np.uint64(0)
                    for k in range(min(64, x.shape[3] - first)):
                        value, limit = x[n, i, j, first + k], thresholds[first + k]
                        fires = value >= limit if rising[first + k] else value <= limit
                        bits |= np.uint64(fires) << np.uint64(k)
                    out[n, i, j, word] = bits


@njit(cache=True, nogil=True)
def pack(x, out):
    """Pack bools into words."""
    for n in range(x.shape[0]):
        for i in range(x.shape[1]):
            for j in range(x.shape[2]):
                for word in range(out.shape[3]):
                    first = word * 64
                    bits = np.uint64(0)
                    for k in range(min(64, x.shape[3] - first)):
                        bits |= np.uint64(x[n, i, j, first + k]) << np.uint64(k)
                    out[n, i, j, word] = bits


@njit(cache=True, nogil=True)
def unpack(x, out):
    """Unpack words into -1 and +1."""
    for n in range(out.shape[0]):
        for i in range(out.shape[1]):
            for j in range(out.shape[2]):
                for c in range(out.shape[3]):
                    bit = (x[n, i, j, c >> 6] >> np.uint64(c & 63)) & np.uint64(1)
                    out[n, i, j, c] = 2 * np.int64(bit) - 1


@njit(cache=True, nogil=True)
def copy(x, out):
    """Copy integers or words of bits into another layout."""
    for n in range(out.shape[0]):
        for i in range(out.shape[1]):
            for j in range(out.shape[2]):
                for c in range(out.shape[3]):
                    out[n, i, j, c] = x[n, i, j, c]


@njit(cache=True, nogil=True)
def subtract(x, least, out):
    """Copy integers into another integer type, counted from `least`."""
    for n in range(out.shape[0]):
        for i in range(out.shape[1]):
            for j in range(out.shape[2]):
                for c in range(out.shape[3]):
                    out[n, i, j, c] = np.int64(x[n, i, j, c]) - least


@njit(cache=True, nogil=True)
def lookup(x, lo, table, out):
    """Replace each integer by an entry of the table (1 or channels, entries)."""
    shared = table.shape[0] == 1
    for n in range(out.shape[0]):
        for i in range(out.shape[1]):
            for j in range(out.shape[2]):
                for c in range(out.shape[3]):
                    out[n, i, j, c] = table[0 if shared else c, np.int64(x[n, i, j, c]) - lo]


@njit(cache=True, nogil=True)
def pool_bits(x, kernel, stride, padding, inverted, out):
    """OR of each window of packed bits; AND for the channels that are ones in `inverted`."""
    for n in range(out.shape[0]):
        for i in range(out.shape[1]):
            top = i * stride[0] - padding[0]
            for j in range(out.shape[2]):
                left = j * stride[1] - padding[2]
                for word in range(out.shape[3]):
                    flip = inverted[word]
                    bits = np.uint64(0)
                    for row in range(max(top, 0), min(top + kernel[0], x.shape[1])):
                        for column in range(max(left, 0), min(left + kernel[1], x.shape[2])):
                            bits |= x[n, row, column, word] ^ flip
                    out[n, i, j, word] = bits ^ flip


@njit(cache=True, nogil=True)
def max_pool(x, kernel, stride, padding, out):
    """Take the largest integer of each window."""
    for n in range(out.shape[0]):
        for i in range(out.shape[1]):
            top = i * stride[0] - padding[0]
            for j in range(out.shape[2]):
                left = j * stride[1] - padding[2]
                out[n, i, j] = -(2**31)
                for row in range(max(top, 0), min(top + kernel[0], x.shape[1])):
                    for column in range(max(left, 0), min(left + kernel[1], x.shape[2])):
                        for c in range(out.shape[3]):
                            out[n, i, j, c] = max(out[n, i, j, c], x[n, row, column, c])


@njit(cache=True, nogil=True)
def sum_pool(x, kernel, stride, padding, out):
    """Add up each window."""
    pairs = kernel == (2, 2) and padding == (0, 0, 0, 0)
    for n in range(out.shape[0]):
        for i in range(out.shape[1]):
            top = i * stride[0] - padding[0]
            for j in range(out.shape[2]):
                left = j * stride[1] - padding[2]
                if pairs:  # the common case, in one go
                    for c in range(out.shape[3]):
                        upper = x[n, top, left, c] + x[n, top, left + 1, c]
                        lower = x[n, top + 1, left, c] + x[n, top + 1, left + 1, c]
                        out[n, i, j, c] = upper + lower
                    continue
                out[n, i, j] = 0
                for row in range(max(top, 0), min(top + kernel[0], x.shape[1])):
                    for column in range(max(left, 0), min(left + kernel[1], x.shape[2])):
                        for c in range(out.shape[3]):
                            out[n, i, j, c] += x[n, row, column, c]


@njit(cache=True, nogil=True)
def add(a, b, out):
    """Add two maps (images, elements); if `b` is one image, it is added to each."""
    for n in range(out.shape[0]):
        m = n if b.shape[0] > 1 else 0
        for i in range(out.shape[1]):
            out[n, i] = a[n, i] + b[m, i]


@njit(inline="always")
def _divide(value, shift, rounding):
    if shift == 0 or rounding == _FLOOR:
        return value >> shift
    half = np.int64(1) << (shift - 1)
    if rounding == _HALF_UP:
        return (value + half) >> shift
    return (value + half - 1 + ((value >> shift) & 1)) >> shift


@njit(cache=True, nogil=True)
def piecewise(x, breakpoints, multiplier, addend, shift, rounding, out):
    """Multiply, add and shift by the constants of the segment that holds x (channels, pieces)."""
    for n in range(out.shape[0]):
        for i in range(out.shape[1]):
            for j in range(out.shape[2]):
                for c in range(out.shape[3]):
                    value = np.int64(x[n, i, j, c])
                    segment = 0
                    for k in range(breakpoints.shape[1]):
                        segment += value >= breakpoints[c, k]
                    exact = value * multiplier[c, segment] + addend[c, segment]
                    out[n, i, j, c] = _divide(exact, shift, rounding)


@njit(cache=True, nogil=True)
def pad_channels(x, before, out):
    """Copy channels behind `before` channels of zeros; zeros follow."""
    for n in range(out.shape[0]):
        for i in range(out.shape[1]):
            for j in range(out.shape[2]):
                for c in range(out.shape[3]):
                    inside = before <= c < before + x.shape[3]
                    out[n, i, j, c] = x[n, i, j, c - before] if inside else 0


@njit(cache=True, nogil=True)
def flatten_bits(x, channels, out):
    """Pack the bits of a map, in (row, column, channel) order, into one run of words."""
    for n in range(x.shape[0]):
        out[n, 0, 0] = 0
        at = 0
        for i in range(x.shape[1]):
            for j in range(x.shape[2]):
                for c in range(channels):
                    bit = (x[n, i, j, c >> 6] >> np.uint64(c & 63)) & np.uint64(1)
                    out[n, 0, 0, at >> 6] |= bit << np.uint64(at & 63)
                    at += 1


@njit(cache=True, nogil=True)
def arg_max(x, out):
    """Return the index of the first largest channel."""
    for n in range(x.shape[0]):
        best = 0
        for c in range(1, x.shape[3]):
            if x[n, 0, 0, c] > x[n, 0, 0, best]:
                best = c
        out[n, 0, 0, 0] = best


@njit(cache=True, nogil=True)
def convolve_wide(x, weights, stride, padding, pad_value, groups, out):
    """Convolve integers that do not fit 16 bits: plain loops, for the rare layer that needs it."""
    fan = weights.shape[3]
    per_group = weights.shape[0] // groups
    for n in range(out.shape[0]):
        for i in range(out.shape[1]):
            for j in range(out.shape[2]):
                for o in range(out.shape[3]):
                    first = o // per_group * fan
                    total = np.int64(0)
                    for a in range(weights.shape[1]):
                        row = i * stride[0] - padding[0] + a
                        for b in range(weights.shape[2]):
                            column = j * stride[1] - padding[2] + b
                            inside = 0 <= row < x.shape[1] and 0 <= column < x.shape[2]
                            for c in range(fan):
                                value = np.int64(pad_value)
                                if inside:
                                    value = np.int64(x[n, row, column, first + c])
                                total += value * weights[o, a, b, c]
                    out[n, i, j, o] = total
