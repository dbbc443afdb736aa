"""Run one layer, skipping what is redundant."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from bitwright.errors import DataError
from bitwright.native.geometry import map_shape
from bitwright.targets.reuse.dynamic import kernel
from bitwright.targets.reuse.dynamic.counters import LayerCounters
from bitwright.targets.reuse.dynamic.kernel import BOUNDS, Sums
from bitwright.targets.reuse.dynamic.layer import SkipLayer
from bitwright.targets.reuse.dynamic.plain import PlainRun
from bitwright.targets.reuse.dynamic.schedule import Schedule, prepare
from bitwright.targets.reuse.dynamic.skips import Skips

Array = npt.NDArray[Any]
Bools = npt.NDArray[np.bool_]
Twin = Literal["kernel", "plain"]


def run_layer(
    layer: SkipLayer | Schedule, bits: Bools, skips: Skips | None = None, *, twin: Twin = "kernel"
) -> tuple[Bools, LayerCounters]:
    """Run a layer.

    Parameters
    ----------
    layer
        The layer, or the layer prepared by `prepare`.
    bits
        What it reads, (images, *shape of the source), True is +1.
    skips
        What to leave out; by default, or for a prepared layer, what it was prepared for.
    twin
        ``kernel`` is compiled; ``plain`` is NumPy and slow. Both give the same.

    Returns
    -------
    bits
        (images, rows, columns, neurons), after the pool if there is one.
    counters
        What was done.

    Raises
    ------
    ConfigError
        If an order needs calibration images and the layer is not prepared.
    DataError
        If the bits are not those that the layer reads.
    """
    return _run(_prepared(layer, skips), bits, twin, None)


def tiles_used(
    layer: SkipLayer | Schedule, bits: Bools, skips: Skips | None = None, *, twin: Twin = "kernel"
) -> npt.NDArray[np.uint16]:
    """Return how many tiles each neuron of each window took, (images, windows, neurons).

    0 where a neuron was left out or decided before its first tile. Arguments are as for
    `run_layer`. It takes two bytes a neuron and image: use it on a sample.
    """
    prepared = _prepared(layer, skips)
    shape = len(bits), prepared.layer.windows, prepared.layer.neurons
    used = np.zeros(shape, np.uint16)
    _run(prepared, bits, twin, used)
    return used


def _prepared(layer: SkipLayer | Schedule, skips: Skips | None) -> Schedule:
    if isinstance(layer, Schedule):
        return layer if skips in (None, layer.skips) else prepare(layer.layer, skips or Skips())
    return prepare(layer, skips or Skips())


def _run(
    prepared: Schedule, bits: Bools, twin: Twin, used: Array | None
) -> tuple[Bools, LayerCounters]:
    layer, tables = prepared.layer, prepared.tables
    if bits.dtype != np.bool_ or bits.shape[1:] != layer.dot.value.shape:
        raise DataError(
            f"layer '{layer.name}' reads bits {layer.dot.value.shape}, not {bits.dtype} "
            f"{bits.shape[1:]}",
            f"give bools (images, ...): the values of '{layer.dot.source}'",
        )
    pools = layer.members()
    members = pools if prepared.skips.pool else np.arange(layer.windows)[:, None]
    outcomes = np.zeros((len(bits), len(members), layer.neurons), np.bool_)
    if used is None:
        used = np.zeros((len(bits), layer.windows, 0), np.uint16)
    sums = np.zeros(len(Sums), np.int64)
    histogram = np.zeros(prepared.tiles + 1, np.int64)
    if twin == "plain":
        PlainRun(prepared, bits, members, outcomes, used, sums, histogram).run()
    else:
        kernel.run(
            packed(layer, bits), geometry(layer), tables, members,
            BOUNDS[prepared.skips.bounds], outcomes, used, sums, histogram,
        )  # fmt: skip
    if not prepared.skips.pool and layer.pool is not None:
        decided = (outcomes == tables.stops)[:, pools] & (pools >= 0)[..., None]
        outcomes = decided.any(axis=2) == tables.stops
    made = (outcomes ^ ~layer.rising).reshape(len(bits), *layer.shape)
    return made, _counters(prepared, len(bits), sums, histogram)


def packed(layer: SkipLayer, bits: Bools) -> npt.NDArray[np.uint64]:
    """Return rows of padded maps as words, with a spare word behind."""
    dot = layer.dot
    top, bottom, left, right = dot.padding
    maps = bits.reshape(len(bits), *map_shape(dot.value))
    sides = ((0, 0), (top, bottom), (left, right), (0, 0))
    padded = np.pad(maps, sides, constant_values=dot.pad_value > 0)
    images, rows, columns, channels = padded.shape
    packed = np.packbits(
        padded.reshape(images, rows, columns * channels), axis=2, bitorder="little"
    )
    words = np.zeros((images, rows, packed.shape[2] // 8 + 2), np.uint64)
    words.view(np.uint8)[:, :, : packed.shape[2]] = packed
    return words


def geometry(layer: SkipLayer) -> tuple[int, int, int, int, int]:
    """Return how the kernel finds a window in packed maps (`kernel.run`)."""
    windows, channels = layer.dot.windows, layer.dot.weights.shape[3]
    return (
        windows.kernel[0],
        windows.kernel[1] * channels,
        windows.stride[1] * channels,
        windows.stride[0],
        windows.counts[1],
    )


def _counters(
    prepared: Schedule, images: int, sums: npt.NDArray[np.int64], histogram: npt.NDArray[np.int64]
) -> LayerCounters:
    layer, tables = prepared.layer, prepared.tables
    constant = tables.constant[tables.classes] >= 0
    live = tables.left[tables.classes, 0]
    neurons, left_out = constant.size * images, int(constant.sum()) * images
    total = {member.name.lower(): int(sums[member]) for member in Sums}
    evaluated = int(histogram.sum())
    return LayerCounters(
        images=images,
        neurons=neurons,
        dense=int(prepared.real.sum()) * layer.neurons * images,
        after_constants=int((live[:, None] * ~constant).sum()) * images,
        constant=left_out,
        pooled=neurons - left_out - total["implied"] - evaluated,
        deciding_tile=tuple(histogram.tolist()),
        **total,
    )
