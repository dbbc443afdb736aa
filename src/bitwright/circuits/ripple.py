"""Exact counting by a tree of ripple-carry adders: two numbers at a time, as RTL is often written.

It takes more half adders than column compression, and a carry that ripples at every level.
"""

from __future__ import annotations

from dataclasses import dataclass

from bitwright.circuits.builder import Builder
from bitwright.circuits.circuit import Circuit
from bitwright.circuits.prune import prune


@dataclass(frozen=True)
class _Number:
    """Wires of a number, lowest bit first, and the greatest value that it takes."""

    wires: tuple[int, ...]
    greatest: int


def count_by_ripple_tree(inputs: int) -> Circuit:
    """Return the exact count of `inputs` bits by a balanced tree of ripple-carry adders."""
    builder = Builder(inputs)
    numbers = [_Number((wire,), 1) for wire in range(inputs)]
    while len(numbers) > 1:
        pairs = zip(numbers[::2], numbers[1::2], strict=False)
        left = numbers[-1:] if len(numbers) % 2 else []
        numbers = [_add(builder, a, b) for a, b in pairs] + left
    return prune(builder.finish((wire, 1 << i) for i, wire in enumerate(numbers[0].wires)))


def _add(builder: Builder, a: _Number, b: _Number) -> _Number:
    """Return a + b; a top carry that cannot be 1 is not part of it."""
    greatest = a.greatest + b.greatest
    wires: list[int] = []
    carry: tuple[int, ...] = ()
    for i in range(max(len(a.wires), len(b.wires))):
        bits = (*a.wires[i : i + 1], *b.wires[i : i + 1], *carry)
        if len(bits) == 1:
            wires.append(bits[0])
            carry = ()
            continue
        total, above = builder.adder("FA" if len(bits) == 3 else "HA", *bits)
        wires.append(total)
        carry = (above,)
    wires += carry
    return _Number(tuple(wires[: greatest.bit_length()]), greatest)
