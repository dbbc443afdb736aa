"""Which tiles to do first: the orders that calibration images give.

The images only decide in which order the work is done, and so how soon it may stop; a bad order
costs time, never a bit.

``learned`` works from the end. Most neurons are decided late, so what matters is which tiles are
left then: of all tiles not yet placed, it puts that one last without which (and without those
behind it) most neurons are decided all the same. What is open with few tiles left stays open with
more, so only the rest is looked at again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from bitwright.ir.program import Program
from bitwright.native import NativeProgram
from bitwright.native.convolution import window_view
from bitwright.targets.reuse.dynamic.layer import SkipLayer
from bitwright.targets.reuse.dynamic.schedule import prepare
from bitwright.targets.reuse.dynamic.skips import Skips

Integers = npt.NDArray[np.int64]

SAMPLES = 2**23
"""About so many counts of tiles are looked at for each layer."""


@dataclass(frozen=True, eq=False)
class Sample:
    """Neurons in windows of calibration images, one a row; tiles in their natural order.

    Parameters
    ----------
    matches
        (rows, tiles): the live matches of each tile.
    activations, kernels, left
        (rows, tiles): the ones in the activations, those in the kernel, and the live taps.
    limits
        (rows,): the count that decides.
    """

    matches: Integers
    activations: Integers
    kernels: Integers
    left: Integers
    limits: Integers

    def at(self, rows: Any) -> Sample:
        """Return some rows."""
        return Sample(
            *(
                part[rows]
                for part in (
                    self.matches, self.activations, self.kernels, self.left, self.limits,
                )
            )
        )  # fmt: skip


def tile_orders(
    program: Program,
    layers: Mapping[str, SkipLayer],
    skips: Skips,
    images: Any,
    *,
    seed: int = 0,
) -> dict[str, Integers]:
    """Return the order of the tiles of each layer, or none where the natural one is asked for.

    Parameters
    ----------
    program
        The program.
    layers
        Its skippable layers (`skip_layers`).
    skips
        The order that is wanted, the width of a tile, and the bounds that decide.
    images
        Calibration images, (N, *input shape); a few hundred are plenty.
    seed
        Chooses the windows that are looked at.
    """
    if skips.tile_order == "natural":
        return {}
    sources = sorted({layer.dot.source for layer in layers.values()})
    values = NativeProgram(program, sources).run(images, threads=1)
    orders = {}
    for name, layer in layers.items():
        rng = np.random.default_rng(seed)
        sample = sample_of(layer, skips, values[layer.dot.source], rng)
        if skips.tile_order == "variance":
            orders[name] = by_variance(sample)
        else:
            orders[name] = learned(sample, tight=skips.bounds != "naive")
    return orders


def sample_of(
    layer: SkipLayer, skips: Skips, bits: npt.NDArray[np.bool_], rng: np.random.Generator
) -> Sample:
    """Return all neurons of a layer in some windows of what it reads."""
    plain = replace(skips, tile_order="natural", channel_order="natural", bounds="tight")
    natural = prepare(layer, plain).tables
    tiles = len(natural.taps)
    image, window = some_places(layer, len(bits), SAMPLES // (tiles * layer.neurons), rng)
    inputs, classes = inputs_at(layer, bits, image, window), natural.classes[window]
    count = len(inputs)
    left = -np.diff(natural.left, axis=1)[classes]
    ones = -np.diff(natural.ones, axis=2)[classes].astype(np.int64)
    matches = np.empty((count, layer.neurons, tiles), np.int64)
    activations = np.empty((count, tiles), np.int64)
    for t, (first, last) in enumerate(natural.taps):
        places = np.arange(last - first).astype(np.uint64)
        live = (natural.masks[classes, t][:, None] >> places & np.uint64(1)).astype(np.bool_)
        given = inputs[:, first:last]
        activations[:, t] = (given & live).sum(axis=1)
        signs = np.where(live, np.where(given, 1, -1), 0).astype(np.float32)
        kernels = np.where(layer.kernels[:, first:last], 1, -1).astype(np.float32)
        matches[:, :, t] = (np.rint(signs @ kernels.T).astype(np.int64) + left[:, None, t]) // 2
    shape = (count, layer.neurons, tiles)
    wide = (np.broadcast_to(part[:, None], shape) for part in (activations, left))
    activations, left = (part.reshape(-1, tiles) for part in wide)
    return Sample(
        matches.reshape(-1, tiles), activations, ones.reshape(-1, tiles), left,
        natural.limits[classes].reshape(-1),
    )  # fmt: skip


def some_places(
    layer: SkipLayer, images: int, most: int, rng: np.random.Generator
) -> tuple[Integers, Integers]:
    """Return so many windows of some images at most: the image of each, and which one it is."""
    total = images * layer.windows
    chosen = rng.choice(total, min(total, max(1, most)), replace=False)
    return np.divmod(chosen, layer.windows)


def inputs_at(
    layer: SkipLayer, bits: npt.NDArray[np.bool_], image: Integers, window: Integers
) -> npt.NDArray[np.bool_]:
    """Return what windows hold, (windows, taps)."""
    view = window_view(layer.dot, bits)
    columns = view.shape[2]
    found = view[image, window // columns, window % columns]
    return np.asarray(found.reshape(len(image), -1))


def by_variance(sample: Sample) -> Integers:
    """Return the tiles whose matches vary most first."""
    return np.argsort(-sample.matches.var(axis=0), kind="stable")


def learned(sample: Sample, *, tight: bool) -> Integers:
    """Return the order that decides soonest under naive or tight bounds, built from its end."""
    total = sample.matches.sum(axis=1)
    zero = np.zeros(len(total), np.int64)
    done = Sample(total, zero, zero, zero, sample.limits)
    free, last = list(range(sample.matches.shape[1])), list[int]()
    while free:
        kept = [_decided(done, sample, t, tight) for t in free]
        best = int(np.argmax([rows.sum() for rows in kept]))
        chosen, rows = free.pop(best), kept[best]
        last.append(chosen)
        done = _without(done, sample, chosen).at(rows)
        sample = sample.at(rows)
    return np.array(last[::-1], np.int64)


def _without(done: Sample, sample: Sample, tile: int) -> Sample:
    """Move a tile from what is done to what is left."""
    return Sample(
        done.matches - sample.matches[:, tile],
        done.activations + sample.activations[:, tile],
        done.kernels + sample.kernels[:, tile],
        done.left + sample.left[:, tile],
        done.limits,
    )


def _decided(done: Sample, sample: Sample, tile: int, tight: bool) -> npt.NDArray[np.bool_]:
    """Return which rows are decided when this tile is left too."""
    now = _without(done, sample, tile)
    low, high = now.matches, now.matches + now.left
    if tight:
        low = low + np.abs(now.activations + now.kernels - now.left)
        high = high - np.abs(now.activations - now.kernels)
    return np.asarray((low >= now.limits) | (high < now.limits))
