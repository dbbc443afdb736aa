"""What a frontend knows of a framework's value while it lowers a network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bitwright.frontends.fixed import Form
from bitwright.frontends.lines import Floats, Lines
from bitwright.ir import ops as o


@dataclass(frozen=True, eq=False)
class Step:
    """An element-wise layer: how the framework runs it, and its straight pieces.

    `run` takes and returns float32 (points, channels), with the framework's own arithmetic.
    """

    name: str
    run: Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]
    lines: Lines
    reach: Floats | None = None
    """How far from zero its output plausibly lies, if the layer knows: (channels,)."""


@dataclass(frozen=True, eq=False)
class Value:
    """A framework's value: a form, and how it came about if it came of one exact integer.

    Parameters
    ----------
    form
        What it is.
    source
        The exact integers or bits that `steps` were applied to; None for what has been rounded or
        summed up.
    steps
        The element-wise layers since.
    order
        For each element of a flattened value its index in the framework's order.
    pool
        A max-pooling behind all that, which has not been done.
    reach
        How far from zero it plausibly lies, (channels,): stored values saturate there. None for
        what is never stored.
    """

    form: Form
    source: str | None = None
    steps: tuple[Step, ...] = ()
    order: npt.NDArray[np.intp] | None = None
    pool: o.MaxPool2d | None = None
    reach: Floats | None = None

    @property
    def exact(self) -> str | None:
        """The name of the integers or bits that it is, if it is just those."""
        return self.source if not self.steps and self.pool is None else None


@dataclass(frozen=True)
class Window:
    """Kernel, stride and padding of a layer: pairs, and (top, bottom, left, right)."""

    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    groups: int = 1
