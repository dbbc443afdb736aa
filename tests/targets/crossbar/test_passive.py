"""The passive array beside dense nodal analysis, closed forms, ngspice and arrays of columns."""

import re
import subprocess

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitwright.eda.tools import require
from bitwright.errors import ConfigError
from bitwright.targets.crossbar.devices.cells import Linear
from bitwright.targets.crossbar.solver.columns import Columns
from bitwright.targets.crossbar.solver.ladder import Ladder
from bitwright.targets.crossbar.solver.passive import PassiveArray

WIRES = {"row_ohm": 2.5, "column_ohm": 4.0, "driver_ohm": 120.0, "sink_ohm": 80.0}
OHMS = st.one_of(st.just(0.0), st.floats(1e-2, 1e4))


def random_cells(rng, rows, columns, open_share=0.2):
    cells = 10 ** rng.uniform(-6, -3, (rows, columns))
    return np.where(rng.random((rows, columns)) < open_share, 0.0, cells)


def dense(cells, voltages, *, row_ohm, column_ohm, driver_ohm, sink_ohm):
    """Nodal analysis with a dense matrix; 0 ohm joins nodes by name."""
    rows, columns = cells.shape

    def word(r, c):
        if row_ohm == 0 or c < 0:
            c = 0
        return ("driver", r) if c == 0 and driver_ohm == 0 else ("word", r, c)

    def bit(r, c):
        r = rows - 1 if column_ohm == 0 else r
        return ("sense", c) if r == rows - 1 and sink_ohm == 0 else ("bit", r, c)

    branches = [(word(r, c), bit(r, c), cells[r, c]) for r in range(rows) for c in range(columns)]
    for r in range(rows):
        branches += [
            (word(r, c), word(r, c + 1), 1 / row_ohm) for c in range(columns - 1) if row_ohm
        ]
        branches += [(("driver", r), word(r, 0), 1 / driver_ohm)] if driver_ohm else []
    for c in range(columns):
        branches += [
            (bit(r, c), bit(r + 1, c), 1 / column_ohm) for r in range(rows - 1) if column_ohm
        ]
        branches += [(bit(rows - 1, c), ("sense", c), 1 / sink_ohm)] if sink_ohm else []
    volts = {("driver", r): v for r, v in enumerate(voltages)}
    volts |= {("sense", c): 0.0 for c in range(columns)}
    free = sorted({n for a, b, _ in branches for n in (a, b)} - set(volts), key=str)
    index = {name: k for k, name in enumerate(free)}
    matrix, right = np.zeros((len(free), len(free))), np.zeros(len(free))
    for a, b, g in branches:
        for one, two in ((a, b), (b, a)):
            if one in index:
                matrix[index[one], index[one]] += g
                if two in index:
                    matrix[index[one], index[two]] -= g
                else:
                    right[index[one]] += g * volts[two]
    volts |= dict(zip(free, np.linalg.solve(matrix, right), strict=True)) if free else {}
    currents = np.zeros(columns)
    for a, b, g in branches:
        for one, two in ((a, b), (b, a)):
            if two[0] == "sense":
                currents[two[1]] += g * (volts[one] - volts[two])
    return currents


@settings(max_examples=60, deadline=None)
@given(
    rows=st.integers(1, 9),
    columns=st.integers(1, 9),
    ohms=st.tuples(OHMS, OHMS, OHMS, OHMS),
    seed=st.integers(0, 2**32 - 1),
)
def test_equals_dense_nodal_analysis(rows, columns, ohms, seed):
    rng = np.random.default_rng(seed)
    cells = random_cells(rng, rows, columns)
    wires = dict(zip(WIRES, ohms, strict=True))
    voltages = rng.uniform(0, 0.5, (3, rows))
    found = PassiveArray(cells, **wires).solve(voltages)
    expected = [dense(cells, v, **wires) for v in voltages]
    scale = (cells.sum(axis=0) * 0.5).max()
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12 * scale)


def test_without_resistances_it_is_the_matrix_product():
    rng = np.random.default_rng(0)
    cells, voltages = random_cells(rng, 30, 20), rng.uniform(0, 1, (7, 30))
    found = PassiveArray(cells, row_ohm=0, column_ohm=0, driver_ohm=0, sink_ohm=0).solve(voltages)
    np.testing.assert_allclose(found, voltages @ cells, rtol=1e-12)


def test_one_row_is_a_ladder_of_parallel_cells():
    # One cell: everything in series. Two, with ideal wires: a divider at the driver.
    one = PassiveArray([[1e-3]], **WIRES).solve([[1.0]])
    np.testing.assert_allclose(one, [[1 / (1000 + 120 + 80)]], rtol=1e-14)
    two = PassiveArray([[1e-3, 1e-3]], row_ohm=0, column_ohm=0, driver_ohm=500, sink_ohm=0)
    np.testing.assert_allclose(two.solve([[1.0]]), [[5e-4, 5e-4]], rtol=1e-14)


