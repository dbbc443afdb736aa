"""Liberty files: what is read is what they say, and what they do not say is refused."""

from __future__ import annotations

import gzip
import itertools
import re
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.eda import tiny as t

from bitwright.eda.generic import GENERIC
from bitwright.eda.liberty import POWER_GROUPS, boolean, read_liberty
from bitwright.eda.liberty.boolean import BooleanSyntaxError
from bitwright.eda.liberty.matching import matches
from bitwright.errors import LibertyError

# Boolean functions.


@pytest.mark.parametrize(
    ("text", "python"),
    [
        ("A", "A"),
        ("!A", "1 - A"),
        ("A'", "1 - A"),
        ("A''", "A"),
        ("!A'", "A"),
        ("A B", "A & B"),
        ("A*B + C", "(A & B) | C"),
        ("A + B C", "A | (B & C)"),
        ("A + B ^ C", "A | (B ^ C)"),
        ("A ^ B C", "(A ^ B) & C"),
        ("A & !B | C'", "(A & (1 - B)) | (1 - C)"),
        ("(A + B)' C", "(1 - (A | B)) & C"),
        ("(A+B)(B+C)", "(A | B) & (B | C)"),
        ("~(A ^ B ^ C)", "1 - (A ^ B ^ C)"),
        ("A 1", "A"),
        ("A + 1", "1"),
        ("0", "0"),
    ],
)
def test_functions_bind_as_the_liberty_guide_has_it(text, python):
    table = boolean.parse(text).table(("A", "B", "C"))
    for i, (c, b, a) in enumerate(itertools.product((0, 1), repeat=3)):
        expected = eval(python, {"A": a, "B": b, "C": c})  # noqa: S307 - our own text
        assert table >> i & 1 == expected


@pytest.mark.parametrize("text", ["", "A +", "(A", "A)", "A $ B", "*", "+".join(["A"] * 1000)])
def test_what_is_no_function_is_refused(text):
    with pytest.raises(BooleanSyntaxError):
        boolean.parse(text)


# Reading.


def test_units_voltage_and_capacitances_are_in_si(tiny):
    inverter = tiny.cells["INV"]
    assert tiny.voltage_v == 0.7, "that of the operating conditions, not the nominal one"
    assert tiny.temperature_c == 30
    assert inverter.area == 1
    assert inverter.pins["A"].rise_capacitance_f == pytest.approx(1.0e-15)
    assert inverter.pins["A"].fall_capacitance_f == pytest.approx(1.2e-15)
    assert list(inverter.pins) == ["A", "Y"], "supply pins are no pins"
    assert [state.power_w for state in inverter.leakage] == pytest.approx([4e-12, 2e-12])
    assert tiny.cells["BUF"].leakage[0].power_w == pytest.approx(5e-12)


def test_tables_are_planes_inside_and_outside(tiny):
    (arc,) = tiny.cells["INV"].timing["Y"]
    fall, rise = arc.delay
    for slew, load in ((10, 1), (25, 3), (40, 5), (2, 0.2), (100, 40)):
        at = slew * 1e-12, load * 1e-15
        assert rise.at(*at) == pytest.approx((5 + 0.1 * slew + 2 * load) * 1e-12)
        assert fall.at(*at) == pytest.approx((4 + 0.1 * slew + 1 * load) * 1e-12)
    (energies,) = tiny.cells["INV"].power["Y"]
    assert energies.rail == "VDD", "the ground's tables tell the same energy again"
    assert energies.energy[1].at(2e-11, 1e-15) == pytest.approx(0.3e-15), "V^2 fF is a fJ"


def test_the_axes_of_a_table_may_come_in_either_order(tmp_path):
    swapped = t.TINY.replace(
        "variable_1 : input_net_transition;\n    variable_2 : total_output_net_capacitance;",
        "variable_2 : input_net_transition;\n    variable_1 : total_output_net_capacitance;",
    )
    path = tmp_path / "swapped.lib"
    path.write_text(swapped)
    (arc,) = read_liberty(path).cells["INV"].timing["Y"]
    table = arc.delay[1]
    # The plane was written with rows for 10 and 40 ps; now these are rows for 10 and 40 fF.
    assert table.at(1e-12, 10e-15) == pytest.approx(8e-12)
    assert table.at(5e-12, 10e-15) == pytest.approx(16e-12)
    assert table.at(1e-12, 40e-15) == pytest.approx(11e-12)


