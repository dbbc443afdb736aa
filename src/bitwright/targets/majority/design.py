"""What a design with approximate popcounts is: a circuit and thresholds for each layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from bitwright.circuits import Circuit
from bitwright.ir.program import Program

Matching = Literal["unchanged", "expected", "mean", "rate"]


@dataclass(frozen=True)
class Config:
    """Settings of the majority target.

    Parameters
    ----------
    circuit
        Which popcount, as `bitwright.circuits.parse` reads it: "maj:L=2,keep=0.6".
    layers
        The layers that have it, by the names of their dot products; all that can have it if none
        is named. The others count exactly.
    thresholds
        What the circuit's values are compared with: "unchanged", the exact count's thresholds;
        "expected", shifted by the circuit's mean error on random bits; "mean" and "rate", chosen
        for each neuron on calibration images, so that the mean value is off by as much as the
        threshold, or that the bit is 1 as often as the exact one.
    calibration
        The data set whose training images "mean" and "rate" take.
    calibration_images
        How many of them.
    """

    circuit: str = "maj"
    layers: tuple[str, ...] = ()
    thresholds: Matching = "expected"
    calibration: str = ""
    calibration_images: Annotated[int, Field(ge=1, le=1_000_000)] = 1000


@dataclass(frozen=True, eq=False)
class Design:
    """A program with circuits in place of its popcounts.

    Parameters
    ----------
    program, config
        What it was made of.
    circuits
        The circuit of each layer that has one, by the name of its dot product.
    thresholds
        What their values are compared with, (neurons,) each.
    """

    program: Program
    config: Config
    circuits: Mapping[str, Circuit]
    thresholds: Mapping[str, npt.NDArray[np.int64]]
