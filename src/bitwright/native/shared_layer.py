"""Binary layers from shared sums: windows of packed maps, 512 at a time.

Requirements:

- A vector is eight words of 64 images each: eight windows of 64 images, or fewer windows of more
  images. All its windows are of one class (`bitwright.native.geometry`), because each class has its
  own thresholds. The last vector of a class is filled up with its last window.
- The halo of packed bits holds zeros, which stand for -1. What padding with 0 or 1 adds instead is
  known for each class and taken off its thresholds, so any padding will do.
- Planes of a window are in (row, column, channel) order; the channels of each tap are filled up to
  a multiple of eight, with planes that nothing reads.
"""
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import queue
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from bitwright.errors import ConfigError
from bitwright.native import planes, shared_kernel, simd
from bitwright.native.convolution import Dot
from bitwright.native.geometry import Layout
from bitwright.native.shared_sums import Adders, SharedSums
from bitwright.native.simd import LANES

Array = npt.NDArray[Any]
Integers = npt.NDArray[np.int64]

IMAGES = 64
"""Images in a word."""
WORD_BYTES = 8 * IMAGES
"""Bytes of a sliced word: one bit of each channel that it holds, of 64 images."""
MAX_GROUPS = 8
"""At most so many groups of 64 images are taken at a time."""
WASTE = 1.03
"""More groups at a time are taken only if with fewer an image takes so many times more vectors."""


@dataclass(frozen=True, eq=False)
class _Table:
    """Which windows go together.

    Parameters
    ----------
    windows, targets
        (vectors, 8): bytes from the start of the sliced maps to each window, and from the start of
        the sliced bits to where the window's go.
    classes
        (vectors,).
    """

    windows: Integers
    targets: Integers
    classes: Integers


@dataclass(frozen=True, eq=False)
class _Room:
    """What one thread works in: planes, neurons' bits, sliced maps and bits, and room to slice."""

    array: Array
    made: Array
    maps: Array
    bits: Array
    blocks: Array


