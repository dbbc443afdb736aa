"""Energies: by hand on cells with known tables, and by OpenSTA on chains."""

from __future__ import annotations

import gzip
import itertools

import numpy as np
import pytest
from tests.eda import tiny as t
from tests.eda.netlists import chain, netlist
from tests.eda.opensta_power import opensta_power
from tests.eda.popcounts import popcount

from bitwright.eda.energy import energy
from bitwright.eda.liberty import read_liberty
from bitwright.eda.liberty.cells import Cell
from bitwright.eda.liberty.header import read_header
from bitwright.eda.liberty.syntax import Source, parse
from bitwright.eda.synthesis import synthesise
from bitwright.eda.timing import Boundary, typical_boundary
from bitwright.errors import CircuitError, LibertyError

AT = Boundary(20e-12, 3e-15)
HALF_V2 = 0.5 * 0.7**2
BOTH = pytest.mark.parametrize("glitches", ["none", "timed"])


def fj(value):
    return pytest.approx(value * 1e-15, abs=1e-21)


def bits(*rows):
    return np.array([[sign == "1" for sign in row] for row in rows])


@BOTH
def test_two_inverters_by_hand(glitches, tiny):
    found = energy(chain(tiny, "INV", "INV"), tiny, bits("0", "1", "0", "1", "0"), AT, glitches)
    assert found.operations == 4
    assert found.internal_j == fj(0.3 + 0.1), "one rises and one falls, at the supply"
    assert found.hidden_j == 0
    assert found.switching_j == fj(HALF_V2 * ((1.0 + 1.2) / 2 + 3))
    assert found.input_nets_j == fj(HALF_V2 * (1.0 + 1.2) / 2)
    assert found.total_j == pytest.approx(found.without_inputs_j + found.input_nets_j)
    assert found.toggles[2:].tolist() == [[0.5, 0.5]] * 3
    # Five vectors: in 3 of 5 the first has A = 0 and the second A = 1.
    assert found.leakage_w == pytest.approx((3 * (2 + 4) + 2 * (4 + 2)) / 5 * 1e-12)


XOR_ENERGY = {  # (pin, the other input, the output's edge): what tiny.py states
    ("A", 0, "rise"): 0.5,
    ("A", 0, "fall"): 0.6,
    ("A", 1, "rise"): 0.7,
    ("A", 1, "fall"): 0.8,
    ("B", 0, "rise"): 0.9,
    ("B", 0, "fall"): 1.0,
    ("B", 1, "rise"): 1.1,
    ("B", 1, "fall"): 1.2,
}


@BOTH
@pytest.mark.parametrize("pin", "AB")
@pytest.mark.parametrize("before", ["00", "01", "10", "11"])
def test_each_change_at_an_xor_by_hand(glitches, pin, before, tiny):
    xor = netlist(tiny, [2, 3], [4], [("XOR2", {"A": 2, "B": 3, "Y": 4})])
    index = "AB".index(pin)
    after = before[:index] + str(1 - int(before[index])) + before[index + 1 :]
    found = energy(xor, tiny, bits(before, after), AT, glitches)
    edge = "rise" if after.count("1") == 1 else "fall"
    assert found.internal_j == fj(XOR_ENERGY[pin, int(before[1 - index]), edge])
    assert found.switching_j == fj(HALF_V2 * 3)
    assert found.input_nets_j == fj(HALF_V2 * 2)


@BOTH
@pytest.mark.parametrize("before", ["".join(b) for b in itertools.product("01", repeat=3)])
@pytest.mark.parametrize("pin", "ABC")
def test_each_change_at_a_full_adder_by_hand(glitches, pin, before, tiny):
    pins = {"A": 2, "B": 3, "C": 4, "S": 5, "CO": 6}
    adder = netlist(tiny, [2, 3, 4], [5, 6], [("FAI", pins)])
    index = "ABC".index(pin)
    after = before[:index] + str(1 - int(before[index])) + before[index + 1 :]
    others = before[:index] + before[index + 1 :]
    found = energy(adder, tiny, bits(before, after), AT, glitches)
    # tiny.py: the sum costs 2.0 (rising) or 2.5 if the others differ, one more if they agree; the
    # carry changes only if they differ, for 1.0 or 1.5, one more if it is the second that is 1.
    rises = after.count("1") % 2 == 0
    agree = others in ("00", "11")
    expected = 2.0 + 0.5 * (not rises) + agree
    outputs = 1
    if not agree:
        carry_rises = after.count("1") < 2
        expected += 1.0 + 0.5 * (not carry_rises) + (others == "01")
        outputs = 2
    assert found.internal_j == fj(expected)
    assert found.switching_j == fj(HALF_V2 * 3 * outputs)


