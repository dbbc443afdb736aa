"""Dense nodal analysis of several columns: each as good as alone, however little it conducts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.targets.crossbar.designs import columns
from tests.targets.crossbar.nodal_analysis import column_current

from bitwright.errors import ConvergenceError
from bitwright.targets.crossbar.devices.cells import Linear, Reram1T1R, Sram8T
from bitwright.targets.crossbar.solver import nodal
from bitwright.targets.crossbar.solver.columns import Columns
from bitwright.targets.crossbar.solver.ladder import Ladder

ERROR = 1e-9
"""Relative, beside extended precision; `nodal.RESIDUAL` is 1e-11."""
WIRES = {"source_ohm": 20.0, "bit_ohm": 30.0, "driver_ohm": 200.0, "sink_ohm": 100.0}


def ladder_of(rows=16, **wires):
    return Ladder(rows=rows, read_volt=0.4, **(WIRES | wires))


@pytest.mark.parametrize(
    "cell",
    [
        Linear(on_off_ratio=1e6),
        Sram8T(),
        Sram8T(on_ohm=3e3, on_off_ratio=1e5),
        Reram1T1R(),
        Reram1T1R(on_ohm=316.0, on_off_ratio=1e4, sinh_volt=0.1),
        Reram1T1R(on_off_ratio=1e7, sinh_volt=1.3, access_share=0.08),
    ],
    ids=lambda cell: f"{cell.kind} {cell.on_off_ratio:.0e}",
)
@pytest.mark.parametrize("end", [100.0, 1e4])
def test_stored_zeros_are_solved_as_well_as_ones(cell, end):
    wires = {"source_ohm": 500.0, "bit_ohm": 500.0, "driver_ohm": end, "sink_ohm": end}
    ladder, active = ladder_of(**wires), np.arange(16) % 3 > 0
    weights = np.full((16, 3), 1 / cell.on_off_ratio)
    weights[:, 1] = 1.0
    weights[::2, 2] = 1.0
    found = nodal.currents(ladder, cell, weights, active)
    for k in range(3):
        expected = column_current(ladder, cell, weights[:, k], active)
        assert found[:, k].sum() == pytest.approx(expected, rel=1e-11, abs=0), k


@settings(deadline=None, max_examples=25)
@given(columns(rows=st.integers(1, 16)))
def test_columns_are_solved_to_the_residual(column):
    found = nodal.currents(column.ladder, column.cell, column.weights, column.active[0])
    for k in (0, -1):
        expected = column_current(
            column.ladder, column.cell, column.weights[:, k], column.active[0]
        )
        assert found[:, k].sum() == pytest.approx(expected, rel=ERROR, abs=1e-28)


@pytest.mark.parametrize("cell", [Linear(), Sram8T(), Reram1T1R()], ids=lambda cell: cell.kind)
def test_columns_beside_each_other_change_nothing(cell, monkeypatch):
    rng = np.random.default_rng(7)
    ladder, active = ladder_of(24), rng.random(24) < 0.6
    weights = np.where(rng.random((24, 9)) < 0.5, 1.0, 1 / cell.on_off_ratio)
    weights[:, 4] = 0.0
    together = nodal.currents(ladder, cell, weights, active)
    assert together.shape == (24, 9)
    assert not together[:, 4].any()
    assert not together[~active].any()
    for memory in (1, 5 * 24**2):  # one column, five columns at a time
        monkeypatch.setattr(nodal, "MEMORY", memory)
        parts = nodal.currents(ladder, cell, weights, active)
        assert np.allclose(parts, together, rtol=1e-10, atol=0)
    alone = [nodal.solve(ladder, cell, weights[:, k], active) for k in range(9)]
    assert np.allclose(alone, together.sum(axis=0), rtol=1e-10, atol=0)
    assert nodal.currents(ladder, cell, weights[:, :0], active).shape == (24, 0)


def test_steps_are_damped_column_by_column(monkeypatch):
    """Saturated transistors behind long wires take damping, which the column beside them lacks."""
    cell = Sram8T(on_ohm=316.0, supply_volt=0.72, threshold_volt=0.41, temperature_kelvin=200.0)
    ladder = Ladder(rows=8, source_ohm=1000.0, bit_ohm=1400.0, read_volt=0.4)
    weights, active = np.ones((8, 2)), np.ones(8, bool)
    weights[:, 1] = 1 / cell.on_off_ratio
    tangent, linear_solve = nodal.tangent, np.linalg.solve
    tried, steps = [], []

    def counted(cell, s, *rest):
        tried.append(len(s))
        return tangent(cell, s, *rest)

    def stepped(*given):
        steps.append(given)
        return linear_solve(*given)

    monkeypatch.setattr(nodal, "tangent", counted)
    monkeypatch.setattr(np.linalg, "solve", stepped)
    found = nodal.currents(ladder, cell, weights, active).sum(axis=0)
    monkeypatch.undo()
    for k in range(2):
        expected = column_current(ladder, cell, weights[:, k], active)
        assert found[k] == pytest.approx(expected, rel=ERROR)
    assert tried[:3] == [2, 2, 1], "the first step is halved for one of them"
    assert len(tried) > len(steps) + 1, "steps were halved"
    assert tried.count(2) < 6, "the other one is done after few steps"


def test_what_rounding_leaves_is_as_good_as_it_gets(monkeypatch):
    """Cells that take little of the voltage know their currents less well."""
    cell = Linear(on_ohm=316.0)
    ladder = Ladder(
        rows=12, source_ohm=1e3, bit_ohm=1e3, driver_ohm=1e5, sink_ohm=1e5, read_volt=1.2
    )
    weights, active = np.ones((12, 1)), np.ones(12, bool)
    expected = Columns(ladder, cell, weights).solve(active[None], threads=1).currents[0]
    found = nodal.currents(ladder, cell, weights, active).sum(axis=0)
    assert found == pytest.approx(expected, rel=1e-10)
    # A residual that rounding keeps from falling so far ends at what no step makes smaller.
    monkeypatch.setattr(nodal, "ROUNDING", 0.0)
    monkeypatch.setattr(nodal, "RESIDUAL", 1e-19)
    found = nodal.currents(ladder, cell, weights, active).sum(axis=0)
    assert found == pytest.approx(expected, rel=1e-10)
    monkeypatch.setattr(nodal, "STALLED", 1e-18)
    with pytest.raises(ConvergenceError, match="12 rows"):
        nodal.currents(ladder, cell, weights, active)
