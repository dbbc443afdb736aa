"""Making a table of prices: the circuits of the pieces, mapped to a library and to LUTs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bitwright.circuits import Circuit, prune, write_verilog
from bitwright.circuits.builder import Builder
from bitwright.circuits.columns import compress
from bitwright.circuits.comparator import at_least
from bitwright.eda.fpga import check_luts, count_luts
from bitwright.eda.logic import Bits
from bitwright.eda.pdk import ChosenLibrary
from bitwright.eda.pieces import Progress, map_pieces, register_cost
from bitwright.targets.reuse.prices import Kind, Piece, PieceTable

MERGED = 10
"""Bits of the number that a chain of merges starts from."""
ADDED = 8
"""Bits of each number that is merged, which weigh twice."""

PIECES: tuple[tuple[Kind, int, int], ...] = (
    *(("sum", size, 1) for size in (3, 4, 8, 16, 32, 64, 128, 256, 576, 1152)),
    *(("sum", size, 3) for size in (2, 8, 64, 192)),
    *(("sum", size, 8) for size in (2, 8, 27, 64)),
    *(("merge", depth, 1) for depth in (1, 2, 3, 4, 6, 8, 12, 20)),
    *(("match", size, 1) for size in (9, 32, 128, 576)),
    *(("select", size, 1) for size in (4, 16, 64, 256)),
    *(("compare", bits, 1) for bits in (4, 8, 12)),
)
"""Kind, size and width of what a table has."""


def measure_pieces(
    chosen: ChosenLibrary,
    *,
    pieces: Sequence[tuple[Kind, int, int]] = PIECES,
    operations: int = 300,
    seed: int = 0,
    progress: Progress | None = None,
) -> PieceTable:
    """Map pieces to the cells of a library, and to LUTs, and simulate them.

    Parameters
    ----------
    operations, seed
        Of the random vectors that an energy is the mean over.

    Raises
    ------
    LibertyError
        If the library lacks tables, or a flip-flop.
    ToolError
        If yosys is missing or fails.
    """
    area, energy = register_cost(chosen.library)
    found = [Piece("register", 1, 1, 0.0, area, 0.0, energy, 0)]
    versions: dict[str, str] = {}
    for made in map_pieces(
        chosen, pieces, make_piece, operations=operations, seed=seed, progress=progress
    ):
        kind, size, width, circuit = made.kind, made.size, made.width, made.circuit
        luts = count_luts(write_verilog(circuit))
        check_luts(luts.netlist, circuit, made.vectors)
        versions |= {**made.versions, **luts.versions}
        adders = circuit.counts.get("FA", 0) + circuit.counts.get("HA", 0) / 2
        cells = made.area, made.delay_s, made.energy_j
        found.append(Piece(kind, size, width, adders, *cells, luts.luts))
    return PieceTable.of(chosen, found, versions, operations, seed)


def make_piece(kind: Kind, size: int, width: int, count: int, seed: int) -> tuple[Circuit, Bits]:
    """Return the circuit of a piece, and vectors (count, inputs) to simulate it on.

    Numbers that are counts in a datapath are drawn as counts of random bits, other bits at random.
    """
    rng = np.random.default_rng(seed)
    if kind == "sum":
        builder = Builder(size * width)
        columns = {bit: [k * width + bit for k in range(size)] for bit in range(width)}
        return builder.finish(compress(builder, columns)), _bits(rng, count, size * width)
    if kind == "merge":
        added = [_counts(rng, count, ADDED) for _ in range(size)]
        return _chain(size), np.concatenate([_counts(rng, count, MERGED), *added], axis=1)
    if kind == "match":
        builder = Builder(2 * size)
        matches = [builder.gate("XNOR2", i, size + i) for i in range(size)]
        weights = np.tile(_bits(rng, 1, size), (count, 1))
        vectors = np.concatenate([_bits(rng, count, size), weights], axis=1)
        return builder.finish(compress(builder, {0: matches})), vectors
    if kind == "select":
        index = np.tile(_bits(rng, 1, size.bit_length() - 1), (count, 1))
        return _selector(size), np.concatenate([_bits(rng, count, size), index], axis=1)
    builder = Builder(size)
    middle = (1 << (size - 1)) - 3
    bit = at_least(builder, [(i, 1 << i) for i in range(size)], middle)
    return prune(builder.finish([(bit, 1)])), _counts(rng, count, size)


def _chain(depth: int) -> Circuit:
    """A number, and `depth` others that are added to it one after the other."""
    builder = Builder(MERGED + ADDED * depth)
    number = [(i, 1 << i) for i in range(MERGED)]
    for step in range(depth):
        columns = {weight.bit_length() - 1: [wire] for wire, weight in number}
        for i in range(ADDED):
            columns.setdefault(i + 1, []).append(MERGED + ADDED * step + i)
        number = compress(builder, columns)
    return builder.finish(number)


def _selector(size: int) -> Circuit:
    """A tree of multiplexers; `size` is a power of two."""
    levels = size.bit_length() - 1
    builder = Builder(size + levels)
    wires = list(range(size))
    for level in range(levels):
        pairs = zip(wires[::2], wires[1::2], strict=True)
        wires = [builder.gate("MUX2", size + level, a, b) for a, b in pairs]
    return builder.finish([(wires[0], 1)])


def _bits(rng: np.random.Generator, count: int, inputs: int) -> Bits:
    return rng.integers(0, 2, (count, inputs)).astype(np.bool_)


def _counts(rng: np.random.Generator, count: int, bits: int) -> Bits:
    """Return the bits of counts of ``2**bits - 1`` random bits."""
    drawn = rng.binomial((1 << bits) - 1, 0.5, count)
    return (drawn[:, None] >> np.arange(bits) & 1).astype(np.bool_)
