"""From a program and a data set to a record: the one way in which numbers come about."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bitwright.batches import Batches
from bitwright.data import Dataset
from bitwright.errors import DataError, ProgramError
from bitwright.ir.program import Program
from bitwright.records import Measurement, Record
from bitwright.targets import Target, get_target

Progress = Callable[[str, int, int], None]
"""Called with ("planning", parts done, parts in all), then with ("images", done, in all)."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A record with what a report shows beside it.

    Parameters
    ----------
    record
        The numbers.
    program, data
        What ran on what.
    scores
        (images, classes): what the decision was taken from.
    predicted
        (images,): the class index of each image.
    """

    record: Record
    program: Program
    data: Dataset
    scores: npt.NDArray[np.int64]
    predicted: npt.NDArray[np.int64]


def evaluate(
    program: Program,
    data: Dataset,
    *,
    target: str = "exact",
    config: Mapping[str, Any] | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
    resume: Path | None = None,
) -> Evaluation:
    """Run a classifier on a data set on one target and measure it.

    Parameters
    ----------
    program
        A program with a decision (an ``ArgMax`` among its outputs).
    data
        Images of the program's input shape, with labels below its number of classes.
    target, config
        The target by name, and its settings; what is not set has its default.
    threads
        How many threads the simulator uses; by default all cores that this process may use.
    progress
        Called after each batch; before that, where a target plans for long, with parts of the
        plan.

    resume
        A folder where each batch's results are kept as they come, and taken from if they are there.
        The clock then counts what this call ran alone.

    Raises
    ------
    ProgramError
        If the program is no classifier.
    DataError
        If images or labels do not fit it.
    UnknownNameError, ConfigError
        If there is no such target or setting, or the folder cannot be written.
    """
    report = progress or (lambda _what, _done, _of: None)
    chosen = get_target(target)
    settings = chosen.configure(config or {})
    classes = _classes(program)
    _check_labels(data, classes)
    design = chosen.lower(program, settings, lambda done, of: report("planning", done, of))
    chosen.simulate(design, data.images[:1], threads)  # compiles kernels, so the clock does not
    batches = (
        None if resume is None else Batches(resume, _deciding(program, target, chosen, settings))
    )
    scores = np.empty((len(data), classes), np.int64)
    predicted = np.empty(len(data), np.int64)
    counters: dict[str, int | float] = {}
    seconds, ran = 0.0, 0
    for start in range(0, len(data), chosen.batch):
        part = slice(start, min(start + chosen.batch, len(data)))
        batch = data.images[part]
        found = None if batches is None else batches.find(batch)
        if found is None:
            began = time.perf_counter()
            result = chosen.simulate(design, batch, threads)
            seconds += time.perf_counter() - began
            ran += len(batch)
            outputs = result.outputs
            found = outputs[program.logits or ""], outputs[program.decision or ""], result.counters
            if batches is not None:
                batches.keep(batch, *found)
        scores[part], predicted[part], added = found
        for name, value in added.items():
            counters[name] = counters.get(name, 0) + value
        report("images", part.stop, len(data))
    correct = int((predicted == data.labels).sum())
    measurements = (
        Measurement("accuracy", correct / len(data), "share", "simulated"),
        Measurement("correct", correct, "image", "simulated"),
        Measurement("images", len(data), "image", "counted"),
        *_speed(ran, seconds),
        *chosen.measure(design, counters),
    )
    record = Record(
        program=program.digest,
        model=program.name,
        target=target,
        config=chosen.settings(settings),
        data=data.info(),
        measurements=measurements,
        versions=versions(),
    )
    return Evaluation(record, program, data, scores, predicted)


def versions() -> dict[str, str]:
    """Return the versions of what the numbers depend on."""
    packages = {name: metadata.version(name) for name in ("bitwright", "numpy", "numba")}
    return packages | {"python": platform.python_version()}


def _deciding(program: Program, name: str, target: Target, settings: Any) -> dict[str, Any]:
    """Return what decides an evaluation, but for the images."""
    return {
        "program": program.digest,
        "target": name,
        "config": target.settings(settings),
        "versions": versions(),
    }


def _speed(images: int, seconds: float) -> Iterator[Measurement]:
    """Yield the simulator's speed, if it ran."""
    if images:
        yield Measurement(
            "images_per_second", images / seconds, "image/s", "simulated", source=_machine()
        )


def _machine() -> str:
    return f"wall clock of the simulator on {platform.machine()}, not of the hardware"


def _classes(program: Program) -> int:
    if program.logits is None or program.logits not in program.outputs:
        raise ProgramError(
            f"'{program.name}' is no classifier: its outputs are no scores with a decision",
            "evaluate a program that ends with ArgMax and also returns its scores",
        )
    return program.types[program.logits].size


def _check_labels(data: Dataset, classes: int) -> None:
    if not len(data):
        raise DataError(f"'{data.name}' has no images", "give at least one")
    highest = int(data.labels.max())
    if highest >= classes:
        raise DataError(
            f"'{data.name}' has the label {highest}; the network knows {classes} classes",
            "evaluate on the data it was trained for",
        )
