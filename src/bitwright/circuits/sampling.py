"""The joint distribution of count and value from samples: random inputs, or a layer's real ones.

`joint` takes the exact one where there is one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from bitwright.circuits.circuit import Circuit
from bitwright.circuits.evaluate import evaluate
from bitwright.circuits.exact_joint import exact_joint
from bitwright.circuits.statistics import Joint
from bitwright.errors import CircuitError

CHUNK = 1 << 12
"""Samples drawn and evaluated together; bounds the memory that random numbers take."""

SAMPLES = 100_000
"""Random inputs that stand for all where the distribution cannot be had exactly."""

Tally = dict[int, npt.NDArray[np.int64]]


def joint(circuit: Circuit) -> Joint:
    """Return the joint distribution of value and count at independent inputs of density 1/2.

    It is exact where that can be had, otherwise from `SAMPLES` samples of a fixed seed.
    """
    try:
        return exact_joint(circuit)
    except CircuitError:  # its inputs meet in too many ways
        return sampled_joint(circuit, SAMPLES, np.random.default_rng(0))


def sampled_joint(
    circuit: Circuit,
    samples: int,
    rng: np.random.Generator,
    p: float | Iterable[float] = 0.5,
) -> Joint:
    """Return the joint distribution of value and count at independent random inputs.

    Parameters
    ----------
    circuit
        The circuit.
    samples
        How many samples to draw, at least 1.
    rng
        Where they come from.
    p
        The probability that an input is 1, of all or one for each.

    Raises
    ------
    CircuitError
        If there are no samples, or a probability is out of range.
    """
    rates = np.broadcast_to(np.asarray(p, np.float64), (circuit.inputs,))
    if samples < 1 or not ((rates >= 0) & (rates <= 1)).all():
        raise CircuitError(
            "no samples, or a probability that is not in 0..1", "draw at least one sample"
        )
    tally: Tally = {}
    for start in range(0, samples, CHUNK):
        count = min(CHUNK, samples - start)
        _add(tally, circuit, rng.random((count, circuit.inputs)) < rates)
    return _joint(tally, circuit, samples)


def data_joint(circuit: Circuit, bits: Any) -> Joint:
    """Return the joint distribution of value and count on given inputs.

    Parameters
    ----------
    circuit
        The circuit.
    bits
        Bools, or integers 0 and 1, of shape (..., inputs), with at least one sample.

    Raises
    ------
    CircuitError
        If there are no samples, or they do not fit the circuit.
    """
    array = np.asarray(bits)
    if array.ndim < 1 or not array.size:
        raise CircuitError("there are no samples", "give bits of shape (samples, inputs)")
    flat = array.reshape(-1, array.shape[-1])
    tally: Tally = {}
    for start in range(0, len(flat), CHUNK):
        _add(tally, circuit, flat[start : start + CHUNK])
    return _joint(tally, circuit, len(flat))


def _add(tally: Tally, circuit: Circuit, bits: npt.NDArray[Any]) -> None:
    values = evaluate(circuit, bits)
    counts = bits.sum(1, dtype=np.int64)
    for value in np.unique(values):
        found = np.bincount(counts[values == value], minlength=circuit.inputs + 1)
        tally[int(value)] = tally.get(int(value), 0) + found


def _joint(tally: Tally, circuit: Circuit, samples: int) -> Joint:
    values = sorted(tally)
    p = np.stack([tally[value] for value in values]) / samples
    return Joint(np.array(values, np.int64), p, circuit.divisor, samples)
