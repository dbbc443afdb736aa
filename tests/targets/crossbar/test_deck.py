"""Decks: ngspice solves the very tile, and finds what the solver finds."""

import dataclasses
import re

import numpy as np
import pytest
from tests.targets.crossbar.test_columns import random_column, wires

from bitwright.errors import ConfigError, ToolError
from bitwright.targets.crossbar import deck as decks
from bitwright.targets.crossbar.deck import deck, read_currents, run
from bitwright.targets.crossbar.devices.cells import Linear, Reram1T1R, Sram8T
from bitwright.targets.crossbar.solver.columns import Columns

LINEAR, NONLINEAR = 1e-6, 1e-6
TILES = {
    "linear": (Linear(on_off_ratio=100.0), {}),
    "linear leaks": (Linear(on_off_ratio=20.0, unselected_share=0.01), {"feed": "near"}),
    "sram8t": (Sram8T(), {"read_volt": 0.35, "driver_ohm": 150.0, "sink_ohm": 80.0}),
    "sram8t collapsed": (
        Sram8T(unselected_share=1e-4),
        {"source_ohm": 50.0, "bit_ohm": 20.0, "sink_ohm": 4e3, "feed": "near"},
    ),
    "sram8t far from ideal ends": (
        # A reversed transistor with a linear modulation has a second operating point here.
        Sram8T(on_ohm=1.2e5, on_off_ratio=6.0),
        {"read_volt": 0.65, "source_ohm": 0.5, "bit_ohm": 0.2, "sink_ohm": 3700.0},
    ),
    "reram1t1r": (Reram1T1R(), {"read_volt": 0.2, "driver_ohm": 100.0}),
    "reram1t1r bent": (
        Reram1T1R(sinh_volt=0.1, on_off_ratio=5.0, unselected_share=1e-3),
        {"read_volt": 0.6, "sink_ohm": 500.0, "feed": "near"},
    ),
    "no source wire": (Sram8T(), {"source_ohm": 0.0}),
    "no source wire but a driver": (Linear(), {"source_ohm": 0.0, "driver_ohm": 40.0}),
    "no bit wire": (Reram1T1R(), {"bit_ohm": 0.0, "sink_ohm": 40.0, "feed": "near"}),
    "no wires": (Sram8T(), {"source_ohm": 0.0, "bit_ohm": 0.0}),
}


def tile(name, rows=24, columns=4):
    cell, settings = TILES[name]
    rng = np.random.default_rng(list(TILES).index(name))
    return random_column(rng, wires(rows=rows, **settings), cell, patterns=1, columns=columns)


def text_of(made, **settings):
    return deck(made.ladder, made.cell, made.weights, made.active[0], **settings)


@pytest.mark.tool("ngspice")
@pytest.mark.parametrize("name", TILES)
def test_ngspice_finds_the_same_currents(name):
    made = tile(name)
    made.weights[3, 1] = 0.0
    currents, version = run(text_of(made))
    solved = Columns(made.ladder, made.cell, made.weights).solve(made.active).currents[0]
    assert np.allclose(currents, solved, rtol=LINEAR if "linear" in name else NONLINEAR, atol=0)
    assert re.fullmatch(r"\d+(\.\d+)*|unknown version", version)


@pytest.mark.tool("ngspice")
def test_chosen_columns_keep_their_order():
    made = tile("sram8t")
    every, _ = run(text_of(made))
    some, _ = run(text_of(made, columns=[1, 3]))
    assert np.allclose(some, every[[1, 3]], rtol=1e-9)
    dark = dataclasses.replace(made, active=np.zeros_like(made.active))
    assert np.all(run(text_of(dark))[0] == 0)


def test_a_deck_says_what_it_is_and_is_always_the_same():
    made = tile("sram8t")
    text = text_of(made, columns=[0, 1, 3], title="conv2 tile 3")
    assert text == text_of(made, columns=[0, 1, 3], title="conv2 tile 3")
    lines = text.split("\n")
    assert lines[0] == "* conv2 tile 3"
    assert f"{int(made.active.sum())} word lines on; columns: 0-1, 3" in lines[1]
    assert "Units: volt, ampere, ohm" in text
    assert {"set numdgt=15", ".op", ".end"} <= set(lines)


def test_a_deck_has_every_element():
    made = tile("sram8t", rows=6, columns=2)
    text = text_of(made)
    on = int(made.active.sum())
    for start, count in (("bu", on), ("bl", on), ("rs", 5), ("rb", 5), ("rd", 1), ("rk", 1)):
        assert len(re.findall(rf"^{start}[01]", text, re.MULTILINE)) == 2 * count, start
    row = int(np.flatnonzero(made.active[0])[0])
    weight = f"{made.weights[row, 1]:.17g}"
    assert f"bu1_{row} s1_{row} x1_{row} i=upper(v(s1_{row}), v(x1_{row}), {weight})" in text
    assert float(re.search(r"^rs0_0 s0_0 s0_1 (\S+)$", text, re.MULTILINE)[1]) == 2.0


def test_resistors_are_the_cells():
    made = tile("linear leaks", rows=6, columns=1)
    found = {
        (kind, int(row)): float(ohm)
        for kind, row, ohm in re.findall(
            r"^r([cl])0_(\d+) \S+ \S+ (\S+)$", text_of(made), re.MULTILINE
        )
    }
    weights = made.weights[:, 0]
    expected = {
        ("c" if on else "l", row): 25e3 / weights[row] if on else 25e3 / 0.01
        for row, on in enumerate(made.active[0])
    }
    assert found == pytest.approx(expected)


def test_nothing_of_0_ohm_is_a_resistor():
    for name in TILES:
        made = tile(name, rows=5, columns=2)
        resistors = re.findall(r"^r\w+ (\S+) (\S+) (\S+)$", text_of(made), re.MULTILINE)
        assert all(a != b and float(ohm) > 0 for a, b, ohm in resistors), name


@pytest.mark.parametrize("column", [-1, 4])
def test_a_tile_has_no_other_columns(column):
    with pytest.raises(ConfigError, match="0 to 3"):
        text_of(tile("linear"), columns=[column])


def test_a_deck_needs_weights_of_its_rows():
    made = tile("linear")
    with pytest.raises(ValueError, match="24"):
        deck(made.ladder, made.cell, made.weights[:-1], made.active[0])
    with pytest.raises(ValueError, match="24"):
        deck(made.ladder, made.cell, made.weights, made.active[0, :-1])


def test_currents_are_read_in_the_order_of_columns():
    printed = (
        "Circuit: x\n\ni(vsense10) = 1.5e-06\ni(vsense2) = -2.000000000000001e-05\nngspice done"
    )
    assert np.array_equal(read_currents(printed), [-2.000000000000001e-05, 1.5e-06])
    with pytest.raises(ToolError, match="singular matrix"):
        read_currents("Warning: singular matrix\nrun simulation(s) aborted")


def test_without_ngspice_the_way_to_get_it_is_named(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ToolError, match="apt install ngspice"):
        decks.run(text_of(tile("linear", rows=2)))
