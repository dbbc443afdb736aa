"""Approximate counting by levels of majority gates.

Full adders are replaced by majority gates: the carry stays, the sum bit goes. Three bits
{0, 1, 2, 3} become 2*MAJ = {0, 0, 2, 2}, half a count too little on average, or, with not MAJ as
the sum, 1 + MAJ = {1, 1, 2, 2}, which is unbiased and says the same. The next level does it again
with the majorities; what is left is counted exactly.

Sources: approximation-aware BNNs with majority gates for full adders (Dave et al., IEEE JETCAS
2023). XNorMaj (MajorityNets, arXiv 2002.12900) counts the majorities of three XNORs: here the XNORs
come before the circuit, and its dot product is that of ``levels=1, gain=1``, since
2 * (G + M) - n = 2 M - G for G groups of three. Majorities of five by four majorities of three:
D. E. Knuth, The Art of Computer Programming 7.1.1.
"""

from __future__ import annotations

from collections.abc import Sequence

from bitwright.circuits.builder import Builder
from bitwright.circuits.circuit import Circuit
from bitwright.circuits.columns import compress
from bitwright.circuits.grouping import spread

ARITIES = (3, 5, 7)
GAINS = (1, 2)


def count_by_majority(
    inputs: int,
    levels: int = 1,
    arity: int = 3,
    gain: int = 2,
    share: float = 1.0,
    centre: bool = False,
) -> Circuit:
    """Return a count whose first levels are majority gates.

    Parameters
    ----------
    inputs
        The number of input bits.
    levels
        How many levels of majority gates; 0 counts exactly.
    arity
        The inputs of a majority: 3, 5 or 7.
    gain
        How much more a majority weighs than one of its inputs. 2 is the carry of a full adder.
        With 1 the majority takes the place of one of its inputs, and the offset makes up for
        the others: (arity - 1) / 2 a group.
    share
        The share of the inputs that go through the majorities, evenly spread; the rest is counted
        exactly.
    centre
        Whether to add what makes the value unbiased at a density of 1/2, rounded down: with gain 2
        half of (arity - 2) a group.

    Notes
    -----
    Groups are of consecutive inputs; bits that do not fill a group go on exactly.
    """
    builder = Builder(inputs)
    chosen = spread(inputs, round(share * inputs)) if levels else ()
    rest = set(range(inputs)).difference(chosen)
    columns: dict[int, list[int]] = {0: sorted(rest)}
    wires, exponent, twice_offset = list(chosen), 0, 0
    for _ in range(levels):
        groups = len(wires) // arity
        columns.setdefault(exponent, []).extend(wires[groups * arity :])
        whole = [tuple(wires[i * arity : (i + 1) * arity]) for i in range(groups)]
        wires = [majority(builder, group) for group in whole]
        if centre or gain == 1:
            twice_offset += (arity - gain) * groups << exponent
        exponent += gain - 1
    columns.setdefault(exponent, []).extend(wires)
    return builder.finish(compress(builder, columns), twice_offset // 2)


def majority(builder: Builder, wires: Sequence[int]) -> int:
    """Return the majority of 3, 5 or 7 wires."""
    if len(wires) == 3:
        return builder.gate("MAJ3", *wires)
    if len(wires) == 5:
        v, w, x, y, z = wires
        inner = builder.gate("MAJ3", w, x, builder.gate("MAJ3", w, y, z))
        return builder.gate("MAJ3", v, builder.gate("MAJ3", x, y, z), inner)
    a, b, c, d, e, f, g = wires
    first, two = builder.adder("FA", a, b, c)
    second, also_two = builder.adder("FA", d, e, f)
    carry = builder.gate("MAJ3", first, second, g)
    # 2 * (three carries) + a sum bit: four or more if two of the carries are 1.
    return builder.gate("MAJ3", two, also_two, carry)
