"""What a simulation counts beside its outputs: flips and errors on a sample of what it ran.

Of each batch the first 128th of the images; of each layer evenly spread windows and neurons, and of
bits evenly spread rows: the sample costs a few per cent of the simulation. Exact counts of the
layer's own inputs come from plain matrix products, the exact network's bits from the native engine.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from bitwright.native import NativeProgram
from bitwright.native.circuit_graph import CircuitDot
from bitwright.native.sliced_stage import Stage
from bitwright.targets.base import Counters
from bitwright.targets.majority.networks import Network

Array = npt.NDArray[Any]

IMAGES, WINDOWS = 128, 256
"""One in so many images, and of their windows, is looked at."""
NEURONS, ROWS = 16, 2
"""At most so many neurons of a layer are, and so many rows of bits."""
BINS = 128
"""An error's bin is about so many times narrower than the fan-in."""


def bin_width(fan_in: int) -> int:
    """Return the width of the bins of a layer's errors: a power of two."""
    return 1 << max(0, (fan_in // BINS).bit_length() - 1)


class Watch:
    """Looks at a batch as a network runs it, and counts (`bitwright.native...Observer`).

    Parameters
    ----------
    network
        The network.
    exact
        The program on the native engine, which returns all of the network's `bits`.
    batch
        The batch.
    """

    def __init__(self, network: Network, exact: NativeProgram, batch: Array) -> None:
        self.network = network
        self.images = batch[: min(64, -(-len(batch) // IMAGES))]
        self.exact = exact.run(self.images, threads=1, packed=True)
        self.counters: Counters = {"statistics_images": len(self.images)}

    def __call__(self, stage: Any, values: dict[str, Array]) -> None:
        """Count what a layer is about to do; after the last one, whose bits differ."""
        if stage is None:
            self._compare(values)
        elif isinstance(stage, Stage | CircuitDot):
            self._sample(stage, self.network.source(stage, values))  # type: ignore[arg-type]

    def _compare(self, values: dict[str, Array]) -> None:
        for name in self.network.bits:
            true = self.exact[name]
            rows = _every(true.shape[1], ROWS)
            found = self.network.words(name, values, len(true), rows)
            flips = np.unpackbits((found ^ true[:, rows]).view(np.uint8)).sum()
            channels = self.network.program.types[name].shape[-1]
            self._add("propagated_flips", name, int(flips))
            self._add("propagated_bits", name, math.prod(found.shape[:3]) * channels)

    def _sample(self, stage: Stage | CircuitDot, source: Array) -> None:
        layer, images = stage.layer, len(self.images)
        number = layer.windows.number
        windows = _spread(number, -(-number // WINDOWS))
        neurons = _every(len(layer.weights), NEURONS)
        values = layer.counts_at(source, images, windows, neurons)
        counts = layer.matches_at(source, images, windows, neurons)
        circuit = layer.code.circuit
        errors = values / circuit.divisor - counts
        self._add("counts", stage.name, errors.size)
        self._add("error_sum", stage.name, float(errors.sum()))
        self._add("square_sum", stage.name, float((errors**2).sum()))
        bins, found = np.unique(
            np.floor(errors / bin_width(circuit.inputs)).astype(np.int64), return_counts=True
        )
        for which, count in zip(bins.tolist(), found.tolist(), strict=True):
            self._add(f"error:{which}", stage.name, count)
        if isinstance(stage, Stage):
            classes = stage.classes[windows]
            decided, true = (
                np.where(stage.rising[neurons], given >= limits, given <= limits)
                for given, limits in (
                    (values, stage.thresholds[classes][:, neurons]),
                    (counts, stage.exact[classes][:, neurons]),
                )
            )
            self._add("flips", stage.name, int((decided != true).sum()))

    def _add(self, what: str, layer: str, count: float) -> None:
        self.counters[f"{what}/{layer}"] = count


def _every(total: int, most: int) -> slice:
    """Return at most `most` of 0 .. total - 1, evenly spread, as a slice."""
    step = -(-total // most)
    return slice((step - 1) // 2, None, step)


def _spread(total: int, chosen: int) -> npt.NDArray[np.int64]:
    """Return `chosen` of 0 .. total - 1, evenly spread."""
    return (2 * np.arange(chosen) + 1) * total // (2 * chosen)
