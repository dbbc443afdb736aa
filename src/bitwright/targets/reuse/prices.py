"""What the pieces of a datapath cost: each mapped, checked and simulated on its own.

Requirements:

- A piece is a `Circuit`; its numbers come from `bitwright.eda`, with the library and the tools that
  made them. ``bitwright study reuse-pieces`` makes a table of all pieces; the one for ASAP7 that
  ships was made by it.
- Energies are those of random inputs, glitches and input nets counted, wires not. Weights that are
  inputs of a piece do not change.
- Between two sizes of a kind, what one adder (or one input) takes is interpolated over the
  logarithm of the size; beyond the last it stays.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from bitwright.eda.pieces import Table, load_table, pieces_of

Kind = Literal["sum", "merge", "match", "select", "compare", "register"]
KINDS: tuple[Kind, ...] = ("sum", "merge", "match", "select", "compare", "register")


@dataclass(frozen=True)
class Piece:
    """One piece of a datapath and what it costs.

    Parameters
    ----------
    kind
        ``sum``: adds up `size` numbers of `width` bits. ``merge``: a chain of `size` adders, each
        adding a number to the last one's sum. ``match``: counts the matches of `size` bits with
        weights that are inputs. ``select``: hands on one of `size` bits. ``compare``: a number of
        `size` bits with a constant. ``register``: holds one bit.
    adders
        Full adders, and half adders as one half each.
    area
        In the table's unit.
    delay_s
        From its inputs to its last output.
    energy_j
        Of one operation; of a register, of one cycle in which its bit changes with probability 1/2.
    luts
        Of a 7-series FPGA.
    """

    kind: Kind
    size: int
    width: int
    adders: float
    area: float
    delay_s: float
    energy_j: float
    luts: int

    @property
    def units(self) -> float:
        """What its cost is spread over: the adders of sums, else the size."""
        return self.adders if self.kind in ("sum", "merge") else self.size


@dataclass(frozen=True)
class Price:
    """Energy in joules, area in the table's unit, 7-series LUTs and flip-flops."""

    energy_j: float = 0.0
    area: float = 0.0
    luts: float = 0.0
    flip_flops: float = 0.0

    def __add__(self, other: Price) -> Price:
        return Price(
            self.energy_j + other.energy_j,
            self.area + other.area,
            self.luts + other.luts,
            self.flip_flops + other.flip_flops,
        )

    def __mul__(self, count: float) -> Price:
        return Price(*(count * v for v in (self.energy_j, self.area, self.luts, self.flip_flops)))


@dataclass(frozen=True, eq=False)
class PieceTable(Table[Piece]):
    """All pieces of one library, and their prices."""

    @property
    def source(self) -> str:
        """What the numbers come from, in words."""
        return f"sum of {super().source}"

    @cached_property
    def _lines(self) -> dict[tuple[str, int], tuple[npt.NDArray[Any], npt.NDArray[Any]]]:
        """Sizes (logarithm) and what each unit takes, by kind and width."""
        found: dict[tuple[str, int], tuple[npt.NDArray[Any], npt.NDArray[Any]]] = {}
        for key in {(p.kind, p.width) for p in self.pieces}:
            own = sorted((p for p in self.pieces if (p.kind, p.width) == key), key=_size)
            values = [
                [p.energy_j / p.units, p.area / p.units, p.luts / p.units, p.delay_s] for p in own
            ]
            found[key] = np.log([p.size for p in own]), np.array(values)
        return found

    @cached_property
    def _known(self) -> dict[tuple[str, float, int], tuple[Price, float]]:
        """What was asked for before: layers ask for few sizes many times."""
        return {}

    def _at(self, kind: Kind, size: float, width: int) -> tuple[Price, float]:
        key = kind, size, width
        if key not in self._known:
            *price, delay = self._interpolated(kind, size, width)
            self._known[key] = Price(*price), delay
        return self._known[key]

    def _interpolated(self, kind: Kind, size: float, width: int) -> list[float]:
        widths = sorted(w for k, w in self._lines if k == kind)
        chosen = max((w for w in widths if w <= width), default=widths[0])
        sizes, values = self._lines[kind, chosen]
        at = np.log(max(size, 1))
        return [float(np.interp(at, sizes, column)) for column in values.T]

    def each(self, kind: Kind, size: float, width: int = 1) -> Price:
        """Return what one adder (or input) of a piece costs.

        Parameters
        ----------
        size
            Any, also between and beyond those of the table.
        width
            Of which the next smaller, else the smallest, in the table is taken.
        """
        return self._at(kind, size, width)[0]

    def delay(self, kind: Kind, size: float, width: int = 1) -> float:
        """Return the delay of a piece of any size, in seconds."""
        return self._at(kind, size, width)[1]

    def merged(self, depth: int) -> Price:
        """Return what one adder of the `depth`-th merge of a chain costs, `depth` from 1."""
        return self._merges[min(depth, len(self._merges)) - 1]

    @cached_property
    def _merges(self) -> list[Price]:
        deepest = max(p.size for p in self.pieces if p.kind == "merge")
        return [self._merge(depth + 1) for depth in range(deepest)]

    def _merge(self, depth: int) -> Price:
        chain = sorted((p for p in self.pieces if p.kind == "merge"), key=_size)
        before = replace(chain[0], size=0, adders=0.0, area=0.0, energy_j=0.0, luts=0)
        after = before
        for piece in chain:
            before, after = after, piece
            if piece.size >= depth:
                break
        added = after.adders - before.adders
        return Price(
            (after.energy_j - before.energy_j) / added,
            (after.area - before.area) / added,
            (after.luts - before.luts) / added,
        )

    @cached_property
    def held(self) -> Price:
        """What a bit of a register costs in a cycle."""
        (piece,) = (p for p in self.pieces if p.kind == "register")
        return Price(piece.energy_j, piece.area, 0.0, 1.0)


def _size(piece: Piece) -> int:
    return piece.size


def load_pieces(name: str) -> PieceTable:
    """Return a table that ships ("asap7"), or of a file.

    Raises
    ------
    ConfigError
        If there is no such file, or it is no table of pieces.
    """
    return load_table(name, __package__, "bitwright study reuse-pieces", _table)


def _table(fields: dict[str, Any]) -> PieceTable:
    pieces = pieces_of(fields.pop("pieces"), Piece, KINDS)
    for piece in pieces:
        if not piece.units > 0:
            raise ValueError(f"a number of '{piece.kind}' {piece.size} is out of range")
    return PieceTable(pieces=pieces, **fields)
