"""A proof that a mapped netlist computes what its circuit does, for every input.

Requirements:

- Both sides are read by yosys: the circuit from its Verilog, the cells from the text of the Liberty
  file. Nothing of our own reading of either is trusted.
- Outputs are compared by a miter. abc merges what is equal inside it first, which makes popcounts
  of 32 inputs a matter of a second where a solver alone would not end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bitwright.eda import generic
from bitwright.eda.liberty import POWER_GROUPS, Library
from bitwright.eda.netlist import Netlist
from bitwright.eda.run import BuildPlan, Command, run_plan
from bitwright.eda.verilog import write_verilog
from bitwright.errors import CircuitError, ToolError

_VERDICTS = {
    "no model found: SUCCESS!": True,
    "model found: FAIL!": False,
}
"""What yosys's ``sat`` says, and whether the designs are then equal."""


@dataclass(frozen=True)
class Proof:
    """That a netlist is equal to its circuit: what found it, and in which time."""

    versions: Mapping[str, str]
    seconds: float


def prove_equal(verilog: str, netlist: Netlist, library: Library, timeout_s: int = 300) -> Proof:
    """Prove that a mapped netlist is equal to the design it was mapped from.

    Parameters
    ----------
    verilog
        The design, as `bitwright.eda.synthesis.synthesise` took it; its top module has the
        netlist's name.
    timeout_s
        When the solver gives up.

    Raises
    ------
    CircuitError
        If they differ for some input, or their ports do.
    ToolError
        If yosys is missing, or does not decide it in time.
    """
    return _proof(equivalence_plan(verilog, netlist, library, timeout_s), netlist.name, timeout_s)


def prove_same(first: str, second: str, top: str, timeout_s: int = 300) -> Proof:
    """Prove that two designs, which share nothing but the names of module and ports, are equal.

    Parameters
    ----------
    first, second
        Structural Verilog, as `bitwright.circuits.write_verilog` makes it.
    top
        The name of both modules.
    timeout_s
        When the solver gives up.

    Raises
    ------
    CircuitError
        If they differ for some input, or their ports do.
    ToolError
        If yosys is missing, or does not decide it in time.
    """
    return _proof(sameness_plan(first, second, top, timeout_s), top, timeout_s)


def _proof(plan: BuildPlan, name: str, timeout_s: int) -> Proof:
    done = run_plan(plan)
    verdict = parse_verdict(done.outputs["verdict"])
    if verdict is None:
        raise ToolError(
            f"yosys does not decide in {timeout_s} s if {name} is equal to its circuit",
            "give it more time, or check it by simulation",
        )
    if not verdict:
        raise CircuitError(
            f"{name} is not equal to its circuit", "report this: the emitted netlist is wrong"
        )
    return Proof(done.versions, done.seconds)


def sameness_plan(first: str, second: str, top: str, timeout_s: int) -> BuildPlan:
    """Return the plan that compares two designs; its output is ``verdict``."""
    parts = [
        f"""\
read_verilog {name}.v
read_verilog -overwrite generic.v
hierarchy -check -top {top}
proc
flatten
design -stash {name}
"""
        for name in ("gold", "gate")
    ]
    files = {
        "gold.v": first,
        "gate.v": second,
        "generic.v": generic.behaviour(),
        "prove.ys": "".join(parts) + _miter(top, timeout_s),
    }
    return _plan(files, timeout_s)


def equivalence_plan(verilog: str, netlist: Netlist, library: Library, timeout_s: int) -> BuildPlan:
    """Return the plan that compares a netlist with its design; its output is ``verdict``."""
    top = netlist.name
    script = f"""\
read_verilog design.v
read_verilog -overwrite generic.v
hierarchy -check -top {top}
proc
flatten
design -stash gold
read_liberty -ignore_miss_func cells.lib
read_verilog mapped.v
hierarchy -check -top {top}
flatten
design -stash gate
"""
    files = {
        "design.v": verilog,
        "generic.v": generic.behaviour(),
        "cells.lib": library.text(set(netlist.cell_counts), POWER_GROUPS),
        "mapped.v": write_verilog(netlist),
        "prove.ys": script + _miter(top, timeout_s),
    }
    return _plan(files, timeout_s)


def _miter(top: str, timeout_s: int) -> str:
    """Return the commands that compare the designs ``gold`` and ``gate``."""
    return f"""\
design -copy-from gold -as gold {top}
design -copy-from gate -as gate {top}
miter -equiv -flatten -make_outputs gold gate miter
hierarchy -top miter
techmap
opt -purge
abc -g AND
opt -purge
tee -q -o verdict sat -prove trigger 0 -timeout {timeout_s} miter
"""


def _plan(files: Mapping[str, str], timeout_s: int) -> BuildPlan:
    # abc has no time limit of its own: the command's is for both.
    command = Command("yosys", ("-q", "-s", "prove.ys"), timeout_s=2 * timeout_s + 60)
    return BuildPlan(files, (command,), ("verdict",))


def parse_verdict(report: str) -> bool | None:
    """Return whether ``sat`` found the designs equal; None if it found neither in time."""
    found = [equal for text, equal in _VERDICTS.items() if f"SAT proof finished - {text}" in report]
    return found[0] if len(found) == 1 else None
