"""What arrays make of partial sums, fitted: the response that networks are fine-tuned with.

Requirements:

- A curve belongs to reads of one size at one place of an array: it has, for each number of cells
  that conduct, what is sensed on average, in cells, and the standard deviation around that. Which
  of the rows they are in, and which column, is part of the deviation.
- The layers see what they see in the exact network: a network that is fine-tuned to work again
  sees the like, one that fails does not.
- A response is a property of arrays alone, so that the network that is tuned with it meets the
  same: nothing of the design is fitted to the network's own weights.

The file that is written is the whole interface to `bitwright.nn.array_response`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bitwright.errors import ConfigError
from bitwright.ir import reference
from bitwright.targets.base import Progress
from bitwright.targets.crossbar.arrays import CHUNK, Arrays, Read, Sensed
from bitwright.targets.crossbar.design import Config, Design
from bitwright.targets.crossbar.mapping import Layer
from bitwright.targets.crossbar.simulate import arrays_of

Array = npt.NDArray[Any]
FORMAT = "bitwright-crossbar-response"
VERSION = 1
END = 8
"""How many of the outermost counts seen say how a curve goes on beyond them."""


@dataclass(frozen=True, eq=False)
class Curve:
    """What is sensed of 0, 1, 2, ... cells that conduct, of the rows of a read.

    Parameters
    ----------
    number
        (rows + 1,): how often each count was seen; where it is 0, the rest is inter- or
        extrapolated.
    mean, deviation
        (rows + 1,): in cells.
    """

    number: Array
    mean: Array
    deviation: Array


@dataclass(frozen=True, eq=False)
class LayerResponse:
    """What a layer's arrays do.

    Parameters
    ----------
    inputs, outputs
        Of the layer.
    reads
        Of each read the first input, the one after the last, and which of the curves it has; in the
        order of the inputs.
    curves
        Of all columns and windows together.
    """

    inputs: int
    outputs: int
    reads: tuple[tuple[int, int, int], ...]
    curves: tuple[Curve, ...]

    @property
    def seen(self) -> tuple[float, float, float]:
        """Mean count, mean of what was sensed, and root mean square of the residual, in cells."""
        number = np.concatenate([curve.number for curve in self.curves])
        counts = np.concatenate([np.arange(len(curve.number)) for curve in self.curves])
        mean = np.concatenate([curve.mean for curve in self.curves])
        square = np.concatenate([curve.deviation**2 for curve in self.curves])
        ideal, sensed, residual = (np.average(v, weights=number) for v in (counts, mean, square))
        return float(ideal), float(sensed), float(residual) ** 0.5


@dataclass(frozen=True, eq=False)
class Response:
    """The fitted surrogate of a design.

    Parameters
    ----------
    program
        Name of the network that it was fitted on.
    settings
        Of the design.
    images
        How many images it was fitted on.
    layers
        By the names of their dot products.
    """

    program: str
    settings: Mapping[str, Any]
    images: int
    layers: Mapping[str, LayerResponse]

    def to_json(self) -> dict[str, Any]:
        """Return what `bitwright.nn.array_response` reads."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "program": self.program,
            "settings": dict(self.settings),
            "images": self.images,
            "layers": {name: _json(layer) for name, layer in self.layers.items()},
        }


def fit(
    design: Design,
    images: Array,
    settings: Mapping[str, Any],
    threads: int | None = None,
    progress: Progress | None = None,
) -> Response:
    """Return the surrogate of a design.

    Parameters
    ----------
    images
        (N, *input shape), at least one: what the arrays are looked at with.
    settings
        The design's, to be kept with it.
    threads
        How many; by default one a core.
    progress
        Told after each layer.

    Raises
    ------
    ConfigError
        If the design has flips or complementary cells, its sensing is fitted to the network's
        weights, or a read's inputs do not follow one another.
    """
    _check(design.config)
    reads = {name: _reads(layer) for name, layer in design.layers.items()}
    wanted = {layer.dot.op.input for layer in design.layers.values()}
    values = reference.run(design.program, images, wanted)
    found = {}
    for done, (name, arrays) in enumerate(arrays_of(design).items(), start=1):
        value = values[arrays.layer.dot.op.input]
        found[name] = _fitted(arrays, reads[name], _watched(design, arrays, value, threads))
        if progress is not None:
            progress(done, len(design.layers))
    return Response(design.program.name, settings, len(images), found)


