"""Delays: by hand on planes, and by OpenSTA on published libraries."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.eda import tiny as t
from tests.eda.netlists import chain, netlist
from tests.eda.popcounts import popcount

from bitwright.eda.liberty import read_liberty
from bitwright.eda.opensta import OWN, delay_plan, find_delay, parse_delay
from bitwright.eda.synthesis import synthesise
from bitwright.eda.timing import FALL, RISE, Boundary, analyse, typical_boundary
from bitwright.errors import CircuitError, ConfigError, LibertyError, ToolError

AT = Boundary(20e-12, 3e-15)
GOLDEN = Path(__file__).parent / "golden"


def ps(value):
    return pytest.approx(value * 1e-12)


def test_two_inverters_by_hand(tiny):
    timing = analyse(chain(tiny, "INV", "INV"), AT)
    # Falling in: 5 + 0.1 * 20 + 2 * 1.0, slew 8 + 2 * 1.0; then 4 + 0.1 * 10 + 1 * 3.
    # Rising in: 4 + 0.1 * 20 + 1 * 1.2, slew 8 + 2 * 1.2; then 5 + 0.1 * 10.4 + 2 * 3.
    assert timing.arrival_s[3].tolist() == [ps(7.2), ps(9.0)]
    assert timing.slew_s[3].tolist() == [ps(10.4), ps(10.0)]
    assert timing.arrival_s[4].tolist() == [ps(17.0), ps(19.24)]
    assert timing.delay_s == ps(19.24)
    assert [(point.net, point.edge) for point in timing.path] == [(2, RISE), (3, FALL), (4, RISE)]
    assert [point.driver for point in timing.path] == ["input", "u0/Y (INV)", "u1/Y (INV)"]
    assert timing.load_f[2].tolist() == pytest.approx([1.2e-15, 1.0e-15])


def test_the_slowest_arc_counts_whatever_its_condition(tiny):
    xor = netlist(tiny, [2, 3], [4], [("XOR2", {"A": 2, "B": 3, "Y": 4})])
    timing = analyse(xor, AT)
    assert timing.arrival_s[4].tolist() == [ps(17 + 2 + 6), ps(16 + 2 + 6)]


def test_a_pin_behind_a_constant_is_no_start(tiny):
    gate = netlist(tiny, [2], [3], [("NAND2", {"A": 2, "B": "1", "Y": 3})])
    assert analyse(gate, AT).delay_s == ps(6 + 2 + 6)
    with pytest.raises(CircuitError, match="no output of top depends on an input"):
        analyse(netlist(tiny, [2], ["1"], []), AT)


def test_a_cell_without_inputs_is_no_start(tmp_path):
    path = tmp_path / "tie.lib"
    path.write_text(t.library(*t.GATES, t.cell("TIE", 1, t.output("Y", "1"))))
    cells = [("TIE", {"Y": 3}), ("NAND2", {"A": 2, "B": 3, "Y": 4})]
    timing = analyse(netlist(read_liberty(path), [2], [4], cells), AT)
    assert timing.delay_s == ps(6 + 2 + 6)
    assert timing.arrival_s[3].tolist() == [-np.inf, -np.inf]


def test_outputs_timed_from_other_outputs_count(tmp_path):
    pins = t.input_("A", 1, 1) + t.input_("B", 1, 1)
    half = t.cell(
        "HA",
        3,
        pins,
        t.output("S", "A ^ B", t.timing("C", (10, 0, 0), (10, 0, 0))),
        t.output("C", "A B", t.timing("A B", (30, 0, 0), (30, 0, 0), "positive_unate")),
    )
    path = tmp_path / "half.lib"
    path.write_text(t.library(t.INVERTER, half))
    found = netlist(read_liberty(path), [2, 3], [4], [("HA", {"A": 2, "B": 3, "S": 4, "C": 5})])
    assert analyse(found, AT).delay_s == ps(40)


def test_a_cell_without_delays_is_refused(tmp_path):
    path = tmp_path / "untimed.lib"
    path.write_text(t.library(t.INVERTER.replace("cell_rise", "x").replace("cell_fall", "x")))
    library = read_liberty(path)
    with pytest.raises(LibertyError, match="INV has no delay tables"):
        analyse(chain(library, "INV"), AT)
    with pytest.raises(LibertyError, match="no delay tables"):
        typical_boundary(library)


def test_the_typical_boundary_is_an_inverter_with_four_behind_it(tiny):
    # The mean capacitance of an input is 1.1 fF; its slew does not depend on that before.
    assert typical_boundary(tiny).output_load_f == pytest.approx(4.4e-15)
    assert typical_boundary(tiny).input_slew_s == ps(8 + 2 * 4.4)


@pytest.mark.parametrize(("slew", "load"), [(0, 1e-15), (-1e-12, 0), (20, 1), (1e-12, -1)])
def test_absurd_boundaries_are_refused(slew, load):
    with pytest.raises(ConfigError, match="out of range"):
        Boundary(slew, load)


# OpenSTA.


@pytest.mark.tool("sta")
@pytest.mark.tool("yosys")
@pytest.mark.parametrize("name", ["tiny", "asap7", "ihp", "osu"])
@pytest.mark.parametrize("adders", [True, False])
def test_our_timing_agrees_with_opensta(name, adders, request):
    library = request.getfixturevalue(name)
    boundary = typical_boundary(library)
    for text in (popcount(27, threshold=14), popcount(40, levels=1)):
        found = synthesise(text, library, adders=adders).netlist
        delay = find_delay(found, library, boundary)
        assert delay.source.startswith("OpenSTA")
        assert delay.delay_s == pytest.approx(delay.own_s, rel=1e-4)


def test_without_opensta_our_own_timing_serves(tiny, monkeypatch):
    monkeypatch.setenv("PATH", "")
    delay = find_delay(chain(tiny, "INV", "INV"), tiny, AT)
    assert delay.source == OWN
    assert delay.delay_s == delay.own_s == ps(19.24)


def test_a_report_of_opensta_is_read():
    report = (GOLDEN / "opensta-2.0.17-report_checks.txt").read_text()
    assert parse_delay(report, 1e-12) == pytest.approx(348.039551e-12)
    with pytest.raises(ToolError, match="reports no path"):
        parse_delay("No paths found.\n", 1e-12)


def test_the_plan_for_opensta_has_no_wires_in_it(ihp, tiny):
    cell = "sg13g2_inv_1"
    plan = delay_plan(chain(ihp, cell, cell), ihp, typical_boundary(ihp), 1e-9)
    assert set(plan.files) == {"cells.lib", "mapped.v", "delay.tcl"}
    assert "wire_load" not in plan.files["cells.lib"].replace("default_wire_load_area", "").replace(
        "default_wire_load_capacitance", ""
    ).replace("default_wire_load_resistance", "")
    assert "cell (sg13g2_inv_2)" not in plan.files["cells.lib"]
    plan = delay_plan(chain(tiny, "INV"), tiny, AT, 1e-10)
    assert "set_input_transition 20 " in plan.files["delay.tcl"]
    assert "set_load -pin_load 3 " in plan.files["delay.tcl"]
    assert "-period 100\n" in plan.files["delay.tcl"]
