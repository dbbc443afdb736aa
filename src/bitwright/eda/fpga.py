"""Circuits in FPGAs: look-up tables of Xilinx's 7 series, and the clock that an ECP5 reaches.

Requirements:

- The clock is that of a whole design after placing and routing: input register, circuit, output
  register, one operation a cycle. A popcount has more inputs than a package has pins, so the input
  register is a shift register that one pin fills; its path from bit to bit is never the slowest.
- Nothing is placed out of context: the clock comes from a pin over the global network.
- What is counted or timed is a netlist that equals its circuit on random vectors.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bitwright.circuits import Circuit, write_verilog
from bitwright.eda import generic
from bitwright.eda.logic import Bits
from bitwright.eda.luts import LutNetlist, read_luts
from bitwright.eda.run import BuildPlan, Command, run_plan
from bitwright.eda.synthesis import check_name
from bitwright.eda.vectors import expected_outputs
from bitwright.errors import CircuitError, ToolError

DEVICE, PACKAGE, SPEED = "85k", "CABGA756", 6
"""The largest ECP5, LFE5U-85F, in its slowest grade: the common choice where nothing is said."""
_TARGET_MHZ = 200
"""What the router aims at; more than any popcount reaches in one cycle."""
_LUT = r"LUT[1-6]|INV"
_WITHOUT_SCOPES = "delete t:$scopeinfo"
"""Later versions of yosys mark the modules that they flattened with cells that compute nothing."""


@dataclass(frozen=True)
class LutCount:
    """A design in look-up tables of a Xilinx 7-series FPGA.

    Parameters
    ----------
    luts
        How many; two that share one site count as two.
    netlist
        The design itself; `LutNetlist.counts` has all of its primitives.
    """

    luts: int
    netlist: LutNetlist
    versions: Mapping[str, str]

    @property
    def cells(self) -> Mapping[str, int]:
        """How many there are of each primitive."""
        return self.netlist.counts


@dataclass(frozen=True)
class Routed:
    """A registered circuit, placed and routed in an ECP5.

    Parameters
    ----------
    luts
        The look-up tables of four inputs that are used (TRELLIS_COMB).
    flip_flops
        Those of input and output registers.
    fmax_mhz
        The clock that its slowest path allows.
    device
        Device, package and speed grade.
    seed
        Of placer and router: other seeds give a few per cent more or less.
    """

    luts: int
    flip_flops: int
    fmax_mhz: float
    device: str
    seed: int
    netlist: LutNetlist
    versions: Mapping[str, str]


def count_luts(verilog: str, *, top: str | None = None) -> LutCount:
    """Map a design to look-up tables of Xilinx's 7 series with yosys.

    Parameters
    ----------
    verilog
        As for `bitwright.eda.synthesis.synthesise`; storage is fine.

    Raises
    ------
    ToolError
        If yosys is missing or refuses the design, or makes primitives of it that are not known.
    """
    check_name(top)
    done = run_plan(lut_plan(verilog, top))
    netlist = read_luts(done.outputs["mapped.json"])
    luts = sum(count for kind, count in netlist.counts.items() if re.fullmatch(_LUT, kind))
    return LutCount(luts, netlist, done.versions)


def place_and_route(circuit: Circuit, seed: int = 1) -> Routed:
    """Map a circuit between registers to an ECP5, place and route it with nextpnr.

    Raises
    ------
    CircuitError
        If the circuit has no output.
    ToolError
        If yosys or nextpnr-ecp5 is missing or fails, as for a circuit that does not fit.
    """
    done = run_plan(ecp5_plan(registered(circuit), seed))
    luts, flip_flops, fmax = parse_report(done.outputs["report.json"])
    netlist = read_luts(done.outputs["mapped.json"])
    device = f"LFE5U-{DEVICE[:-1]}F {PACKAGE}, speed grade {SPEED}"
    return Routed(luts, flip_flops, fmax, device, seed, netlist, done.versions)


def check_luts(netlist: LutNetlist, circuit: Circuit, vectors: Bits) -> None:
    """Refuse a design in look-up tables, registered or not, that differs from its circuit.

    Parameters
    ----------
    vectors
        Of shape (vectors, inputs).

    Raises
    ------
    CircuitError
        If an output differs for a vector.
    ToolError
        If the design cannot be simulated.
    """
    if "in" in netlist.ports:
        given, asked = netlist.ports["in"], netlist.ports["out"]
    else:
        # Found by what it does: versions of yosys differ in which names of a wire they keep.
        given = netlist.shift_register(netlist.ports["d"][0])[: circuit.inputs]
        asked = tuple(netlist.registers.get(net, net) for net in netlist.ports["q"])
    # The last bits of a shift register that nothing reads are gone.
    found = netlist.simulate(given, vectors[:, : len(given)], asked)
    wanted = expected_outputs(circuit, vectors)
    if not np.array_equal(found, wanted):
        wrong = int(np.any(found != wanted, axis=1).sum())
        raise CircuitError(
            f"the look-up tables differ from their circuit in {wrong} of {len(vectors)} vectors",
            "report this: the mapped netlist is wrong",
        )


def registered(circuit: Circuit) -> str:
    """Return a circuit between an input and an output register as Verilog; `top` is its top.

    Raises
    ------
    CircuitError
        If the circuit has no output.
    """
    outputs = len(circuit.outputs)
    top = f"""
