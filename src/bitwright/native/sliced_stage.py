"""Layers of a sliced network: a circuit on the weights, and what its values are compared with.

Requirements:

- A tap padded with 0 adds nothing to a dot product. A sliced map's halo can only hold -1 or +1, so
  there it holds -1, and a padded tap counts as a match where the weight is -1. That is known for
  each window: the thresholds of border windows, or what is subtracted there, make up for it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from bitwright.ir import ops as o
from bitwright.ir.program import Program
from bitwright.native.convolution import Dot
from bitwright.native.geometry import NO_HALO, map_shape
from bitwright.native.sliced import SlicedLayer, SlicedShape, pool

Array = npt.NDArray[Any]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Stage:
    """A layer of the sliced part: what it reads, its circuit, and the bits that it makes.

    Parameters
    ----------
    name
        The dot product's name.
    source, bits
        The values that it reads and makes.
    layer
        The circuit on the weights.
    rising
        Whether a bit is value >= threshold, or value <= threshold; (neurons,).
    exact
        What an exact count is compared with, (classes of windows, neurons).
    thresholds
        What the circuit's values are compared with, (classes of windows, neurons).
    unpooled, pool
        The bits before a max-pool behind it, if there is one.
    """

    name: str
    source: str
    bits: str
    layer: SlicedLayer
    rising: npt.NDArray[np.bool_]
    exact: Integers
    thresholds: Integers
    unpooled: SlicedShape | None
    pool: o.MaxPool2d | None

    @property
    def naive(self) -> Integers:
        """The thresholds of values that stand for ``floor(value / divisor)`` matches.

        (classes of windows, neurons). A value up to divisor - 1 beyond a multiple is that multiple.
        """
        divisor = self.layer.code.circuit.divisor
        return np.asarray(self.exact * divisor + np.where(self.rising, 0, divisor - 1))

    @cached_property
    def limits(self) -> Integers:
        """The thresholds as `SlicedLayer.decide` takes them."""
        limits = [self.layer.code.limits(row, self.rising) for row in self.thresholds]
        return np.ascontiguousarray(np.stack(limits))

    @property
    def inverted(self) -> npt.NDArray[np.uint64]:
        """All ones for the neurons of which a pool takes the AND, zeros where it takes the OR."""
        return np.where(self.rising, 0, -1).astype(np.int64).view(np.uint64)

    @property
    def classes(self) -> Integers:
        """Which row of `exact` and `thresholds` belongs to each window, (windows,)."""
        classes = self.layer.classes
        return classes if len(self.exact) > 1 else classes * 0

    @property
    def shifts(self) -> Integers:
        """How many counts higher each window's thresholds are than inner ones.

        (windows, neurons).
        """
        return np.asarray((self.exact - self.exact[0])[self.classes])

    def decided_by(self, thresholds: npt.NDArray[np.integer[Any]]) -> Stage:
        """Return the stage with other thresholds in units of its circuit's values.

        Those of inner windows (neurons,), which border windows shift as they do exact counts'; or
        of each class of windows (classes, neurons).
        """
        given = np.asarray(thresholds, np.int64)
        if given.ndim == 1:
            given = given + (self.exact - self.exact[0]) * self.layer.code.circuit.divisor
        return replace(self, thresholds=given)

    def decide(self, source: Array, out: Array) -> None:
        """Write the bits of a sliced map into the interior of another."""
        if self.unpooled is None or self.pool is None:
            self.layer.decide(source, self.limits, out)
            return
        whole = self.unpooled.allocate()
        self.layer.decide(source, self.limits, whole)
        window = self.pool
        pool(whole, window.kernel, window.stride, window.padding, self.inverted, out)


def sliced_shape(program: Program, name: str, readers: list[Dot]) -> SlicedShape:
    """Return how a value lies when sliced: its halo is the padding of what reads it."""
    halo, ones = NO_HALO, False
    for dot in readers:
        if dot.source == name and any(dot.padding):
            halo, ones = dot.padding, dot.pad_value > 0
    return SlicedShape(map_shape(program.types[name]), halo, ones)


def padded_products(dot: Dot) -> tuple[Integers, Integers]:
    """Return how many products are padded with 0, and how many of them count as matches.

    (classes, 1) and (classes, neurons); zeros of one class where nothing is padded with 0.
    """
    if not any(dot.padding) or dot.pad_value:
        return np.zeros((1, 1), np.int64), np.zeros((1, len(dot.weights)), np.int64)
    padded = dot.windows.padded_taps().astype(np.int64)
    lost = padded.sum(axis=(1, 2))[:, None] * dot.weights.shape[3]
    return lost, np.tensordot(padded, (~dot.weights).sum(axis=3), ([1, 2], [1, 2]))


def exact_thresholds(program: Program, op: o.Threshold, dot: Dot) -> Integers:
    """Return what an exact count of matches is compared with, (classes of windows, neurons)."""
    limits = program.tensor(op, "thresholds").astype(np.int64)
    lost, counted = padded_products(dot)
    # d = 2 m - n >= t where m >= (n + t) / 2, rounded up; d <= t where m is not above it.
    total = limits + dot.weights[0].size - lost
    rising = program.tensor(op, "rising")
    return np.asarray(np.where(rising, -(-total // 2), total // 2) + counted)
