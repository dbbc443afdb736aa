"""Corrections that make up for circuits' errors on real inputs, layer by layer.

The exact network and the one with circuits go through the calibration images in step. Each layer
sees what the layers before it, their corrections already chosen, make of the images. So a layer
behind one with a circuit has its thresholds chosen too, even where it counts exactly itself.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from bitwright.circuits.jit import SAMPLES
from bitwright.native.circuit_graph import CircuitDot, dot_tables
from bitwright.native.sliced_stage import Stage
from bitwright.targets.majority import mitigate
from bitwright.targets.majority.networks import Network, set_all, twin

Array = npt.NDArray[Any]
Integers = npt.NDArray[np.int64]

SLAB = 2**22
"""Values that are looked at together."""


def calibrate(network: Network, images: Array, how: str) -> dict[str, Integers]:
    """Choose the thresholds, or the tables of dot products, of all layers.

    Parameters
    ----------
    network
        The network with circuits; what is chosen is set in it.
    images
        Calibration images (N, *input shape).
    how
        A calibrated mitigation of `bitwright.targets.majority.design.Config`, but "distilled".

    Returns
    -------
    dict
        By the names of the dot products what `Design` holds: thresholds (neurons,) or (classes of
        windows, neurons) of a chain, else tables (1 or neurons, values).
    """
    plain = twin(network)
    blocks = [images[start : start + SAMPLES] for start in range(0, len(images), SAMPLES)]
    every = [(network.enter(block), plain.enter(block)) for block in blocks]
    chosen: dict[str, Integers] = {}
    for index, stage in enumerate(network.stages):
        other = plain.stages[index]
        if isinstance(stage, Stage | CircuitDot) and isinstance(other, Stage | CircuitDot):
            tally = Tally(stage, other, how)
            for block, (own, true) in zip(blocks, every, strict=True):
                tally.add(_source(network, stage, own), _source(plain, other, true), len(block))
            chosen[stage.name] = _choose(stage, tally, how)
            set_all(network, {stage.name: chosen[stage.name]})
        for own, true in every:
            _step(network, index, own)
            _step(plain, index, true)
    return chosen


def _source(network: Any, stage: Stage | CircuitDot, values: dict[str, Array]) -> Array:
    return np.asarray(network.source(stage, values))


def _step(network: Any, index: int, values: dict[str, Array]) -> None:
    network.step(network.stages[index], values)


class Tally:
    """What `how` needs to know of a layer's values and the counts that they stand for.

    Border windows count as if they were inner ones, but for `samples` and `counts`.

    Parameters
    ----------
    stage, other
        The layer with its circuit, and with an exact one.
    how
        The mitigation.
    """

    def __init__(self, stage: Stage | CircuitDot, other: Stage | CircuitDot, how: str) -> None:
        self.layer, self.other, self.how = stage.layer, other.layer, how
        neurons, code = len(self.layer.weights), self.layer.code
        self.stage = stage if isinstance(stage, Stage) else None
        self.shifts = np.zeros((1, neurons), np.int64) if self.stage is None else self.stage.shifts
        reach = self.shifts * code.circuit.divisor
        self.least = code.least - max(0, int(reach.max()))
        self.width = code.least + (1 << code.planes) - min(0, int(reach.min())) - self.least
        self.histogram = np.zeros((neurons, self.width), np.int64)
        self.ones = np.zeros((neurons, self.width), np.int64)
        """Of `histogram` those whose true bit, the exact network's, is 1."""
        self.value_sum, self.count_sum = np.zeros(neurons), np.zeros(neurons)
        """Of each neuron's values, and of the exact network's counts."""
        self.total = 0
        """How many of each neuron."""
        self.samples = np.zeros(1 << code.planes, np.int64)
        self.counts = np.zeros(1 << code.planes)
        """Of each value of the circuit how many, and the sum of the exact counts of its inputs."""

    def add(self, own: Array, true: Array, images: int) -> None:
        """Count the values of a block: sliced maps of the network and of the exact one."""
        number = self.layer.windows.number
        neurons = len(self.layer.weights)
        slab = max(1, SLAB // (images * neurons))
        for start in range(0, number, slab):
            windows = np.arange(start, min(start + slab, number))
            values = self.layer.counts_at(own, images, windows)
            if self.how in ("affine", "table"):
                self._add_pairs(values, self.other.counts_at(own, images, windows))
                continue
            counts = self.other.counts_at(true, images, windows)
            self.total += images * len(windows)
            if self.how == "mean":
                self.value_sum += values.sum(axis=(0, 1))
                self.count_sum += counts.sum(axis=(0, 1))
            else:
                self._add_bits(values, counts, windows)

    def _add_pairs(self, values: Array, counts: Array) -> None:
        at = (values - self.layer.code.least).reshape(-1)
        self.samples += np.bincount(at, minlength=len(self.samples))
        self.counts += np.bincount(at, counts.reshape(-1), minlength=len(self.samples))

    def _add_bits(self, values: Array, counts: Array, windows: Integers) -> None:
        if self.stage is None:
            raise TypeError("bits need a threshold behind the circuit")
        shifts = self.shifts[windows]
        limits = self.stage.exact[0]
        inner = counts - shifts
        bits = np.where(self.stage.rising, inner >= limits, inner <= limits)
        at = values - shifts * self.layer.code.circuit.divisor - self.least
        at += self.width * np.arange(len(limits))
        shape, size = self.histogram.shape, self.histogram.size
        self.histogram += np.bincount(at.reshape(-1), minlength=size).reshape(shape)
        self.ones += np.bincount(at[bits], minlength=size).reshape(shape)

    @property
    def bias(self) -> npt.NDArray[np.float64]:
        """How much higher each neuron's mean value is than the exact network's mean count times
        the divisor, (neurons,).
        """  # noqa: D205 - one sentence
        divisor = self.layer.code.circuit.divisor
        return np.asarray((self.value_sum - divisor * self.count_sum) / self.total)

    @property
    def table(self) -> npt.NDArray[np.float64]:
        """The counts that values stand for, (values,)."""
        code = self.layer.code
        if self.how == "affine":
            return mitigate.line_table(self.samples, self.counts, code.least)
        return mitigate.count_table(self.samples, self.counts, code.circuit.divisor)


def _choose(stage: Stage | CircuitDot, tally: Tally, how: str) -> Integers:
    code = stage.layer.code
    divisor = code.circuit.divisor
    if isinstance(stage, CircuitDot):
        if how == "mean":
            values = code.least + np.arange(1 << code.planes)
            return dot_tables(stage, (values - tally.bias[:, None]) / divisor)
        return dot_tables(stage, tally.table)[None]
    if how == "mean":
        return np.asarray(stage.naive[0] + np.rint(tally.bias).astype(np.int64))
    if how == "rate":
        wanted = tally.ones.sum(axis=1)
        return mitigate.rate_thresholds(tally.histogram, wanted, stage.rising, tally.least)
    if how == "flips":
        return mitigate.flip_thresholds(tally.histogram, tally.ones, stage.rising, tally.least)
    return mitigate.fold(tally.table, code.least, stage.exact, stage.rising)
