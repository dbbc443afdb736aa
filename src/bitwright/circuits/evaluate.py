"""What a circuit computes: the reference evaluator, cell by cell in plain NumPy.

Every faster way to run a circuit must equal this one bit for bit. Samples are bit-sliced: sample s
is bit ``s % 64`` of word ``s // 64``, so a gate costs one operation for 64 samples.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from bitwright.circuits.cells import KINDS
from bitwright.circuits.circuit import Circuit
from bitwright.errors import CircuitError

CHUNK = 1 << 14
"""Samples evaluated together; bounds the memory that wires take."""

Words = npt.NDArray[np.uint64]


def evaluate(circuit: Circuit, bits: Any) -> npt.NDArray[np.int64]:
    """Return the circuit's value for each sample.

    Parameters
    ----------
    circuit
        The circuit.
    bits
        Bools, or integers 0 and 1, of shape (..., inputs).

    Returns
    -------
    values
        int64 of shape (...): ``offset + sum(weight * wire)``, not yet divided by the divisor.

    Raises
    ------
    CircuitError
        If `bits` have another shape or other values.
    """
    samples = _check(circuit, bits)
    flat = samples.reshape(-1, circuit.inputs)
    values = np.empty(len(flat), np.int64)
    for start in range(0, len(flat), CHUNK):
        chunk = flat[start : start + CHUNK]
        wires = evaluate_wires(circuit, slice_bits(chunk))
        value = np.full(len(chunk), circuit.offset, np.int64)
        for output in circuit.outputs:
            value += output.weight * unslice_bits(wires[output.wire], len(chunk))
        values[start : start + CHUNK] = value
    return values.reshape(samples.shape[:-1])


def _check(circuit: Circuit, bits: Any) -> npt.NDArray[np.bool_]:
    array = np.asarray(bits)
    if array.ndim < 1 or array.shape[-1] != circuit.inputs:
        raise CircuitError(
            f"bits of shape {array.shape} do not fit a circuit of {circuit.inputs} inputs",
            f"give bits of shape (..., {circuit.inputs})",
        )
    if array.dtype != np.bool_:
        if not np.isin(array, (0, 1)).all():
            raise CircuitError("an input is neither 0 nor 1", "give bools, or integers 0 and 1")
        array = array.astype(np.bool_)
    return array


def evaluate_wires(circuit: Circuit, words: Words) -> list[Words]:
    """Return every wire of the circuit as words, the inputs first.

    Parameters
    ----------
    circuit
        The circuit.
    words
        (inputs, words), bit-sliced samples as `slice_bits` returns them.

    Returns
    -------
    wires
        For each wire its words, in the order of wire numbers. Bits beyond the last sample mean
        nothing.
    """
    wires: list[Words] = list(words)
    for cell in circuit.cells:
        results = KINDS[cell.kind].function(*(wires[wire] for wire in cell.inputs))
        wires += [np.broadcast_to(word, words.shape[1:]) for word in results]
    return wires


def slice_bits(samples: npt.NDArray[np.bool_]) -> Words:
    """Return bools (samples, inputs) as words (inputs, ceil(samples / 64)), zeros at the end."""
    columns = np.zeros((samples.shape[1], -(-len(samples) // 64) * 64), np.bool_)
    columns[:, : len(samples)] = samples.T
    packed = np.packbits(columns, axis=1, bitorder="little")
    return packed.view("<u8").astype(np.uint64, copy=False)


def unslice_bits(words: Words, samples: int) -> npt.NDArray[np.bool_]:
    """Return the first `samples` bits of words (words,) as bools."""
    octets = np.ascontiguousarray(words).astype("<u8", copy=False).view(np.uint8)
    return np.unpackbits(octets, count=samples, bitorder="little").astype(np.bool_)
