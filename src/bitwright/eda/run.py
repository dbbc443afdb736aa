"""Plans of commands, and the one place that runs them.

Requirements:

- A plan is data: what it would run can be read, compared and stored without a tool installed.
- Tools run in a folder of their own, which goes when they are done.
- A result knows which version of each tool made it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bitwright.eda.tools import FoundTool, require
from bitwright.errors import ToolError

_LAST_LINES = 3


@dataclass(frozen=True)
class Command:
    """One call of a tool, in the folder of the plan.

    Parameters
    ----------
    tool
        The name of a tool of `bitwright.eda.TOOLS`.
    arguments
        Its arguments; files by their names in the folder.
    timeout_s
        When it is given up.
    """

    tool: str
    arguments: tuple[str, ...]
    timeout_s: float = 600.0


@dataclass(frozen=True)
class BuildPlan:
    """Files, commands to run on them one after the other, and the files that come out.

    Parameters
    ----------
    files
        The content of each file that is written first, by name.
    outputs
        The names of the files that the commands must leave.
    """

    files: Mapping[str, str]
    commands: tuple[Command, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class BuildResult:
    """What a plan gave.

    Parameters
    ----------
    outputs
        The content of each output file, by name.
    logs
        What each command printed, both streams together.
    versions
        The version of each tool that ran.
    seconds
        How long the commands took.
    """

    outputs: Mapping[str, str]
    logs: tuple[str, ...]
    versions: Mapping[str, str]
    seconds: float = field(compare=False)


def run_plan(plan: BuildPlan) -> BuildResult:
    """Run a plan in a temporary folder.

    Raises
    ------
    ToolError
        If a tool is missing, fails, takes too long, or leaves an output out; the message has the
        last lines that it printed.
    """
    tools = {command.tool: require(command.tool) for command in plan.commands}
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="bitwright-") as name:
        folder = Path(name)
        for file, content in plan.files.items():
            (folder / file).write_text(content, encoding="utf-8")
        logs = tuple(_run(tools[command.tool], command, folder) for command in plan.commands)
        outputs = {}
        for file in plan.outputs:
            try:
                outputs[file] = (folder / file).read_text(encoding="utf-8", errors="replace")
            except OSError as error:
                last = plan.commands[-1].tool
                raise ToolError(
                    f"{last} ended without writing {file} ({_end(logs[-1])})",
                    "check the version of the tool with: bitwright doctor",
                ) from error
    versions = {tool.tool.command: tool.version for tool in tools.values()}
    return BuildResult(outputs, logs, versions, time.perf_counter() - start)


def _run(tool: FoundTool, command: Command, folder: Path) -> str:
    try:
        process = subprocess.Popen(  # noqa: S603 - a fixed argument list, no shell
            [tool.path, *command.arguments],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        raise ToolError(
            f"{tool.path} cannot be run ({error.strerror})", "install it again"
        ) from error
    try:
        printed, _ = process.communicate(timeout=command.timeout_s)
    except subprocess.TimeoutExpired as error:
        raise ToolError(
            f"{command.tool} took longer than {command.timeout_s:g} s",
            "give a smaller design or more time",
        ) from error
    finally:
        if process.poll() is None:  # also what it started: yosys runs abc as a process of its own
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    log = printed.decode("utf-8", errors="replace")
    if process.returncode != 0:
        raise ToolError(
            f"{command.tool} failed with status {process.returncode} ({_end(log)})",
            "correct its input, or check its version with: bitwright doctor",
        )
    return log


def _end(log: str) -> str:
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    return " / ".join(lines[-_LAST_LINES:]) or "it printed nothing"
