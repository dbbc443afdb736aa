"""The redundancy-skipping accelerator for an FPGA: a model in which every cycle is accounted for.

Layers run on arrays of processing elements (PE), L lanes of Q columns. All weights lie in block
RAM. The activations of a layer lie in one of two maps, and its output bits go to the other one
(``shared``: one array, layer after layer), or to the map that the next array reads while this one
works on the next image (``dataflow``: an array a layer).

What hardware does in a cycle, so that RTL can be held against
`bitwright.targets.reuse.accelerator.cycles`:

=========== ========================================================================================
stage       what it does
=========== ========================================================================================
1 fetch     ``window[lane]``, ``tile``, ``round`` address the maps and the weights; out come
            ``activations[lane]`` and ``weights[column]`` (t bits each), or ``index[column]``
2 count     PE (lane, column): ``matches = popcount(activations[lane] xnor weights[column])``; with
            shared patterns: read ``counts[lane][half][index]``, subtract where it is a complement
3 decide    ``total = (first ? -threshold[channel] : total) + matches``; after the last tile ``bit
            = total >= 0``; early: also where ``total >= 0`` or ``total + left < 0``, then ``stop``
            goes to stage 1
=========== ========================================================================================

- ``first`` and ``left`` come with the tile; ``valid`` says that a PE has a channel and a window.
- A round ends in the cycle in which no PE's ``stop`` or last tile is missing; with a queue each PE
  has its own ``tile`` and ``round``, and a batch of windows ends so.
- ``fires`` is the OR of a pool's bits so far, a bit a channel and lane; it acts as ``stop``.
- Tile units write ``counts[lane][half]``, U a cycle in ``pattern`` order; ``half`` turns over when
  both they and the PEs are done with a tile.
- ``done`` rises S - 1 cycles after the last fetch of a layer; then the maps change places.

Not modelled: the host's interface and the first layer of 8-bit pixels, which are the same for all
mechanisms; and the clock, which is assumed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import get_args

import numpy as np

from bitwright.errors import ConfigError
from bitwright.targets.reuse.accelerator import cycles as model
from bitwright.targets.reuse.accelerator.cycles import Cycles, Queue
from bitwright.targets.reuse.accelerator.energy import Coefficients
from bitwright.targets.reuse.accelerator.loads import LayerLoad
from bitwright.targets.reuse.accelerator.parts import PARTS, Part
from bitwright.targets.reuse.accelerator.performance import LayerRun, Run
from bitwright.targets.reuse.accelerator.resources import (
    WORD,
    Resources,
    index_bits,
    pe,
    tile_unit,
    total_bits,
)
from bitwright.targets.reuse.accelerator.sizing import (
    Needs,
    Schedule,
    Section,
    dataflow_arrays,
    shared_array,
)

MAX_TILE = 64


@dataclass(frozen=True)
class Accelerator:
    """Settings of an accelerator.

    Parameters
    ----------
    part
        The FPGA.
    clock_hz
        An assumption; 200 MHz is what published designs of this kind run at.
    tile
        Bits that a PE takes in a cycle, 2 to 64; the loads' tile must be the same.
    lanes, columns
        Of the one array of schedule ``shared``; None: as many as fit, chosen for speed.
    schedule
        ``shared``: one array for all layers. ``dataflow``: one each, balanced.
    early
        A PE stops where its bit is known.
    pool
        Later windows of a pool are left out where an earlier one has decided it.
    queue
        What a PE does that is done before others (`bitwright.targets.reuse.accelerator.cycles`).
    reuse
        Tile units count each distinct pattern of a tile once, and PEs only add up. Layers whose
        load has no `distinct` stay dense, which takes schedule ``dataflow``.
    tile_units
        Of a lane, with `reuse`.
    stages
        From the fetch of a tile to the decision.
    usable
        The share of look-up tables that the arrays may take, so that they can still be routed.

    Raises
    ------
    ConfigError
        If a setting is unknown or out of range, or two of them exclude each other.
    """

    part: Part = PARTS["XC7Z100"]
    clock_hz: float = 200e6
    tile: int = 32
    lanes: int | None = None
    columns: int | None = None
    schedule: Schedule = "shared"
    early: bool = False
    pool: bool = False
    queue: Queue = "none"
    reuse: bool = False
    tile_units: int = 4
    stages: int = 3
    usable: float = 0.7

    def __post_init__(self) -> None:
        for name, known in (("schedule", Schedule), ("queue", Queue)):
            if getattr(self, name) not in get_args(known):
                _refuse(f"there is no {name} '{getattr(self, name)!s:.40}'", *get_args(known))
        for name, low, high in (
            ("clock_hz", 1e3, 1e9), ("tile", 2, MAX_TILE), ("tile_units", 1, 64),
            ("stages", 1, 32), ("usable", 0.01, 1.0),
        ):  # fmt: skip
            if not low <= getattr(self, name) <= high:
                _refuse(f"{name} is {getattr(self, name):g}", f"a number of {low:g} to {high:g}")
        for name in ("lanes", "columns"):
            count = getattr(self, name)
            if count is not None and count < 1:
                _refuse(f"{name} is {count}", "at least 1, or None for as many as fit")
            if count is not None and self.schedule == "dataflow":
                _refuse(f"{name} of {count} for arrays that are balanced", "None")
        if self.reuse and (self.early or self.pool or self.queue != "none"):
            raise ConfigError(
                "shared patterns are counted for all channels of a window together, so none stops "
                "early",
                "switch off either reuse, or early, pool and queue",
            )

    @property
    def budget(self) -> Resources:
        """What the arrays may take."""
        return Resources(
            int(self.part.luts * self.usable),
            int(self.part.memory_luts * self.usable),
            self.part.flip_flops,
            self.part.bram36,
        )

    def dense(self) -> Accelerator:
        """Return the same accelerator without any mechanism: the baseline of every ratio.

        With `lanes` and `columns` it is the same array; without, an array of its own that fills the
        same part.
        """
        return replace(self, early=False, pool=False, queue="none", reuse=False)


def simulate(
    accelerator: Accelerator, loads: Sequence[LayerLoad], coefficients: Coefficients | None = None
) -> Run:
    """Run an image's layers through the model.

    Parameters
    ----------
    loads
        The binary layers, in their order.
    coefficients
        What events cost; by default those of `bitwright.targets.reuse.accelerator.energy`.

    Raises
    ------
    ConfigError
        If the loads do not fit the settings, or the part has no room for their weights or for a
        single PE; the message says what is short.
    """
    loads = _checked(accelerator, loads)
    sections = _sections(accelerator, loads)
    layers = [_layer(accelerator, one, load) for one in sections for load in one.loads]
    return Run(
        accelerator.part,
        accelerator.clock_hz,
        accelerator.schedule,
        coefficients or Coefficients(),
        sections,
        tuple(layers),
    )


def _checked(accelerator: Accelerator, loads: Sequence[LayerLoad]) -> tuple[LayerLoad, ...]:
    if not loads:
        raise ConfigError("no layer runs on the accelerator", "give a network with binary layers")
    for load in loads:
        if load.tile != accelerator.tile:
            raise ConfigError(
                f"layer '{load.name}' has tiles of {load.tile} bits, the PEs take "
                f"{accelerator.tile}",
                "give the same tile",
            )
    before = (0, *(load.output_bits for load in loads))
    loads = [
        replace(load, input_bits=load.input_bits or bits)
        for load, bits in zip(loads, before, strict=False)
    ]
    if not accelerator.reuse:
        return tuple(replace(load, distinct=None) for load in loads)
    missing = [load.name for load in loads if load.distinct is None]
    if missing and (accelerator.schedule == "shared" or len(missing) == len(loads)):
        raise ConfigError(
            f"layer '{missing[0]}' does not say how many distinct patterns its tiles have",
            "give distinct, as distinct_patterns counts them, or take schedule 'dataflow', in "
            "which other layers may share",
        )
    return tuple(loads)


def _sections(accelerator: Accelerator, loads: tuple[LayerLoad, ...]) -> tuple[Section, ...]:
    needs = Needs(
        accelerator.early,
        accelerator.pool,
        accelerator.queue,
        accelerator.tile_units if accelerator.reuse else 0,
        accelerator.stages,
    )
    if accelerator.schedule == "dataflow":
        return dataflow_arrays(loads, accelerator.budget, needs)
    array = shared_array(
        loads, accelerator.budget, needs, lanes=accelerator.lanes, columns=accelerator.columns
    )
    return (array,)


def _layer(accelerator: Accelerator, section: Section, load: LayerLoad) -> LayerRun:
    geometry, queue = section.geometry, accelerator.queue
    element = pe(section.loads, geometry, early=accelerator.early, queue=queue)
    if geometry.tile_units:
        taken = model.shared_patterns(load, geometry, accelerator.stages)
        logic = taken.useful * element.luts + taken.counted * tile_unit(load.tile).luts
        return LayerRun(load, section, taken, logic, _words(accelerator, section, load, taken))
    done = load.tiles_done(accelerator.early, accelerator.pool)
    if done is None and queue == "none":
        taken = model.every_tile(load, geometry, accelerator.stages, pool=accelerator.pool)
    else:
        if done is None:
            done = np.full((1, load.windows, load.channels), load.tiles)
        taken = model.some_tiles(
            load, done, geometry, accelerator.stages, queue=queue, pool=accelerator.pool
        )
    logic = (taken.useful + taken.decision) * element.luts
    return LayerRun(load, section, taken, logic, _words(accelerator, section, load, taken))


def _words(accelerator: Accelerator, section: Section, load: LayerLoad, taken: Cycles) -> float:
    """Return the 36-bit words of block RAM that a layer reads and writes."""
    geometry, tile = section.geometry, load.tile
    batches = model.batch_count(load, geometry.lanes, pool=accelerator.pool)
    rounds = -(-load.channels // geometry.columns)
    thresholds = batches * rounds * -(-geometry.columns * total_bits(section.loads) // WORD)
    written = -(-load.output_bits // WORD)
    activations = -(-geometry.lanes * tile // WORD)
    if geometry.tile_units and load.distinct is not None:
        steps = batches * load.tiles
        indices = steps * rounds * -(-geometry.columns * index_bits(section.loads) // WORD)
        produce = int((-(-load.distinct // geometry.tile_units)).sum()) * batches
        patterns = produce * -(-geometry.tile_units * tile // WORD)
        return indices + patterns + steps * activations + thresholds + written
    if accelerator.queue != "none":
        # each PE fetches its own weights; a window goes to the copies of all PEs of its lane once
        weights = (taken.useful + taken.decision) * -(-tile // WORD)
        return weights + batches * load.tiles * activations + thresholds + written
    running = taken.cycles - (accelerator.stages - 1)
    weights = running * -(-geometry.columns * tile // WORD)
    return weights + running * activations + thresholds + written


def _refuse(cause: str, *known: str) -> None:
    raise ConfigError(cause, "take " + ", ".join(known))