@settings(deadline=None)
@given(st.lists(st.floats(0.5, 400), min_size=1), st.lists(st.floats(0.1, 90), min_size=1))
def test_look_up_is_bilinear(slews, loads):
    from bitwright.eda.liberty import Table  # noqa: PLC0415

    points = np.array([5.0, 20.0, 300.0]), np.array([1.0, 4.0, 9.0, 40.0])
    values = np.random.default_rng(1).random((3, 4))
    found = Table(*points, values).at(np.array(slews)[:, None], np.array(loads)[None, :])
    for (i, slew), (j, load) in itertools.product(enumerate(slews), enumerate(loads)):
        row = sum(slew >= points[0][1:-1])
        column = sum(load >= points[1][1:-1])
        x = (slew - points[0][row]) / (points[0][row + 1] - points[0][row])
        y = (load - points[1][column]) / (points[1][column + 1] - points[1][column])
        corner = values[row : row + 2, column : column + 2]
        weights = np.outer([1 - x, x], [1 - y, y])
        assert found[i, j] == pytest.approx((corner * weights).sum())


def test_storage_is_not_combinational(tiny):
    assert not tiny.cells["DFF"].combinational
    assert {cell.name for cell in tiny.usable()} == set(tiny.cells) - {"DFF"}
    assert {cell.name for cell in tiny.usable(1)} == {"INV", "BUF"}


def test_compressed_files_folders_and_several_files_are_read_alike(tmp_path):
    (tmp_path / "a.lib.gz").write_bytes(gzip.compress(t.library(*t.GATES).encode()))
    (tmp_path / "b.lib").write_text(t.library(t.FULL_ADDER, t.INVERTER))
    (tmp_path / "README").write_text("no library")
    merged = read_liberty(tmp_path)
    assert set(merged.cells) == {"INV", "BUF", "NAND2", "NOR2", "XOR2", "FAI"}
    assert merged.warnings == ("b.lib: cell INV again, passed over",)
    assert read_liberty([tmp_path / "a.lib.gz", tmp_path / "b.lib"]).digest == merged.digest


def test_written_text_reads_back_as_the_cells_it_names(tiny, tmp_path):
    path = tmp_path / "some.lib"
    path.write_text(tiny.text({"INV", "XOR2"}))
    again = read_liberty(path)
    assert set(again.cells) == {"INV", "XOR2"}
    for name in again.cells:
        for old, new in zip(
            tiny.cells[name].timing["Y"], again.cells[name].timing["Y"], strict=True
        ):
            assert old.when == new.when
            assert np.array_equal(old.delay[1].values, new.delay[1].values)
        assert [leak.power_w for leak in again.cells[name].leakage] == [
            leak.power_w for leak in tiny.cells[name].leakage
        ]
    assert "internal_power" not in tiny.text({"INV"}, POWER_GROUPS)


def test_missing_semicolons_at_line_ends_and_braces_are_mended_and_said(tmp_path):
    path = tmp_path / "lax.lib"
    path.write_text(
        t.library(
            'cell (INV) {\n  area : 1.5\n  pin (A) { direction : "input"; capacitance : 2 }\n'
            '  pin (Y) { direction : output; function : "!A"\n max_capacitance : 9; } }'
        ).replace("capacitive_load_unit (1, ff);", "capacitive_load_unit (1, ff)")
    )
    library = read_liberty(path)
    assert library.cells["INV"].area == 1.5
    assert library.cells["INV"].pins["A"].rise_capacitance_f == pytest.approx(2e-15)
    assert library.cells["INV"].pins["Y"].max_capacitance_f == pytest.approx(9e-15)
    where = [
        re.search(r"line (\d+): no semicolon behind '(.*)'", text) for text in library.warnings
    ]
    assert sorted((found.groups() for found in where), key=lambda one: int(one[0])) == [
        ("4", "capacitive_load_unit (1, ff)"),
        ("28", "area : 1.5"),
        ("29", "capacitance : 2"),
        ("30", 'function : "!A"'),
    ]
    text = library.text({"INV"})
    path.write_text(text)
    assert read_liberty(path).warnings == ()