def test_both_inputs_at_once_count_as_the_mean_of_both_orders(tiny):
    gate = netlist(tiny, [2, 3], [4], [("NAND2", {"A": 2, "B": 3, "Y": 4})])
    found = energy(gate, tiny, bits("00", "11"), AT, "none")
    assert found.internal_j == fj((0.25 + 0.2) / 2), "the later one switches the output"
    assert found.hidden_j == fj((0.02 + 0.03) / 2), "the earlier one does not"
    xor = netlist(tiny, [2, 3], [4], [("XOR2", {"A": 2, "B": 3, "Y": 4})])
    assert energy(xor, tiny, bits("00", "11"), AT, "none").without_inputs_j == 0


@BOTH
def test_hidden_energy_counts_when_its_condition_holds(glitches, tiny):
    gate = netlist(tiny, [2, 3], [4], [("NAND2", {"A": 2, "B": 3, "Y": 4})])
    assert energy(gate, tiny, bits("00", "10"), AT, glitches).hidden_j == fj(0.02)
    assert energy(gate, tiny, bits("10", "00"), AT, glitches).hidden_j == fj(0.01)
    assert energy(gate, tiny, bits("01", "00"), AT, glitches).hidden_j == fj(0.015)
    assert energy(gate, tiny, bits("01", "11"), AT, glitches).hidden_j == 0


def late_xor(tiny, inverters):
    """Return the exclusive or of the input with itself some inverters later: 0, if even."""
    cells = [("INV", {"A": 2 + i, "Y": 3 + i}) for i in range(inverters)]
    return netlist(tiny, [2], [99], [*cells, ("XOR2", {"A": 2, "B": 2 + inverters, "Y": 99})])


def test_a_glitch_counts_only_with_delays_and_if_it_is_long_enough(tiny):
    vectors = bits("0", "1", "0")
    for inverters, passes in ((2, False), (8, True)):
        design = late_xor(tiny, inverters)
        out = design.output_nets[0]
        quiet = energy(design, tiny, vectors, AT, "none")
        timed = energy(design, tiny, vectors, AT, "timed")
        assert quiet.toggles[out].tolist() == [0, 0]
        assert timed.toggles[out].tolist() == [float(passes)] * 2
        assert (timed.internal_j > quiet.internal_j + 1e-16) == passes
        assert len(timed.settled_s) == 2
        assert not len(quiet.settled_s)


def test_settling_times_are_delays_by_hand(tiny):
    found = energy(chain(tiny, "INV", "INV"), tiny, bits("0", "1", "0"), AT)
    assert found.settled_s.tolist() == [pytest.approx(19.24e-12), pytest.approx(17.0e-12)]


def test_an_open_output_takes_its_own_energy_and_no_load(tiny):
    adder = netlist(tiny, [2, 3, 4], [5], [("FAI", {"A": 2, "B": 3, "C": 4, "S": 5})])
    for glitches in ("none", "timed"):
        found = energy(adder, tiny, bits("010", "110"), AT, glitches)
        assert found.internal_j == fj(2.0 + 1.5)
        assert found.switching_j == fj(HALF_V2 * 3)


def test_leakage_is_unknown_if_the_library_has_none(tmp_path, tiny):
    path = tmp_path / "some.lib"
    path.write_text(t.TINY.replace('leakage_power_unit : "1pW";', ""))
    library = read_liberty(path)
    assert energy(chain(library, "INV"), library, bits("0", "1"), AT).leakage_w is None
    assert energy(chain(tiny, "BUF"), tiny, bits("0", "1"), AT).leakage_w


