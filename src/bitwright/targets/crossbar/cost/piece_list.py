"""Making a table of pieces: the circuits, mapped to a library and simulated."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from bitwright.circuits import Circuit, prune
from bitwright.circuits.builder import Builder
from bitwright.circuits.columns import compress, count_by_columns
from bitwright.circuits.comparator import at_least
from bitwright.eda.logic import Bits
from bitwright.eda.pdk import ChosenLibrary
from bitwright.eda.pieces import Progress, map_pieces, register_cost
from bitwright.targets.crossbar.cost.pieces import Kind, Piece, PieceTable

Numbers = npt.NDArray[np.int64]

PIECES: tuple[tuple[Kind, int, int], ...] = (
    *(("popcount", bits, 1) for bits in (8, 16, 32, 64, 128, 256, 512)),
    *(("decide", bits, 1) for bits in (8, 16, 32, 64, 128, 256, 512)),
    *(("flip", bits, 1) for bits in (32, 64, 128, 256, 512)),
    *((kind, bits, 1) for kind in ("signed", "correct") for bits in (3, 5, 7, 9)),
    *(
        (kind, bits, width)
        for kind in ("accumulate", "add")
        for width in (2, 4, 6, 8, 10)
        for bits in (10, 13, 16)
    ),
    *(("compare", bits, 1) for bits in (8, 12, 16)),
    *(("select", inputs, 1) for inputs in (2, 4, 8, 16, 32, 64)),
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
    """Map pieces to the cells of a library and simulate them.

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
    found = [Piece("register", 1, 1, area, 0.0, energy)]
    versions: dict[str, str] = {}
    for made in map_pieces(
        chosen, pieces, make_piece, operations=operations, seed=seed, progress=progress
    ):
        kind, size, width = made.kind, made.size, made.width
        versions |= made.versions
        found.append(Piece(kind, size, width, made.area, made.delay_s, made.energy_j))
    return PieceTable.of(chosen, found, versions, operations, seed)