def _check(config: Config) -> None:
    """Refuse designs whose arrays do something else once the network is another one."""
    if config.flips != "none" or config.mapping != "and":
        raise ConfigError(
            "a response is of arrays without flips and without complementary cells",
            "use flips = 'none' and mapping = 'and'",
        )
    if config.calibrate or config.adc_range == "data":
        raise ConfigError(
            "what is calibrated on a network is another thing for the one that is tuned",
            "use calibrate = [] and adc_range = 'rows', with more adc_bits for finer steps",
        )


Place = tuple[int, int]
"""Of a read in an array: its first row, and how many it has."""


class _Watch:
    """What is sensed by place and count: numbers, and sums of the error and of its square."""

    def __init__(self) -> None:
        self.sums: dict[Place, Array] = {}

    def add(self, read: Read, sensed: Sensed) -> None:
        """Take in a read of all windows."""
        rows = len(read.cells)
        ideal = read.ideal().astype(np.int64).ravel()
        error = sensed.cells().ravel() - ideal
        found = [np.bincount(ideal, part, rows + 1) for part in (None, error, error**2)]
        at = (read.first, rows)
        self.sums[at] = self.sums.get(at, 0) + np.array(found)


def _watched(
    design: Design, arrays: Arrays, value: Array, threads: int | None
) -> dict[Place, Array]:
    sensing = design.sensing[arrays.layer.name]

    def part(start: int) -> dict[Place, Array]:
        watch = _Watch()
        arrays.dots(value[start : start + CHUNK], sensing, survey=watch.add)
        return watch.sums

    total: dict[Place, Array] = {}
    with ThreadPoolExecutor(threads or len(os.sched_getaffinity(0))) as pool:
        for sums in pool.map(part, range(0, len(value), CHUNK)):
            for at, found in sums.items():
                total[at] = total.get(at, 0) + found
    return total


def _reads(layer: Layer) -> list[tuple[int, int, int]]:
    """Return of each read first input, the one after the last, and rows from its first to the end.

    Rows in use are the last ones, so that the third number tells where in an array a read is.
    """
    found = []
    for tile in layer.tiles:
        for rows in tile.reads:
            inputs = np.sort(tile.inputs[rows])
            start, stop = int(inputs[0]), int(inputs[-1]) + 1
            if stop - start != len(inputs) or layer.dot.groups > 1:
                raise ConfigError(
                    f"'{layer.name}' has reads of inputs that do not follow one another",
                    "use row_order = 'natural', and no convolution in groups",
                )
            found.append((start, stop, len(tile.inputs) - rows.start))
    return found


def _fitted(
    arrays: Arrays, reads: list[tuple[int, int, int]], sums: dict[Place, Array]
) -> LayerResponse:
    places = list(sums)
    numbered = tuple(
        (start, stop, places.index((arrays.rows - after, stop - start)))
        for start, stop, after in reads
    )
    weights = arrays.layer.dot.weights
    curves = tuple(_curve(*sums[place]) for place in places)
    return LayerResponse(arrays.layer.fan_in, len(weights), numbered, curves)


def _curve(number: Array, errors: Array, squares: Array) -> Curve:
    """Return a curve over all counts, of what was seen of some."""
    counts = np.arange(len(number))
    seen = np.flatnonzero(number)
    error = errors[seen] / number[seen]
    deviation = np.sqrt(np.maximum(squares[seen] / number[seen] - error**2, 0))
    mean = np.interp(counts, seen, seen + error)
    for end, beyond in ((seen[:END], counts < seen[0]), (seen[-END:], counts > seen[-1])):
        slope = 1.0
        if len(end) > 1:  # the straight line through the counts there, as often as they were seen
            slope = np.polyfit(end, mean[end], 1, w=np.sqrt(number[end]))[0]
        nearest = np.clip(counts, seen[0], seen[-1])[beyond]
        mean[beyond] = mean[nearest] + slope * (counts[beyond] - nearest)
    return Curve(number.astype(np.int64), mean, np.interp(counts, seen, deviation))


def _json(layer: LayerResponse) -> dict[str, Any]:
    return {
        "inputs": layer.inputs,
        "outputs": layer.outputs,
        "reads": [
            {"start": start, "stop": stop, "curve": curve} for start, stop, curve in layer.reads
        ],
        "curves": [
            {
                "number": curve.number.tolist(),
                "mean": curve.mean.tolist(),
                "deviation": curve.deviation.tolist(),
            }
            for curve in layer.curves
        ],
    }
