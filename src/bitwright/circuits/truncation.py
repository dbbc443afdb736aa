"""Truncation: drop the low-order sum bits of a count.

What is left of their columns are the carries. The last full adder of such a column becomes a
majority gate; the others keep their sums, which the carries need.
"""

from __future__ import annotations

from dataclasses import replace

from bitwright.circuits.circuit import Circuit
from bitwright.circuits.prune import prune
from bitwright.errors import CircuitError


def truncate(circuit: Circuit, bits: int, centre: bool = False) -> Circuit:
    """Return the circuit without its `bits` outputs of least weight.

    Parameters
    ----------
    circuit
        A circuit whose value is a count.
    bits
        How many outputs to drop; at least one must stay.
    centre
        Whether to add half the weight of what was dropped, rounded down, so that the value is
        unbiased where the dropped bits are 0 and 1 equally often.

    Raises
    ------
    CircuitError
        If there are not more outputs than `bits`.
    """
    if not 0 <= bits < len(circuit.outputs) or circuit.is_bit:
        raise CircuitError(
            f"{bits} of {len(circuit.outputs)} outputs cannot be dropped",
            "drop at least 0 outputs of a count, and leave one",
        )
    ordered = sorted(circuit.outputs, key=lambda output: abs(output.weight))
    dropped, kept = ordered[:bits], set(ordered[bits:])
    lost = sum(output.weight for output in dropped) // 2 if centre else 0
    return prune(
        replace(
            circuit,
            outputs=tuple(output for output in circuit.outputs if output in kept),
            offset=circuit.offset + lost,
        )
    )
