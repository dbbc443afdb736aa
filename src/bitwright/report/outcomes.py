"""What the sections ask of evaluations: their names, and which of them say the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bitwright.flow import Evaluation

Array = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Outcome:
    """Decisions that one or more evaluations agree on, score by score.

    Parameters
    ----------
    label
        The names of those evaluations.
    evaluation
        The first of them.
    """

    label: str
    evaluation: Evaluation


def titles(evaluations: Sequence[Evaluation]) -> tuple[str, ...]:
    """Return a name for each evaluation: its target, and as much more as tells them apart."""
    names = [e.record.target for e in evaluations]
    if len({e.record.program for e in evaluations}) > 1:
        names = [f"{model(e)} on {name}" for e, name in zip(evaluations, names, strict=True)]
    if len({e.record.data.digest for e in evaluations}) > 1:
        names = [
            f"{name}, {e.record.data.name}" for e, name in zip(evaluations, names, strict=True)
        ]
    counts, seen = Counter(names), Counter[str]()
    for index, name in enumerate(names):
        if counts[name] > 1:
            seen[name] += 1
            names[index] = f"{name} ({seen[name]})"
    return tuple(names)


def model(evaluation: Evaluation) -> str:
    """Return the name of the network."""
    return evaluation.record.model or "unnamed network"


def outcomes(evaluations: Sequence[Evaluation]) -> tuple[Outcome, ...]:
    """Return what was decided, once for all evaluations that agree in every score."""
    groups: list[tuple[Evaluation, list[str]]] = []
    for evaluation, title in zip(evaluations, titles(evaluations), strict=True):
        for first, members in groups:
            if _agree(first, evaluation):
                members.append(title)
                break
        else:
            groups.append((evaluation, [title]))
    return tuple(Outcome(", ".join(members), first) for first, members in groups)


def _agree(a: Evaluation, b: Evaluation) -> bool:
    return (
        (a.record.program, a.record.data.digest) == (b.record.program, b.record.data.digest)
        and np.array_equal(a.predicted, b.predicted)
        and np.array_equal(a.scores, b.scores)
    )


def programs(evaluations: Sequence[Evaluation]) -> tuple[Evaluation, ...]:
    """Return one evaluation of each program."""
    return tuple({e.record.program: e for e in reversed(evaluations)}.values())[::-1]


def correct(evaluation: Evaluation) -> int:
    """Return how many images were decided rightly."""
    return int((evaluation.predicted == evaluation.data.labels).sum())


def class_names(evaluation: Evaluation) -> tuple[str, ...]:
    """Return a name for each score: that of the data set, else of the program, else a number."""
    count = evaluation.scores.shape[1]
    for names in (evaluation.data.classes, evaluation.program.classes):
        if len(names) == count:
            return names
    return tuple(f"class {index}" for index in range(count))


def confusion(evaluation: Evaluation) -> Array:
    """Return the count of images, (true class, predicted class)."""
    count = evaluation.scores.shape[1]
    cells = evaluation.data.labels * count + evaluation.predicted
    return np.bincount(cells, minlength=count * count).reshape(count, count)


def clip(name: str, length: int) -> str:
    """Return a name that is no longer than `length` characters."""
    return name if len(name) <= length else name[: length - 1] + "\N{HORIZONTAL ELLIPSIS}"
