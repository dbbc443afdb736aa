"""What OpenSTA reports as power, for comparison on chains, where it is exact."""

from __future__ import annotations

import re
from dataclasses import dataclass

from bitwright.eda.liberty import Library
from bitwright.eda.netlist import Netlist
from bitwright.eda.opensta import delay_plan
from bitwright.eda.run import BuildPlan, Command, run_plan
from bitwright.eda.timing import Boundary

PERIOD_S = 1e-9


@dataclass(frozen=True)
class Power:
    """Energies in joules of one transition of each net, and leakage in watts."""

    internal_j: float
    switching_j: float
    leakage_w: float
    version: str


def opensta_power(netlist: Netlist, library: Library, boundary: Boundary) -> Power:
    """Ask OpenSTA what a chain takes whose input changes once a period."""
    plan = delay_plan(netlist, library, boundary, PERIOD_S)
    script = plan.files["delay.tcl"].replace(
        plan.files["delay.tcl"].splitlines()[-1],
        "set_power_activity -input -activity 1 -duty 0.5\nreport_power -digits 9",
    )
    left_out = ("wire_load", "default_wire_load", "default_wire_load_selection")
    ranges = ("rise_capacitance_range", "fall_capacitance_range")
    cells = library.text(set(netlist.cell_counts), (*left_out, *ranges))
    files = {**plan.files, "cells.lib": cells, "power.tcl": script}
    command = Command("sta", ("-no_splash", "-exit", "power.tcl"))
    done = run_plan(BuildPlan(files, (command,), ()))
    return parse(done.logs[0], done.versions["sta"])


def parse(report: str, version: str) -> Power:
    total = re.search(r"^Total\s+(\S+)\s+(\S+)\s+(\S+)", report, re.MULTILINE)
    assert total, report
    internal, switching, leakage = (float(x) for x in total.groups())
    return Power(internal * PERIOD_S, switching * PERIOD_S, leakage, version)
