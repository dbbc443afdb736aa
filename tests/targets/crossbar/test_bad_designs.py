"""Designs that no circuit has: refused soon and by name, no hang, crash or silent number."""

from __future__ import annotations

import time
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.networks import classifier, labelled
from tests.targets.crossbar.designs import columns
from tests.targets.crossbar.nodal_analysis import column_current

from bitwright import flow
from bitwright.errors import BitwrightError, ConfigError, ConvergenceError
from bitwright.targets import get_target
from bitwright.targets.crossbar.devices.cells import (
    CELL,
    MEMRISTOR,
    TRANSISTORS,
    Linear,
    Reram1T1R,
    Sram8T,
)
from bitwright.targets.crossbar.devices.ranges import Range
from bitwright.targets.crossbar.devices.wires import wire_ohm
from bitwright.targets.crossbar.lower import circuit
from bitwright.targets.crossbar.solver import columns as solver
from bitwright.targets.crossbar.solver import kernels, nodal, tested
from bitwright.targets.crossbar.solver.columns import Columns
from bitwright.targets.crossbar.solver.ladder import MAX_OHM, WIRES, Ladder

TARGET = get_target("crossbar")
INF, NAN = float("inf"), float("nan")
STEEP = Sram8T(
    supply_volt=10.0, threshold_volt=9.9999, modulation_per_volt=10.0, temperature_kelvin=44.0
)
"""Transistors whose Newton steps go back and forth, behind long wires."""


def ladder_of(rows=64, **wires):
    return Ladder(**({"rows": rows, "source_ohm": 7.0, "bit_ohm": 7.0, "read_volt": 0.2} | wires))


def array(rows, cell, patterns, width, seed=0):
    rng = np.random.default_rng(seed)
    weights = np.where(rng.random((rows, width)) < 0.5, 1.0, 1 / cell.on_off_ratio)
    return weights, rng.random((patterns, rows)) < 0.5


def circuit_of(technology, device=None, wires=None):
    return circuit(
        TARGET.configure(
            {"technology": technology, "device": device or {}, "wires": wires or {}, "rows": 16}
        )
    )


@pytest.mark.parametrize("threads", [1, 3])
def test_many_columns_that_do_not_converge_are_refused_soon(threads):
    ladder = ladder_of(source_ohm=1e4, bit_ohm=1e4, read_volt=10.0)
    weights, active = array(64, STEEP, 5000, 64)
    made = Columns(ladder, STEEP, weights)
    began = time.perf_counter()
    with pytest.raises(ConvergenceError, match=r"64 rows did not converge, of 320000") as told:
        made.solve(active, threads=threads)
    assert time.perf_counter() - began < 60, "about a second alone: the others are not tried"
    assert "threshold_volt of 0 to 0.49 V, not 9.9999" in told.value.way_out
    assert "source_ohm of 0 to 1000 ohm, not 10000" in told.value.way_out
    assert "on_ohm" not in told.value.way_out


def failing(monkeypatch, groups):
    """Let the kernel find nothing in some groups of eight columns of the first pattern."""
    newton = kernels.newton

    def worse(*given):
        worst, residual, steps, failed = newton(*given)
        given[-1][0, : 8 * groups] = solver.UNSOLVED
        return worst, residual, steps, failed + groups

    monkeypatch.setattr(kernels, "newton", worse)


def test_a_few_columns_are_damped_all_of_a_pattern_at_once(monkeypatch):
    cell, ladder = Sram8T(), ladder_of(16)
    weights, active = array(16, cell, 3, 72)
    expected = Columns(ladder, cell, weights).solve(active, threads=1)
    currents, widths = nodal.currents, []

    def counted(ladder, cell, weights, active):
        widths.append(weights.shape[1])
        return currents(ladder, cell, weights, active)

    monkeypatch.setattr(nodal, "currents", counted)
    failing(monkeypatch, 8)
    found = Columns(ladder, cell, weights).solve(active, threads=1)
    assert widths == [64]
    assert found.fallbacks == 8
    assert np.allclose(found.currents, expected.currents, rtol=1e-6, atol=0)
    assert np.array_equal(found.currents[1:], expected.currents[1:])
    assert np.array_equal(found.currents[:, 64:], expected.currents[:, 64:])


@pytest.mark.parametrize(
    ("rows", "groups", "patterns", "refused"),
    [
        (16, 8, 1, False),
        (16, 9, 1, True),
        (16, 9, 1100, False),
        (256, 2, 1, False),
        (256, 3, 1, True),
    ],
)
def test_the_damped_solver_has_a_budget(monkeypatch, rows, groups, patterns, refused):
    """64 columns of short columns or one in a thousand, and fewer of tall ones."""
    cell = Sram8T()
    weights, _ = array(rows, cell, 1, 72)
    active = (np.arange(patterns)[:, None] >> np.arange(rows) % 16 & 1).astype(bool)
    active[0] = np.arange(rows) < 3
    monkeypatch.setattr(solver, "_LOOK", 4096)  # one call of the kernel
    monkeypatch.setattr(nodal, "currents", lambda ladder, cell, weights, active: weights * 1e-6)
    failing(monkeypatch, groups)
    made = Columns(ladder_of(rows), cell, weights)
    if not refused:
        assert made.solve(active, threads=1).fallbacks == groups
        return
    with pytest.raises(ConvergenceError, match=f"{8 * groups} columns of {rows} rows") as told:
        made.solve(active, threads=1)
    assert "change resistances" in told.value.way_out, "nothing is out of the ordinary"


