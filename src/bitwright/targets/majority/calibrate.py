"""Thresholds that make up for a circuit's errors on real inputs, layer by layer.

The exact network and the one with circuits go through the calibration images in step. Each layer
sees what the layers before it, their thresholds already chosen, make of the images.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from bitwright.circuits import Circuit
from bitwright.circuits.jit import SAMPLES
from bitwright.ir.program import Program
from bitwright.native.sliced_network import CircuitNetwork, Stage

Array = npt.NDArray[Any]
Integers = npt.NDArray[np.int64]


def match_thresholds(
    network: CircuitNetwork,
    program: Program,
    images: Array,
    how: str,
    exact: Callable[[int], Circuit],
) -> dict[str, Integers]:
    """Choose the thresholds of all layers whose circuit is not exact.

    Parameters
    ----------
    network
        The network with circuits; its thresholds are set.
    program
        The program of both.
    images
        Calibration images (N, *input shape).
    how
        "mean": the threshold moves as the mean value does. "rate": the bit is 1 as often as the
        exact one, or as nearly as values allow.
    exact
        Makes exact circuits.

    Returns
    -------
    dict
        For each layer with a circuit of its own its thresholds, (neurons,).
    """
    names = {stage.name for stage in network.layers}
    plain = CircuitNetwork(
        program, {s.name: exact(s.layer.code.circuit.inputs) for s in network.layers}, exact
    )
    starts = range(0, len(images), SAMPLES)
    blocks = [images[start : start + SAMPLES] for start in starts]
    maps = [(network.enter(block), plain.enter(block)) for block in blocks]
    chosen: dict[str, Integers] = {}
    for index, stage in enumerate(network.stages):
        other = plain.stages[index]
        if isinstance(stage, Stage) and isinstance(other, Stage) and stage.name in names:
            ours, theirs = _Values(stage), _Values(other)
            for block, (own, true) in zip(blocks, maps, strict=True):
                ours.add(own[stage.source], len(block))
                theirs.add(true[other.source], len(block))
            match = _by_mean if how == "mean" else _by_rate
            chosen[stage.name] = match(stage, ours, theirs)
            network.decide_by(stage.name, chosen[stage.name])
        for own, true in maps:
            network.step(network.stages[index], own)
            plain.step(other, true)
    return chosen


class _Values:
    """How often each neuron has each value; border windows count as if they were inner ones."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        circuit = stage.layer.code
        shifts = stage.shifts
        self.shift = shifts.reshape(*stage.layer.windows.counts, -1)
        self.least = circuit.least - max(0, int(shifts.max()))
        most = circuit.least + (1 << circuit.planes) - min(0, int(shifts.min()))
        self.histogram = np.zeros((shifts.shape[1], most - self.least + 1), np.int64)

    def add(self, source: Array, images: int) -> None:
        """Count the values of a block."""
        neurons, width = self.histogram.shape
        found = self.stage.layer.counts(source, images) - self.shift - self.least
        flat = (found + width * np.arange(neurons)).reshape(-1)
        self.histogram += np.bincount(flat, minlength=neurons * width).reshape(neurons, width)

    @property
    def values(self) -> Integers:
        """The values, (width,)."""
        return self.least + np.arange(self.histogram.shape[1])

    @property
    def mean(self) -> npt.NDArray[np.float64]:
        """Each neuron's mean value, (neurons,)."""
        total = self.histogram.sum(axis=1)
        return np.asarray((self.histogram * self.values).sum(axis=1) / total)

    def fired(self, thresholds: Integers) -> Integers:
        """How often each neuron's bit is 1, (neurons,)."""
        values, limits = self.values, thresholds[:, None]
        fires = np.where(self.stage.rising[:, None], values >= limits, values <= limits)
        return np.asarray((self.histogram * fires).sum(axis=1))


def _by_mean(stage: Stage, ours: _Values, theirs: _Values) -> Integers:
    divisor = stage.layer.code.circuit.divisor
    moved = np.rint(ours.mean - divisor * theirs.mean).astype(np.int64)
    return np.asarray(stage.exact[0] + moved)


def _by_rate(stage: Stage, ours: _Values, theirs: _Values) -> Integers:
    wanted = theirs.fired(theirs.stage.exact[0])[:, None]
    # value >= t for t from the least value to one beyond the greatest; and value <= t.
    below = np.pad(ours.histogram.cumsum(axis=1), ((0, 0), (1, 0)))
    total = below[:, -1:]
    rising = np.abs(total - below - wanted).argmin(axis=1)
    falling = np.abs(below - wanted).argmin(axis=1) - 1
    return np.asarray(ours.least + np.where(stage.rising, rising, falling))
