"""What the digital pieces around an array cost: each mapped, checked and simulated on its own.

Requirements:

- A piece's numbers come from `bitwright.eda`, with the library and the tools that made them.
  ``bitwright study crossbar-pieces`` makes a table of all pieces; the one for ASAP7 that ships was
  made by it.
- Energies are those of random inputs, glitches and input nets counted, wires and clock tree not.
- Between two sizes of a kind, and between two widths, costs are interpolated linearly; beyond the
  last they go on in the same direction.

============ ============== =====================================================================
kind         size, width    what it is
============ ============== =====================================================================
popcount     bits, 1        the count A of a sub-vector of activations
decide       bits, 1        from A of so many bits: whether to flip, and min(A, bits - A)
flip         bits, 1        a sub-vector inverted, or not: XORs with one bit
signed       bits, 1        s (2 S - A): all numbers of so many bits; s is a column's flip
correct      bits, 1        s (2 S - A + K): the same where A is flipped too, so that K = n/2 - W is
                            needed, a constant of the column
accumulate   bits, width    a number of `bits` bits plus a count of `width` bits
add          bits, width    a number of `bits` bits plus a signed one of `width`, and a carry
compare      bits, 1        a number with a constant: the neuron's bit
select       inputs, 1      one bit of so many: what belongs to the column that is converted
register     1, 1           one bit for one cycle, in which it changes with probability 1/2
============ ============== =====================================================================
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any, Literal, get_args

from bitwright.eda.pieces import Table, load_table, pieces_of
from bitwright.errors import ConfigError

Kind = Literal[
    "popcount", "decide", "flip", "signed", "correct",
    "accumulate", "add", "compare", "select", "register",
]  # fmt: skip
KINDS: tuple[Kind, ...] = get_args(Kind)
AREA_UNIT_M2: Mapping[str, float] = {"um2": 1e-12, "": 1e-12}
"""Units of area in square metres; Liberty does not say its unit, which is nearly always um2."""


@dataclass(frozen=True)
class Piece:
    """One piece and what it costs.

    Parameters
    ----------
    kind, size, width
        What it is (see the table above).
    area
        In the table's unit.
    delay_s
        From its inputs to its last output.
    energy_j
        Of one operation.
    """

    kind: Kind
    size: int
    width: int
    area: float
    delay_s: float
    energy_j: float


@dataclass(frozen=True)
class Price:
    """Energy of an operation in joule, delay in seconds, area in square metres."""

    energy_j: float = 0.0
    delay_s: float = 0.0
    area_m2: float = 0.0


@dataclass(frozen=True, eq=False)
class PieceTable(Table[Piece]):
    """All pieces of one library, and their prices."""

    def price(self, kind: Kind, size: float, width: float = 1) -> Price:
        """Return what a piece costs.

        Parameters
        ----------
        size, width
            Any, also between and beyond those of the table.

        Raises
        ------
        ConfigError
            If one is not positive.
        """
        if not (size > 0 and width > 0):
            raise ConfigError(f"a '{kind}' of {size} x {width} bits is none", "give 1 or more")
        own = [p for p in self.pieces if p.kind == kind]
        rows = []
        for known in sorted({p.width for p in own}):
            line = sorted((p.size, p) for p in own if p.width == known)
            numbers = [(p.energy_j, p.delay_s, p.area) for _, p in line]
            rows.append((known, _between([s for s, _ in line], numbers, size)))
        energy, delay, area = _between([w for w, _ in rows], [n for _, n in rows], width)
        return Price(energy, delay, area * AREA_UNIT_M2[self.area_unit])


def _between(
    known: Sequence[float], numbers: Sequence[tuple[float, ...]], at: float
) -> tuple[float, ...]:
    """Return numbers at a place on the line through the two nearest known ones, never below 0."""
    if len(known) == 1:
        return numbers[0]
    steps = list(zip(pairwise(known), pairwise(numbers), strict=True))
    (low, high), (before, after) = next((s for s in steps if at <= s[0][1]), steps[-1])
    part = (at - low) / (high - low)
    return tuple(max(b + part * (a - b), 0.0) for b, a in zip(before, after, strict=True))


@cache
def load_pieces(name: str = "asap7") -> PieceTable:
    """Return a table that ships ("asap7"), or of a file.

    Raises
    ------
    ConfigError
        If there is no such file, or it is no table of pieces.
    """
    return load_table(name, __package__, "bitwright study crossbar-pieces", _table)


def _table(fields: dict[str, Any]) -> PieceTable:
    pieces = pieces_of(fields.pop("pieces"), Piece, KINDS)
    table = PieceTable(pieces=pieces, **fields)
    if table.area_unit not in AREA_UNIT_M2:
        raise ValueError(f"its unit of area is '{table.area_unit}'")
    return table
