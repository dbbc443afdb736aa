"""Popcount and comparison with a fixed threshold in one circuit: the neuron's bit.

With the value as a binary number B and the threshold T, ``B >= T`` is one gate a bit, from the
lowest bit up: where T has a 1, B must have a 1 and be at least T below (AND); where T has a 0,
either is enough (OR). The bits of B below the lowest 1 of T are not needed at all.
"""

from __future__ import annotations

from dataclasses import replace

from bitwright.circuits.builder import Builder, extend
from bitwright.circuits.circuit import Circuit
from bitwright.circuits.columns import Number, compress
from bitwright.circuits.linear import value_range
from bitwright.circuits.prune import prune
from bitwright.errors import CircuitError


def compare(circuit: Circuit, threshold: int) -> Circuit:
    """Return the circuit whose one output is ``value >= threshold``.

    Parameters
    ----------
    circuit
        A circuit whose value is a count.
    threshold
        In units of the value: times the divisor if that is not 1.

    Notes
    -----
    Weights that are not different powers of two (times a common factor) are added up first; a
    negative one counts the inverted wire. What the bit does not need is pruned.

    Raises
    ------
    CircuitError
        If the value is a bit already.
    """
    if circuit.is_bit:
        raise CircuitError("the circuit's value is a bit already", "compare a count")
    builder = extend(circuit)
    bounds = value_range(circuit)
    if threshold <= bounds.least or threshold > bounds.greatest:
        bit = builder.gate("CONST1" if threshold <= bounds.least else "CONST0")
    else:
        number, least = _as_number(builder, circuit)
        bit = at_least(builder, number, threshold - least)
    return prune(replace(builder.finish([(bit, 1)], is_bit=True), divisor=1))


def _as_number(builder: Builder, circuit: Circuit) -> tuple[Number, int]:
    """Return a binary number and what to add to it for the circuit's value."""
    least, terms = circuit.offset, []
    for output in circuit.outputs:
        wire, weight = output.wire, output.weight
        if weight < 0:
            # -w x = w (1 - x) - w
            wire, weight, least = builder.gate("NOT", wire), -weight, least + weight
        if weight:
            terms.append((wire, weight))
    columns: dict[int, list[int]] = {}
    for wire, weight in terms:
        for exponent in range(weight.bit_length()):
            if weight >> exponent & 1:
                columns.setdefault(exponent, []).append(wire)
    return compress(builder, columns), least


def at_least(builder: Builder, number: Number, threshold: int) -> int:
    """Return a wire that is 1 where `number` is at least `threshold`.

    Parameters
    ----------
    builder
        Where the gates go.
    number
        Wires with different powers of two as weights, ascending, as `compress` returns them.
    threshold
        Any integer.
    """
    if threshold <= 0:
        return builder.gate("CONST1")
    if threshold > sum(weight for _, weight in number):
        return builder.gate("CONST0")
    weights = {weight: wire for wire, weight in number}
    top = max(*weights, threshold)
    result: int | None = None  # None: 1, whatever the bits so far
    for exponent in range(top.bit_length()):
        wire, wanted = weights.get(1 << exponent), threshold >> exponent & 1
        if wire is None:
            # The number's bit is 0. Where 1 is wanted, only a higher bit can make up for it.
            result = builder.gate("CONST0") if wanted else result
        elif wanted:
            result = wire if result is None else builder.gate("AND2", wire, result)
        elif result is not None:
            result = builder.gate("OR2", wire, result)
    return builder.gate("CONST1") if result is None else result
