"""Lowering to the exact target: there is nothing to choose."""

from __future__ import annotations

from bitwright.ir.program import Program
from bitwright.targets.base import Progress
from bitwright.targets.exact.design import Config, Design


def lower(program: Program, config: Config, progress: Progress | None = None) -> Design:
    """Return the design of a program."""
    return Design(program, config)
