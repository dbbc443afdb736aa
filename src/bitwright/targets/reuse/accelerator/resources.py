"""What a section of the accelerator takes of a part: look-up tables, flip-flops, block RAM.

Requirements:

- Pieces cost what our own synthesis says (`bitwright.targets.reuse.accelerator.pieces`); memories
  cost what the vendor's guides say they hold (UG473 block RAM, UG474 look-up tables as memory).
- All weights are on the chip. Widths count as much as capacity: a block RAM of 18 Kb gives at most
  36 bits a cycle, and every PE column needs a whole tile of weights in each.

With t bits of a tile, T tiles, b bits of a tile's count, w bits of a whole count, L lanes, Q
columns, U tile units of a lane, r rounds of channels, d the most distinct patterns of a tile:

==================== ===============================================================================
a PE, dense          xnor_popcount(t) + accumulate(w + 1), which starts at minus the threshold, so
                     that its sign is the bit; b + w + 2 flip-flops
... early decision   + compare(w + 1) with minus the inputs that are left; one flip-flop more
... queue            + a copy of the window, t x 2 T of LUT memory, and a tile counter
a PE, shared         LUT memory b U x 2 ceil(d / U) and mux(U) for each of b bits, which read one
patterns             pattern's count, b for the complement, + accumulate(w + 1); with r > 1 the
                     totals of its other channels, w + 1 x r of LUT memory; b + w + 2 flip-flops
a lane               the tile of activations, t flip-flops; with tile units U (xnor_popcount(t)), t
                     + b flip-flops each
a section            `CONTROL_LUTS`, `CONTROL_FLIP_FLOPS`; Q t flip-flops for weights, or Q indices
weights              Q t bits wide, sum of r T deep, for all lanes; with a queue each PE has its
                     own: t bits x sum of r T (``own``), or all channels (``any``)
indices, patterns    Q (ceil(log2 d) + 1) bits x sum of r T, and U t x sum of ceil(d / U), instead
thresholds           Q (w + 1) bits x sum of r
activations          two maps of the largest layer, L t bits wide
==================== ===============================================================================
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bitwright.targets.reuse.accelerator.cycles import Geometry, Queue
from bitwright.targets.reuse.accelerator.loads import LayerLoad
from bitwright.targets.reuse.accelerator.pieces import luts

CONTROL_LUTS = CONTROL_FLIP_FLOPS = 500
"""Counters and addresses of a section: assumed."""
WORD = 36
"""Bits of a block RAM of 18 Kb that are read at once."""
_ASPECTS = ((36, 512), (18, 1024), (9, 2048), (4, 4096), (2, 8192), (1, 16384))
"""Width and depth of a block RAM of 18 Kb (UG473); from 9 bits down there is no parity."""


@dataclass(frozen=True)
class Resources:
    """What is needed, or what there is.

    Parameters
    ----------
    luts
        Look-up tables, those that are memory included.
    memory_luts
        Those that are memory.
    bram36
        Block RAMs of 36 Kb; one of 18 Kb is a half.
    """

    luts: int
    memory_luts: int
    flip_flops: int
    bram36: float

    def __add__(self, other: Resources) -> Resources:
        """Return the sum, field by field."""
        return Resources(
            self.luts + other.luts,
            self.memory_luts + other.memory_luts,
            self.flip_flops + other.flip_flops,
            self.bram36 + other.bram36,
        )

    def fits(self, budget: Resources) -> bool:
        """Whether a budget has room for it."""
        return (
            self.luts <= budget.luts
            and self.memory_luts <= budget.memory_luts
            and self.flip_flops <= budget.flip_flops
            and self.bram36 <= budget.bram36
        )


NOTHING = Resources(0, 0, 0, 0)


@dataclass(frozen=True)
class Element:
    """The look-up tables and flip-flops of one PE or tile unit."""

    luts: int
    memory_luts: int
    flip_flops: int


def bram18(width: int, depth: int) -> int:
    """Return how many block RAMs of 18 Kb a memory of that width and depth takes."""
    return min(-(-width // w) * -(-depth // d) for w, d in _ASPECTS)


def lut_memory(width: int, depth: int) -> int:
    """Return the look-up tables of a memory with a write port and a read port of its own.

    Four of them hold 32 words of 6 bits (RAM32M) or 64 words of 3 bits (RAM64M); deeper ones are
    several with a multiplexer behind (UG474).
    """
    if depth <= 32:
        return -(-width // 6) * 4
    banks = -(-depth // 64)
    return banks * -(-width // 3) * 4


def pe(loads: Sequence[LayerLoad], geometry: Geometry, *, early: bool, queue: Queue) -> Element:
    """Return one processing element of a section.

    Raises
    ------
    ConfigError
        If a piece of that size is not known.
    """
    tile, width = loads[0].tile, total_bits(loads)
    narrow = tile.bit_length()
    registers = narrow + width + 1
    if geometry.tile_units:
        units, depth = geometry.tile_units, 2 * _buffered(loads, geometry)
        memory = lut_memory(narrow * units, depth)
        logic = _choose(units) * narrow + _choose(-(-depth // 64)) * narrow * units
        rounds = max(-(-load.channels // geometry.columns) for load in loads)
        if rounds > 1:
            memory += lut_memory(width, rounds)
            logic += _choose(-(-rounds // 64)) * width
        logic += narrow + luts("accumulate", width)
        return Element(logic + memory, memory, registers)
    logic = luts("xnor_popcount", tile) + luts("accumulate", width)
    logic += luts("compare", width) if early else 0
    memory = 0
    if queue != "none":
        depth = 2 * max(load.tiles for load in loads)
        memory = lut_memory(tile, depth)
        counter = depth.bit_length()
        logic += _choose(-(-depth // 64)) * tile + luts("accumulate", counter)
        registers += counter
    return Element(logic + memory, memory, registers + early)


def tile_unit(tile: int) -> Element:
    """Return one tile unit.

    Raises
    ------
    ConfigError
        If a piece of that size is not known.
    """
    return Element(luts("xnor_popcount", tile), 0, tile + tile.bit_length())


def section(
    loads: Sequence[LayerLoad],
    geometry: Geometry,
    *,
    early: bool,
    queue: Queue,
    writes: bool = True,
) -> Resources:
    """Return what a section takes that runs these layers, one after the other.

    Parameters
    ----------
    writes
        Whether what it writes lies in its own maps, and not in the next section's.

    Raises
    ------
    ConfigError
        If a piece of that size is not known.
    """
    tile = loads[0].tile
    element = pe(loads, geometry, early=early, queue=queue)
    unit, units = tile_unit(tile), geometry.tile_units * geometry.lanes
    fetched = index_bits(loads) if geometry.tile_units else tile
    return Resources(
        CONTROL_LUTS + element.luts * geometry.pes + unit.luts * units,
        element.memory_luts * geometry.pes,
        CONTROL_FLIP_FLOPS
        + element.flip_flops * geometry.pes
        + unit.flip_flops * units
        + tile * geometry.lanes
        + fetched * geometry.columns,
        (_stored(loads, geometry, queue) + _activations(loads, geometry, writes)) / 2,
    )


def index_bits(loads: Sequence[LayerLoad]) -> int:
    """Return the bits of an index of a pattern, with one for its complement."""
    most = max(int(load.distinct.max()) for load in loads if load.distinct is not None)
    return (most - 1).bit_length() + 1


def _buffered(loads: Sequence[LayerLoad], geometry: Geometry) -> int:
    """Return the rows of one half of the buffer of patterns' counts."""
    most = max(int(load.distinct.max()) for load in loads if load.distinct is not None)
    return -(-most // geometry.tile_units)


def total_bits(loads: Sequence[LayerLoad]) -> int:
    """Return the bits of a count of matches less the threshold, with its sign."""
    return max(load.fan_in for load in loads).bit_length() + 1


def _choose(inputs: int) -> int:
    """Return the look-up tables that choose one bit of so many; above 64 in two levels or more."""
    if inputs > 64:
        groups = -(-inputs // 64)
        return groups * luts("mux", 64) + _choose(groups)
    return luts("mux", inputs) if inputs > 1 else 0


def _stored(loads: Sequence[LayerLoad], geometry: Geometry, queue: Queue) -> int:
    """Return the block RAMs of 18 Kb for weights, or patterns, and thresholds."""
    tile, columns = loads[0].tile, geometry.columns
    width = total_bits(loads)
    rounds = [-(-load.channels // columns) for load in loads]
    depth = sum(r * load.tiles for r, load in zip(rounds, loads, strict=True))
    thresholds = bram18(columns * width, sum(rounds))
    if geometry.tile_units:
        patterns = sum(
            int((-(-load.distinct // geometry.tile_units)).sum())
            for load in loads
            if load.distinct is not None
        )
        indices = bram18(columns * index_bits(loads), depth)
        return indices + bram18(geometry.tile_units * tile, patterns) + thresholds
    if queue == "own":
        return geometry.pes * bram18(tile, depth) + thresholds
    if queue == "any":
        every = sum(load.channels * load.tiles for load in loads)
        return geometry.pes * bram18(tile, every) + thresholds
    return bram18(columns * tile, depth) + thresholds


def _activations(loads: Sequence[LayerLoad], geometry: Geometry, writes: bool) -> int:
    """Return the block RAMs of 18 Kb for the map that is read and the one that is filled."""
    read = max(max(load.input_bits, load.fan_in) for load in loads)
    bits = max(read, *(load.output_bits for load in loads)) if writes else read
    width = geometry.lanes * loads[0].tile
    return 2 * bram18(width, -(-bits // width))