def test_too_few_vectors_and_too_wide_cells_are_refused(tmp_path, tiny):
    with pytest.raises(CircuitError, match="1 input vectors make no operation"):
        energy(chain(tiny, "INV"), tiny, bits("0"), AT)
    with pytest.raises(CircuitError, match="for 1 inputs"):
        energy(chain(tiny, "INV"), tiny, bits("00", "11"), AT)
    pins = "ABCDEFG"
    wide = t.cell(
        "AND7",
        9,
        "".join(t.input_(pin, 1, 1) for pin in pins),
        t.output("Y", " ".join(pins), t.timing(" ".join(pins), (9, 0, 0), (9, 0, 0))),
    )
    path = tmp_path / "wide.lib"
    path.write_text(t.library(t.INVERTER, wide))
    library = read_liberty(path)
    nets = {pin: 2 + i for i, pin in enumerate(pins)}
    design = netlist(library, list(nets.values()), [9], [("AND7", nets | {"Y": 9})])
    with pytest.raises(LibertyError, match="AND7 has more than 6 inputs"):
        energy(design, library, np.zeros((2, 7), bool), AT)


# OpenSTA. The version of 2019 that Debian has counts, at each transition, the energy of a rise and
# of a fall (search/Power.cc, findInternalPower: the tables of both edges are summed and multiplied
# by the transitions); later versions divide by two. It passes over ground rails, as we do.

CHAINS = {
    "tiny": ("INV", "BUF", "INV", "INV"),
    "asap7": ("INVx1_ASAP7_75t_R", "BUFx2_ASAP7_75t_R", "INVx2_ASAP7_75t_R", "INVxp33_ASAP7_75t_R"),
    "ihp": ("sg13g2_inv_1", "sg13g2_buf_1", "sg13g2_inv_2", "sg13g2_buf_2"),
    "osu": ("INVX1", "BUFX2", "INVX2", "INVX4"),
}


@BOTH
@pytest.mark.tool("sta")
@pytest.mark.parametrize("name", CHAINS)
def test_chains_take_what_opensta_says(name, glitches, request):
    library = request.getfixturevalue(name)
    boundary = typical_boundary(library)
    design = chain(library, *CHAINS[name])
    ours = energy(design, library, np.arange(101)[:, None] % 2 == 1, boundary, glitches)
    theirs = opensta_power(design, library, boundary)
    edges = 2 if theirs.version.startswith("2.0.") else 1
    assert ours.switching_j == pytest.approx(theirs.switching_j, rel=0.03), (
        "it takes the larger of the capacitances for rise and fall"
    )
    assert ours.internal_j == pytest.approx(theirs.internal_j / edges, rel=0.01)


def test_asap7_tells_the_same_energy_at_both_rails(shared):
    """What comes in at the supply in a cycle goes out at the ground: one account, told twice."""
    folder = shared / "liberty" / "asap7"
    (file,) = folder.glob("*SIMPLE*.lib.gz")
    text = gzip.decompress(file.read_bytes()).decode().replace("primary_ground", "primary_power")
    group = parse(Source("both rails", text))
    cells = {part.name: Cell(part, read_header(group)) for part in group.of("cell")}
    for name in ("FAx1", "HAxp5", "MAJIxp5", "XOR2xp5", "NAND2xp5"):
        cell = cells[f"{name}_ASAP7_75t_R"]
        for output in cell.outputs:
            cycle = {"VDD": 0.0, "VSS": 0.0}
            for arc in cell.power[output]:
                cycle[arc.rail] += sum(
                    float(table.at(20e-12, 1.44e-15)) for table in arc.energy if table
                )
            assert cycle["VDD"] == pytest.approx(cycle["VSS"], rel=0.02)


# Popcounts of 64 mapped by hand took 74 fJ (exact) and 34 fJ (one majority level) in ASAP7: 1,000
# random vectors, glitches counted, input nets included, 20 ps and 1 fF, both rails added up.


@pytest.mark.tool("yosys")
@pytest.mark.parametrize(("levels", "published"), [(0, 74e-15), (1, 34e-15)])
def test_asap7_popcounts_take_about_what_they_do_by_hand(levels, published, asap7):
    design = synthesise(popcount(64, levels=levels, threshold=(32, 11)[levels]), asap7).netlist
    vectors = np.random.default_rng(0).random((1001, 64)) < 0.5
    boundary = Boundary(20e-12, 1e-15)
    quiet = energy(design, asap7, vectors, boundary, "none")
    timed = energy(design, asap7, vectors, boundary, "timed")
    assert quiet.total_j < timed.total_j
    both_rails = timed.total_j + timed.internal_j + timed.hidden_j
    assert both_rails == pytest.approx(published, rel=0.1)
    assert timed.input_nets_j == quiet.input_nets_j
