"""What a graph makes of single pixels, tabulated: the way from 8-bit pixels to integers or bits.

A graph scales, shifts and quantises its input in float32. All of that is run on the 256 pixel
values; the result must be integers times one scale, and becomes a `Lookup`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from bitwright.frontends import thresholds
from bitwright.frontends.lowering import Lowering
from bitwright.frontends.values import Value
from bitwright.ir import ops as o

Floats32 = npt.NDArray[np.float32]

LARGEST_LEVEL = 2**16


def levels(table: Floats32) -> tuple[npt.NDArray[np.int32], np.float32] | None:
    """Return integers and the scale that gives the table back, exactly in float32; None if none.

    Tried in turn: the least number or step as the scale, then a power of two.
    """
    numbers = np.unique(table)
    if not np.isfinite(numbers).all():
        return None
    sizes = np.unique(np.abs(numbers[numbers != 0]))
    if not len(sizes):
        return np.zeros(table.shape, np.int32), np.float32(1)
    steps = np.diff(numbers)
    for scale in (sizes[0], steps.min(initial=sizes[0]), np.float32(_power_of_two(sizes))):
        if scale > 0 and sizes[-1] / scale <= LARGEST_LEVEL:
            whole = np.rint(table / scale)
            if np.array_equal(whole.astype(np.float32) * scale, table):
                return whole.astype(np.int32), np.float32(scale)
    return None


def _power_of_two(sizes: Floats32) -> float:
    """The largest power of two that divides all numbers."""
    mantissa, exponent = np.frexp(sizes.astype(np.float64))
    whole = (mantissa * 2.0**24).astype(np.int64)
    return float((((whole & -whole).astype(np.float64)) * 2.0 ** (exponent - 24)).min())


def emit(
    lowering: Lowering, value: Value, table: Floats32, name: str
) -> tuple[Value, np.float32] | None:
    """Make bits or integers of pixels.

    Parameters
    ----------
    lowering
        Where to.
    value
        The pixels.
    table
        (256, channels) in the framework's order: what each channel makes of each pixel.
    name
        What to call the result.

    Returns
    -------
    tuple
        The bits or integers, and their scale; None if the table is not integers times one scale.
    """
    found = levels(table)
    if found is None or value.source is None:
        return None
    numbers, scale = found
    columns: npt.NDArray[Any] = numbers.T if value.order is None else numbers.T[value.order]
    emitter = lowering.emitter
    if (np.abs(columns) == 1).all():
        limits, rising, bad = thresholds.from_bits(columns > 0, 0)
        if bad is None:
            output = emitter.threshold(emitter.fresh(name), value.source, limits, rising)
            return lowering.integers(output, value.order), scale
    if (columns == np.arange(256)).all():
        return value, scale
    if (columns == columns[0]).all():
        columns = columns[0]
    output = emitter.fresh(name)
    op = o.Lookup(output=output, inputs=(value.source,), table=f"{output}.table")
    emitter.emit(op, table=np.ascontiguousarray(columns, np.int32))
    if (np.abs(columns) == 1).all():
        channels = table.shape[1]
        ones = np.ones(channels, np.int64)
        sign = emitter.fresh(f"{name}.sign")
        output = emitter.threshold(sign, output, ones, ones > 0)
    return lowering.integers(output, value.order), scale
