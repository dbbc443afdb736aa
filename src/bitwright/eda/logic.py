"""Bit-parallel simulation of a netlist: 64 input vectors a word, without delays.

The cells' functions come from the Liberty file, so this checks what the tools made of a circuit
against what it should do, by nothing that the tools said.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bitwright.eda.netlist import Netlist
from bitwright.errors import CircuitError

Words = npt.NDArray[np.uint64]
Bits = npt.NDArray[np.bool_]

_ONES = np.uint64(0xFFFF_FFFF_FFFF_FFFF)


def pack(bits: Bits) -> Words:
    """Pack bools of shape (vectors, nets) into words of shape (nets, words); the rest is 0."""
    vectors, nets = bits.shape
    packed = np.zeros((nets, 8 * -(-vectors // 64)), np.uint8)
    packed[:, : -(-vectors // 8)] = np.packbits(bits.T, axis=1, bitorder="little")
    return packed.view("<u8").astype(np.uint64, copy=False)


def unpack(words: Words, vectors: int) -> Bits:
    """Unpack words of shape (nets, words) into bools of shape (vectors, nets)."""
    octets = np.ascontiguousarray(words).astype("<u8", copy=False).view(np.uint8)
    return np.unpackbits(octets, axis=1, count=vectors, bitorder="little").T.astype(np.bool_)


def simulate(netlist: Netlist, inputs: Bits) -> Words:
    """Return the value of every net for every input vector.

    Parameters
    ----------
    inputs
        Of shape (vectors, inputs), in the order of `Netlist.input_nets`.

    Returns
    -------
    array
        Packed, of shape (nets, words); bits behind the last vector are undefined.

    Raises
    ------
    CircuitError
        If the vectors are not of the design's width.
    """
    if inputs.ndim != 2 or inputs.shape[1] != len(netlist.input_nets):
        raise CircuitError(
            f"vectors of shape {inputs.shape} for {len(netlist.input_nets)} inputs of "
            f"{netlist.name}",
            "give one column an input",
        )
    words = pack(inputs)
    values = np.zeros((netlist.nets, words.shape[1]), np.uint64)
    values[1] = _ONES
    values[list(netlist.input_nets)] = words
    for instance in netlist.instances:
        seen = {pin: values[instance.nets[pin]] for pin in instance.cell.inputs}
        for pin in instance.cell.outputs:
            if pin in instance.nets:
                value = instance.cell.function(pin).evaluate(seen, _ONES)
                values[instance.nets[pin]] = value
    return values


def outputs(netlist: Netlist, inputs: Bits) -> Bits:
    """Return the output bits for every input vector, of shape (vectors, outputs).

    Raises
    ------
    CircuitError
        If the vectors are not of the design's width.
    """
    return unpack(simulate(netlist, inputs)[list(netlist.output_nets)], len(inputs))


def check_outputs(netlist: Netlist, inputs: Bits, expected: Bits) -> None:
    """Refuse a netlist that does not compute what it should.

    Parameters
    ----------
    inputs
        Of shape (vectors, inputs).
    expected
        Of shape (vectors, outputs), in the order of `Netlist.output_nets`.

    Raises
    ------
    CircuitError
        If the shapes do not fit, or an output differs; the message names the first.
    """
    if expected.shape != (len(inputs), len(netlist.output_nets)):
        raise CircuitError(
            f"expected values of shape {expected.shape} for {len(inputs)} vectors of "
            f"{len(netlist.output_nets)} outputs of {netlist.name}",
            "give one column an output",
        )
    found = outputs(netlist, inputs)
    if not np.array_equal(found, expected):
        vector, bit = np.argwhere(found != expected)[0]
        wrong = int(np.any(found != expected, axis=1).sum())
        raise CircuitError(
            f"{netlist.name} differs from its circuit in {wrong} of {len(inputs)} vectors, first "
            f"in bit {bit} of vector {vector} ({int(found[vector, bit])}, not "
            f"{int(expected[vector, bit])})",
            "report this: the mapped netlist is wrong",
        )