def test_is_linear_in_the_voltages_over_chunks_of_patterns():
    rng = np.random.default_rng(1)
    array = PassiveArray(random_cells(rng, 16, 12), **WIRES)
    voltages = rng.uniform(0, 1, (700, 16))
    each_row = array.solve(np.eye(16))
    np.testing.assert_allclose(array.solve(voltages), voltages @ each_row, rtol=1e-10)
    # Reciprocity: what row 3 sends to column 5 is what column 5 would send back.
    turned = PassiveArray(
        random_cells(np.random.default_rng(1), 16, 12)[::-1, ::-1].T,
        row_ohm=4.0,
        column_ohm=2.5,
        driver_ohm=80.0,
        sink_ohm=120.0,
    ).solve(np.eye(12))
    np.testing.assert_allclose(turned[::-1, ::-1].T, each_row, rtol=1e-10)


def test_without_row_wires_a_column_is_the_crossbar_with_ideal_source_lines():
    # Ideal word lines drive every cell with the read voltage, as an ideal source line does; rows
    # that are off leak to 0 V here, so all are on.
    rng = np.random.default_rng(2)
    rows, bits = 40, rng.random((40, 24)) < 0.5
    cell = Linear(on_ohm=20e3, on_off_ratio=50)
    weights = np.where(bits, 1.0, 1 / 50)
    ladder = Ladder(rows=rows, source_ohm=0, bit_ohm=15, sink_ohm=300, read_volt=0.3)
    expected = Columns(ladder, cell, weights).solve(np.ones((1, rows), np.bool_)).currents
    array = PassiveArray(weights / 20e3, row_ohm=0, column_ohm=15, driver_ohm=0, sink_ohm=300)
    np.testing.assert_allclose(array.solve(np.full((1, rows), 0.3)), expected, rtol=1e-11)


@pytest.mark.tool("ngspice")
def test_equals_ngspice(tmp_path):
    rng = np.random.default_rng(3)
    rows, columns = 12, 9
    cells, voltages = random_cells(rng, rows, columns), rng.uniform(0, 0.5, rows)
    lines = ["* a passive array", ".options reltol=1e-12 abstol=1e-20 vntol=1e-15 gmin=1e-20"]
    for r in range(rows):
        lines += [
            f"v{r} d{r} 0 dc {float(voltages[r])!r}",
            f"rd{r} d{r} w{r}_0 {WIRES['driver_ohm']}",
        ]
        lines += [f"rw{r}_{c} w{r}_{c} w{r}_{c + 1} {WIRES['row_ohm']}" for c in range(columns - 1)]
    for c in range(columns):
        lines += [f"rk{c} b{rows - 1}_{c} e{c} {WIRES['sink_ohm']}", f"vsense{c} e{c} 0 dc 0"]
        lines += [f"rb{r}_{c} b{r}_{c} b{r + 1}_{c} {WIRES['column_ohm']}" for r in range(rows - 1)]
        for r in np.flatnonzero(cells[:, c]):
            lines.append(f"rc{r}_{c} w{r}_{c} b{r}_{c} {float(1 / cells[r, c])!r}")
    printed = [f"print i(vsense{c})" for c in range(columns)]
    lines += [".op", ".control", "set numdgt=15", "run", *printed, "quit", ".endc", ".end", ""]
    (tmp_path / "array.cir").write_text("\n".join(lines))
    command = [require("ngspice").path, "-b", "array.cir"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    found = dict(re.findall(r"^i\(vsense(\d+)\) = (\S+)$", done.stdout, re.MULTILINE))
    expected = [float(found[str(c)]) for c in range(columns)]
    np.testing.assert_allclose(
        PassiveArray(cells, **WIRES).solve([voltages])[0], expected, rtol=1e-9
    )


@pytest.mark.parametrize("name", WIRES)
@pytest.mark.parametrize("ohm", [-1.0, float("inf"), float("nan")])
def test_refuses_resistances_that_no_wire_has(name, ohm):
    with pytest.raises(ConfigError, match=name):
        PassiveArray(np.ones((2, 2)), **(WIRES | {name: ohm}))


@pytest.mark.parametrize("cells", [np.ones(3), np.ones((0, 3)), [[-1.0]], [[float("nan")]]])
def test_refuses_cells_that_are_no_array_of_conductances(cells):
    with pytest.raises(ConfigError, match="conductance"):
        PassiveArray(cells, **WIRES)


def test_refuses_voltages_of_other_rows():
    with pytest.raises(ValueError, match="patterns, 2"):
        PassiveArray(np.ones((2, 3)), **WIRES).solve(np.ones((4, 3)))