@pytest.mark.parametrize("end", [" }", "\n}", " /* the last */ }", "\n// the last\n}"])
def test_a_missing_semicolon_before_a_brace_is_said_once(end, tmp_path):
    path = tmp_path / "lax.lib"
    path.write_text(t.TINY.replace("temperature : 30; }", f"temperature : 30{end}"))
    library = read_liberty(path)
    assert library.temperature_c == 30
    said = "lax.lib, line 9: no semicolon behind 'temperature : 30'"
    assert library.warnings == (said,)
    assert "temperature : 30;\n}" in library.text({"INV"})
    assert library.warnings == (said,)
    path.write_text(t.TINY.replace("temperature : 30; }", "temperature : 30; /* the last */ }"))
    library = read_liberty(path)
    library.text({"INV"})
    assert library.warnings == ()


LINES = {
    "a time unit": ('"1ps"', '"1 hour"', "line 3: time_unit"),
    "a load unit": ("(1, ff)", "(1, bytes)", "line 4: capacitive_load_unit"),
    "a load unit without a number": ("(1, ff)", "(ff)", "line 4: capacitive_load_unit"),
    "a voltage unit": ('"1V"', '"1A"', "line 5: voltage_unit"),
    "a leakage unit": ('"1pW"', '"0pW"', "line 6: leakage_power_unit"),
    "a supply": ("voltage : 0.7", "\nvoltage : -1", "line 10: a supply of -1"),
    "an area": ("area : 1;", "\narea : big;", "line 28: 'area' of cell"),
    "a function": ('function : "!A"', '\nfunction : "!"', "line 28: function of pin"),
    "no load unit": ("capacitive_load_unit (1, ff);", "", "line 1: capacitive_load_unit is"),
}


@pytest.mark.parametrize("case", LINES)
def test_a_bad_attribute_is_refused_with_its_own_line(case, tmp_path):
    old, new, message = LINES[case]
    path = tmp_path / "bad.lib"
    path.write_text(t.TINY.replace(old, new, 1))
    with pytest.raises(LibertyError, match=re.escape(f"bad.lib, {message}")):
        read_liberty(path).usable()


def test_bad_points_are_refused_with_their_line(tmp_path):
    path = tmp_path / "bad.lib"
    for old, new, line in (
        ('index_2 ("1, 5");', 'index_2 ("1, many");', 15),
        ('values ("8, 16"', '\nvalues ("8, fast"', 28),
    ):
        path.write_text(t.TINY.replace(old, new, 1))
        with pytest.raises(LibertyError, match=f"line {line}: .* no number"):
            _ = read_liberty(path).cells["INV"].timing


