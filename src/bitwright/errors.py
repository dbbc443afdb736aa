"""Every error that Bitwright raises on purpose.

A user sees one line: what is wrong, then what to do about it. The command line prints that line
and exits with 2; ``--debug`` shows the traceback.

    BitwrightError
    ├── ProgramError       a program or program file breaks a rule of the IR
    ├── CircuitError       a circuit or netlist is not one, or does not fit what is asked of it
    ├── FrontendError      a source network cannot be read, or not be expressed exactly
    ├── DataError          a data set is missing, damaged, or of the wrong shape
    ├── ConfigError        a setting or recipe is unknown or out of range
    ├── UnknownNameError   a model, data set, target, ... of that name does not exist
    ├── DependencyError    an optional Python package is not installed
    ├── ConvergenceError   a circuit's solution cannot be found
    ├── LibertyError       a Liberty file cannot be read, or lacks what is asked of it
    └── ToolError          an external tool is missing or failed

This module imports nothing of Bitwright: everything else imports it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class BitwrightError(Exception):
    """Base of all errors that Bitwright raises on purpose.

    Parameters
    ----------
    cause
        What is wrong, naming the file, layer or value.
    way_out
        What the user can do about it.
    """

    def __init__(self, cause: str, way_out: str) -> None:
        super().__init__(cause, way_out)
        self.cause = cause
        self.way_out = way_out

    def __str__(self) -> str:
        return f"{self.cause}: {self.way_out}"


class ProgramError(BitwrightError):
    """A program or program file breaks a rule of the IR."""


class CircuitError(BitwrightError):
    """A circuit or netlist is not one, or does not fit what is asked of it."""


class FrontendError(BitwrightError):
    """A source network cannot be read, or cannot be expressed exactly."""


class DataError(BitwrightError):
    """A data set is missing, damaged, or of the wrong shape."""


class ConfigError(BitwrightError):
    """A setting or recipe is unknown or out of range."""


class UnknownNameError(BitwrightError):
    """No model, data set, target, ... of that name exists."""

    def __init__(self, kind: str, name: str, known: Iterable[str], also: str = "") -> None:
        known = sorted(known)
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        guess = f"did you mean '{near[0]}'? " if near else ""
        listed = ", ".join(known) if known else "none"
        super().__init__(f"no {kind} named '{name}'", f"{guess}known: {listed}{also}")


class DependencyError(BitwrightError):
    """An optional Python package is not installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs the package '{package}'",
            f"install it with: pip install 'bitwright[{extra}]'",
        )


class ConvergenceError(BitwrightError):
    """A circuit's solution cannot be found."""


class LibertyError(BitwrightError):
    """A Liberty file cannot be read, or lacks what is asked of it."""


class ToolError(BitwrightError):
    """An external tool is missing or failed."""
