"""From a program and a data set to a record: the one way in which numbers come about."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import Any

import numpy as np
import numpy.typing as npt

from bitwright.data import Dataset
from bitwright.errors import DataError, ProgramError
from bitwright.ir.program import Program
from bitwright.records import Measurement, Record
from bitwright.targets import get_target

BATCH = 500
"""Images between two reports of progress."""

Progress = Callable[[int, int], None]
"""Called with (parts of the plan or images done, parts or images in all)."""


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
        Called after each batch; before that, where a target plans for long, with parts of that.

    Raises
    ------
    ProgramError
        If the program is no classifier.
    DataError
        If images or labels do not fit it.
    UnknownNameError, ConfigError
        If there is no such target or setting.
    """
    chosen = get_target(target)
    settings = chosen.configure(config or {})
    classes = _classes(program)
    _check_labels(data, classes)
    design = chosen.lower(program, settings, progress)
    chosen.simulate(design, data.images[:1], threads)  # compiles kernels, so the clock does not
    scores = np.empty((len(data), classes), np.int64)
    predicted = np.empty(len(data), np.int64)
    counters: dict[str, int | float] = {}
    seconds = 0.0
    for start in range(0, len(data), BATCH):
        batch = data.images[start : start + BATCH]
        began = time.perf_counter()
        result = chosen.simulate(design, batch, threads)
        seconds += time.perf_counter() - began
        scores[start : start + BATCH] = result.outputs[program.logits or ""]
        predicted[start : start + BATCH] = result.outputs[program.decision or ""]
        for name, value in result.counters.items():
            counters[name] = counters.get(name, 0) + value
        if progress is not None:
            progress(min(start + BATCH, len(data)), len(data))
    correct = int((predicted == data.labels).sum())
    measurements = (
        Measurement("accuracy", correct / len(data), "share", "simulated"),
        Measurement("correct", correct, "image", "simulated"),
        Measurement("images", len(data), "image", "counted"),
        Measurement(
            "images_per_second", len(data) / seconds, "image/s", "simulated", source=_machine()
        ),
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
