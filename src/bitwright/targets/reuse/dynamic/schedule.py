"""`Schedule`: a layer prepared for one way of skipping; all that is known before the first image.

Requirements:

- A tap that is known for a window (padding; a constant bit of the layer before) is not live: its
  matches are taken off the limits, and masks keep it out of the counts. Which taps are padded
  depends on the class of a window (`bitwright.native.geometry`), so tables have a row a class.
- Limits lie in 0 .. live taps + 1: 0 is always reached, live taps + 1 never.
- Tiles lie in the order in which they are done. Entry t of a table of sums is that of tiles t and
  later, so that the last one, of no tiles, is 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bitwright.errors import ConfigError
from bitwright.targets.reuse.dynamic.constants import UNKNOWN, known_matches, known_taps
from bitwright.targets.reuse.dynamic.kernel import Tables
from bitwright.targets.reuse.dynamic.layer import SkipLayer
from bitwright.targets.reuse.dynamic.relations import (
    distances,
    implications,
    nearest_before,
    tree_order,
)
from bitwright.targets.reuse.dynamic.skips import CALIBRATED, Skips

Array = npt.NDArray[Any]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Channels:
    """The kernels of a layer in the order in which they are done.

    Parameters
    ----------
    order
        (neurons,): all of them.
    parents
        (neurons,): of each the one whose matches bound its own, done before it, or -1; None for
        the nearest one that is done before.
    """

    order: Integers
    parents: Integers | None = None


@dataclass(frozen=True, eq=False)
class Schedule:
    """A layer, how it skips, and the tables that follow from both."""

    layer: SkipLayer
    skips: Skips
    tables: Tables

    @property
    def source(self) -> str:
        """The value that the layer reads."""
        return self.layer.dot.source

    @property
    def tiles(self) -> int:
        """The number of tiles."""
        return len(self.tables.taps)

    @property
    def real(self) -> Integers:
        """The taps that exist for each window: all but those padded with 0; (windows,)."""
        dot = self.layer.dot
        real = known_taps(dot, self.layer.known)[1]
        return np.asarray(real.sum(axis=1)[self.tables.classes])

    @property
    def live(self) -> npt.NDArray[np.bool_]:
        """The live taps of each class of windows, (classes, taps)."""
        return _live(*known_taps(self.layer.dot, self.layer.known), self.skips)


def prepare(
    layer: SkipLayer,
    skips: Skips,
    tile_order: Integers | None = None,
    channels: Channels | None = None,
) -> Schedule:
    """Prepare a layer.

    Parameters
    ----------
    layer
        The layer.
    skips
        What to leave out.
    tile_order
        The tiles in the order in which they are done, from
        `bitwright.targets.reuse.dynamic.order`; by default as they lie in the fan-in.
    channels
        The order of its kernels, from `bitwright.targets.reuse.dynamic.channels`; by default as
        they are stored, or along the tree that `skips` asks for.

    Raises
    ------
    ConfigError
        If `skips` asks for an order that needs calibration images and none is given, or what is
        given is no order of the layer's tiles or channels.
    """
    count = -(-layer.fan_in // skips.width)
    chosen = _given(layer, "tiles", skips.tile_order, tile_order, count)
    given = None if channels is None else channels.order
    neurons = _given(layer, "channels", skips.channel_order, given, layer.neurons)
    dot, kernels = layer.dot, layer.kernels
    values, real = known_taps(dot, layer.known)
    live = _live(values, real, skips)
    limits = layer.limits(real.sum(axis=1))
    if skips.constants:
        limits = limits - known_matches(dot, values, real)
    limits = np.clip(limits, 0, live.sum(axis=1)[:, None] + 1)
    constant = np.full(limits.shape, -1, np.int8)
    if skips.constants:
        constant[limits == 0] = 1
        constant[limits > live.sum(axis=1)[:, None]] = 0
    active = np.any(constant < 0, axis=0)
    order, parents = _order(layer, skips, live, neurons[active[neurons]])
    if channels is not None and channels.parents is not None:
        parents = channels.parents
    differ = kernels ^ np.where(parents[:, None] >= 0, kernels[parents], kernels)
    starts, implied = _implied(skips, kernels, live, limits, constant, order)
    tables = Tables(
        order=order,
        taps=np.stack([chosen, chosen + 1], axis=1) * skips.width,
        masks=_pack(live, skips.width, chosen),
        kernels=_pack(kernels, skips.width, chosen),
        left=_left(live, skips.width, chosen).astype(np.int64),
        ones=np.stack([_left(kernels & row, skips.width, chosen) for row in live]),
        limits=limits,
        constant=constant,
        stops=layer.stops,
        parents=parents,
        far=np.stack([_left(differ & row, skips.width, chosen) for row in live]),
        starts=starts,
        implied=implied,
        classes=dot.windows.classes().reshape(-1),
    )
    tables.taps[:, 1] = np.minimum(tables.taps[:, 1], layer.fan_in)
    contiguous = Tables(*(np.ascontiguousarray(table) for table in tables))
    return Schedule(layer, skips, contiguous)


def _given(layer: SkipLayer, what: str, how: str, order: Integers | None, count: int) -> Integers:
    """Return an order of so many, the natural one unless another is given."""
    if order is None and how in CALIBRATED:
        raise ConfigError(
            f"the order of {what} '{how}' of layer '{layer.name}' needs images",
            "give calibration images, or take the natural order",
        )
    chosen = np.arange(count) if order is None else np.asarray(order, np.int64)
    if not np.array_equal(np.sort(chosen), np.arange(count)):
        raise ConfigError(
            f"layer '{layer.name}' has no such order of {what}", f"order all of 0 .. {count - 1}"
        )
    return chosen


def _live(values: Array, real: npt.NDArray[np.bool_], skips: Skips) -> npt.NDArray[np.bool_]:
    return real & (values == UNKNOWN) if skips.constants else real


def _order(
    layer: SkipLayer, skips: Skips, live: npt.NDArray[np.bool_], order: Integers
) -> tuple[Integers, Integers]:
    """Return the order of the neurons that are not constant, and their parents."""
    parents = np.full(layer.neurons, -1)
    if skips.channel_order != "parents" and skips.bounds != "parent":
        return order, parents
    common = int(np.bincount(layer.dot.windows.classes().reshape(-1)).argmax())
    inputs = int(live[common].sum())
    far = distances(layer.kernels, live[common])
    if skips.channel_order == "parents":
        order = tree_order(far, inputs, order)
    if skips.bounds == "parent":
        parents = nearest_before(far, inputs, order)
    return order, parents


def _implied(
    skips: Skips,
    kernels: npt.NDArray[np.bool_],
    live: npt.NDArray[np.bool_],
    limits: Integers,
    constant: npt.NDArray[np.int8],
    order: Integers,
) -> tuple[Integers, Integers]:
    starts = np.zeros((len(live), len(kernels) + 1), np.int64)
    entries, total = [np.zeros((0, 3), np.int64)], 0
    for k in range(len(live) if skips.inclusion else 0):
        chosen = order[constant[k, order] < 0]
        far = distances(kernels, live[k])
        begins, found = implications(limits[k], far, int(live[k].sum()), chosen)
        starts[k] = begins + total
        total += len(found)
        entries.append(found)
    return starts, np.concatenate(entries)


def _tiled(bits: npt.NDArray[np.bool_], width: int, order: Integers) -> npt.NDArray[np.bool_]:
    """Rows of taps as (rows, tiles in order, width)."""
    padded = np.pad(bits, ((0, 0), (0, -bits.shape[1] % width)))
    return np.asarray(padded.reshape(len(bits), -1, width)[:, order])


def _pack(bits: npt.NDArray[np.bool_], width: int, order: Integers) -> npt.NDArray[np.uint64]:
    """Rows of taps as words, (rows, tiles), the first tap in the lowest bit."""
    filled = np.pad(_tiled(bits, width, order), ((0, 0), (0, 0), (0, 64 - width)))
    packed = np.packbits(filled, axis=-1, bitorder="little")
    return np.ascontiguousarray(packed).view("<u8")[..., 0]


def _left(bits: npt.NDArray[np.bool_], width: int, order: Integers) -> npt.NDArray[np.int32]:
    """How many are set in tiles t and later, (rows, tiles + 1)."""
    ones = _tiled(bits, width, order).sum(axis=2, dtype=np.int32)
    return np.pad(ones[:, ::-1].cumsum(axis=1, dtype=np.int32)[:, ::-1], ((0, 0), (0, 1)))
