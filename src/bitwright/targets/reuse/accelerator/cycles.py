"""How many cycles a layer takes on a section of the accelerator, and what its elements do in each.

A section has `lanes` x `columns` processing elements (PE). A lane works on one window, a column on
one channel; one PE does one tile a cycle. W windows, C channels, T tiles, L lanes, Q columns, S
stages of pipeline; ``r = ceil(C / Q)`` rounds of channels, ``B = ceil(W / L)`` batches of windows.

- **All tiles** (`every_tile`): ``B r T + S - 1``.
- **Early decision** (`some_tiles`): a bit that u tiles decide takes ``v = min(T, max(1, u + S -
  1))``: the stop reaches the fetch S - 1 cycles after the tile that decided. What that costs hangs
  on what a PE may do next, `Queue`:

  - ``none``: all PEs go on together: ``sum of max v`` over batches and rounds;
  - ``own``: a PE takes the next of its own channels (c, c + Q, c + 2 Q, ...) at once: ``sum over
    batches of the largest sum of v`` of a PE;
  - ``any``: a PE takes the next channel that nobody has: greedy, in the order of channels.

  With a pool, the lanes of a batch hold windows of different pools, and a pool's windows follow
  each other in one lane, so that the later ones can be left out.
- **Shared patterns** (`shared_patterns`): in each lane U tile units count the matches of the d
  distinct patterns of a tile, into one half of a buffer, while the PEs add up the tile before from
  the other half. A step takes ``max(ceil(d / U), r)``; the first one has nothing to add up, the
  last nothing to count: ``ceil(d_0 / U) + sum of max(ceil(d / U), r) over all later steps + r + S -
  1``, with B T steps.

After the last tile of a layer the pipeline drains, S - 1 cycles, before the next layer reads.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import Literal

import numpy as np

from bitwright.targets.reuse.accelerator.loads import Integers, LayerLoad

Queue = Literal["none", "own", "any"]


@dataclass(frozen=True)
class Geometry:
    """How many of what a section has: lanes, columns, tile units of a lane (0: dense)."""

    lanes: int
    columns: int
    tile_units: int = 0

    @property
    def pes(self) -> int:
        """Processing elements."""
        return self.lanes * self.columns


@dataclass(frozen=True)
class Cycles:
    """What a layer takes for an image: a mean over images where they differ.

    All but `cycles` and `counted` are sums over PEs of their cycles, and add up to ``cycles *
    PEs``.

    Parameters
    ----------
    cycles
        From the first fetch until the last bit is written.
    useful
        A tile is done that was needed.
    decision
        A tile is done after the one that decided, because the stop is still on its way.
    imbalance
        The PE's bit is known, and it waits for others.
    unassigned
        There is no channel, or no window, for the PE.
    tile_units
        The PEs wait for patterns to be counted.
    fill_drain
        The pipeline fills or drains.
    counted
        Patterns counted by tile units.
    """

    cycles: float
    useful: float
    decision: float
    imbalance: float
    unassigned: float
    tile_units: float
    fill_drain: float
    counted: float = 0


def batch_count(load: LayerLoad, lanes: int, *, pool: bool = False) -> int:
    """Return how many batches of windows an image has; `pool` as for `some_tiles`."""
    size = load.pool if pool else 1
    return -(-load.windows // size // lanes) * size


def every_tile(load: LayerLoad, geometry: Geometry, stages: int, *, pool: bool = False) -> Cycles:
    """Return what a layer takes whose tiles are all done; `pool` as for `some_tiles`."""
    running = (
        batch_count(load, geometry.lanes, pool=pool)
        * -(-load.channels // geometry.columns)
        * load.tiles
    )
    useful = load.windows * load.channels * load.tiles
    return Cycles(
        cycles=running + stages - 1,
        useful=useful,
        decision=0,
        imbalance=0,
        unassigned=running * geometry.pes - useful,
        tile_units=0,
        fill_drain=(stages - 1) * geometry.pes,
    )


def shared_patterns(load: LayerLoad, geometry: Geometry, stages: int) -> Cycles:
    """Return what a layer takes whose patterns tile units count; `load.distinct` is needed."""
    assert load.distinct is not None  # noqa: S101 - the accelerator has checked it
    produce = -(-np.asarray(load.distinct, np.int64) // geometry.tile_units)
    rounds = -(-load.channels // geometry.columns)
    batches = batch_count(load, geometry.lanes)
    # steps in which PEs are done before the tile units are; not the first one, they do nothing yet
    late = int(np.maximum(produce - rounds, 0).sum()) * batches - max(int(produce[0]) - rounds, 0)
    running = batches * load.tiles * rounds
    useful = load.windows * load.channels * load.tiles
    fill_drain = int(produce[0]) + stages - 1
    return Cycles(
        cycles=running + late + fill_drain,
        useful=useful,
        decision=0,
        imbalance=0,
        unassigned=running * geometry.pes - useful,
        tile_units=late * geometry.pes,
        fill_drain=fill_drain * geometry.pes,
        counted=int(load.distinct.sum()) * load.windows,
    )


def some_tiles(
    load: LayerLoad,
    done: Integers,
    geometry: Geometry,
    stages: int,
    *,
    queue: Queue = "none",
    pool: bool = False,
) -> Cycles:
    """Return what a layer takes whose tiles are not all done.

    Parameters
    ----------
    done
        (images, windows, channels) tiles that are needed, as `LayerLoad.used`.
    pool
        Whether windows of a pool follow each other in one lane.
    """
    images, sampled, _ = done.shape
    taken = np.minimum(load.tiles, np.maximum(1, done.astype(np.int64) + stages - 1))
    running = assigned = 0
    for image in taken:
        batches = _batches(image, geometry.lanes, load.pool if pool else 1)
        windows = (batches[:, :, 0] > 0).sum(axis=1)
        if queue == "none":
            rounds = _rounds(batches, geometry.columns)
            lengths = rounds.max(axis=(1, 3))
            busy = (rounds[:, 0] > 0).sum(axis=2)
            assigned += int((lengths * busy * windows[:, None]).sum())
        else:
            if queue == "own":
                lengths = _rounds(batches, geometry.columns).sum(axis=2).max(axis=(1, 2))
            else:
                lengths = _greedy(batches, geometry.columns)
            busy = min(load.channels, geometry.columns)
            assigned += int((lengths * windows).sum()) * busy
        running += int(lengths.sum())
    # an image's worth: of all its windows, one image
    share = load.windows / sampled / images
    issued, useful = int(taken.sum()), int(done.sum())
    scaled = {
        "useful": useful,
        "decision": issued - useful,
        "imbalance": assigned - issued,
        "unassigned": running * geometry.pes - assigned,
    }
    return Cycles(
        cycles=running * share + stages - 1,
        tile_units=0,
        fill_drain=(stages - 1) * geometry.pes,
        **{name: value * share for name, value in scaled.items()},
    )


def _batches(taken: Integers, lanes: int, pool: int) -> Integers:
    """Return the cycles of windows as (batches, lanes, channels); 0 where there is no window."""
    windows, channels = taken.shape
    pools = taken.reshape(windows // pool, pool, channels)
    spare = -len(pools) % lanes
    pools = np.pad(pools, ((0, spare), (0, 0), (0, 0)))
    blocks = pools.reshape(-1, lanes, pool, channels).transpose(0, 2, 1, 3)
    return blocks.reshape(-1, lanes, channels)


def _rounds(batches: Integers, columns: int) -> Integers:
    """Return (batches, lanes, rounds, columns); 0 where there is no channel."""
    spare = -batches.shape[2] % columns
    padded = np.pad(batches, ((0, 0), (0, 0), (0, spare)))
    return padded.reshape(*batches.shape[:2], -1, columns)


def _greedy(batches: Integers, columns: int) -> Integers:
    """Return how long each batch takes whose PEs take the next channel as soon as they are free."""
    lengths = np.zeros(len(batches), np.int64)
    for batch, lanes in enumerate(batches.tolist()):
        for channels in lanes:
            free = [0] * columns
            for cycles in channels:
                heapq.heapreplace(free, free[0] + cycles)
            lengths[batch] = max(lengths[batch], *free)
    return lengths
