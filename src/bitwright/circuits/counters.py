"""Exact counting by 6:3 counters, which put the number of ones among six bits into three.

The counter sorts two halves of three bits into stacks and merges them, so no exclusive-or lies on
its slowest way: C. Fritz and A. T. Fam, Fast binary counters based on symmetric stacking, IEEE
Trans. VLSI Systems 25 (2017). Each of its three outputs is a function of six bits, one LUT6.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping

from bitwright.circuits.builder import Builder
from bitwright.circuits.circuit import Circuit
from bitwright.circuits.columns import compress
from bitwright.circuits.prune import prune


def count_by_counters(inputs: int) -> Circuit:
    """Return the exact count of `inputs` bits by 6:3 counters, then full and half adders."""
    builder = Builder(inputs)
    waiting = count_sixes(builder, {0: list(range(inputs))})
    number = compress(builder, waiting)
    # A wire that weighs more than all inputs together is never 1.
    return prune(builder.finish((wire, weight) for wire, weight in number if weight <= inputs))


def count_sixes(builder: Builder, waiting: Mapping[int, Iterable[int]]) -> dict[int, list[int]]:
    """Count bits of equal weight by sixes, the earliest first, until no weight has six.

    Parameters
    ----------
    waiting
        The wires to add up, by the exponent of their weight, without gaps from 0 on.

    Returns
    -------
    dict
        The wires that are left, in the same way.
    """
    left = {exponent: list(wires) for exponent, wires in waiting.items()}
    exponent = 0
    while exponent in left:
        queue = [(builder.level[wire], wire) for wire in left[exponent]]
        heapq.heapify(queue)
        while len(queue) >= 6:
            six = [heapq.heappop(queue)[1] for _ in range(6)]
            ones, twos, fours = counter63(builder, *six)
            heapq.heappush(queue, (builder.level[ones], ones))
            left.setdefault(exponent + 1, []).append(twos)
            left.setdefault(exponent + 2, []).append(fours)
        left[exponent] = [wire for _, wire in queue]
        exponent += 1
    return left


def counter63(
    builder: Builder, a: int, b: int, c: int, d: int, e: int, f: int
) -> tuple[int, int, int]:
    """Return the wires of weight 1, 2 and 4 that count six bits."""
    gate = builder.gate
    # How many of three are 1, as stacks: at least one, at least two, all three.
    left = [gate(kind, a, b, c) for kind in ("OR3", "MAJ3", "AND3")]
    right = [gate(kind, d, e, f) for kind in ("OR3", "MAJ3", "AND3")]
    # At least four are 1: one half has k of them and the other 4 - k or more.
    three_one = gate("AND2", left[2], right[0])
    two_two = gate("AND2", left[1], right[1])
    one_three = gate("AND2", left[0], right[2])
    fours = gate("OR3", three_one, two_two, one_three)
    at_least_two = gate("OR3", left[1], right[1], gate("AND2", left[0], right[0]))
    all_six = gate("AND2", left[2], right[2])
    # 2 and 3 have the bit of weight 2, 4 and 5 have not, 6 has it again.
    twos = gate("MUX2", fours, all_six, at_least_two)
    ones = gate("XOR2", gate("XOR3", a, b, c), gate("XOR3", d, e, f))
    return ones, twos, fours
