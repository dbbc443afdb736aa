"""Structural Verilog and BLIF to circuits: what is read, and what is refused with its line."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.circuits.drawn import all_patterns, random_bits

from bitwright.circuits import Interface, evaluate, read_netlist
from bitwright.circuits.blif import read_blif
from bitwright.circuits.verilog_read import read_verilog
from bitwright.errors import CircuitError

# An approximate count of four bits in the style of evolved netlists: gates that nothing reads, bits
# of the output that are inputs or constants.
EVOLVED = """
// MAE=0.5
module popcount04_tiny(input [3:0] input_a, output [2:0] popcount04_tiny_out);
  wire tiny_core_006;
  wire tiny_core_007;
  wire tiny_core_008;

  assign tiny_core_006 = ~(input_a[0] ^ input_a[1]);
  assign tiny_core_007 = input_a[2] | input_a[3];
  assign tiny_core_008 = input_a[2] & input_a[3];

  assign popcount04_tiny_out[0] = input_a[3];
  assign popcount04_tiny_out[1] = tiny_core_007;
  assign popcount04_tiny_out[2] = 1'b0;
endmodule"""


def test_a_netlist_as_evolution_leaves_it():
    circuit = read_verilog(EVOLVED)
    assert circuit.inputs == 4
    assert circuit.counts == {"CONST0": 1, "AND2": 1, "OR2": 1, "XNOR2": 1}
    bits = all_patterns(4)
    expected = bits[:, 3] + 2 * (bits[:, 2] | bits[:, 3])
    assert np.array_equal(evaluate(circuit, bits), expected)


EXPRESSIONS = {
    "a & b": lambda a, b, c: a & b,
    "a | b ^ c & a": lambda a, b, c: a | (b ^ (c & a)),
    "~(a & b)": lambda a, b, c: ~(a & b),
    "~(a | b) ^ c": lambda a, b, c: ~(a | b) ^ c,
    "~~~a": lambda a, b, c: ~a,
    "a ~^ b": lambda a, b, c: ~(a ^ b),
    "a ^~ b | c": lambda a, b, c: ~(a ^ b) | c,
    "a ? b : c": np.where,
    "a & b ? c : b ? a : ~c": lambda a, b, c: np.where(a & b, c, np.where(b, a, ~c)),
    "(a | 1'b0) & 1'b1 & c": lambda a, b, c: a & c,
    "a ^ b ^ c ^ a ^ 1'b1": lambda a, b, c: ~(b ^ c),
}


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_expressions(text):
    source = f"module m(input a, b, c, output y);\n assign y = {text};\nendmodule"
    bits = all_patterns(3)
    expected = EXPRESSIONS[text](*bits.T)
    assert np.array_equal(evaluate(read_verilog(source), bits), expected)


def test_buses_parts_and_concatenations():
    source = """
    module m(a, b, y);               /* ports in the old style */
      input [0:3] a;                 // the lowest bit is a[3]
      input [7:4] b;
      output [3:0] y;
      wire [3:0] n = ~a, m;
      assign m[1:0] = {n[0], b[4]}, m[3:2] = b[7:6] & n[1:0];
      assign y = m ^ {4{1'b0}};
    endmodule"""
    with pytest.raises(CircuitError, match=r"line 8: '\{' stands where"):
        read_verilog(source)
    circuit = read_verilog(source.replace(" ^ {4{1'b0}}", " | 4'h2 & 4'b0000"))
    bits = all_patterns(8)
    a, b = bits[:, :4], bits[:, 4:]  # columns from the lowest bit: a[3] .. a[0], b[4] .. b[7]
    m = [b[:, 0], ~a[:, 0], b[:, 2] & ~a[:, 0], b[:, 3] & ~a[:, 1]]
    expected = sum(bit.astype(int) << i for i, bit in enumerate(m))
    assert np.array_equal(evaluate(circuit, bits), expected)


def test_primitives_take_any_number_of_inputs():
    source = """
    module m(input [4:0] a, output [7:0] y);
      and g0 (y[0], a[0], a[1], a[2], a[3], a[4]);
      nor (y[1], a[0], a[1], a[2], a[3]);
      xnor g2 (y[2], a[0], a[1], a[2], a[3], a[4]), g3 (y[3], a[0], a[1]);
      nand g4 (y[4], a[0], a[1], a[2]);
      not g5 (y[5], y[6], a[4]);
      buf g6 (y[7], y[0]);
    endmodule"""
    bits = all_patterns(5)
    ones = bits.sum(1)
    expected = [
        ones == 5,
        bits[:, :4].sum(1) == 0,
        ones % 2 == 0,
        bits[:, 0] == bits[:, 1],
        bits[:, :3].sum(1) < 3,
        ~bits[:, 4],
        ~bits[:, 4],
        ones == 5,
    ]
    values = sum(bit.astype(int) << i for i, bit in enumerate(expected))
    assert np.array_equal(evaluate(read_verilog(source), bits), values)


HIERARCHY = """
`timescale 1ns/1ps
module adds_two(x, y, low, high);
  input x, y; output low, high;
  assign high = ~(~x | ~y);
  assign low = (x | y) & ~high;
endmodule
(* keep *) module adds_three(input p, q, r, output total, output over);
  wire half, c1, c2;
  adds_two first(p, q, half, c1);
  adds_two second(.x(half), .y(r), .low(total), .high(c2));
  or (over, c1, c2);
endmodule
module pair(input [5:0] v, output [1:0] s, output [1:0] c);
  adds_three a(v[0], v[1], v[2], s[0], c[0]);
  adds_three b(.p(v[3]), .q(v[4]), .r(v[5]), .total(s[1]), .over(c[1]));
endmodule
module top(input [5:0] in, output [2:0] out);
  wire [1:0] s; wire [1:0] c;
  pair u(.v(in), .s(s), .c(c));
  wire \\carry[0] ;
  adds_two low(s[0], s[1], out[0], \\carry[0] );
  adds_three up(c[0], c[1], \\carry[0] , out[1], out[2]);
endmodule
"""


def test_a_module_that_is_a_cell_becomes_one_and_others_are_flattened():
    circuit = read_verilog(HIERARCHY)
    assert circuit.counts == {"HA": 1, "FA": 3}
    bits = all_patterns(6)
    assert np.array_equal(evaluate(circuit, bits), bits.sum(1))


def test_cells_known_by_name_need_no_definition():
    source = """
    module m(input [3:0] a, output [2:0] y, output v);
      wire s, c;
      full_adder u0 (.A(a[0]), .B(a[1]), .CIN(a[2]), .S(s), .COUT(c));
      HA u1 (.a(s), .b(a[3]), .sum(y[0]), .carry(d));
      HA u2 (.a(c), .b(d), .s(y[1]), .co(y[2]));
      MAJ3 u3 (.a(a[0]), .b(a[1]), .c(a[2]), .y(v));
      FA u4 (.a(a[0]), .b(a[1]), .c(a[2]), .s(unused));
    endmodule"""
    bits = all_patterns(4)
    circuit = read_verilog(source, interface=Interface(output="y"))
    assert circuit.counts == {"MAJ3": 1, "HA": 2, "FA": 2}
    assert np.array_equal(evaluate(circuit, bits), bits.sum(1))
    vote = read_verilog(source, interface=Interface(output="v"))
    assert np.array_equal(evaluate(vote, bits), bits[:, :3].sum(1) >= 2)


def test_gates_may_come_in_any_order():
    source = """
    module m(input a, b, output [1:0] y);
      assign y = {high, low};
      and (high, a, both);
      wire both = b;
      xor (low, a, b);
    endmodule"""
    assert evaluate(read_verilog(source), all_patterns(2)).tolist() == [0, 1, 1, 2]


def test_the_interface_chooses_and_weighs():
    source = """
    module m(input [1:0] b, input a, output [1:0] y, output z);
      assign y = b, z = a;
    endmodule
    module other(input a, output y);
      assign y = a;
    endmodule"""
    chosen = Interface(top="m", inputs=("a", "b"), output="y", weights=(-3, 10), offset=7)
    circuit = read_verilog(source, interface=chosen)
    assert evaluate(circuit, [[1, 0, 0], [0, 1, 0], [0, 0, 1]]).tolist() == [7, 4, 17]
    for interface, message in [
        (Interface(), "2 modules may be top: name the top: m, other"),
        (Interface(top="n"), "no module 'n'"),
        (Interface(top="m"), "has 2 outputs, none chosen: choose one of: y, z"),
        (Interface(top="m", output="q"), "no output 'q'"),
        (Interface(top="m", output="y", inputs=("a",)), "are not the inputs: name all of: b, a"),
        (Interface(top="m", output="y", weights=(1,)), "1 weights do not fit 2 output bits"),
    ]:
        with pytest.raises(CircuitError, match=re.escape(message)):
            read_verilog(source, interface=interface)


REFUSED = {
    "a loop": (
        "assign y = a ^ w;\nassign w = y & b;",
        "line 2: a loop goes through the nets 'y', 'w'",
    ),
    "a loop of plain nets": ("assign y = w;\nassign w = y;", "drives itself"),
    "a net without a driver": ("wire w;\nassign y = a & w;", "line 3: net 'w' has no driver"),
    "an output without a driver": ("wire w;", "file.v, line 1: net 'y' has no driver"),
    "an output of an instance without a driver": (
        "n u({a, b, a, b}, y);\nendmodule\nmodule n(input [3:0] a, output y);",
        "file.v, line 2: net 'u.y' has no driver",
    ),
    "two drivers": ("assign y = a;\nassign y = b;", "line 3: net 'y' has two drivers"),
    "a driven input": ("assign a = b;", "line 2: net 'a' has two drivers"),
    "an unknown cell": ("sky130_fa u (a, b);", "line 2: unknown cell 'sky130_fa'"),
    "too few connections": ("and (y, a);", "line 2: the 2 connections of 'and' do not fit"),
    "a primitive by name": ("and g (.y(y));", "line 2: the 0 connections of 'and' do not fit"),
    "a half adder of three": (
        "HA u (.a(a), .b(b), .c(a), .s(y));",
        "line 2: the connections of 'HA' do not fit",
    ),
    "a full adder of two": (
        "FA u (.a(a), .b(b), .s(y));",
        "line 2: the connections of 'FA' do not fit",
    ),
    "a bit that is not there": ("assign y = a[1];", "line 2: 'a' has no bits 1..1"),
    "a part of what is not declared": ("assign y = w[0];", "line 2: 'w' is not declared"),
    "a part of other width": ("wire [1:0] w;\nassign y = w;", "line 3: an assignment has 2 bits"),
    "operands of other width": (
        "wire [1:0] w;\nassign y = w & a;",
        "line 3: an operand of '&' has 1 bits where 2 are needed",
    ),
    "a process": ("always @(a) y = a;", "line 2: '@' is not understood"),
    "a register": ("reg r;", "line 2: 'reg' is not understood"),
    "arithmetic": ("assign y = a + b;", "line 2: '+' is not understood"),
    "an unknown bit": ("assign y = 1'bx;", "line 2: '1'bx' is not a number of known bits"),
    "an expression on the left": ("assign a & b = y;", "line 2: '&' stands where '=' is expected"),
    "a driven constant": ("assign 1'b0 = a;", "line 2: an expression cannot be driven"),
    "a missing semicolon": ("assign y = a\nendmodule", "line 3: 'endmodule' stands where"),
    "a huge bus": ("wire [999999999:0] w;", "line 2: 'w' has 1000000000 bits"),
    "a huge constant": ("assign y = 99999999'h1;", "line 2: '99999999'h1' is too long"),
    "deep nesting": (f"assign y = {'(' * 3000}a{')' * 3000};", "nested too deep"),
    "a net that is declared twice": ("input a;", "line 2: 'a' is declared twice"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_popcount_is_refused_with_its_line(case):
    body, message = REFUSED[case]
    with pytest.raises(CircuitError, match=re.escape(message)):
        read_verilog(f"module m(input a, b, output y);\n{body}\nendmodule", "file.v")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "file.v defines no module"),
        ("// nothing\n", "file.v defines no module"),
        ("module m(input a, output y)", "the text ends where ';' is expected"),
        ("module m(a); endmodule", "port 'a' of 'm' is not declared"),
        ("module m(output y); assign y = 1'b0; endmodule", "a circuit of 0 inputs"),
        (
            "module m(input a,\noutput [1:0] y);\nassign y[0] = a; endmodule",
            "file.v, line 2: net 'y[1]' has no driver",
        ),
        ("module m(input a); endmodule", "has 0 outputs"),
        ("module m(input a, output y); m u(a, y); endmodule", "0 modules may be top"),
        (
            "module t(input a, output y); m u(a, y); endmodule\n"
            "module m(input a, output y); m u(a, y); endmodule",
            "line 2: module 'm' is used within itself",
        ),
        (
            "module t(input a, output y); m u(.b(a), .y(y)); endmodule\n"
            "module m(input a, output y); assign y = a; endmodule",
            "line 1: the connections of 'm' do not fit its ports: connect a, y",
        ),
        (
            "module t(input [1:0] a, output y); m u(a, y); endmodule\n"
            "module m(input a, output y); assign y = a; endmodule",
            "line 1: an assignment has 2 bits where 1 are needed",
        ),
        ("module m(input a, output y); endmodule module m(); endmodule", "is defined twice"),
        ('(* bitwright_weights = "x" *) module m(input a, output y); endmodule', "no integers"),
        ('(* bitwright_offset = "x" *) module m(input a, output y); endmodule', "no integer"),
    ],
)
def test_modules_that_do_not_fit(text, message):
    with pytest.raises(CircuitError, match=re.escape(message)):
        read_verilog(text, "file.v")


@given(st.data())
@settings(deadline=None, max_examples=150)
def test_a_damaged_netlist_is_read_or_refused(data):
    """Never a crash: whatever is cut out or put in, there is a circuit or a `CircuitError`."""
    text = data.draw(st.sampled_from([EVOLVED, HIERARCHY, COUNTER]))
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 20)))
    extra = data.draw(
        st.sampled_from(["", "~", "(", "[9:0]", "1'b1", ";", "assign", ".names", "\\"])
    )
    damaged = text[:start] + extra + text[end:]
    try:
        circuit = (read_blif if text is COUNTER else read_verilog)(damaged)
    except CircuitError as error:
        assert error.way_out  # noqa: PT017 - either outcome is right
    else:
        assert circuit.inputs >= 1


@pytest.mark.parametrize("levels", [40, 70])
def test_modules_that_multiply_end_in_an_error(levels, monkeypatch):
    monkeypatch.setattr("bitwright.circuits.nets.MOST_NETS", 5000)
    modules = [
        "module m0(input [3:0] a, output y); assign y = a[0] ^ a[1] ^ a[2] & a[3]; endmodule"
    ]
    blif = [".model m0\n.inputs a b\n.outputs y\n.names a b y\n11 1\n.end"]
    for i in range(1, levels):
        inner = f"m{i - 1} p(a, x), q(a, z)"
        modules.append(
            f"module m{i}(input [3:0] a, output y); {inner}; assign y = x ^ z; endmodule"
        )
        pins = "\n".join(f".subckt m{i - 1} a=a b=b y={y}" for y in "xz")
        blif.append(f".model m{i}\n.inputs a b\n.outputs y\n{pins}\n.names x z y\n11 1\n.end")
    with pytest.raises(CircuitError, match=r"more than 5000 nets|used within itself"):
        read_verilog("\n".join(modules))
    with pytest.raises(CircuitError, match=r"more than 5000 nets|or too deep"):
        read_blif("\n".join(reversed(blif)))


COUNTER = """
# 4 bits, the carry of the first three as a majority
.model count
.inputs b[0] b[1] \\
        b[3] b[2]
.outputs s[1] s[0] s[2]
.names b[0] b[1] b[2] m
11- 1
1-1 1
-11 1
.names b[0] b[1] b[2] x
000 0
011 0
101 0
110 0
.names x b[3] s[0]
01 1
10 1
.names x b[3] c
11 1
.subckt half a=m b=c s=s[1] c=s[2]
.end
.model half
.inputs a b
.outputs s c
.names a b s
10 1
01 1
.names a b c
11 1
.end
"""


def test_blif():
    circuit = read_blif(COUNTER)
    bits = all_patterns(4)
    assert np.array_equal(evaluate(circuit, bits), bits.sum(1))
    assert circuit.counts == {"AND2": 2, "XOR2": 2, "XOR3": 1, "MAJ3": 1}


@given(st.data())
@settings(deadline=None, max_examples=80)
def test_any_cover_becomes_gates(data):
    variables = data.draw(st.integers(0, 6))
    patterns = st.text("01-", min_size=variables, max_size=variables)
    rows = (
        data.draw(st.lists(patterns, max_size=8))
        if variables
        else [""] * data.draw(st.integers(0, 1))
    )
    value = data.draw(st.sampled_from("01")) if rows else "1"
    names = " ".join(f"x{i}" for i in range(variables))
    text = f".model m\n.inputs {names} spare\n.outputs y\n.names {names} y\n"
    text += "".join(f"{row} {value}\n".lstrip() for row in rows) + ".end\n"
    bits = all_patterns(variables + 1)
    covered = np.zeros(len(bits), np.bool_)
    for row in rows:
        wanted = [(i, letter == "1") for i, letter in enumerate(row) if letter != "-"]
        covered |= np.all([bits[:, i] == bit for i, bit in wanted] or [covered | True], axis=0)
    expected = covered if value == "1" else ~covered
    assert np.array_equal(evaluate(read_blif(text), bits), expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("11- 1", "11 1"), "line 8: row '11 1' does not fit 3 inputs"),
        (("11- 1", "112 1"), "line 8: row '112 1' does not fit"),
        (("11- 1", "11- 0"), "line 7: a cover with both 0 and 1"),
        (("11- 1", "1 1 - 1"), "line 8: '1 1 - 1' is no row of a cover"),
        ((".names x b[3] c", ".latch x c"), "line 19: '.latch x c' is not understood"),
        ((".names x b[3] c", ".names c b[3] c"), "line 19: a loop goes through the nets"),
        ((".names x b[3] c", ".names z b[3] c"), "line 19: net 'z' has no driver"),
        ((".names x b[3] c", ".names x b[3] m"), "net 'm' has two drivers"),
        (("half a=m", "full a=m"), "line 21: 'full' is unknown, or used within itself"),
        (("a=m b=c", "a=m"), "line 21: the pins do not fit the ports of 'half'"),
        ((".model half", ".model count"), "line 23: model 'count' is defined twice"),
        ((".model count", ".inputs a"), "line 3: '.inputs' stands outside of a model"),
        ((".outputs s[1] s[0] s[2]", ""), "no output 'None'"),
        (("b[2] m", " ".join(f"i{i}" for i in range(13)) + " m"), "a cover of 15 inputs"),
    ],
)
def test_blif_that_is_no_popcount_is_refused_with_its_line(change, message):
    with pytest.raises(CircuitError, match=re.escape(message)):
        read_blif(COUNTER.replace(*change), "file.blif")


def test_an_empty_blif_has_no_model():
    with pytest.raises(CircuitError, match=r"file\.blif defines no model"):
        read_blif("", "file.blif")


def test_an_output_of_a_model_without_a_driver_is_refused_with_its_line():
    text = "# a comment\n.model m\n.inputs a\n.outputs y z\n.names a y\n1 1\n.end\n"
    with pytest.raises(CircuitError, match=r"file\.blif, line 2: net 'z' has no driver"):
        read_blif(text, "file.blif")


def test_files_are_read_by_their_ending(tmp_path):
    bits = random_bits(0, 50, 4)
    for name, text in (("a.v", EVOLVED), ("b.blif", COUNTER)):
        (tmp_path / name).write_text(text)
        circuit = read_netlist(tmp_path / name)
        assert evaluate(circuit, bits).shape == (50,)
    with pytest.raises(CircuitError, match="neither Verilog nor BLIF"):
        read_netlist(tmp_path / "c.edif")
    with pytest.raises(CircuitError, match="cannot be read"):
        read_netlist(tmp_path / "missing.v")
    (tmp_path / "d.v").write_bytes(b"\xff\xfe")
    with pytest.raises(CircuitError, match="cannot be read"):
        read_netlist(tmp_path / "d.v")
    (tmp_path / "e.v").write_text(EVOLVED.replace("= input_a[3];", "= nothing;"))
    with pytest.raises(CircuitError, match=r"e\.v, line 12: net 'nothing'"):
        read_netlist(tmp_path / "e.v")