class SharedLayer:
    """A dot product of bits and the threshold behind it, from a graph's sums.

    Several threads may call it at a time.

    Parameters
    ----------
    dot
        The dot product.
    adders
        Its graph; inputs are in (row, column, channel) order.
    thresholds, rising
        A neuron's bit is ``dot >= threshold`` where it is rising, ``dot <= threshold`` elsewhere;
        (neurons,).
    source, target
        How the packed bits that it reads and makes lie.

    Raises
    ------
    ConfigError
        If the dot product is none of bits with bits, or the graph has another shape.
    """

    def __init__(
        self,
        dot: Dot,
        adders: Adders,
        thresholds: npt.NDArray[np.integer[Any]],
        rising: npt.NDArray[np.bool_],
        source: Layout,
        target: Layout,
    ) -> None:
        _check(dot, adders)
        rows, columns, channels = dot.weights.shape[1:]
        self.source, self.target = source, target
        steps = -(-channels // LANES)
        places = (np.arange(rows * columns)[:, None] * steps * LANES + np.arange(channels)).ravel()
        self.sums = SharedSums(adders, places, rows * columns * steps * LANES)
        signed = np.where(dot.weights, 1, -1).sum(axis=3)
        taps = dot.windows.padded_taps().astype(np.int64)
        added = (dot.pad_value + 1) * np.tensordot(taps, signed, ([1, 2], [1, 2]))
        self._classes = dot.windows.classes().ravel()
        if not added.any():
            added, self._classes = added[:1], np.zeros_like(self._classes)
        self._limits = self.sums.limits(np.asarray(thresholds, np.int64) - added, rising)
        y, x = np.mgrid[:rows, :columns]
        self._taps = (y * source.columns + x).ravel() * source.steps * WORD_BYTES
        self._steps = steps
        starts, _, _, made = dot.windows.table(source, target, target, 0, 1)
        self._starts = starts // source.pixel_bytes * source.steps * WORD_BYTES
        self._places = (made[:, None] // 8 + np.arange(target.steps)).ravel()
        self._tables = [self._table(groups) for groups in range(1, MAX_GROUPS + 1)]
        costs = [len(table.classes) / groups for groups, table in enumerate(self._tables, 1)]
        self.groups = 1 + next(k for k, cost in enumerate(costs) if cost <= WASTE * min(costs))
        self._spare: queue.SimpleQueue[_Room] = queue.SimpleQueue()

    def __call__(self, inputs: Sequence[Array], outputs: Sequence[Array]) -> None:
        """Read packed bits, the first input, and write packed bits, the first output.

        Both are uint64 (images, rows, columns, words), C-contiguous, as `source` and `target` say.
        """
        images = len(inputs[0])
        source, target = inputs[0].reshape(images, -1), outputs[0].reshape(images, -1)
        room = self._room()
        for start in range(0, images, IMAGES * self.groups):
            part = slice(start, start + IMAGES * self.groups)
            table = self._tables[-(-len(source[part]) // IMAGES) - 1]
            _decide(
                self.sums.planes, (self.sums.nodes, self.sums.lists, self.sums.constants),
                self._limits, self.sums.carries, (table.windows, table.targets, table.classes),
                self._taps, self._steps, self._places, source[part], target[part],
                (room.array, room.made), (room.maps, room.bits), room.blocks,
            )  # fmt: skip
        self._spare.put(room)

    def _table(self, groups: int) -> _Table:
        """Return which windows of so many groups of images go together."""
        source, target = self.source, self.target
        image = source.rows * source.columns * source.steps * WORD_BYTES
        windows: list[Integers] = []
        targets: list[Integers] = []
        classes: list[Integers] = []
        for number in np.unique(self._classes):
            (chosen,) = np.nonzero(self._classes == number)
            group, place = np.divmod(np.arange(groups * len(chosen)), len(chosen))
            start = group * image + self._starts[chosen[place]]
            end = (group * len(self._classes) + chosen[place]) * target.steps * WORD_BYTES
            for numbers, found in ((start, windows), (end, targets)):
                filled = np.pad(numbers, (0, -len(numbers) % LANES), mode="edge")
                found.append(filled.reshape(-1, LANES))
            classes.append(np.full(len(windows[-1]), number))
        return _Table(*map(np.concatenate, (windows, targets, classes)))

    def _room(self) -> _Room:
        try:
            return self._spare.get_nowait()
        except queue.Empty:
            pass
        source = self.source.rows * self.source.columns * self.source.steps
        return _Room(
            self.sums.allocate(),
            simd.aligned((-(-self.sums.neurons // LANES) * LANES, LANES), np.uint64),
            simd.aligned((self.groups, source, IMAGES), np.uint64),
            simd.aligned((self.groups, len(self._places), IMAGES), np.uint64),
            simd.aligned((planes.ROOM, IMAGES), np.uint64),
        )


def _check(dot: Dot, adders: Adders) -> None:
    name = dot.op.output
    if dot.method != "binary":
        raise ConfigError(
            f"'{name}' is no dot product of bits with bits", "leave it to the native engine"
        )
    expected = (dot.weights[0].size, len(dot.weights))
    found = (adders.inputs, len(adders.outputs))
    if found != expected:
        raise ConfigError(
            f"the graph of '{name}' has {found[0]} inputs and {found[1]} neurons, its layer "
            f"{expected[0]} and {expected[1]}",
            "make the graph from this layer's weights",
        )


@njit(cache=True, nogil=True)
def _decide(
    width, graph, limits, carries, table, taps, steps, places, source, target, arrays, maps, blocks
):
    nodes, lists, constants = graph
    windows, targets, classes = table
    array, made = arrays
    sliced, bits = maps
    for start in range(0, source.shape[0], 64):
        planes.to_planes(source[start : start + 64], blocks, sliced[start // 64])
    for v in range(windows.shape[0]):
        for t in range(taps.shape[0]):
            planes.gather_words(
                windows.ctypes.data + 64 * v,
                sliced.ctypes.data + taps[t],
                array.ctypes.data + 512 * steps * t,
                steps,
            )
        shared_kernel.decide(
            width, nodes, lists, constants, limits[classes[v]], carries, array, made
        )
        planes.scatter_words(
            targets.ctypes.data + 64 * v,
            bits.ctypes.data,
            made.ctypes.data,
            made.shape[0] // 8,
        )
    for start in range(0, target.shape[0], 64):
        planes.from_planes(bits[start // 64], places, blocks, target[start : start + 64])
