"""Columns: both fast solvers against node voltages and conductance matrices, over all designs.

The ranges in which every column converges are those of `designs.py`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import llvmlite.binding as llvm
import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from tests.targets.crossbar.designs import Column, columns
from tests.targets.crossbar.nodal_analysis import column_current

from bitwright.errors import ConfigError, ConvergenceError
from bitwright.targets.crossbar.devices.cells import Linear, Reram1T1R, Sram8T
from bitwright.targets.crossbar.solver import columns as solver
from bitwright.targets.crossbar.solver import nodal
from bitwright.targets.crossbar.solver.columns import Columns
from bitwright.targets.crossbar.solver.ladder import LEAST_OHM, Ladder

ROOT = Path(__file__).parents[3]
LINEAR, NONLINEAR = 1e-9, 1e-6
NOTHING_AMP = 1e-24
"""What rounding leaves of no current; far below what can be sensed."""


def wires(**settings):
    return Ladder(**({"rows": 64, "source_ohm": 2, "bit_ohm": 3, "read_volt": 0.5} | settings))


def random_column(rng, ladder, cell, patterns=2, columns=11):
    weights = np.where(rng.random((ladder.rows, columns)) < 0.5, 1.0, 1 / cell.on_off_ratio)
    weights *= np.exp(0.2 * rng.standard_normal(weights.shape))
    return Column(ladder, cell, weights, rng.random((patterns, ladder.rows)) < 0.6)


def check(column, tolerance, which=(0, -1)):
    """Compare some columns under each pattern with the reference; return the solution."""
    solution = Columns(column.ladder, column.cell, column.weights).solve(column.active, threads=1)
    for pattern, active in enumerate(column.active):
        for k in which:
            expected = column_current(column.ladder, column.cell, column.weights[:, k], active)
            got = solution.currents[pattern, k]
            assert got == pytest.approx(expected, rel=tolerance, abs=NOTHING_AMP)
    return solution


@settings(deadline=None, max_examples=60)
@given(columns(("linear",)))
def test_linear_columns_are_exact(column):
    check(column, LINEAR)


@settings(deadline=None, max_examples=60)
@given(columns(("sram8t", "reram1t1r")))
def test_nonlinear_columns_are_solved(column):
    check(column, NONLINEAR)


@pytest.mark.parametrize("feed", ["far", "near"])
@pytest.mark.parametrize("cell", [Linear(), Sram8T(), Reram1T1R()], ids=lambda cell: cell.kind)
def test_tall_columns_are_solved(cell, feed):
    rng = np.random.default_rng(256)
    ladder = wires(rows=256, source_ohm=17.6, bit_ohm=17.6, read_volt=0.35, feed=feed)
    column = random_column(rng, ladder, cell, patterns=1)
    check(column, LINEAR if cell.kind == "linear" else NONLINEAR, which=(5,))


@settings(deadline=None, max_examples=150)
@given(columns(rows=st.sampled_from([1, 2, 31, 64, 128, 256])))
def test_every_column_converges(column):
    """No error, and the damped solver of `nodal` has nothing to do."""
    made = Columns(column.ladder, column.cell, column.weights)
    solution = made.solve(column.active, threads=1)
    assert solution.fallbacks == 0
    most = column.weights * column.active[:, :, None]
    on_amp = column.ladder.read_volt / column.cell.on_ohm
    leaks = column.cell.unselected_share * column.ladder.rows
    assert np.all(solution.currents >= -NOTHING_AMP)
    if column.cell.kind != "reram1t1r":  # there the transistor limits what weights above 1 give
        assert np.all(solution.currents <= 1.0000001 * on_amp * (most.sum(axis=1) + leaks))


@settings(deadline=None, max_examples=40)
@given(columns(("linear",), st.sampled_from([1, 2, 33, 100])))
def test_marching_and_eliminating_agree(column):
    # The elimination has this in place of no resistance at the ends.
    ends = {
        name: max(getattr(column.ladder, name), LEAST_OHM) for name in ("driver_ohm", "sink_ohm")
    }
    ladder = replace(column.ladder, **ends)
    marched = Columns(ladder, column.cell, column.weights)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(solver, "MARCH_GROWTH", -1.0)
        eliminated = Columns(ladder, column.cell, column.weights)
    one, other = (made.solve(column.active, threads=1) for made in (marched, eliminated))
    assume(one.groups == 0)  # very long wires are never marched along
    assert other.groups > 0
    assert np.allclose(one.currents, other.currents, rtol=1e-10, atol=NOTHING_AMP)


@settings(deadline=None, max_examples=15)
@given(columns(rows=st.integers(1, 24)))
@example(random_column(np.random.default_rng(1), wires(rows=24), Sram8T()))
def test_the_slow_solver_says_the_same(column):
    found = check(column, NONLINEAR, which=(0,)).currents
    for pattern, active in enumerate(column.active):
        slow = nodal.solve(column.ladder, column.cell, column.weights[:, 0], active)
        assert slow == pytest.approx(found[pattern, 0], rel=NONLINEAR, abs=NOTHING_AMP)


@pytest.mark.parametrize("cell", [Sram8T(), Reram1T1R()], ids=lambda cell: cell.kind)
def test_what_does_not_converge_is_damped_or_an_error(cell, monkeypatch):
    column = random_column(np.random.default_rng(3), wires(rows=16, driver_ohm=500.0), cell)
    expected = check(column, NONLINEAR).currents
    # A single step never gets there when no move is small enough.
    monkeypatch.setattr(solver, "STEPS", 1)
    monkeypatch.setattr(solver, "MOVE", 0.0)
    damped = Columns(column.ladder, cell, column.weights).solve(column.active, threads=1)
    assert damped.fallbacks == damped.groups > 0
    assert np.allclose(damped.currents, expected, rtol=NONLINEAR)
    monkeypatch.setattr(nodal, "STEPS", 1)
    with pytest.raises(ConvergenceError, match="16 rows"):
        Columns(column.ladder, cell, column.weights).solve(column.active, threads=1)


@pytest.mark.parametrize("cell", [Linear(), Sram8T(), Reram1T1R()], ids=lambda cell: cell.kind)
def test_threads_and_batches_change_no_bit(cell):
    column = random_column(np.random.default_rng(4), wires(), cell, patterns=150, columns=20)
    made = Columns(column.ladder, cell, column.weights)
    alone = made.solve(column.active, threads=1)
    assert np.array_equal(made.solve(column.active, threads=3).currents, alone.currents)
    assert np.array_equal(made.solve(column.active).currents, alone.currents)
    parts = [made.solve(part, threads=1).currents for part in np.split(column.active, [1, 60])]
    assert np.array_equal(np.concatenate(parts), alone.currents)
    strided = np.asfortranarray(column.active)
    assert np.array_equal(made.solve(strided, threads=1).currents, alone.currents)


@pytest.mark.parametrize("cell", [Linear(), Sram8T(), Reram1T1R()], ids=lambda cell: cell.kind)
def test_ideal_wires_count_cells(cell):
    ladder = wires(source_ohm=0, bit_ohm=0, read_volt=0.3)
    column = random_column(np.random.default_rng(5), ladder, cell, patterns=9)
    stored = column.weights > 0.5
    weights = np.where(stored, 1.0, 0.0)
    currents = Columns(ladder, cell, weights).solve(column.active, threads=1).currents
    counts = column.active.astype(int) @ stored
    assert np.allclose(currents, counts * 0.3 / cell.on_ohm, rtol=NONLINEAR)


def test_no_word_line_and_no_pattern():
    rows = wires()
    weights = np.ones((64, 3))
    for cell in (Linear(), Sram8T(), Reram1T1R()):
        made = Columns(rows, cell, weights)
        assert np.all(made.solve(np.zeros((2, 64), bool)).currents == 0)
        assert made.solve(np.zeros((0, 64), bool)).currents.shape == (0, 3)
    leaking = Columns(rows, Linear(unselected_share=0.01), weights)
    leaks = leaking.solve(np.zeros((1, 64), bool)).currents
    assert np.allclose(leaks, 64 * 0.01 * 0.5 / 25e3, rtol=0.05)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"rows": 0}, "0 rows"),
        ({"rows": 4097}, "4097 rows"),
        ({"source_ohm": -1.0}, "source_ohm"),
        ({"bit_ohm": float("nan")}, "bit_ohm"),
        ({"driver_ohm": float("inf")}, "driver_ohm"),
        ({"sink_ohm": -0.1}, "sink_ohm"),
        ({"read_volt": 0.0}, "read_volt"),
        ({"read_volt": float("nan")}, "read_volt"),
        ({"feed": "middle"}, "middle"),
    ],
)
def test_no_ladder_is_like_that(settings, named):
    with pytest.raises(ConfigError, match=named):
        wires(**settings)


def test_the_tallest_column_is_solved():
    ladder = wires(rows=4096, source_ohm=0.01, bit_ohm=0.01)
    active = np.ones((1, 4096), bool)
    for cell in (Linear(), Sram8T()):
        current = Columns(ladder, cell, np.ones((4096, 1))).solve(active, threads=1).currents[0, 0]
        # Between all cells at full voltage and what the wires let pass into half of them.
        assert 0.5 / (0.01 * 4096) < current < 4096 * 0.5 / cell.on_ohm


@pytest.mark.parametrize(
    "weights", [np.ones((63, 2)), np.ones(64), -np.ones((64, 2)), np.full((64, 2), np.nan)]
)
def test_weights_that_do_not_fit_are_refused(weights):
    with pytest.raises(ValueError, match="weights"):
        Columns(wires(), Linear(), weights)


@pytest.mark.parametrize("active", [np.ones((2, 63), bool), np.ones(64, bool), np.ones((2, 64))])
def test_word_lines_that_do_not_fit_are_refused(active):
    with pytest.raises(ValueError, match="active"):
        Columns(wires(), Linear(), np.ones((64, 2))).solve(active)


WORKER = """
import numpy as np
from tests.targets.crossbar import test_columns as t
for cell in (t.Linear(), t.Linear(unselected_share=0.01), t.Sram8T(), t.Reram1T1R()):
    for feed in ("far", "near"):
        column = t.random_column(np.random.default_rng(6), t.wires(rows=20, feed=feed), cell)
        t.check(column, t.LINEAR if cell.kind == "linear" else t.NONLINEAR)
