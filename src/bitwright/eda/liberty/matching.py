"""Finding cells by what they compute, not by what they are called.

ASAP7's full adder gives both its outputs inverted, its majority gate too, OSU's adders give them
straight, and IHP has none: each is found from its truth tables, up to the order of the pins and
inversions.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import permutations, product

from bitwright.eda.liberty.cells import Cell
from bitwright.eda.liberty.library import Library
from bitwright.errors import LibertyError

_INVERTER = 0b01


@dataclass(frozen=True)
class Match:
    """A cell that computes a function up to inversions.

    Parameters
    ----------
    inputs, outputs
        The cell's pin for each input and output of the function.
    inverted_inputs, inverted_outputs
        Whether the cell wants that input inverted, and gives that output inverted.
    """

    cell: Cell
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    inverted_inputs: tuple[bool, ...]
    inverted_outputs: tuple[bool, ...]


def matches(cells: Iterable[Cell], tables: Sequence[int], inputs: int) -> tuple[Match, ...]:
    """Find the cells that compute a function up to the order of pins and inversions.

    Parameters
    ----------
    cells
        Where to look; combinational cells.
    tables
        The truth table of each output: bit i is its value where input j has bit j of i.
    inputs
        How many inputs the function has.

    Returns
    -------
    tuple of Match
        For each combination of inversions the cell of the smallest area (then of the first name);
        the smallest first.
    """
    best: dict[tuple[tuple[bool, ...], tuple[bool, ...]], Match] = {}
    for cell in sorted(cells, key=lambda cell: (cell.area, cell.name)):
        if len(cell.inputs) == inputs and len(cell.outputs) == len(tables):
            for match in _of(cell, tables):
                best.setdefault((match.inverted_inputs, match.inverted_outputs), match)
    return tuple(best.values())


def smallest_inverter(library: Library) -> Cell:
    """Return the library's smallest inverter.

    Raises
    ------
    LibertyError
        If it has none.
    """
    for match in matches(library.usable(), [_INVERTER], 1):
        if match.inverted_inputs == match.inverted_outputs == (False,):
            return match.cell
    raise LibertyError(f"library {library.name} has no inverter", "give a complete library")


def _of(cell: Cell, tables: Sequence[int]) -> Iterable[Match]:
    count = len(cell.inputs)
    size = 1 << count
    for inverted in product((False, True), repeat=count):
        for order in permutations(range(count)):
            # Where the function's inputs are i, the cell's are at[i].
            at = [
                sum(((i >> j & 1) ^ inverted[j]) << order[j] for j in range(count))
                for i in range(size)
            ]
            seen = {
                name: sum((table >> at[i] & 1) << i for i in range(size))
                for name, table in cell.tables.items()
            }
            for outputs in permutations(cell.outputs):
                differ = [seen[name] ^ table for name, table in zip(outputs, tables, strict=True)]
                if all(difference in (0, (1 << size) - 1) for difference in differ):
                    yield Match(
                        cell,
                        tuple(cell.inputs[order[j]] for j in range(count)),
                        outputs,
                        inverted,
                        tuple(difference != 0 for difference in differ),
                    )
                    break