def make_piece(kind: Kind, size: int, width: int, count: int, seed: int) -> tuple[Circuit, Bits]:
    """Return the circuit of a piece, and vectors (count, inputs) to simulate it on.

    Counts are drawn as counts of random bits: of activations half of which are 1, and of products a
    quarter of which are. What a column holds changes from one operation to the next, since a
    converter goes from column to column.
    """
    rng = np.random.default_rng(seed)
    if kind == "popcount":
        return count_by_columns(size), _random(rng, count, size)
    if kind == "decide":
        return _decide(size), _bits(rng.binomial(size, 0.5, count), size.bit_length())
    if kind == "flip":
        return _flip(size), _random(rng, count, size + 1)
    if kind == "select":
        return _selector(size), _walk(rng, size, count)
    if kind == "compare":
        return _compare(size), _bits(rng.binomial((1 << size) - 1, 0.5, count), size)
    if kind in ("accumulate", "add"):
        return _adder(size, width, kind == "add"), _addends(rng, size, width, count, kind == "add")
    rows = (1 << size) - 1
    read = _bits(rng.binomial(rows, 0.25, count), size)
    sign = _random(rng, count, 1)
    known = [read, _bits(rng.binomial(rows, 0.5, count), size)]
    if kind == "correct":
        ones = rng.binomial(rows, 0.5, count)
        known.append(_bits((rows + 1) // 2 - ones - rows, size + 1))
    return _signed(size, kind == "correct"), np.concatenate([*known, sign], axis=1)


def _decide(bits: int) -> Circuit:
    """Whether a count is more than half of `bits`, and the count or `bits` less the count.

    `bits` is a power of two, so that ``bits - A`` is the two's complement of the bits of A below
    it: each is inverted where a lower one is 1. Flipped, the highest bit of the count is 0.
    """
    width = bits.bit_length()
    builder = Builder(width)
    flip = at_least(builder, [(i, 1 << i) for i in range(width)], bits // 2 + 1)
    outputs = [(flip, 1 << width)]
    lower = 0
    for i in range(width - 1):
        inverted = builder.gate("XOR2", i, lower) if i else i
        outputs.append((builder.gate("MUX2", flip, inverted, i) if i else i, 1 << i))
        lower = builder.gate("OR2", i, lower) if i else i
    return prune(builder.finish(outputs))


def _flip(bits: int) -> Circuit:
    """`bits` bits, each XOR the last input."""
    builder = Builder(bits + 1)
    wires = [builder.gate("XOR2", i, bits) for i in range(bits)]
    return builder.finish((wire, 1) for wire in wires)


def _signed(bits: int, constant: bool) -> Circuit:
    """``2 S - A``, plus K if there is a constant; its complement where the last input is 1.

    ``-A`` is the complement of A less ``2**bits - 1``. A K of `bits` + 1 bits, signed, holds that:
    ``n / 2 - W + 1 - 2**bits``, where at most half of the column is ones. Complement and carry make
    a negation: the carry goes into the addition that follows. Without K, that difference, what a
    complement without a carry lacks, and the inversion of the highest bit that makes the result a
    signed number are constants of the column, which its threshold holds.
    """
    width = bits + 2
    builder = Builder(2 * bits + 1 + (bits + 1) * constant)
    sign = builder.inputs - 1
    columns: dict[int, list[int]] = {i: [] for i in range(width)}
    for i in range(bits):
        columns[i + 1].append(i)
        columns[i].append(builder.gate("NOT", bits + i))
    if constant:
        for i in range(width):
            columns[i].append(2 * bits + min(i, bits))
    return _truncated(builder, columns, width, sign, inverted=not constant)


def _adder(bits: int, width: int, signed: bool) -> Circuit:
    """A number of `bits` bits, then one of `width`, and a carry if that is signed."""
    builder = Builder(bits + width + signed)
    columns: dict[int, list[int]] = {i: [i] for i in range(bits)}
    for i in range(bits if signed else width):
        columns[i].append(bits + min(i, width - 1))
    if signed:
        columns[0].append(bits + width)
    return _truncated(builder, columns, bits)


def _truncated(
    builder: Builder,
    columns: dict[int, list[int]],
    width: int,
    sign: int | None = None,
    inverted: bool = False,
) -> Circuit:
    """Return the sum of columns modulo ``2**width`` as a signed number, complemented by a wire."""
    outputs = []
    for wire, weight in compress(builder, columns):
        if weight >> width:
            continue
        highest = bool(weight >> (width - 1))
        kind = "XNOR2" if highest and inverted else "XOR2"
        bit = wire if sign is None else builder.gate(kind, wire, sign)
        outputs.append((bit, -weight if highest else weight))
    return prune(builder.finish(outputs))


def _compare(bits: int) -> Circuit:
    builder = Builder(bits)
    middle = (1 << (bits - 1)) - 3
    bit = at_least(builder, [(i, 1 << i) for i in range(bits)], middle)
    return prune(builder.finish([(bit, 1)]))


def _selector(inputs: int) -> Circuit:
    """A tree of multiplexers; `inputs` is a power of two."""
    levels = inputs.bit_length() - 1
    builder = Builder(inputs + levels)
    wires = list(range(inputs))
    for level in range(levels):
        pairs = zip(wires[::2], wires[1::2], strict=True)
        wires = [builder.gate("MUX2", inputs + level, b, a) for a, b in pairs]
    return builder.finish([(wires[0], 1)])


def _walk(rng: np.random.Generator, inputs: int, count: int) -> Bits:
    """Return bits that stand still, and an index that counts."""
    held = np.tile(_random(rng, 1, inputs), (count, 1))
    index = _bits(np.arange(count) % inputs, inputs.bit_length() - 1)
    return np.concatenate([held, index], axis=1)


def _addends(rng: np.random.Generator, bits: int, width: int, count: int, signed: bool) -> Bits:
    """Return sums of up to eight earlier numbers, and the numbers that are added to them."""
    rows = (1 << (width - signed)) - 1
    numbers = rng.binomial(rows, 0.5 if signed else 0.25, (9, count))
    signs = rng.integers(0, 2, count)
    if signed:
        numbers -= rows // 2
    earlier = np.arange(8)[:, None] < np.arange(count) % 8
    parts = [_bits((numbers[:8] * earlier).sum(axis=0), bits)]
    parts.append(_bits(numbers[8] ^ -signs if signed else numbers[8], width))
    if signed:
        parts.append(signs[:, None].astype(np.bool_))
    return np.concatenate(parts, axis=1)


def _random(rng: np.random.Generator, count: int, inputs: int) -> Bits:
    return rng.integers(0, 2, (count, inputs)).astype(np.bool_)


def _bits(numbers: Numbers, width: int) -> Bits:
    """Return the lowest bits of numbers, those of negative ones in two's complement."""
    return (numbers[:, None] >> np.arange(width) & 1).astype(np.bool_)