module top(input clk, input d, output [{outputs - 1}:0] q);
  reg [{circuit.inputs - 1}:0] taken;
  reg [{outputs - 1}:0] result;
  wire [{outputs - 1}:0] value;
  popcount circuit(.in(taken), .out(value));
  always @(posedge clk) begin
    taken <= {{taken, d}};
    result <= value;
  end
  assign q = result;
endmodule
"""
    return write_verilog(circuit) + top


def lut_plan(verilog: str, top: str | None = None) -> BuildPlan:
    """Return the plan that maps a design to the look-up tables of Xilinx's 7 series."""
    chosen = f"-top {top}" if top else "-auto-top"
    script = f"""\
read_verilog design.v
read_verilog -overwrite boxes.v
hierarchy -check {chosen}
read_verilog -overwrite generic.v
synth_xilinx -family xc7 -flatten -noiopad
{_WITHOUT_SCOPES}
write_json mapped.json
"""
    files = {
        "design.v": verilog,
        "boxes.v": generic.black_boxes(),
        "generic.v": generic.behaviour(),
        "map.ys": script,
    }
    return BuildPlan(files, (_yosys(),), ("mapped.json",))


def ecp5_plan(verilog: str, seed: int) -> BuildPlan:
    """Return the plan that maps a design with the module `top` to an ECP5, and routes it."""
    script = f"""\
read_verilog design.v
synth_ecp5 -top top
{_WITHOUT_SCOPES}
write_json mapped.json
"""
    route = (
        f"--{DEVICE}", "--package", PACKAGE, "--speed", f"{SPEED}",
        "--json", "mapped.json", "--report", "report.json",
        "--seed", f"{seed}", "--freq", f"{_TARGET_MHZ}",
        "--timing-allow-fail", "--lpf-allow-unconstrained", "--quiet",
    )  # fmt: skip
    commands = (_yosys(), Command("nextpnr-ecp5", route, timeout_s=3600.0))
    return BuildPlan(
        {"design.v": verilog, "map.ys": script}, commands, ("mapped.json", "report.json")
    )


def parse_report(text: str) -> tuple[int, int, float]:
    """Return look-up tables, flip-flops and clock (MHz) from nextpnr's JSON report.

    Raises
    ------
    ToolError
        If it is no such report, or has no clock or several.
    """
    try:
        report = json.loads(text)
        (clock,) = report["fmax"].values()
        used = {kind: int(entry["used"]) for kind, entry in report["utilization"].items()}
        return used["TRELLIS_COMB"], used["TRELLIS_FF"], float(clock["achieved"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ToolError(
            f"nextpnr's report cannot be read ({error})",
            "check the version of nextpnr-ecp5 with: bitwright doctor",
        ) from error


def _yosys() -> Command:
    return Command("yosys", ("-q", "-s", "map.ys"), timeout_s=1800.0)
