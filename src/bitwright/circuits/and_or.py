"""Approximate counting with a first level of AND-OR gates, then levels of majorities.

A gate of four inputs, ab + cd or its dual (a + b)(c + d), is one complex cell of eight transistors
in CMOS, where four inputs of majorities take thirteen, and an input drives one pair of transistors
where a majority's drives two. It says less than a majority about its inputs, but reduces four of
them to one: at independent inputs of density 1/2 its correlation with their count is 0.756, that
of majorities at the same reduction 0.834. Gates and duals alternate, so that together they are
unbiased.

Source: our own; the sequence of levels is that of `bitwright.circuits.majority`.
"""

from __future__ import annotations

from collections import Counter

from bitwright.circuits.builder import Builder
from bitwright.circuits.circuit import Circuit
from bitwright.circuits.columns import compress

SIZES = (2, 4)


def count_by_and_or(inputs: int, size: int = 4, levels: int = 1) -> Circuit:
    """Return a count whose first level is AND-OR gates.

    Parameters
    ----------
    inputs
        The number of input bits.
    size
        The inputs of a gate: 4 for ab + cd and (a + b)(c + d), 2 for ab and a + b.
    levels
        How many levels of majorities of three come after it.

    Returns
    -------
    Circuit
        With a divisor of 3 for gates of four: such a gate's output moves by 3/8 for each input, so
        it stands for 8/3 of a count.

    Notes
    -----
    Groups are of consecutive inputs; bits that do not fill a group go on exactly.
    """
    builder = Builder(inputs)
    gates = inputs // size
    one = 3 if size == 4 else 1
    weight = 8 if size == 4 else 2
    left: list[tuple[int, int]] = [(wire, one) for wire in range(gates * size, inputs)]
    wires = [
        _gate(builder, range(k * size, (k + 1) * size), dual=bool(k % 2)) for k in range(gates)
    ]
    for _ in range(levels):
        groups = len(wires) // 3
        left += [(wire, weight) for wire in wires[groups * 3 :]]
        wires = [builder.gate("MAJ3", *wires[3 * k : 3 * k + 3]) for k in range(groups)]
        weight *= 2
    columns: dict[int, list[int]] = {}
    for wire, value in [*left, *((wire, weight) for wire in wires)]:
        for bit in range(value.bit_length()):
            if value >> bit & 1:
                columns.setdefault(bit, []).append(wire)
    outputs: Counter[int] = Counter()
    for wire, value in compress(builder, columns):
        outputs[wire] += value
    circuit = builder.finish(outputs.items())
    return circuit.scale(1, one) if one > 1 else circuit


def _gate(builder: Builder, wires: range, *, dual: bool) -> int:
    inner, outer = ("OR2", "AND2") if dual else ("AND2", "OR2")
    if len(wires) == 2:
        return builder.gate(inner, *wires)
    a, b, c, d = wires
    return builder.gate(outer, builder.gate(inner, a, b), builder.gate(inner, c, d))
