"""Wires that are digits of one sum.

Bits b_i of different weights 2**i have a sum V = sum(2**i b_i), and V has the bits: b_i is bit i
of V. If adders alone lie between some wires and the terms below, V is a weighted sum of those
terms, so that its distribution decides the wires. A gate that is half of an adder counts too: a
majority is a full adder without its sum, which is one more digit as long as no other has its
weight.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bitwright.circuits.linear import Structure

ADDERS, SUMS, CARRIES = ("HA", "FA"), ("XOR2", "XOR3"), ("AND2", "MAJ3")
HALVES = (*ADDERS, *SUMS, *CARRIES)
MOST_DIGITS = 32
_BASE = 24  # weights start here, so that halves of adders can lie below


@dataclass(frozen=True)
class Digits:
    """Wires as bits of a sum V.

    Parameters
    ----------
    places
        For each wire which bit of V it is.
    offset, terms
        V is ``offset + sum(weight * wire)`` over terms below those wires.
    """

    places: Mapping[int, int]
    offset: int
    terms: Mapping[int, int]


def find_digits(structure: Structure, terms: Mapping[int, int]) -> Iterator[Digits]:
    """Yield digits that all wires of `terms` follow from.

    Gates that are not adders, as in a comparison with a threshold, are passed on the way down one
    by one, the last first.
    """
    cut = set(terms)
    while len(cut) <= MOST_DIGITS:
        for exponents in _exponents(structure, cut):
            found = _digits(structure, exponents)
            if found is not None:
                yield found
        passable = [
            wire
            for wire in cut
            if (cell := structure.cell[wire]) is not None and cell.kind not in ADDERS
        ]
        if not passable:
            return
        wire = max(passable)
        cut.remove(wire)
        cell = structure.cell[wire]
        cut.update(cell.inputs if cell is not None else ())


def _exponents(structure: Structure, cut: set[int]) -> Iterator[dict[int, int]]:
    """Yield guesses of the weights of wires: different powers of two.

    An adder's inputs and its sum have one weight, its carry the next. The second guess holds halves
    of adders for adders.
    """
    wires = sorted(cut)
    if len(wires) == 1:
        yield {wires[0]: 0}
        return
    for kinds in (ADDERS, HALVES):
        level = _levels(structure, wires, kinds)
        if level is not None and len(set(level.values())) == len(level):
            least = min(level.values())
            yield {wire: exponent - least for wire, exponent in level.items()}


def _levels(
    structure: Structure, wires: list[int], kinds: tuple[str, ...]
) -> dict[int, int] | None:
    """Return the weights' exponents of wires as adders relate them, or None if they do not."""
    near: dict[int, list[tuple[int, int]]] = {}

    def relate(a: int, b: int, step: int) -> None:
        near.setdefault(a, []).append((b, step))
        near.setdefault(b, []).append((a, -step))

    for wire in range(structure.circuit.inputs, len(structure.cell)):
        cell = structure.cell[wire]
        if cell is not None and cell.kind in kinds:
            above = wire > structure.first[wire] or cell.kind in CARRIES
            for source in cell.inputs:
                relate(source, wire, int(above))
    level = {wires[0]: 0}
    waiting = [wires[0]]
    while waiting:
        wire = waiting.pop()
        for other, step in near.get(wire, ()):
            if other not in level:
                level[other] = level[wire] + step
                waiting.append(other)
    return {wire: level[wire] for wire in wires} if all(w in level for w in wires) else None


def _digits(structure: Structure, exponents: Mapping[int, int]) -> Digits | None:
    """Return the digits if V, with these weights, is a sum of terms below its wires."""
    places = {wire: _BASE + exponent for wire, exponent in exponents.items()}
    taken = {1 << place for place in places.values()}
    weights = {wire: 1 << place for wire, place in places.items()}
    waiting = [-wire for wire in weights]
    heapq.heapify(waiting)
    kept: dict[int, int] = {}
    offset = 0
    while waiting:
        wire = -heapq.heappop(waiting)
        weight = weights.pop(wire, 0)
        cell, first = structure.cell[wire], structure.first[wire]
        if not weight:
            continue
        if cell is None:
            kept[wire] = weight
            continue
        if cell.kind == "CONST1":
            offset += weight
        if cell.kind in ("CONST0", "CONST1"):
            continue
        carry = cell.kind in CARRIES or (cell.kind in ADDERS and wire > first)
        unit = weight // 2 if carry else weight
        if carry and wire > first and weight == 2 * unit == 2 * weights.get(first, 0):
            del weights[first]  # w sum + 2 w carry = w (a + b + c)
        else:
            # One more digit: the sum that goes with a carry, or the carry that goes with a sum.
            digit = unit if carry else 2 * unit
            alone = cell.kind in (*SUMS, *CARRIES) or not weights.get(first)
            new = digit & (digit - 1) == 0 and digit not in taken
            if cell.kind not in HALVES or weight != unit * (1 + carry) or not (alone and new):
                if wire in places:
                    return None
                kept[wire] = weight
                continue
            taken.add(digit)
        for source in cell.inputs:
            if source not in weights:
                weights[source] = 0
                heapq.heappush(waiting, -source)
            weights[source] += unit
    return Digits(places, offset, kept)
