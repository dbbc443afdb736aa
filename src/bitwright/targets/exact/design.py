"""The plain digital baseline: every dot product counted exactly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bitwright.ir.program import Program


@dataclass(frozen=True)
class Config:
    """Settings of the exact target.

    Parameters
    ----------
    engine
        ``native`` (fast) or ``reference`` (plain NumPy); the results are the same.
    """

    engine: Literal["native", "reference"] = "native"


@dataclass(frozen=True, eq=False)
class Design:
    """A program that is computed as it stands."""

    program: Program
    config: Config
