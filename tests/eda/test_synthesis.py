"""From Verilog to cells: equal to the circuit, and as small as adder cells make it."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
from tests.eda import tiny as t
from tests.eda.popcounts import expected, popcount

from bitwright.eda import logic, tools
from bitwright.eda.liberty import read_liberty
from bitwright.eda.mapping import elaboration_plan, place_cells
from bitwright.eda.run import run_plan
from bitwright.eda.synthesis import synthesise
from bitwright.eda.timing import analyse, typical_boundary
from bitwright.errors import BitwrightError, CircuitError, ConfigError, LibertyError, ToolError

yosys = pytest.mark.tool("yosys")
VECTORS = 10_000


def vectors(n):
    if n <= 12:
        return np.array(list(itertools.product((False, True), repeat=n)))
    rng = np.random.default_rng(n)
    density = rng.random((VECTORS, 1))
    return rng.random((VECTORS, n)) < density


def check(netlist, n, **what):
    inputs = vectors(n)
    wide = len(netlist.output_nets)
    logic.check_outputs(netlist, inputs, expected(inputs, wide, **what))


@yosys
@pytest.mark.parametrize("n", [3, 9, 27])
@pytest.mark.parametrize("adders", [True, False])
def test_a_popcount_comes_out_as_it_went_in(n, adders, tiny):
    found = synthesise(popcount(n), tiny, adders=adders)
    check(found.netlist, n)
    cells = found.netlist.cell_counts
    assert ("FAI" in cells) == adders
    assert found.versions["yosys"]
    assert found.seconds > 0
    assert f"module {found.netlist.name}(in, out);" in found.verilog


@yosys
def test_one_full_adder_is_one_cell_and_two_inverters(tiny):
    found = synthesise(popcount(3), tiny).netlist
    assert found.cell_counts == {"FAI": 1, "INV": 2}


@yosys
def test_two_rows_need_inverters_only_at_the_outputs(tiny):
    # 9 inputs: three adders, one on their sums, one on their carries, one more half adder or two.
    text = popcount(9)
    rows = synthesise(text, tiny).netlist
    assert rows.cell_counts["FAI"] == text.count("BW_FA")
    assert rows.area < 5 * text.count("BW_FA") + 3.5 * text.count("BW_HA") + 8


@yosys
@pytest.mark.parametrize("pair", [' : "A B"', ':"A  B"', ' :\t" A B "', " : A B"])
def test_an_arc_from_several_pins_is_one_for_each(pair, tmp_path):
    pins = [t.input_(pin, 1, 1) for pin in "AB"]
    arc = t.timing("A B", (6, 0.1, 2), (6, 0.1, 2), "negative_unate").replace(' : "A B"', pair)
    path = tmp_path / "several.lib"
    path.write_text(t.library(*t.GATES, t.cell("NOR", 1, *pins, t.output("Y", "!(A+B)", arc))))
    library = read_liberty(path)
    assert library.text({"NOR"}).count("timing ()") == 2
    nor = "module m(input [1:0] in, output out); assign out = ~|in; endmodule"
    assert synthesise(nor, library).netlist.cell_counts == {"NOR": 1}


@yosys
def test_gates_before_majority_cells_need_no_inverters(tmp_path):
    names = ("A1", "A2", "B1", "B2")
    pins = [t.input_(pin, 1, 1) for pin in names]
    arcs = [t.timing(pin, (6, 0.1, 2), (6, 0.1, 2), "negative_unate") for pin in names]
    and_or = t.cell("AOI22", 2, *pins, t.output("Y", "!(A1 A2 + B1 B2)", *arcs))
    path = tmp_path / "and_or.lib"
    path.write_text(t.library(*t.GATES, and_or, t.MAJORITY))
    # Nine gates on four inputs each; three majority gates on them, and one on those.
    gates = "".join(
        f"assign g[{i}] = in[{4 * i}] & in[{4 * i + 1}] | in[{4 * i + 2}] & in[{4 * i + 3}];\n"
        for i in range(9)
    )
    votes = "".join(
        f"BW_MAJ3 m{i}(g[{3 * i}], g[{3 * i + 1}], g[{3 * i + 2}], v[{i}]);\n" for i in range(3)
    )
    text = (
        f"module m(input [35:0] in, output y); wire [8:0] g; wire [2:0] v;\n{gates}{votes}"
        "BW_MAJ3 last(v[0], v[1], v[2], y); endmodule"
    )
    found = synthesise(text, read_liberty(path)).netlist
    assert found.cell_counts == {"AOI22": 9, "MAJI": 4, "INV": 1}
    inputs = vectors(36)
    pairs = inputs.reshape(-1, 9, 2, 2).all(3).any(2)
    voted = pairs.reshape(-1, 3, 3).sum(2) >= 2
    logic.check_outputs(found, inputs, (voted.sum(1) >= 2)[:, None])


@yosys
def test_half_used_adders_take_less(tiny):
    carry = "module m(input a, b, c, output y); BW_FA f(.a(a), .b(b), .c(c), .co(y)); endmodule"
    found = synthesise(carry, tiny).netlist
    assert found.cell_counts == {"MAJI": 1, "INV": 1}
    total = "module m(input a, b, c, output y); BW_FA f(.a(a), .b(b), .c(c), .s(y)); endmodule"
    found = synthesise(total, tiny).netlist
    assert "FAI" not in found.cell_counts
    inputs = vectors(3)
    logic.check_outputs(found, inputs, (inputs.sum(1) % 2 == 1)[:, None])
    constant = "module m(input a, b, output y, z); BW_FA f(a, b, 1'b1, y, z); endmodule"
    found = synthesise(constant, tiny).netlist
    assert "FAI" not in found.cell_counts
    inputs = vectors(2)
    count = inputs.sum(1) + 1
    logic.check_outputs(found, inputs, np.stack([count % 2 == 1, count >= 2], axis=1))


@yosys
def test_hierarchy_gates_and_expressions_are_taken(tiny):
    text = """
    module pair(input a, b, output y); assign y = ~(a ^ b); endmodule
    module whole(input [3:0] in, output [0:0] out);
      wire p, q, r;
      pair first(in[0], in[1], p);
      pair second(in[2], in[3], q);
      nand (r, p, q);
      assign out = {p, q} >= 2'd2 ? r : in[0];
    endmodule
    """
    inputs = vectors(4)
    p, q = inputs[:, 0] == inputs[:, 1], inputs[:, 2] == inputs[:, 3]
    wanted = np.where(p, ~(p & q), inputs[:, 0])[:, None]
    for top in (None, "whole"):
        logic.check_outputs(synthesise(text, tiny, top=top).netlist, inputs, wanted)


OWN_ADDERS = """
module full(input x, y, ci, output cout, sum);
  wire p = x ^ y;
  assign sum = p ^ ci;
  assign cout = p ? ci : x;
