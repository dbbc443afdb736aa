"""How a layer's partial sums are spread, and how far what is sensed is from them: on a sample.

Requirements:

- Counters add up over images and batches, so that results depend on no order of threads.
- Layers are given what the exact network has there, so that a layer's errors are its own, and what
  is seen of one does not depend on what the layers before it get wrong.
- A column's *position* is the mean row of its cells that conduct, in eighths of the array; the last
  one is next to the sense end.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bitwright.ir.ops import Threshold
from bitwright.ir.program import Program
from bitwright.records import Measurement
from bitwright.targets.base import Counters
from bitwright.targets.crossbar.arrays import Array, Mask, Read, Sensed
from bitwright.targets.crossbar.design import Config, Design
from bitwright.targets.crossbar.mapping import Layer, windows_of

POSITIONS = 8
BINS = 64
"""Partial sums above 0 are put into so many bins at most."""


def bin_width(layer: Layer) -> int:
    """Return how many neighbouring partial sums share a bin."""
    return -(-max(len(tile.weights[part]) for tile in layer.tiles for part in tile.reads) // BINS)


class LayerSurvey:
    """What a layer's arrays do with some images' bits.

    Parameters
    ----------
    layer
        On arrays.
    config
        Of the design.
    threshold
        What alone reads the dot products, if that is so: thresholds, and which of them are rising.
    """

    def __init__(self, layer: Layer, config: Config, threshold: tuple[Array, Array] | None) -> None:
        self.layer, self.config, self.threshold = layer, config, threshold
        self._width = bin_width(layer)
        self._found: Counters = {}

    def add(self, read: Read, sensed: Sensed) -> None:
        """Count the partial sums of a read, and what is wrong with what is sensed."""
        ideal = read.ideal()
        rows = np.arange(read.first, read.first + len(read.cells), dtype=np.float32)
        reach = read.lines.astype(np.float32) @ (read.cells * rows[:, None])
        error = (sensed.cells() - ideal).ravel()
        sums = ideal.astype(np.int64).ravel()
        where = POSITIONS * reach.astype(np.int64).ravel() // np.maximum(sums * self.config.rows, 1)
        where[sums == 0] = POSITIONS
        place = sums // self._width * (POSITIONS + 1) + where
        number = np.bincount(place)
        total = np.bincount(place, weights=error)
        squares = np.bincount(place, weights=error**2)
        for at in np.flatnonzero(number):
            low, position = divmod(int(at), POSITIONS + 1)
            end = f"{low * self._width}@{position}"
            self._count(f"sums:{end}", int(number[at]))
            self._count(f"errors:{end}", float(total[at]))
            self._count(f"squares:{end}", float(squares[at]))
        if self.config.flips != "none":
            plain = read.bits.astype(np.float32) @ read.tile.weights[read.rows].astype(np.float32)
            numbers = np.bincount(plain.astype(np.int64).ravel() // self._width)
            for at in np.flatnonzero(numbers):
                self._count(f"plain_sums:{int(at) * self._width}", int(numbers[at]))

    def close(self, dots: Array, exact: Array) -> None:
        """Count the dot products that are not the exact ones, and the bits."""
        error = dots - exact
        self._count("dots", error.size)
        self._count("dots_off", int(np.count_nonzero(error)))
        self._count("dot_errors", int(error.sum()))
        self._count("dot_squares", int((error**2).sum()))
        if self.threshold is not None:
            at, rising = self.threshold
            wanted, found = (np.where(rising, given >= at, given <= at) for given in (exact, dots))
            self._count("bits", wanted.size)
            self._count("bits_off", int((wanted != found).sum()))

    def counters(self) -> Counters:
        """Return the counters, by what they count and the layer's name."""
        return {f"{what}/{self.layer.name}": value for what, value in self._found.items()}

    def _count(self, what: str, number: float) -> None:
        self._found[what] = self._found.get(what, 0) + number


def threshold_of(program: Program, name: str) -> tuple[Array, Array] | None:
    """Return the thresholds that alone read a value, and which of them are rising."""
    readers = [op for op in program.ops if name in op.inputs]
    if len(readers) != 1 or not isinstance(readers[0], Threshold):
        return None
    return program.tensor(readers[0], "thresholds"), program.tensor(readers[0], "rising")


def exact_dots(layer: Layer, value: Mask) -> Array:
    """Return the dot products of bits, (windows of all images, outputs), as the layer has them."""
    bits, valid = windows_of(layer.dot, value)
    numbers = np.where(bits, np.float32(1), np.float32(-1))
    if valid is not None:
        numbers *= np.tile(valid, (len(value), 1))
    found = np.zeros((len(bits), len(layer.dot.weights)))
    for tile in layer.tiles:
        weights = np.where(tile.weights, np.float32(1), np.float32(-1))
        found[:, tile.outputs] += numbers[:, tile.inputs] @ weights
    return found


