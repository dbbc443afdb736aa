"""What a network decides on a data set, with some design or none; kept in a folder.

Requirements:

- What was evaluated is not evaluated again: each evaluation has a file of its own, written whole or
  not at all, whose name is a digest of all that decides it.
- A file that is damaged is as if it were not there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bitwright import flow
from bitwright.circuits import Circuit
from bitwright.data import Dataset
from bitwright.files import digest_of, make_folder, write_atomically
from bitwright.ir.program import Program


@dataclass(frozen=True, eq=False)
class Decisions:
    """What was decided, (images,), and how many decisions are right."""

    predicted: npt.NDArray[np.int64]
    correct: int

    def agreeing(self, other: Decisions) -> int:
        """Return how many images both decide alike."""
        return int((self.predicted == other.predicted).sum())


class Evaluations:
    """Evaluations of one program.

    Parameters
    ----------
    program
        A classifier.
    folder
        Where evaluations are kept; made if it is not there.
    calibration
        A digest of the images that designs are calibrated on: a data set's name does not say
        which images it has.
    threads
        As for `bitwright.flow.evaluate`.

    Raises
    ------
    ConfigError
        If the folder cannot be made.
    """

    def __init__(
        self, program: Program, folder: Path, calibration: str = "", threads: int | None = None
    ) -> None:
        self.program, self.folder = program, folder
        self.calibration, self.threads = calibration, threads
        self.made = self.reused = 0
        """How many were evaluated, and how many were there."""
        make_folder(folder, "give another as --cache")

    def exact(self, data: Dataset) -> Decisions:
        """Return what the exact network decides.

        Raises
        ------
        ProgramError, DataError
            As `bitwright.flow.evaluate` does.
        """
        return self._decide(data, "exact", {}, {})

    def design(
        self, data: Dataset, settings: Mapping[str, Any], circuits: Mapping[str, Circuit]
    ) -> Decisions:
        """Return what the network decides as a design of the target ``majority``.

        Parameters
        ----------
        settings
            Of the target.
        circuits
            Those that the settings give layers: a file may have changed under its name.

        Raises
        ------
        BitwrightError
            As `bitwright.flow.evaluate` does.
        """
        digests = {name: circuit.digest for name, circuit in circuits.items()}
        return self._decide(data, "majority", settings, digests)

    def _decide(
        self, data: Dataset, target: str, settings: Mapping[str, Any], circuits: Mapping[str, str]
    ) -> Decisions:
        decides = {
            "bitwright": metadata.version("bitwright"),
            "program": self.program.digest,
            "data": data.digest,
            "target": target,
            "settings": settings,
            "circuits": circuits,
            "calibration": self.calibration if settings else "",
        }
        file = self.folder / f"{digest_of(decides)}.json"
        predicted = _read(file, len(data))
        if predicted is None:
            found = flow.evaluate(
                self.program, data, target=target, config=settings, threads=self.threads
            )
            predicted = found.predicted
            text = json.dumps({"decides": decides, "predicted": predicted.tolist()})
            write_atomically(file, text.encode())
            self.made += 1
        else:
            self.reused += 1
        return Decisions(predicted, int((predicted == data.labels).sum()))


def _read(file: Path, images: int) -> npt.NDArray[np.int64] | None:
    try:
        predicted = json.loads(file.read_text(encoding="utf-8"))["predicted"]
        found = np.array(predicted, np.int64)
    except (OSError, ValueError, TypeError, KeyError, OverflowError):
        return None
    return found if found.shape == (images,) else None