endmodule
module vote(input a, input b, input c, output z); assign z = a & b | a & c | b & c; endmodule
module almost(input a, b, c, output s, co);
  assign s = a ^ b ^ c;
  assign co = a & b | a & c;
endmodule
module pc(input [4:0] in, output [3:0] out);
  full one(.x(in[0]), .y(in[1]), .ci(in[2]), .cout(out[1]), .sum(out[0]));
  vote two(in[2], in[3], in[4], out[2]);
  almost three(in[0], in[1], in[2], , out[3]);
endmodule
"""


@yosys
def test_a_designs_own_adders_are_recognised_by_what_they_compute(tiny):
    found = synthesise(OWN_ADDERS, tiny).netlist
    assert found.cell_counts["FAI"] == 1
    assert found.cell_counts["MAJI"] == 1
    inputs = vectors(5)
    a, b, c, d, e = inputs.T.astype(int)
    count = a + b + c
    wanted = np.stack([count & 1, count >= 2, c + d + e >= 2, a & b | a & c], axis=1)
    logic.check_outputs(found, inputs, wanted.astype(bool))


BAD = {
    "a loop": ("module m(input a, output y); assign y = ~(y & a); endmodule", "is in a loop"),
    "a loop through adders": (
        "module m(input a, b, output y); wire s, t; BW_HA h(a, t, s, y);"
        " BW_HA g(b, s, t, ); endmodule",
        "is in a loop",
    ),
    "an undriven net": (
        "module m(input a, output y); wire w; BW_HA h(.a(a), .b(w), .s(y), .co()); endmodule",
        "is not driven",
    ),
    "an undriven output": ("module m(input a, output y, z); assign y = a; endmodule", "z is not"),
    "storage": (
        "module m(input a, c, output reg y); always @(posedge c) y <= a; endmodule",
        "neither a gate nor a generic cell",
    ),
}


@yosys
@pytest.mark.parametrize("name", BAD)
def test_what_is_no_circuit_is_refused(name, tiny):
    text, message = BAD[name]
    with pytest.raises(CircuitError, match=message):
        synthesise(text, tiny)


@yosys
def test_what_yosys_refuses_says_why(tiny):
    with pytest.raises(ToolError, match="ERROR"):
        synthesise("module m(input a, output y); assign y = ; endmodule", tiny)
    with pytest.raises(ToolError, match="NO_SUCH_CELL"):
        synthesise("module m(input a, output y); NO_SUCH_CELL c(a, y); endmodule", tiny)
    with pytest.raises(ToolError, match="other"):
        synthesise("module m(input a, output y); assign y = a; endmodule", tiny, top="other")
    for top in ("m; shell rm", "", "-x"):
        with pytest.raises(ConfigError, match="no module name"):
            synthesise(popcount(3), tiny, top=top)


def test_without_an_inverter_nothing_is_placed(tmp_path):
    path = tmp_path / "poor.lib"
    path.write_text(t.library(t.NAND, t.FULL_ADDER))
    module = {
        "attributes": {"top": "1"},
        "ports": {"a": {"direction": "input", "bits": [2, 3, 4]}},
        "cells": {},
        "netnames": {},
    }
    with pytest.raises(LibertyError, match="no inverter"):
        place_cells(json.dumps({"modules": {"m": module}}), read_liberty(path), adders=True)


# Published libraries. In ASAP7, popcounts with a comparator whose adder cells were placed by hand
# took these areas (square micrometres; inputs and majority levels).

HAND = {(64, 0): 16.7, (64, 1): 8.2, (288, 0): 62.6, (288, 1): 32.3, (576, 0): 123, (576, 1): 63.2}


@yosys
@pytest.mark.parametrize(("n", "levels"), HAND)
def test_asap7_popcounts_are_as_small_as_by_hand(n, levels, asap7):
    left = n
    for _ in range(levels):
        left -= 2 * (left // 3)
    threshold = -(-n // 2 * left // n)
    text = popcount(n, levels=levels, threshold=threshold)
    found = synthesise(text, asap7).netlist
    check(found, n, levels=levels, threshold=threshold)
    assert found.area <= HAND[n, levels]
    if n == 64:
        plain = synthesise(text, asap7, adders=False).netlist
        check(plain, n, levels=levels, threshold=threshold)
        assert plain.area > 1.3 * found.area


@yosys
def test_effort_for_delay_is_faster(asap7):
    text = popcount(27, threshold=14)
    areas, delays = [], []
    for effort in ("area", "delay"):
        found = synthesise(text, asap7, adders=False, effort=effort).netlist
        check(found, 27, threshold=14)
        areas.append(found.area)
        delays.append(analyse(found, typical_boundary(asap7)).delay_s)
    assert areas[0] < areas[1]
    assert delays[0] > delays[1]


@yosys
@pytest.mark.parametrize("n", [18, 64])
def test_osu018_uses_its_adders(n, osu):
    found = synthesise(popcount(n, levels=1), osu).netlist
    check(found, n, levels=1)
    assert {"FAX1", "HAX1"} <= set(found.cell_counts)


@yosys
def test_ihp_has_no_adders_and_still_maps(ihp):
    text = popcount(27, levels=1)
    found = synthesise(text, ihp).netlist
    check(found, 27, levels=1)
    assert found.area == synthesise(text, ihp, adders=False).netlist.area


def test_plans_can_be_made_without_tools(tiny, monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(tools, "scripts", lambda: "")
    plan = elaboration_plan(popcount(3))
    assert plan.files["design.v"] == popcount(3)
    with pytest.raises(BitwrightError, match="apt install yosys"):
        run_plan(plan)
    with pytest.raises(ToolError, match="yosys is missing"):
        synthesise(popcount(3), tiny)