@settings(deadline=None, max_examples=200)
@given(columns(rows=st.integers(1, 256)))
def test_what_is_tested_is_what_is_said_to_be(column):
    assert not tested.outside(column.ladder, column.cell, np.minimum(column.weights, 100))


def test_what_is_farthest_out_comes_first():
    cell = Reram1T1R(sinh_volt=0.02, supply_volt=1.3, on_off_ratio=INF)
    strange = tested.outside(ladder_of(300, sink_ohm=1e9), cell, np.full((300, 1), 1e3))
    assert [text.split(" of ")[0] for text in strange] == [
        "sink_ohm",
        "cells' multipliers (sigma)",
        "sinh_volt",
        "rows",
        "supply_volt",
    ]


@pytest.mark.parametrize("feed", ["far", "near"])
@pytest.mark.parametrize("kind", [Linear, Sram8T, Reram1T1R])
@pytest.mark.parametrize(
    "names",
    [("source_ohm", "bit_ohm"), ("driver_ohm", "sink_ohm"), ("source_ohm",), ("sink_ohm",)],
    ids="+".join,
)
def test_the_highest_resistances_are_solved(kind, names, feed):
    cell = kind(on_ohm=316.0)
    ladder = ladder_of(24, feed=feed, **dict.fromkeys(names, MAX_OHM))
    weights, active = array(24, cell, 1, 2)
    found = Columns(ladder, cell, weights).solve(active, threads=1).currents[0, 0]
    # Node voltages lose digits here; currents as unknowns do not.
    assert found == pytest.approx(nodal.solve(ladder, cell, weights[:, 0], active[0]), rel=1e-6)
    if kind is Linear and names == ("sink_ohm",):
        expected = column_current(ladder, cell, weights[:, 0], active[0])
        assert found == pytest.approx(expected, rel=1e-6)


def test_cells_that_wires_cut_off_are_refused():
    weights, _ = array(64, Linear(), 1, 3)
    weights[5, 1] = 1e14
    with pytest.raises(ConvergenceError, match="digits") as told:
        Columns(ladder_of(), Linear(), weights)
    assert "sigma" in told.value.way_out
    Columns(ladder_of(source_ohm=0, bit_ohm=0), Linear(), weights)
    # The transistor bounds what a memristor does.
    Columns(ladder_of(), Reram1T1R(), weights)


@pytest.mark.parametrize("value", [NAN, INF, 1e-3])
def test_currents_that_are_no_numbers_are_refused(monkeypatch, value):
    weights, active = array(64, Linear(), 4, 9)
    linear = kernels.linear

    def broken(*given):
        linear(*given)
        given[-1][2, 5] = value

    monkeypatch.setattr(kernels, "linear", broken)
    made = Columns(ladder_of(), Linear(), weights)
    if np.isfinite(value):
        assert made.solve(active, threads=1).currents[2, 5] == value
        return
    with pytest.raises(ConvergenceError, match="no number"):
        made.solve(active, threads=1)


KINDS = (
    (Linear, CELL),
    (Sram8T, CELL | TRANSISTORS),
    (Reram1T1R, CELL | TRANSISTORS | MEMRISTOR),
)


def extremes(ranges):
    """Values at both ends of ranges, in the middle, and infinity where it is allowed."""
    return {
        name: st.sampled_from([r.low, r.high, *([INF] if r.infinite else [])])
        | st.floats(r.low, r.high)
        for name, r in ranges.items()
    }


@settings(deadline=None, max_examples=150)
@given(
    st.sampled_from(KINDS).flatmap(
        lambda pair: st.tuples(
            st.just(pair[0]), st.fixed_dictionaries({}, optional=extremes(pair[1]))
        )
    ),
    st.fixed_dictionaries({}, optional=extremes(WIRES)),
)
def test_whatever_is_in_range_is_solved_or_refused(made, wires):
    kind, device = made
    weights, active = array(12, kind(), 2, 3)
    try:
        cell, ladder = kind(**device), ladder_of(12, **wires)
        stored = np.where(weights == 1, 1.0, 1 / cell.on_off_ratio)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = Columns(ladder, cell, stored).solve(active, threads=1).currents
    except BitwrightError:
        return
    most = ladder.read_volt / max(ladder.sink_ohm, 1e-300)
    assert np.isfinite(found).all()
    assert np.all(found <= most * (1 + 1e-6))
    assert np.all(found >= -1e-9 * ladder.read_volt / cell.on_ohm)


@pytest.mark.parametrize("value", [INF, -INF, NAN, "far", True, 1e10])
@pytest.mark.parametrize("name", WIRES)
def test_no_wire_has_such_numbers(name, value):
    with pytest.raises(ConfigError, match=f"{name} is {value}: give .* (ohm|V)"):
        ladder_of(**{name: value})


