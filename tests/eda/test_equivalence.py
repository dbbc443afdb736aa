"""Proofs: of what synthesis makes, and against what it does not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.eda.popcounts import popcount

from bitwright.eda.equivalence import parse_verdict, prove_equal
from bitwright.eda.netlist import Instance
from bitwright.eda.synthesis import synthesise
from bitwright.errors import CircuitError, ToolError

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.tool("yosys")
@pytest.mark.parametrize(
    ("name", "n", "what"),
    [
        ("tiny", 9, {}),
        ("tiny", 32, {"levels": 1}),
        ("asap7", 32, {"threshold": 16}),
        ("asap7", 64, {}),
        ("ihp", 32, {}),
        ("osu", 32, {}),
    ],
)
def test_what_synthesis_makes_is_proved_equal(name, n, what, request):
    library = request.getfixturevalue(name)
    text = popcount(n, **what)
    found = synthesise(text, library).netlist
    proof = prove_equal(text, found, library)
    assert proof.versions["yosys"]
    assert proof.seconds > 0


@pytest.mark.tool("yosys")
def test_a_cell_at_the_wrong_place_is_found(tiny):
    text = popcount(27)
    netlist = synthesise(text, tiny).netlist
    index, adder = next(
        (i, one) for i, one in enumerate(netlist.instances) if one.cell.name == "FAI"
    )
    nets = dict(adder.nets)
    nets["S"], nets["CO"] = nets["CO"], nets["S"]
    wrong = [*netlist.instances]
    wrong[index] = Instance(adder.name, adder.cell, nets)
    with pytest.raises(CircuitError, match="not equal to its circuit"):
        prove_equal(text, replace(netlist, instances=tuple(wrong)), tiny)


def test_verdicts_are_read():
    for name, equal in (("equal", True), ("different", False)):
        report = (GOLDEN / f"yosys-0.23-sat-{name}.txt").read_text()
        assert parse_verdict(report) is equal
    assert parse_verdict("Interrupted SAT solver: TIMEOUT!\n") is None


@pytest.mark.tool("yosys")
def test_no_verdict_is_an_error(tiny, monkeypatch):
    text = popcount(3)
    netlist = synthesise(text, tiny).netlist
    monkeypatch.setattr("bitwright.eda.equivalence.parse_verdict", lambda report: None)
    with pytest.raises(ToolError, match="does not decide in 300 s"):
        prove_equal(text, netlist, tiny)
