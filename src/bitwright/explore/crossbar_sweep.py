"""A sweep over crossbars: a network's accuracy on every design of a grid.

Requirements:

- A point that was evaluated is not evaluated again: each has a file of its own, written whole or
  not at all as soon as it is known, whose name is a digest of all that decides its numbers. A file
  that is damaged is as if it were not there. So it is with the batches of a point
  (`bitwright.batches`).
- A design that cannot be built, or whose circuit has no solution, is a point without numbers and
  with the reason.
"""

from __future__ import annotations

import csv
import io
import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bitwright import flow
from bitwright.data import Dataset, load
from bitwright.errors import ConfigError, ConvergenceError, DataError, UnknownNameError
from bitwright.explore.crossbar_grid import NUMBERS, Axis, Design, Value, grid
from bitwright.files import digest_of, make_folder, write_atomically
from bitwright.ir.program import Program
from bitwright.records import DataInfo, Measurement, wilson
from bitwright.targets.crossbar import TARGET, Config
from bitwright.targets.crossbar.lower import circuit

SAVED = "partial_sum_saved"
OWN = ("accuracy", "correct", "images", "images_per_second")
"""Measurements that are not kept: points have them as numbers of their own, or wall clock."""

Progress = Callable[[str, int, int], None]
"""Called with (which point and what is done for it, how many parts are done, parts in all)."""


@dataclass(frozen=True, eq=False)
class Found:
    """What came of a design.

    Parameters
    ----------
    predicted
        (images,): what was decided.
    seconds
        Wall clock of the run that finished it, calibration included.
    measurements
        What the target measures of all layers together.
    """

    predicted: npt.NDArray[np.int64]
    seconds: float
    measurements: tuple[Measurement, ...]


@dataclass(frozen=True, eq=False)
class Point:
    """A design, and what came of it.

    Parameters
    ----------
    at
        The value on each axis.
    correct, agreeing
        How many decisions are right, and how many are those of the exact network.
    found
        None if there is nothing.
    reason
        Why there is nothing.
    wires
        The resistances that the wires have; empty for ideal cells.
    """

    at: Mapping[str, Value]
    images: int
    correct: int = 0
    agreeing: int = 0
    found: Found | None = None
    reason: str = ""
    wires: Mapping[str, float] | None = None

    @property
    def accuracy(self) -> float | None:
        """Share of decisions that are right."""
        return None if self.found is None else self.correct / self.images

    @property
    def saved(self) -> float | None:
        """By which share flips shrink the sum of all partial sums."""
        for m in self.found.measurements if self.found else ():
            if m.metric == SAVED:
                return m.value
        return None

    def to_json(self) -> dict[str, Any]:
        """Return the point as JSON-ready data."""
        described = {"at": _plain(self.at), "wires": self.wires, "images": self.images}
        if self.found is None:
            return described | {"flagged": self.reason}
        low, high = wilson(self.correct, self.images)
        return described | {
            "flagged": "",
            "accuracy": self.accuracy,
            "interval_95": [low, high],
            "correct": self.correct,
            "agreeing": self.agreeing,
            SAVED: self.saved,
            "seconds": self.found.seconds,
            "measurements": [m.to_json() for m in self.found.measurements],
        }


