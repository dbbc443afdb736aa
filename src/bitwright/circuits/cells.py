"""The kinds of cells that a circuit is made of, and what each computes.

Requirements:

- A cell has at most three inputs: every function here is one vector instruction or two, one small
  standard cell, half a LUT6.
- Functions are bitwise, on words of any width: 64 samples ride in a ``uint64``.
- Full and half adders are cells of their own, with two outputs. Synthesis that sees only their
  gates builds them twice as big, and their weighted sum is what error statistics reason with.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Words = Any
"""Bit-sliced samples: a ``uint64`` array or scalar, one sample a bit."""

ZERO = np.uint64(0)
ONES = ~ZERO


@dataclass(frozen=True)
class Kind:
    """A kind of cell.

    Parameters
    ----------
    name
        How circuits call it.
    fan_in, fan_out
        Its number of inputs and outputs. Adders put out the sum, then the carry.
    function
        Words of the inputs to words of the outputs.
    """

    name: str
    fan_in: int
    fan_out: int
    function: Callable[..., tuple[Words, ...]]


def majority(a: Words, b: Words, c: Words) -> Words:
    """Return for each bit whether at least two of three are 1."""
    return (a & b) | (c & (a | b))


KINDS = {
    kind.name: kind
    for kind in (
        Kind("CONST0", 0, 1, lambda: (ZERO,)),
        Kind("CONST1", 0, 1, lambda: (ONES,)),
        Kind("NOT", 1, 1, lambda a: (~a,)),
        Kind("AND2", 2, 1, lambda a, b: (a & b,)),
        Kind("OR2", 2, 1, lambda a, b: (a | b,)),
        Kind("XOR2", 2, 1, lambda a, b: (a ^ b,)),
        Kind("NAND2", 2, 1, lambda a, b: (~(a & b),)),
        Kind("NOR2", 2, 1, lambda a, b: (~(a | b),)),
        Kind("XNOR2", 2, 1, lambda a, b: (~(a ^ b),)),
        Kind("AND3", 3, 1, lambda a, b, c: (a & b & c,)),
        Kind("OR3", 3, 1, lambda a, b, c: (a | b | c,)),
        Kind("XOR3", 3, 1, lambda a, b, c: (a ^ b ^ c,)),
        Kind("NAND3", 3, 1, lambda a, b, c: (~(a & b & c),)),
        Kind("NOR3", 3, 1, lambda a, b, c: (~(a | b | c),)),
        Kind("XNOR3", 3, 1, lambda a, b, c: (~(a ^ b ^ c),)),
        Kind("MAJ3", 3, 1, lambda a, b, c: (majority(a, b, c),)),
        # select, value if it is 1, value if it is 0
        Kind("MUX2", 3, 1, lambda s, a, b: ((s & a) | (~s & b),)),
        Kind("HA", 2, 2, lambda a, b: (a ^ b, a & b)),
        Kind("FA", 3, 2, lambda a, b, c: (a ^ b ^ c, majority(a, b, c))),
    )
}
"""Every kind by name."""

ROWS = tuple(
    np.uint64(word) for word in (0xAAAAAAAAAAAAAAAA, 0xCCCCCCCCCCCCCCCC, 0xF0F0F0F0F0F0F0F0)
)
"""The inputs of a truth table: bit r of word i is bit i of the row number r."""


def truth_table(kind: Kind) -> tuple[int, ...]:
    """Return for each output an integer whose bit r is its value in row r.

    In row r, input i is bit i of r.
    """
    mask = (1 << (1 << kind.fan_in)) - 1
    return tuple(int(word) & mask for word in kind.function(*ROWS[: kind.fan_in]))


@dataclass(frozen=True)
class Match:
    """A kind that computes given truth tables.

    Parameters
    ----------
    kind
        Its name.
    inputs
        For each input of the kind, which variable of the tables goes there.
    outputs
        For each output of the kind, which table it computes.
    """

    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def _row(row: int, order: Sequence[int]) -> int:
    """Return the row whose variable ``order[i]`` is bit i of `row`."""
    return sum(((row >> i) & 1) << variable for i, variable in enumerate(order))


def _matches() -> dict[tuple[int, tuple[int, ...]], Match]:
    found: dict[tuple[int, tuple[int, ...]], Match] = {}
    for kind in KINDS.values():
        own = truth_table(kind)
        for inputs in itertools.permutations(range(kind.fan_in)):
            tables = [
                sum(((table >> r) & 1) << _row(r, inputs) for r in range(1 << kind.fan_in))
                for table in own
            ]
            for outputs in itertools.permutations(range(kind.fan_out)):
                key = (kind.fan_in, tuple(tables[outputs.index(i)] for i in range(kind.fan_out)))
                found.setdefault(key, Match(kind.name, inputs, outputs))
    return found


_MATCHES = _matches()


def match(fan_in: int, tables: Sequence[int]) -> Match | None:
    """Return the kind that computes `tables` of `fan_in` variables, or None.

    Tables are as in `truth_table`; inputs and outputs may come in any order.
    """
    return _MATCHES.get((fan_in, tuple(tables)))
