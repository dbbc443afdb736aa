"""Which external tools there are, and where.

Bitwright works without any of them; what needs one says so. Each is looked up on ``PATH``.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass


@dataclass(frozen=True)
class Tool:
    """An external program.

    Parameters
    ----------
    command
        Its name on ``PATH``.
    version
        Arguments that make it print its version.
    package
        The Debian package that has it.
    purpose
        What Bitwright uses it for.
    """

    command: str
    version: tuple[str, ...]
    package: str
    purpose: str


TOOLS = (
    Tool("yosys", ("-V",), "yosys", "logic synthesis"),
    Tool("verilator", ("--version",), "verilator", "fast simulation of emitted Verilog"),
    Tool("iverilog", ("-V",), "iverilog", "event-driven simulation of emitted Verilog"),
    Tool("sta", ("-version",), "opensta", "static timing"),
    Tool("ngspice", ("-v",), "ngspice", "circuit simulation of crossbar tiles"),
    Tool("chromium", ("--version",), "chromium", "opening reports in tests"),
)


def find_tools() -> dict[Tool, tuple[str, str] | None]:
    """Return for each tool its path and version, or None if it is missing."""
    return {tool: _find(tool) for tool in TOOLS}


def _find(tool: Tool) -> tuple[str, str] | None:
    path = shutil.which(tool.command)
    if path is None:
        return None
    try:
        done = subprocess.run(  # noqa: S603 - a fixed argument list, no shell
            [path, *tool.version], capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return path, "does not answer"
    match = re.search(r"\d+(\.\d+)+", done.stdout + done.stderr)
    return path, match.group() if match else "unknown version"
