"""Netlists: what is wrong in one is named, and what one computes is found by simulation."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.eda.netlists import chain, netlist, netlist_json

from bitwright.eda import logic
from bitwright.eda.netlist import read_netlist
from bitwright.eda.verilog import write_verilog
from bitwright.errors import CircuitError

FULL_ADDER = [("FAI", {"A": 2, "B": 3, "C": 4, "S": 5, "CO": 6})]


def test_a_netlist_knows_its_cells_area_and_depth(tiny):
    found = netlist(
        tiny,
        [2, 3],
        [6],
        [("INV", {"A": 5, "Y": 6}), ("NAND2", {"A": 2, "B": 3, "Y": 4}), ("INV", {"A": 4, "Y": 5})],
    )
    assert [instance.name for instance in found.instances] == ["u1", "u2", "u0"]
    assert found.area == 3.5
    assert found.cell_counts == {"INV": 2, "NAND2": 1}
    assert found.depth == 3
    assert len(found.input_nets) == 2


def test_simulation_follows_the_truth_tables(tiny):
    found = netlist(tiny, [2, 3, 4], [5, 6], FULL_ADDER)
    inputs = np.array(list(itertools.product((False, True), repeat=3)))
    count = inputs.sum(1)
    assert np.array_equal(
        logic.outputs(found, inputs), np.stack([count % 2 == 0, count < 2], axis=1)
    )


def test_constants_reach_cells_and_outputs(tiny):
    found = netlist(tiny, [2], [3, "1", "0", 2], [("NAND2", {"A": 2, "B": "1", "Y": 3})])
    inputs = np.array([[False], [True]])
    assert logic.outputs(found, inputs).tolist() == [
        [True, True, False, False],
        [False, True, False, True],
    ]


def test_an_output_may_be_left_open(tiny):
    found = netlist(tiny, [2, 3, 4], [5], [("FAI", {"A": 2, "B": 3, "C": 4, "S": 5})])
    assert logic.outputs(found, np.ones((1, 3), bool)).tolist() == [[False]]


@settings(deadline=None)
@given(st.integers(1, 200), st.integers(1, 9), st.integers(0, 99))
def test_packing_and_unpacking_are_inverse(vectors, nets, seed):
    bits = np.random.default_rng(seed).random((vectors, nets)) < 0.5
    words = logic.pack(bits)
    assert words.shape == (nets, -(-vectors // 64))
    assert np.array_equal(logic.unpack(words, vectors), bits)
    assert bool(words[nets - 1, 0] & np.uint64(1)) == bits[0, nets - 1]


def test_a_wrong_netlist_is_told_by_its_first_difference(tiny):
    found = chain(tiny, "INV", "INV")
    inputs = np.array([[False], [True], [True]])
    logic.check_outputs(found, inputs, inputs)
    with pytest.raises(
        CircuitError, match=r"differs .* 1 of 3 vectors, first in bit 0 of vector 1"
    ):
        logic.check_outputs(found, inputs, np.array([[False], [False], [True]]))
    with pytest.raises(CircuitError, match="expected values of shape"):
        logic.check_outputs(found, inputs, inputs[:2])
    with pytest.raises(CircuitError, match=r"vectors of shape \(3, 2\) for 1 inputs"):
        logic.outputs(found, np.zeros((3, 2), bool))


INV = ("INV", {"A": 2, "Y": 3})
BAD = {
    "a loop": (
        [2],
        [4],
        [("NAND2", {"A": 2, "B": 4, "Y": 3}), ("INV", {"A": 3, "Y": 4})],
        r"cell u[01] is in a loop",
    ),
    "an undriven input": ([2], [3], [("NAND2", {"A": 2, "B": 9, "Y": 3})], "nothing drives .*u0.B"),
    "an undriven output": ([2], [9], [INV], "nothing drives the net at output out"),
    "an unknown value": ([2], [3], [("NAND2", {"A": 2, "B": "x", "Y": 3})], "nothing drives"),
    "an open input": ([2], [3], [("NAND2", {"A": 2, "Y": 3})], "nothing drives .*u0.B"),
    "two drivers": ([2], [3], [INV, INV], "u1.Y and u0.Y drive the same net"),
    "a driven input": ([2], [2], [("INV", {"A": 2, "Y": 2})], "u0.Y and input in drive"),
    "a driven constant": ([2], [2], [("INV", {"A": 2, "Y": "1"})], "u0.Y and constant 1 drive"),
    "an unknown cell": ([2], [3], [("NAND9", {"A": 2, "Y": 3})], "NAND9, which tiny lacks"),
    "storage": ([2, 3], [4], [("DFF", {"D": 2, "CK": 3, "Q": 4})], "not combinational"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_netlist_is_refused(name, tiny):
    inputs, outputs, cells, message = BAD[name]
    with pytest.raises(CircuitError, match=message):
        netlist(tiny, inputs, outputs, cells)


def test_what_is_no_file_of_yosys_is_refused(tiny):
    for text in ("", "[]", "{}", '{"modules": 3}'):
        with pytest.raises(CircuitError, match="no netlist in yosys's JSON"):
            read_netlist(text, tiny)
    for text in ('{"modules": {"m": {}}}', '{"modules": {"m": {"ports": 1, "cells": {}}}}'):
        with pytest.raises(CircuitError, match="m is no netlist"):
            read_netlist(text, tiny)
    with pytest.raises(CircuitError, match=r"no single module 'other'.*top"):
        read_netlist(netlist_json([2], [3], [INV]), tiny, "other")


def test_verilog_names_ports_instances_and_nets(tiny):
    text = write_verilog(netlist(tiny, [2, 3], [4, "1"], [("NAND2", {"A": 2, "B": 3, "Y": 4})]))
    assert text == (
        "module top(in, out);\n"
        "  input [1:0] in;\n"
        "  output [1:0] out;\n"
        "  wire n2;\n  wire n3;\n  wire n4;\n"
        "  assign n2 = in[0];\n  assign n3 = in[1];\n"
        "  NAND2 u0 (.A(n2), .B(n3), .Y(n4));\n"
        "  assign out[0] = n4;\n  assign out[1] = 1'b1;\n"
        "endmodule\n"
    )


def test_verilog_names_do_not_collide(tiny):
    text = netlist_json([2], [3], [INV]).replace('"u0"', '"n3"').replace('"in"', '"a b"')
    written = write_verilog(read_netlist(text, tiny))
    assert "INV n3 (.A(nn2), .Y(nn3));" in written
    assert "assign nn2 = \\a b [0];" in written
