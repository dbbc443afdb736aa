"""The delay of a netlist by OpenSTA where it is installed, else by `bitwright.eda.timing`.

OpenSTA's power is not used: the version that Debian has ignores activities beyond the inputs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from bitwright.eda.liberty import POWER_GROUPS, Library
from bitwright.eda.netlist import Netlist
from bitwright.eda.run import BuildPlan, Command, run_plan
from bitwright.eda.timing import Boundary, analyse
from bitwright.eda.tools import is_there
from bitwright.eda.verilog import write_verilog
from bitwright.errors import ToolError

OWN = "Bitwright's static timing"
_LEFT_OUT = (
    *POWER_GROUPS,
    "wire_load",
    "wire_load_selection",
    "default_wire_load",
    "default_wire_load_mode",
    "default_wire_load_selection",
    "rise_capacitance_range",
    "fall_capacitance_range",
)
"""What OpenSTA would use where we do not: a guess at wires, and for pins that have a range of
capacitances its upper end instead of the typical value."""
_ARRIVAL = re.compile(r"^\s*(-?[\d.]+)\s+data arrival time", re.MULTILINE)


@dataclass(frozen=True)
class Delay:
    """The longest delay from an input to an output.

    Parameters
    ----------
    delay_s
        In seconds.
    source
        What found it: OpenSTA with its version, or `OWN`.
    own_s
        What our own static timing says, in seconds, for comparison.
    """

    delay_s: float
    source: str
    own_s: float


def find_delay(netlist: Netlist, library: Library, boundary: Boundary) -> Delay:
    """Return the delay by OpenSTA if it is installed, else by our own static timing.

    Raises
    ------
    ToolError
        If OpenSTA is installed and fails.
    LibertyError
        If a cell has no delay tables.
    CircuitError
        If no output depends on an input.
    """
    own = analyse(netlist, boundary).delay_s
    if not is_there("sta"):
        return Delay(own, OWN, own)
    done = run_plan(delay_plan(netlist, library, boundary, 2 * own))
    delay = parse_delay(done.logs[0], library.units.time_s)
    return Delay(delay, f"OpenSTA {done.versions['sta']}", own)


def delay_plan(
    netlist: Netlist, library: Library, boundary: Boundary, period_s: float
) -> BuildPlan:
    """Return the plan that makes OpenSTA report the longest path.

    Parameters
    ----------
    period_s
        A time of the order of the delay: OpenSTA compares slacks in single precision.
    """
    slew = boundary.input_slew_s / library.units.time_s
    load = boundary.output_load_f / library.units.capacitance_f
    script = f"""\
read_liberty cells.lib
read_verilog mapped.v
link_design {netlist.name}
create_clock -name clock -period {period_s / library.units.time_s:.6g}
set_input_delay 0 -clock clock [all_inputs]
set_output_delay 0 -clock clock [all_outputs]
set_input_transition {slew:.6g} [all_inputs]
set_load -pin_load {load:.6g} [all_outputs]
report_checks -path_delay max -format full -fields {{slew capacitance}} -digits 6
"""
    files = {
        "cells.lib": library.text(set(netlist.cell_counts), _LEFT_OUT),
        "mapped.v": write_verilog(netlist),
        "delay.tcl": script,
    }
    return BuildPlan(files, (Command("sta", ("-no_splash", "-exit", "delay.tcl")),), ())


def parse_delay(report: str, time_s: float) -> float:
    """Return the delay in seconds from what ``report_checks`` printed in units of `time_s`.

    Raises
    ------
    ToolError
        If there is no path in it.
    """
    found = _ARRIVAL.search(report)
    if found is None:
        last = " / ".join(report.split("\n")[-3:]).strip()
        raise ToolError(
            f"OpenSTA reports no path ({last})", "check the netlist, or uninstall OpenSTA"
        )
    return float(found[1]) * time_s
