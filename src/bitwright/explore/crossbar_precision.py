"""Do wires hurt binary networks more than those of more bits? One network, several precisions.

The same multilayer perceptron is trained with weights and activations of each precision, and all
its layers but the first are computed by arrays of the same linear cells, rows and wires.

Requirements:

- Every partial sum of every image is solved; nothing is sampled.
- What was trained or evaluated is not done again: each network and each point has a file of its
  own, written whole or not at all, whose name is a digest of all that decides it. A file that is
  damaged is as if it were not there.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

from bitwright import flow
from bitwright.data import Dataset
from bitwright.errors import ConfigError, DataError
from bitwright.explore.integer_network import trained
from bitwright.explore.sliced_network import Evaluation, Point, Way, circuit_of
from bitwright.files import digest_of, make_folder, write_atomically
from bitwright.records import DataInfo, wilson
from bitwright.targets.crossbar.slices import Coding
from bitwright.targets.crossbar.solver.ladder import MAX_ROWS

MOST_BITS = 8
LOSS = 0.05
"""The loss of accuracy at which wires are compared."""

Progress = Callable[[str, int, int], None]
"""Called with (what is done, how many parts are done, parts in all)."""


@dataclass(frozen=True)
class Settings:
    """Which networks, on which arrays.

    Parameters
    ----------
    bits
        Of weights and activations, 1 to `MOST_BITS`, each precision once.
    codings
        How weights become cells (`bitwright.targets.crossbar.slices`).
    x
        The wires: ``r G_on n^2``, r the resistance of either rail between two rows.
    rows
        Of an array, n.
    widths
        Features of the network's hidden layers.
    epochs, seed
        Of the training.
    calibration_images
        Training images that gains are fitted on.

    Raises
    ------
    ConfigError
        If there is nothing to do, or a number is out of range.
    """

    bits: tuple[int, ...] = (1, 2, 4, 8)
    codings: tuple[Coding, ...] = ("offset", "differential")
    x: tuple[float, ...] = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0)
    rows: int = 64
    widths: tuple[int, ...] = (256, 256, 256)
    epochs: int = 10
    seed: int = 0
    calibration_images: int = 100

    def __post_init__(self) -> None:
        if not self.bits or min(self.bits) < 1 or max(self.bits) > MOST_BITS:
            raise ConfigError(f"precisions are {self.bits}", f"give 1 to {MOST_BITS} bits")
        if not self.codings or not set(self.codings) <= set(get_args(Coding)):
            raise ConfigError(
                f"codings are {', '.join(self.codings) or 'missing'}",
                f"use {' or '.join(get_args(Coding))}",
            )
        if not self.x or not all(0 < x < math.inf for x in self.x):
            raise ConfigError(f"x is {self.x}", "give numbers above 0")
        if not 1 <= self.rows <= MAX_ROWS:
            raise ConfigError(f"an array has {self.rows} rows", f"give 1 to {MAX_ROWS}")
        if not self.widths or min(self.widths) < 1:
            raise ConfigError(f"layers have {self.widths} features", "give at least one layer")
        if self.epochs < 1 or self.seed < 0 or self.calibration_images < 1:
            raise ConfigError(
                "no epochs, no calibration images, or a negative seed", "give at least 1, 1 and 0"
            )


@dataclass(frozen=True, eq=False)
class Study:
    """All networks and points.

    Parameters
    ----------
    trained, data
        The images that networks were trained and evaluated on.
    exact
        How many images the network of each precision has right.
    conducting
        Which share of the cells conducts in the exact network, mean over all columns and cycles of
        the layers on arrays, by (bits, coding, flips).
    points
        By way; x rising.
    reused
        How many networks and points were there from an earlier run.
    """

    settings: Settings
    trained: DataInfo
    data: DataInfo
    exact: dict[int, int]
    conducting: dict[tuple[int, Coding, bool], float]
    points: tuple[Point, ...]
    reused: int

    @property
    def ways(self) -> list[Way]:
        """All ways, in their order."""
        return list(dict.fromkeys(p.way for p in self.points))

    def line(self, way: Way) -> list[Point]:
        """Return a way's points, x rising."""
        return [p for p in self.points if p.way == way]

    def tolerated(self, way: Way) -> tuple[str, float]:
        """Return the x at which accuracy is `LOSS` below the exact network's.

        Returns
        -------
        tuple
            "=" and x, interpolated over its logarithm; or "<" and the least x, ">" and the greatest
            where all points lose more, or none does.
        """
        line = self.line(way)
        wanted = self.exact[way.bits] / self.data.count - LOSS
        lost = [p.accuracy < wanted for p in line]
        if True not in lost:
            return ">", line[-1].x
        k = lost.index(True)
        if k == 0:
            return "<", line[0].x
        before, after = line[k - 1], line[k]
        share = (before.accuracy - wanted) / (before.accuracy - after.accuracy)
        return "=", before.x * (after.x / before.x) ** share

    def first_to_fail(self, coding: Coding, gain: bool) -> list[int]:
        """Return the precisions in the order of the x that they tolerate, without flips."""
        found = {}
        for bits in self.settings.bits:
            sign, x = self.tolerated(Way(bits, coding, False, gain))
            found[bits] = {"<": 0.0, "=": x, ">": math.inf}[sign]
        return sorted(found, key=lambda bits: (found[bits], bits))

    def to_json(self) -> dict[str, Any]:
        """Return the study as JSON-ready data."""
        return {
            "settings": asdict(self.settings),
            "numbers": {
                "x": "r G_on n^2: r of each rail between two rows, n rows; linear cells",
                "dot_error": "root of the mean squared error of the first layer's dot products on "
                "arrays, by their standard deviation",
                "tolerated": f"x at which accuracy is {100 * LOSS:g} points below the exact one",
            },
            "trained": self.trained.to_json(),
            "data": self.data.to_json(),
            "exact": [
                {
                    "bits": bits,
                    "accuracy": correct / self.data.count,
                    "interval_95": list(wilson(correct, self.data.count)),
                    "correct": correct,
                }
                for bits, correct in self.exact.items()
            ],
            "conducting": [
                {"bits": bits, "coding": coding, "flips": flips, "share_of_cells": share,
                 "mean_partial_sum": share * self.settings.rows}
                for (bits, coding, flips), share in self.conducting.items()
            ],
            "tolerated": [
                asdict(way) | dict(zip(("bound", "x"), self.tolerated(way), strict=True))
                for way in self.ways
            ],
            "first_to_fail": [
                {"coding": coding, "gain": gain, "bits": self.first_to_fail(coding, gain)}
                for coding in self.settings.codings
                for gain in (False, True)
            ],
            "points": [
                asdict(p.way)
                | {
                    "x": p.x,
                    "accuracy": p.accuracy,
                    "interval_95": list(wilson(p.correct, p.images)),
                    "correct": p.correct,
                    "dot_error": p.dot_error,
                    "gains": list(p.gains),
                }
                for p in self.points
            ],
            "methods": {
                "accuracy": "simulated",
                "interval_95": "counted: Wilson's interval of a binomial share",
                "share_of_cells": "counted",
            },
            "versions": flow.versions(),
        }  # fmt: skip