@pytest.mark.parametrize("value", [INF, -INF, NAN, 1e300, -1e300])
@pytest.mark.parametrize(
    ("kind", "name"),
    [(Linear, name) for name in CELL]
    + [(Sram8T, name) for name in TRANSISTORS]
    + [(Reram1T1R, name) for name in TRANSISTORS | MEMRISTOR],
)
def test_no_cell_has_such_numbers(kind, name, value):
    if (name, value) == ("on_off_ratio", INF):
        assert kind(on_off_ratio=value).on_off_ratio == INF
        return
    with pytest.raises(ConfigError, match=f"{name} is|the threshold of"):
        kind(**{name: value})


def test_memristors_are_not_read_far_above_their_curve():
    assert circuit_of("reram1t1r", {"sinh_volt": 0.0025})[0].sinh_volt == 0.0025
    with pytest.raises(ConfigError, match="200 times sinh_volt"):
        circuit_of("reram1t1r", {"sinh_volt": 0.001})
    with pytest.raises(ConfigError, match=r"sinh_volt is 0\.0005: give 0.001 to 1000 V"):
        circuit_of("reram1t1r", {"sinh_volt": 5e-4})


@pytest.mark.parametrize(
    ("table", "settings", "named"),
    [
        ("device", {"kind": 3}, "no setting of .device. named 'kind'"),
        ("wires", {"ohm": 3}, "known: bit_ohm, driver_ohm, feed, read_volt, sink_ohm, source_ohm$"),
        ("wires", {"rows": 3}, "set rows beside technology"),
        ("wires", {"source_ohm": "far"}, "source_ohm is far: give 0 to 1e"),
        ("device", {"supply_volt": INF}, "supply_volt is inf: give 0 to 10 V"),
    ],
)
def test_no_table_has_such_settings(table, settings, named):
    with pytest.raises(ConfigError, match=named) as told:
        circuit_of("sram8t", **{table: settings})
    assert "known: kind" not in str(told.value)
    assert ", kind" not in str(told.value)


def test_wires_of_linear_cells_have_a_temperature():
    cell, ladder = circuit_of("linear", {"temperature_kelvin": 400.0, "on_ohm": 1e4})
    assert cell == Linear(on_ohm=1e4)
    assert (ladder.source_ohm, ladder.bit_ohm) == wire_ohm("7nm", "linear", 400.0)
    with pytest.raises(ConfigError, match="2000"):
        circuit_of("linear", {"temperature_kelvin": 2000.0})
    with pytest.raises(ConfigError, match="known: on_off_ratio, on_ohm, temperature_kelvin, unsel"):
        circuit_of("linear", {"volt": 1.0})


@pytest.mark.parametrize(
    ("settings", "where"),
    [
        ({"rows": True}, "rows"),
        ({"sigma": False}, "sigma"),
        ({"adc_bits": True}, "adc_bits"),
        ({"device": {"on_ohm": True}}, "device.on_ohm"),
        ({"wires": {"sink_ohm": False}}, "wires.sink_ohm"),
        ({"gains": {"d2": True}}, "gains.d2"),
    ],
)
def test_booleans_are_no_numbers(settings, where):
    with pytest.raises(ConfigError, match=f"'{where}'.*(number|integer)"):
        TARGET.configure(settings)


def test_booleans_that_are_settings_stay():
    assert TARGET.configure({"cost": {"pipelined": True}}).cost == {"pipelined": True}


def test_texts_in_place_of_numbers_are_told_where_they_are():
    with pytest.raises(ConfigError, match=r"'wires\.source_ohm' .*a valid number.* or .*'far'"):
        TARGET.configure({"wires": {"source_ohm": "long"}})
    with pytest.raises(ConfigError, match=r"'calibrate\.1' .*'gain'"):
        TARGET.configure({"calibrate": ["gain", "all"]})
    with pytest.raises(ConfigError, match=r"'device' .*dictionary"):
        TARGET.configure({"device": 3})


@pytest.mark.parametrize("needs", [{"calibrate": ["gain"]}, {"row_order": "active"}])
def test_images_of_another_shape_do_not_calibrate(needs, tmp_path):
    other = labelled(2, (6, 6, 1), count=8)
    file = tmp_path / "others.npz"
    np.savez(file, x=other.images, y=other.labels)
    shape = (4, 4, 1)
    asked = {"technology": "linear", "calibration": str(file), **needs}
    with pytest.raises(
        ConfigError, match=r"others.npz' do not fit: .*\(4, 4, 1\), not \(6, 6, 1\)"
    ):
        flow.evaluate(
            classifier(1, shape), labelled(1, shape, count=3), target="crossbar", config=asked
        )


def test_a_range_names_itself():
    assert str(Range(1, 1e30, infinite=True)) == "1 to 1e+30, or inf"
    assert str(Range(0, 10, "V")) == "0 to 10 V"
    assert np.float32(3) in Range(0, 10)
    assert 3 in Range(0, 10)
    assert np.bool_(True) not in Range(0, 10)