def distributions(design: Design, counters: Counters) -> Iterator[Measurement]:
    """Yield what the sample says: of every layer, its partial sums and what is wrong with them.

    - ``partial_sum:<from>..<to>/<layer>``: share of ideal partial sums in [from, to);
      ``plain_partial_sum`` without flips.
    - ``partial_sum_error:<from>..<to>/<layer>``: mean of what is sensed less the ideal partial sum;
      ``partial_sum_deviation`` its standard deviation.
    - ``position_share:<eighth>/<layer>``: share of partial sums above 0 whose cells are there;
      ``position_error`` their mean error; ``position_effect`` that less what all partial sums of
      the same size have.
    - ``flip_rate/<layer>``: bits other than of exact dot products of the same inputs;
      ``propagated_flip_rate/<bits>`` other than in the exact network.
    - ``dots_off/<layer>``: dot products that are not exact; ``count_error_mean`` and
      ``count_error_rms`` how far, in ones: half of what dot products are off.
    """
    if "sample_images" not in counters:
        return
    yield Measurement("sample_images", counters["sample_images"], "image", "counted")
    for name, layer in design.layers.items():
        if f"dots/{name}" in counters:
            found = _Found.of(counters, name)
            width = bin_width(layer)
            yield from _partial_sums(name, found, width)
            yield from _positions(name, found)
            yield from _dots(name, counters)
    for key, number in counters.items():
        what, _, name = key.partition("/")
        if what == "network_bits":
            rate = counters[f"network_bits_off/{name}"] / number
            yield Measurement(f"propagated_flip_rate/{name}", rate, "share", "simulated")


@dataclass(frozen=True, eq=False)
class _Found:
    """A layer's counters as arrays (bins, positions and one for columns without current) each.

    ``lows`` are the bins' lowest partial sums. ``plain`` has numbers without flips by such, and is
    empty where nothing is flipped.
    """

    lows: list[int]
    sums: npt.NDArray[np.float64]
    errors: npt.NDArray[np.float64]
    squares: npt.NDArray[np.float64]
    plain: dict[int, float]

    @classmethod
    def of(cls, counters: Counters, layer: str) -> _Found:
        tables: dict[str, dict[str, float]] = {}
        for key, number in counters.items():
            head, _, name = key.partition("/")
            what, colon, which = head.partition(":")
            if colon and name == layer:
                tables.setdefault(what, {})[which] = number
        places = {
            which: (int(which.partition("@")[0]), int(which.partition("@")[2]))
            for which in tables["sums"]
        }
        lows = sorted({low for low, _ in places.values()})
        arrays = {}
        for what in ("sums", "errors", "squares"):
            arrays[what] = np.zeros((len(lows), POSITIONS + 1))
            for which, (low, position) in places.items():
                arrays[what][lows.index(low), position] = tables[what][which]
        plain = {int(low): number for low, number in tables.get("plain_sums", {}).items()}
        return cls(lows=lows, plain=dict(sorted(plain.items())), **arrays)


def _partial_sums(name: str, found: _Found, width: int) -> Iterator[Measurement]:
    numbers, errors = found.sums.sum(axis=1), found.errors.sum(axis=1)
    means = errors / numbers
    spread = np.sqrt(np.maximum(found.squares.sum(axis=1) / numbers - means**2, 0))
    total = numbers.sum()
    for k, low in enumerate(found.lows):
        end = f"{low}..{low + width}/{name}"
        yield Measurement(f"partial_sum:{end}", float(numbers[k] / total), "share", "counted")
        yield Measurement(f"partial_sum_error:{end}", float(means[k]), "cell", "simulated")
        yield Measurement(f"partial_sum_deviation:{end}", float(spread[k]), "cell", "simulated")
    for low, number in found.plain.items():
        end = f"{low}..{low + width}/{name}"
        yield Measurement(f"plain_partial_sum:{end}", float(number / total), "share", "counted")


def _positions(name: str, found: _Found) -> Iterator[Measurement]:
    sums, errors = found.sums[:, :POSITIONS], found.errors[:, :POSITIONS]
    numbers, total = sums.sum(axis=1, keepdims=True), sums.sum()
    like = errors.sum(axis=1, keepdims=True) / np.maximum(numbers, 1)
    for position in np.flatnonzero(sums.sum(axis=0)):
        number = sums[:, position].sum()
        effect = (errors[:, position] - sums[:, position] * like[:, 0]).sum() / number
        mean = errors[:, position].sum() / number
        end = f"{position}/{name}"
        yield Measurement(f"position_share:{end}", float(number / total), "share", "counted")
        yield Measurement(f"position_error:{end}", float(mean), "cell", "simulated")
        yield Measurement(f"position_effect:{end}", float(effect), "cell", "simulated")


def _dots(name: str, counters: Counters) -> Iterator[Measurement]:
    total = counters[f"dots/{name}"]
    mean = counters[f"dot_errors/{name}"] / total / 2
    square = (counters[f"dot_squares/{name}"] / total) ** 0.5 / 2
    off = counters[f"dots_off/{name}"] / total
    if f"bits/{name}" in counters:
        rate = counters[f"bits_off/{name}"] / counters[f"bits/{name}"]
        yield Measurement(f"flip_rate/{name}", rate, "share", "simulated")
    yield Measurement(f"dots_off/{name}", off, "share", "simulated")
    yield Measurement(f"count_error_mean/{name}", mean, "count", "simulated")
    yield Measurement(f"count_error_rms/{name}", square, "count", "simulated")
