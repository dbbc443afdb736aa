"""Input vectors for circuits, and what a circuit makes of them: the other side of every check."""

from __future__ import annotations

import numpy as np

from bitwright.circuits import Circuit
from bitwright.circuits.evaluate import evaluate_wires, slice_bits, unslice_bits
from bitwright.eda.logic import Bits
from bitwright.errors import ConfigError

CHUNK = 1 << 14
"""Vectors evaluated together; bounds the memory that wires take."""


def random_vectors(inputs: int, count: int, seed: int) -> Bits:
    """Return vectors of independent bits that are 1 half of the time, of shape (count, inputs).

    Raises
    ------
    ConfigError
        If there are no vectors, or the seed is negative.
    """
    if count < 1 or seed < 0:
        raise ConfigError(
            f"{count} vectors of seed {seed} cannot be drawn", "give at least one, and a seed >= 0"
        )
    octets = np.random.default_rng(seed).integers(0, 256, (count, -(-inputs // 8)), np.uint8)
    return np.unpackbits(octets, axis=1, count=inputs).astype(np.bool_)


def expected_outputs(circuit: Circuit, vectors: Bits) -> Bits:
    """Return the bits of a circuit's outputs, of shape (vectors, outputs).

    Parameters
    ----------
    vectors
        Of shape (vectors, inputs).
    """
    found = np.empty((len(vectors), len(circuit.outputs)), np.bool_)
    for start in range(0, len(vectors), CHUNK):
        chunk = vectors[start : start + CHUNK]
        wires = evaluate_wires(circuit, slice_bits(chunk))
        for index, output in enumerate(circuit.outputs):
            found[start : start + CHUNK, index] = unslice_bits(wires[output.wire], len(chunk))
    return found