"""


@pytest.mark.slow
@pytest.mark.skipif(
    not all(llvm.get_host_cpu_features().get(name) for name in ("avx2", "fma", "bmi2")),
    reason="this processor lacks AVX2",
)
def test_processors_without_avx512_do_as_well(tmp_path):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("NUMBA_CPU")} | {
        "NUMBA_CACHE_DIR": str(tmp_path),
        "NUMBA_CPU_NAME": "haswell",
        "NUMBA_CPU_FEATURES": "",
    }
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", WORKER],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-3000:]


@pytest.mark.parametrize("rows", [5, 64, 130])
def test_repeated_patterns_are_solved_once(rows):
    rng = np.random.default_rng(rows)
    ladder = Ladder(rows=rows, source_ohm=5.0, bit_ohm=5.0, read_volt=0.35)
    weights = np.where(rng.random((rows, 20)) < 0.5, 1.0, 1e-4)
    columns = Columns(ladder, Sram8T(), weights)
    few = rng.random((7, rows)) < 0.5
    chosen = rng.integers(0, 7, 100)
    many = columns.solve(few[chosen])
    assert np.array_equal(many.currents, columns.solve(few).currents[chosen])
    assert many.groups == columns.solve(few).groups
    assert len(columns.solve(np.zeros((0, rows), np.bool_)).currents) == 0
