"""A network of whole numbers on arrays: its layers in bit planes, solved for all images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bitwright.errors import ConfigError
from bitwright.explore.crossbar_grid import Axis, grid
from bitwright.explore.integer_network import Array, Codes, IntegerNetwork
from bitwright.targets.crossbar.devices.cells import Cell
from bitwright.targets.crossbar.lower import circuit
from bitwright.targets.crossbar.slices import Coding, SlicedArrays
from bitwright.targets.crossbar.solver.ladder import Ladder


@dataclass(frozen=True)
class Way:
    """How a network lies on arrays and is sensed.

    Parameters
    ----------
    bits, coding
        Of weights and activations.
    flips
        Whether planes of weights and activations are inverted that hold more ones than zeros.
    gain
        Whether the current that counts as one cell is fitted, one number a layer.
    """

    bits: int
    coding: Coding
    flips: bool
    gain: bool


@dataclass(frozen=True, eq=False)
class Point:
    """A network on arrays with some wires.

    Parameters
    ----------
    correct
        How many decisions are right.
    dot_error
        Of the first layer on arrays, whose inputs are exact: root of the mean squared error of its
        dot products, by their standard deviation.
    gains
        Of each layer on arrays.
    """

    way: Way
    x: float
    images: int
    correct: int
    dot_error: float
    gains: tuple[float, ...]

    @property
    def accuracy(self) -> float:
        """Share of decisions that are right."""
        return self.correct / self.images


def circuit_of(rows: int, x: float) -> tuple[Cell, Ladder]:
    """Return the linear cell and the wires of ``x = r G_on n^2``."""
    base = {"technology": "linear", "rows": rows}
    (design,) = grid([Axis("x", (x,))], base)
    if design.config is None:
        raise ConfigError(design.reason, "give other wires")
    cell, ladder = circuit(design.config)
    if cell is None or ladder is None:
        raise ConfigError("ideal cells have no wires", "use linear cells")
    return cell, ladder


class Evaluation:
    """A network and the images that it is evaluated on.

    Parameters
    ----------
    network
        The network; its first layer is on no array.
    taken, calibration
        What its second layer takes of the images, and of those that gains are fitted on.
    labels
        Of the images.
    threads
        As `bitwright.targets.crossbar.solver.columns.Columns.solve` takes them.
    """

    def __init__(
        self,
        network: IntegerNetwork,
        taken: Codes,
        labels: npt.NDArray[np.int64],
        calibration: Codes,
        threads: int | None,
    ) -> None:
        self.network, self.taken, self.labels = network, taken, labels
        self.calibration, self.threads = calibration, threads
        self._first = network.exact(2, taken)

    def _arrays(
        self, way: Way, rows: int, cell: Cell | None, ladder: Ladder | None
    ) -> dict[int, SlicedArrays]:
        return {
            layer: SlicedArrays(weights, way.bits, way.coding, rows, cell, ladder, way.flips)
            for layer, weights in enumerate(self.network.weights, 1)
            if layer > 1
        }

    def conducting(self, way: Way, rows: int) -> float:
        """Return which share of the cells conducts in the exact network."""
        arrays = self._arrays(way, rows, None, None)
        found = np.zeros(2)

        def multiply(layer: int, codes: Codes) -> Array:
            found.__iadd__(arrays[layer].conducting(codes))
            return self.network.exact(layer, codes)

        self.network.decide(self.taken, multiply)
        return float(found[0] / found[1])

    def point(self, way: Way, x: float, cell: Cell, ladder: Ladder) -> Point:
        """Return what comes of all images."""
        arrays = self._arrays(way, ladder.rows, cell, ladder)
        gains = dict.fromkeys(arrays, 1.0)
        if way.gain:
            # Each layer is fitted on what the layers before it, fitted already, make of the images.
            def fit(layer: int, codes: Codes) -> Array:
                gains[layer] = arrays[layer].gain(codes, self.threads)
                return arrays[layer].dots(codes, gains[layer], self.threads)

            self.network.decide(self.calibration, fit)
        first: list[Array] = []

        def multiply(layer: int, codes: Codes) -> Array:
            dots = arrays[layer].dots(codes, gains[layer], self.threads)
            first.append(dots)
            return dots

        predicted = self.network.decide(self.taken, multiply)
        error = np.sqrt(np.square(first[0] - self._first).mean()) / self._first.std()
        correct = int((predicted == self.labels).sum())
        return Point(way, x, len(self.labels), correct, float(error), tuple(gains.values()))