def run(
    settings: Settings,
    train: Dataset,
    test: Dataset,
    folder: Path,
    *,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Study:
    """Train all networks and evaluate all points that are not in a folder yet.

    Parameters
    ----------
    train, test
        Images of one shape.
    folder
        Where networks and points are kept; made if it is not there.
    threads
        Of the training and of the solver; by default as many as each takes.

    Raises
    ------
    ConfigError
        If the folder cannot be made, or training diverges.
    DataError
        If images are of different shapes.
    DependencyError
        If a network must be trained and there is no torch.
    """
    if train.images.shape[1:] != test.images.shape[1:]:
        raise DataError(
            f"images are {train.images.shape[1:]} to train and {test.images.shape[1:]} to test",
            "use the two parts of one data set",
        )
    make_folder(folder, "give another as --folder")
    report = progress or (lambda _what, _done, _of: None)
    circuits = [circuit_of(settings.rows, x) for x in settings.x]
    ways = [
        Way(*one)
        for one in itertools.product(settings.bits, settings.codings, (False, True), (False, True))
    ]
    points: list[Point] = []
    exact: dict[int, int] = {}
    conducting: dict[tuple[int, Coding, bool], float] = {}
    reused = 0
    for bits in settings.bits:
        network, name, there = trained(
            train, bits, settings.widths, settings.epochs, settings.seed, folder, report, threads
        )
        reused += there
        taken = network.first(test.images)
        exact[bits] = int((network.decide(taken) == test.labels).sum())
        calibration = network.first(train.images[: settings.calibration_images])
        evaluation = Evaluation(network, taken, test.labels, calibration, threads)
        for way in (way for way in ways if way.bits == bits):
            key = (bits, way.coding, way.flips)
            if key not in conducting:
                conducting[key] = evaluation.conducting(way, settings.rows)
            for x, (cell, ladder) in zip(settings.x, circuits, strict=True):
                report("points", len(points), len(ways) * len(settings.x))
                decides = {
                    "network": name,
                    "data": test.digest,
                    "way": asdict(way),
                    "cell": repr(cell),
                    "ladder": repr(ladder),
                    "calibration_images": settings.calibration_images if way.gain else 0,
                    "versions": flow.versions(),
                }
                file = folder / f"{digest_of(decides)}.json"
                point = _read(file, way, x, len(test))
                reused += point is not None
                if point is None:
                    point = evaluation.point(way, x, cell, ladder)
                    _write(file, decides, point)
                points.append(point)
    return Study(settings, train.info(), test.info(), exact, conducting, tuple(points), reused)


def _write(file: Path, decides: dict[str, Any], point: Point) -> None:
    kept = {"correct": point.correct, "dot_error": point.dot_error, "gains": point.gains}
    write_atomically(file, json.dumps({"decides": decides} | kept).encode())


def _read(file: Path, way: Way, x: float, images: int) -> Point | None:
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
        correct, error = int(kept["correct"]), float(kept["dot_error"])
        gains = tuple(float(gain) for gain in kept["gains"])
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return Point(way, x, images, correct, error, gains) if 0 <= correct <= images else None


def parse_x(text: str) -> tuple[float, ...]:
    """Return numbers of a text such as ``0.1,0.2,0.5``, ascending, each once.

    Raises
    ------
    ConfigError
        If it is no list of numbers.
    """
    try:
        return tuple(sorted({float(part) for part in text.split(",")}))
    except ValueError as error:
        raise ConfigError(f"'{text}' is no list of wires", "give numbers: 0.1,0.2,0.5") from error


def parse_codings(text: str) -> tuple[Any, ...]:
    """Return codings of a text such as ``offset,differential``; `Settings` checks them."""
    return tuple(dict.fromkeys(part.strip() for part in text.split(",")))