@dataclass(frozen=True, eq=False)
class Sweep:
    """All points, and what they were measured on.

    Parameters
    ----------
    program
        The network.
    data
        The images.
    axes
        What was swept.
    base
        The settings that are not swept.
    ideal
        How many images the exact network has right.
    points
        The last axis varying fastest.
    reused
        How many were there from an earlier run.
    """

    program: Program
    data: DataInfo
    axes: tuple[Axis, ...]
    base: Mapping[str, Any]
    ideal: int
    points: tuple[Point, ...]
    reused: int

    @property
    def flagged(self) -> list[Point]:
        """The points without numbers."""
        return [point for point in self.points if point.found is None]

    def to_json(self) -> dict[str, Any]:
        """Return the sweep as JSON-ready data; infinite values are texts."""
        low, high = wilson(self.ideal, self.data.count)
        return {
            "program": self.program.digest,
            "model": self.program.name,
            "data": self.data.to_json(),
            "numbers": {
                "x": "r G_on n^2: r of each rail between two rows, n rows, G_on = 1 / on_ohm",
                "y": "(driver_ohm + sink_ohm) G_on n",
            },
            "axes": {axis.name: _plain(axis.values) for axis in self.axes},
            "settings": _plain(TARGET.settings(TARGET.configure(self.base))),
            "ideal": {
                "accuracy": self.ideal / self.data.count,
                "interval_95": [low, high],
                "correct": self.ideal,
            },
            "methods": {
                "accuracy": "simulated",
                "interval_95": "counted: Wilson's interval of a binomial share",
                SAVED: "counted",
                "seconds": "wall clock of the run that finished the point, calibration included",
            },
            "points": [point.to_json() for point in self.points],
            "versions": flow.versions(),
        }

    def to_csv(self) -> str:
        """Return a table of all points; what a point does not have is empty."""
        names = [axis.name for axis in self.axes]
        further = list(
            dict.fromkeys(m.metric for p in self.points if p.found for m in p.found.measurements)
        )
        numbers = ["accuracy", "low_95", "high_95", "correct", "agreeing", "images"]
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([*names, *numbers, "ideal_accuracy", "seconds", *further, "flagged"])
        ideal = self.ideal / self.data.count
        for p in self.points:
            at = [p.at[name] for name in names]
            if p.found is None:
                blank = [""] * (len(numbers) - 1)
                row = [*blank, p.images, ideal, "", *("" for _ in further), p.reason]
            else:
                have = {m.metric: m.value for m in p.found.measurements}
                row = [p.accuracy, *wilson(p.correct, p.images), p.correct, p.agreeing, p.images]
                row += [ideal, p.found.seconds, *(have.get(name, "") for name in further), ""]
            writer.writerow([*at, *row])
        return text.getvalue()