BAD = {
    "an unclosed group": (t.TINY.rstrip()[:-1], r"line 1: library \(tiny\) is not closed"),
    "a bracket too many": (t.TINY + "}", r"line \d+: '}' closes nothing"),
    "an unclosed string": (t.TINY.replace('voltage_unit : "1V"', 'voltage_unit : "1V'), "line"),
    "two statements in one": (
        t.TINY.replace("area : 1;", "area : 1"),
        r"line 27: .*is no statement.*semicolon",
    ),
    "an unknown time unit": (t.TINY.replace('"1ps"', '"1 hour"'), "'1 hour' is no known unit"),
    "an unknown load unit": (t.TINY.replace("(1, ff)", "(1, bytes)"), "'1bytes' is no known unit"),
    "a unit of nothing": (t.TINY.replace('"1ps"', '"0ps"'), "above 0"),
    "no load unit": (t.TINY.replace("capacitive_load_unit (1, ff);", ""), "capacitive_load_unit"),
    "no voltage": (t.TINY.replace("voltage : 0.7;", ""), "'voltage'"),
    "an absurd voltage": (t.TINY.replace("voltage : 0.7;", "voltage : -1;"), "out of range"),
    "no cells": (t.library(), "no usable cells"),
    "only storage": (t.library(t.FLIP_FLOP), "no usable cells"),
    "cells without area": (t.library(t.INVERTER.replace("area : 1;", "")), "no usable cells"),
    "an area that is not finite": (t.TINY.replace("area : 1;", "area : nan;"), "a number belongs"),
    "groups without end": ("library (a) {" + "b () {" * 2000 + "}" * 2001, "nested too deep"),
    "no library": ("hello", "text outside the library|holds 0 groups"),
    "nothing": ("", "holds 0 groups"),
    "a function that is none": (
        t.TINY.replace('function : "!A"', 'function : "!A ^"'),
        "lacks a pin",
    ),
    "an area that is none": (t.TINY.replace("area : 1;", "area : big;"), "a number belongs"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_refused_with_cause_and_way_out(name, tmp_path):
    text, message = BAD[name]
    path = tmp_path / "bad.lib"
    path.write_text(text)
    with pytest.raises(LibertyError, match=message) as caught:
        read_liberty(path).usable()
    assert caught.value.way_out


@settings(deadline=None, max_examples=300)
@given(
    st.integers(0, len(t.TINY) - 1), st.integers(0, 40), st.sampled_from(["", ";", "}", '"', "( x"])
)
def test_damaged_files_are_read_or_refused(start, length, instead):
    text = t.TINY[:start] + instead + t.TINY[start + length :]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "damaged.lib"
        path.write_text(text)
        try:
            library = read_liberty(path)
            for cell in library.cells.values():
                assert cell.area >= 0
                if cell.combinational:
                    assert cell.timing.keys() == set(cell.outputs)
                assert cell.power.keys() == set(cell.pins)
                assert isinstance(cell.leakage, tuple)
            assert library.text(set(library.cells))
        except LibertyError as error:
            assert error.way_out  # noqa: PT017 - either is right


BAD_TABLES = {
    "too few values": (
        'values ("8, 16", "11, 19")',
        'values ("8, 16", "11")',
        "3 values for 2 x 2",
    ),
    "no numbers": ('values ("8, 16"', 'values ("8, fast"', "no number"),
    "not finite": ('values ("8, 16"', 'values ("8, nan"', "not finite"),
    "falling points": ('index_1 ("10, 40");', 'index_1 ("40, 10");', "no rising points"),
    "an unknown variable": ("input_net_transition", "phase_of_the_moon", "depends on phase"),
    "an unknown template": ("cell_rise (delays)", "cell_rise (delay)", "'delay' is not defined"),
}


@pytest.mark.parametrize("name", BAD_TABLES)
def test_bad_tables_are_refused_when_they_are_looked_up(name, tmp_path):
    old, new, message = BAD_TABLES[name]
    assert old in t.TINY
    path = tmp_path / "bad.lib"
    path.write_text(t.TINY.replace(old, new))
    with pytest.raises(LibertyError, match=message):
        _ = read_liberty(path).cells["INV"].timing


def test_bad_paths_and_mixed_corners_are_refused(tmp_path):
    with pytest.raises(LibertyError, match="cannot read"):
        read_liberty(tmp_path / "none.lib")
    with pytest.raises(LibertyError, match="holds no Liberty file"):
        read_liberty(tmp_path)
    with pytest.raises(LibertyError, match="no Liberty file is given"):
        read_liberty([])
    (tmp_path / "cut.lib.gz").write_bytes(gzip.compress(t.TINY.encode())[:200])
    with pytest.raises(LibertyError, match="damaged"):
        read_liberty(tmp_path / "cut.lib.gz")
    (tmp_path / "a.lib").write_text(t.TINY)
    (tmp_path / "b.lib").write_text(t.TINY.replace("voltage : 0.7", "voltage : 0.6"))
    with pytest.raises(LibertyError, match=r"b\.lib is for 0\.6 V, a\.lib for 0\.7 V"):
        read_liberty([tmp_path / "a.lib", tmp_path / "b.lib"])


# Finding cells by function.


def found(library, name):
    cell = GENERIC[name]
    return {
        (match.cell.name, match.inverted_inputs, match.inverted_outputs)
        for match in matches(library.usable(), cell.tables, len(cell.inputs))
    }


def test_adders_are_found_whatever_their_polarity(tiny):
    straight, inverted = (False,) * 3, (True,) * 3
    assert found(tiny, "BW_FA") == {
        ("FAI", straight, (True, True)),
        ("FAI", inverted, (False, False)),
    }
    assert found(tiny, "BW_HA") == {("HAI", (False, False), (True, True))}
    assert found(tiny, "BW_MAJ3") == {("MAJI", straight, (True,)), ("MAJI", inverted, (False,))}


def test_a_match_computes_the_function_through_its_pins(tiny, tmp_path):
    path = tmp_path / "both.lib"
    path.write_text(t.library(*t.GATES, t.FULL_ADDER, t.STRAIGHT_ADDER))
    cell = GENERIC["BW_FA"]
    both = matches(read_liberty(path).usable(), cell.tables, 3)
    assert {match.cell.name for match in both} == {"FA", "FAI"}
    for match in both:
        for bits in itertools.product((0, 1), repeat=3):
            pins = {
                pin: bit ^ inverted
                for pin, bit, inverted in zip(
                    match.inputs, bits, match.inverted_inputs, strict=True
                )
            }
            for pin, inverted, table in zip(
                match.outputs, match.inverted_outputs, cell.tables, strict=True
            ):
                out = match.cell.function(pin).evaluate(pins, 1) ^ inverted
                assert out == table >> (bits[0] + 2 * bits[1] + 4 * bits[2]) & 1
    assert tiny.cells["INV"].tables == {"Y": 0b01}


def test_asap7_reads_whole(asap7):
    assert len(asap7.cells) == 202
    assert asap7.voltage_v == 0.7
    full_adder = asap7.cells["FAx1_ASAP7_75t_R"]
    assert full_adder.area == 0.20412
    assert full_adder.pins["A"].rise_capacitance_f == pytest.approx(1.82329e-15)
    (arc,) = asap7.cells["INVx1_ASAP7_75t_R"].timing["Y"]
    assert arc.delay[1].at(10e-12, 1.44e-15) == pytest.approx(11.6159e-12)
    assert {name for name, *_ in found(asap7, "BW_FA")} == {"FAx1_ASAP7_75t_R"}
    assert {name for name, *_ in found(asap7, "BW_HA")} == {"HAxp5_ASAP7_75t_R"}
    assert {name for name, *_ in found(asap7, "BW_MAJ3")} == {
        "MAJIxp5_ASAP7_75t_R",
        "MAJx2_ASAP7_75t_R",
    }
    assert any("no semicolon behind 'area : 0.20412'" in text for text in asap7.warnings)
    for cell in asap7.usable():
        assert cell.timing
        assert cell.power


def test_osu018_and_ihp_read_whole(osu, ihp):
    assert {name for name, *_ in found(osu, "BW_FA")} == {"FAX1"}
    assert {name for name, *_ in found(osu, "BW_HA")} == {"HAX1"}
    assert osu.voltage_v == 1.8
    (arc,) = [arc for arc in osu.cells["FAX1"].timing["YC"] if arc.related == "A"]
    # Its tables have the load first: 0.0125 pF and 0.42 ns.
    assert arc.delay[1].at(0.42e-9, 0.0125e-12) == pytest.approx(0.171029e-9)
    assert found(ihp, "BW_FA") == set()
    assert ihp.cells["sg13g2_inv_1"].leakage[0].power_w == pytest.approx(82.469e-12)
