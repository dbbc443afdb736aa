"""Exact counting by full-adder column compression.

A column holds bits of one weight. A full adder takes three of them and leaves one, and one in the
next column; a half adder does so with two. A count of n bits takes n - (floor(log2 n) + 1) full
adders plus a few half adders: n = 9 takes 5 and 2, n = 576 takes 566 and 8, n = 1,152 takes 1,141
and 9. The bits that have arrived first are added first, so the depth grows with log n
(C. S. Wallace, A suggestion for a fast multiplier, IEEE Trans. Electronic Computers 13 (1964)).
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence

from bitwright.circuits.builder import Builder
from bitwright.circuits.circuit import Circuit

Columns = Mapping[int, Sequence[int]]
"""Wires by the exponent of their weight: those at i weigh 2**i."""

Number = list[tuple[int, int]]
"""Outputs as pairs of wire and weight, the weights different powers of two in ascending order."""


def count_by_columns(inputs: int) -> Circuit:
    """Return the exact count of `inputs` bits by full and half adders."""
    builder = Builder(inputs)
    return builder.finish(compress(builder, {0: range(inputs)}))


def compress(builder: Builder, columns: Columns) -> Number:
    """Add full and half adders until each column holds one bit.

    Parameters
    ----------
    builder
        Where the adders go.
    columns
        The bits to add up.

    Returns
    -------
    number
        The sum, as pairs of wire and weight; a column that stays empty is left out.
    """
    waiting = {exponent: list(wires) for exponent, wires in columns.items() if wires}
    number = []
    while waiting:
        exponent = min(waiting)
        queue = [(builder.level[wire], wire) for wire in waiting.pop(exponent)]
        heapq.heapify(queue)
        carries = []
        while len(queue) > 1:
            kind, taken = ("FA", 3) if len(queue) > 2 else ("HA", 2)
            total, carry = builder.adder(kind, *(heapq.heappop(queue)[1] for _ in range(taken)))
            heapq.heappush(queue, (builder.level[total], total))
            carries.append(carry)
        number.append((queue[0][1], 1 << exponent))
        if carries:
            waiting.setdefault(exponent + 1, []).extend(carries)
    return number