def run(
    program: Program,
    data: Dataset,
    axes: Sequence[Axis],
    base: Mapping[str, Any],
    folder: Path,
    *,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Sweep:
    """Evaluate a network on every design of a grid that is not in a folder yet.

    Parameters
    ----------
    program
        A classifier.
    data
        Images of its input shape with labels.
    axes, base
        As `bitwright.explore.crossbar_grid.grid` takes them.
    folder
        Where points are kept; made if it is not there.
    threads
        As for `bitwright.flow.evaluate`.

    Raises
    ------
    ConfigError
        If the grid is not valid, the network is not binary, or the folder cannot be made.
    ProgramError, DataError
        If the program is no classifier, or images do not fit it or cannot be had.
    """
    designs = grid(axes, base)
    make_folder(folder, "give another as --cache")
    TARGET.lower(program, TARGET.ideal())
    calibrations = {key: _calibration(*key, data) for key in _calibrated(designs)}
    exact = flow.evaluate(program, data, threads=threads)
    points: list[Point] = []
    reused = 0
    for number, design in enumerate(designs, 1):
        name = f"point {number} of {len(designs)}"
        if design.config is None:
            points.append(Point(design.at, len(data), reason=design.reason))
            continue
        decides = {
            "program": program.digest,
            "data": data.digest,
            "settings": _plain(TARGET.settings(design.config)),
            "calibration": calibrations.get(_calibration_of(design.config), ""),
            "versions": flow.versions(),
        }
        file = folder / f"{digest_of(decides)}.json"
        found = _read(file, len(data))
        reused += found is not None
        if found is None:
            parts = folder / f"batches-{decides['calibration'] or 'uncalibrated'}"
            report = _reporter(progress, name)
            report("images", 0, len(data))
            found = _evaluate(program, data, design.config, parts, threads, report)
            _write(file, decides, found)
        points.append(_point(design, found, data, exact.predicted))
    correct = int((exact.predicted == data.labels).sum())
    return Sweep(program, data.info(), tuple(axes), base, correct, tuple(points), reused)


def _reporter(progress: Progress | None, name: str) -> Progress:
    """Return what tells of a point."""

    def report(what: str, done: int, total: int) -> None:
        if progress is not None:
            progress(name if what == "images" else f"{name}, {what}", done, total)

    return report


def _calibrated(designs: Sequence[Design]) -> set[tuple[str, int]]:
    found = {_calibration_of(design.config) for design in designs if design.config is not None}
    return found - {("", 0)}


def _calibration_of(config: Config) -> tuple[str, int]:
    """Return the data set that calibrates and how many of its images, if any does."""
    needs = config.calibrate or config.adc_range == "data" or config.row_order == "active"
    return (config.calibration, config.calibration_images) if needs else ("", 0)


def _calibration(name: str, count: int, data: Dataset) -> str:
    """Return the digest of images that calibrate: a name does not say which images it has."""
    if not name:
        return ""
    images = load(name, "train", limit=count)
    if images.split == "all" and images.name == data.name:
        raise DataError(
            f"'{name}' has no training images apart from those to evaluate",
            "name others: calibration = 'NAME'",
        )
    return images.digest


def _evaluate(
    program: Program,
    data: Dataset,
    config: Config,
    folder: Path,
    threads: int | None,
    report: Progress,
) -> Found | str:
    """Return what comes of a design, or why nothing does; its batches are kept as they come."""
    began = time.perf_counter()
    try:
        made = flow.evaluate(
            program,
            data,
            target=TARGET.name,
            config=TARGET.settings(config),
            threads=threads,
            progress=report,
            resume=folder,
        )
    except (ConfigError, ConvergenceError, UnknownNameError) as error:
        return str(error)
    whole = tuple(
        m for m in made.record.measurements if not (m.metric in OWN or "/" in m.metric or m.detail)
    )
    return Found(made.predicted, time.perf_counter() - began, whole)


def _point(design: Design, found: Found | str, data: Dataset, exact: Any) -> Point:
    wires = _wires(design.config) if design.config is not None else None
    if isinstance(found, str):
        return Point(design.at, len(data), reason=found, wires=wires)
    correct, agreeing = ((found.predicted == wanted).sum() for wanted in (data.labels, exact))
    return Point(design.at, len(data), int(correct), int(agreeing), found, wires=wires)


def _wires(config: Config) -> dict[str, float]:
    """Return the resistances of a design's columns, of `NUMBERS` too."""
    cell, ladder = circuit(config)
    if cell is None or ladder is None:
        return {}
    fields = [field for fields in NUMBERS.values() for field in fields]
    return {"on_ohm": cell.on_ohm} | {field: getattr(ladder, field) for field in fields}


def _write(file: Path, decides: Mapping[str, Any], found: Found | str) -> None:
    kept: dict[str, Any] = {"decides": decides}
    if isinstance(found, str):
        kept["reason"] = found
    else:
        kept["predicted"] = found.predicted.tolist()
        kept["seconds"] = found.seconds
        kept["measurements"] = [m.to_json() for m in found.measurements]
    write_atomically(file, json.dumps(kept).encode())


def _read(file: Path, images: int) -> Found | str | None:
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
        if "reason" in kept:
            return str(kept["reason"])
        predicted = np.array(kept["predicted"], np.int64)
        measurements = tuple(Measurement(**m) for m in kept["measurements"])
        found = Found(predicted, float(kept["seconds"]), measurements)
    except (OSError, ValueError, TypeError, KeyError, OverflowError):
        return None
    return found if predicted.shape == (images,) else None


def _plain(value: Any) -> Any:
    """Return JSON-ready data whose numbers are all finite: others become texts."""
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
