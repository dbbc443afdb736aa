"""How far a training run is, as callers are told. Imports no torch: the command line shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Attributes
    ----------
    epoch, epochs
        Epochs begun, counting from 1, of how many.
    step, steps
        Steps done in this epoch, of how many.
    loss
        Mean loss of the epoch so far.
    accuracy
        Share of its training images classified rightly so far.
    stage
        What is being trained: the "network", or before it the "teacher" that it learns from.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    accuracy: float
    stage: Literal["network", "teacher"] = "network"
