"""Circuits as Verilog: golden files, the way back, and what real tools make of it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.circuits.drawn import random_bits, random_circuit

from bitwright.circuits import (
    Circuit,
    Output,
    compare,
    count_by_columns,
    evaluate,
    make,
    read_netlist,
    write_verilog,
)
from bitwright.circuits.verilog_read import read_verilog
from bitwright.errors import CircuitError

GOLDEN = Path(__file__).parent / "golden"
CASES = {
    "exact9": lambda: make("exact", 9),
    "majority9": lambda: make("maj:L=1,centre,grouping=channel", 9, (3, 3, 1)),
    "neuron11": lambda: compare(make("counter63", 11), 6),
    "kept10": lambda: make("maj:keep=0.6", 10),
}


@pytest.mark.parametrize("name", CASES)
def test_the_text_is_the_golden_file(name):
    assert write_verilog(CASES[name](), name) == (GOLDEN / f"{name}.v").read_text()


@pytest.mark.parametrize(
    "spec", ["exact", "ripple", "counter63", "maj:L=2,keep=0.8", "maj:arity=7,centre", "lta:size=6"]
)
@pytest.mark.parametrize("inputs", [1, 2, 9, 40])
def test_what_is_written_is_read_back(spec, inputs):
    for circuit in (make(spec, inputs), compare(make(spec, inputs), inputs // 2 + 1)):
        back = read_verilog(write_verilog(circuit))
        assert back == circuit
        assert back.digest == circuit.digest


@given(st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=60)
def test_any_circuit_is_read_back_to_the_same_function(seed):
    rng = np.random.default_rng(seed)
    circuit = random_circuit(rng, 7, 30)
    back = read_verilog(write_verilog(circuit))  # two constants of one value become one wire
    bits = rng.random((60, 7)) < 0.5
    assert np.array_equal(evaluate(back, bits), evaluate(circuit, bits))


def test_modules_are_left_out_where_the_flow_has_its_own():
    text = write_verilog(make("maj", 27), modules=False)
    assert text.count("module ") == 1 + text.count("endmodule ")
    assert "FA u" in text
    whole = write_verilog(make("maj", 27))
    assert whole.startswith(text)
    assert {"module FA", "module HA", "module MAJ3"} <= {
        part.split(" (")[0] for part in whole.split("\n")
    }


@pytest.mark.parametrize("name", ["", "9a", "a b", "FA", "x;y"])
def test_a_name_that_is_none(name):
    with pytest.raises(CircuitError, match="is not a name for this module"):
        write_verilog(count_by_columns(3), name)


def test_a_circuit_without_outputs_is_no_module():
    with pytest.raises(CircuitError, match="has no output"):
        write_verilog(Circuit(2, (), ()))


def simulate(circuit: Circuit, bits: np.ndarray, folder: Path) -> list[int]:
    """Return the values that Icarus Verilog computes, one for each sample."""
    words = [int("".join("01"[bit] for bit in row[::-1]), 2) for row in bits.astype(int)]
    stimuli = "\n".join(
        f'    in = {circuit.inputs}\'d{word}; #1 $display("%b", out);' for word in words
    )
    (folder / "circuit.v").write_text(write_verilog(circuit))
    (folder / "bench.v").write_text(
        f"module bench;\n  reg [{circuit.inputs - 1}:0] in;\n"
        f"  wire [{len(circuit.outputs) - 1}:0] out;\n  popcount dut (in, out);\n"
        f"  initial begin\n{stimuli}\n  end\nendmodule\n"
    )
    compiled = str(folder / "bench")
    subprocess.run(
        [
            "iverilog",
            "-Wall",
            "-o",
            compiled,
            "-s",
            "bench",
            folder / "bench.v",
            folder / "circuit.v",
        ],
        check=True,
        capture_output=True,
    )
    done = subprocess.run(["vvp", "-n", compiled], check=True, capture_output=True, text=True)
    rows = [line[::-1] for line in done.stdout.split()]
    return [
        circuit.offset
        + sum(o.weight * int(bit) for o, bit in zip(circuit.outputs, row, strict=True))
        for row in rows
    ]


@pytest.mark.tool("iverilog")
@pytest.mark.parametrize("seed", range(3))
def test_a_simulator_computes_the_same(seed, tmp_path):
    circuit = random_circuit(np.random.default_rng(seed), 9, 60)
    bits = random_bits(seed, 60, 9)
    assert simulate(circuit, bits, tmp_path) == evaluate(circuit, bits).tolist()


@pytest.mark.tool("iverilog")
@pytest.mark.parametrize("spec", ["exact", "maj:L=2,share=0.6", "lta:size=9", "counter63"])
def test_a_simulator_counts_the_same(spec, tmp_path):
    circuit = make(spec, 50)
    bits = random_bits(8, 40, 50)
    assert simulate(circuit, bits, tmp_path) == evaluate(circuit, bits).tolist()


@pytest.mark.tool("yosys")
def test_what_a_synthesis_tool_writes_is_read(tmp_path):
    """Yosys flattens, maps to gates and writes Verilog and BLIF of its own."""
    circuit = make("maj:share=0.5", 30)
    (tmp_path / "in.v").write_text(write_verilog(circuit))
    script = (
        "read_verilog in.v; synth -flatten -top popcount; abc -g AND,OR,XOR,NAND,MUX; opt_clean; "
        "write_verilog out.v; write_blif out.blif"
    )
    subprocess.run(["yosys", "-q", "-p", script], cwd=tmp_path, check=True, capture_output=True)
    bits = random_bits(9, 500, 30)
    for name in ("out.v", "out.blif"):
        back = read_netlist(tmp_path / name)
        assert np.array_equal(evaluate(back, bits), evaluate(circuit, bits))


def test_negative_and_odd_weights_survive():
    circuit = Circuit(2, (), (Output(0, -3), Output(1, 7)), offset=-1, divisor=5)
    assert read_verilog(write_verilog(circuit)) == circuit
