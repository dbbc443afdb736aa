"""Which inputs meet in a gate: orders of the inputs, and even choices among them.

A generator groups consecutive inputs; an order decides which those are. Weights are stored
``(kh, kw, cin)``, so input ``(y * kw + x) * cin + c`` is the product of tap (y, x) and channel c.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np

from bitwright.errors import ConfigError, UnknownNameError

Grouping = Literal["natural", "tap", "channel", "column", "random"]
"""Which inputs are neighbours.

``natural``: as they come. ``tap``: channels of one tap, the same as natural for a kernel.
``channel``: taps of one channel, row by row. ``column``: taps of one channel, column by column.
``random``: a permutation drawn from a seed.
"""

Shape = tuple[int, int, int]
"""Kernel height, kernel width, input channels."""


def input_order(
    grouping: str, inputs: int, shape: Shape | None = None, seed: int = 0
) -> tuple[int, ...]:
    """Return the inputs in the order in which a generator groups them.

    Parameters
    ----------
    grouping
        One of `Grouping`.
    inputs
        The number of input bits.
    shape
        The kernel's shape; needed for tap, channel and column.
    seed
        Of ``random``.

    Raises
    ------
    ConfigError
        If there is no such grouping, or the shape is missing or of another size.
    """
    if grouping not in get_args(Grouping):
        unknown = UnknownNameError("grouping", grouping, get_args(Grouping))
        raise ConfigError(unknown.cause, unknown.way_out)
    if grouping == "natural":
        return tuple(range(inputs))
    if grouping == "random":
        return tuple(np.random.default_rng(seed).permutation(inputs).tolist())
    if shape is None:
        raise ConfigError(
            f"grouping '{grouping}' needs the kernel's shape", "give (kh, kw, cin), or 'natural'"
        )
    taps = np.arange(inputs)
    if min(shape) < 1 or np.prod(shape) != inputs:
        raise ConfigError(
            f"a kernel of {shape[0]}x{shape[1]}x{shape[2]} has not {inputs} inputs",
            "give a shape (kh, kw, cin) whose product is the fan-in",
        )
    axes = {"tap": (0, 1, 2), "channel": (2, 0, 1), "column": (2, 1, 0)}[grouping]
    return tuple(taps.reshape(shape).transpose(axes).ravel().tolist())


def check_order(order: Sequence[int], inputs: int) -> tuple[int, ...]:
    """Return a given order, such as a search on calibration data found.

    Raises
    ------
    ConfigError
        If it is not a permutation of 0 .. inputs - 1.
    """
    if sorted(order) != list(range(inputs)):
        raise ConfigError(
            f"the given order is not a permutation of {inputs} inputs",
            f"name each of 0..{inputs - 1} once",
        )
    return tuple(int(i) for i in order)


def spread(total: int, chosen: int) -> tuple[int, ...]:
    """Return `chosen` of 0 .. total - 1, ascending and as evenly spread as can be."""
    return tuple(i * total // chosen for i in range(chosen))
