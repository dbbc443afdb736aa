"""Curves as piecewise polynomials: within their error, and looked up as NumPy would."""

import numpy as np
import pytest
from llvmlite import ir
from numba import njit

from bitwright.native import reals, simd
from bitwright.native.reals import VD, VF
from bitwright.targets.crossbar.devices.cells import Reram1T1R, Sram8T
from bitwright.targets.crossbar.solver.columns import Columns
from bitwright.targets.crossbar.solver.intrinsics import intrinsic_of
from bitwright.targets.crossbar.solver.ladder import Ladder
from bitwright.targets.crossbar.solver.tables import FORMS, tables_of, tabulate

FORMATS = pytest.mark.parametrize("kind", [VD, VF], ids=["doubles", "floats"])


def softplus_squared(v):
    return np.logaddexp(0, (0.3 - v) * 19.3) ** 2


def read(table, form, x):
    """Evaluate a table as its layout says, in double precision."""
    rows = table.view(form.dtype).reshape(1 + form.terms, form.pieces).astype(np.float64)
    scale, shift = table[:2]
    piece = np.rint(x * scale + shift)
    assert piece.min() >= 0
    assert piece.max() < form.pieces
    rest = x * scale + shift - piece
    return sum(c[piece.astype(int)] * rest**k for k, c in enumerate(rows[1:]))


def emitted(kind, evaluate):
    """Return a function of an array that runs emitted code; `evaluate` gives two vectors."""

    def emit(builder, args):
        source, table, target = args
        found = evaluate(reals.load(builder, source, kind=kind), table)
        for k, vector in enumerate(found):
            reals.store(vector, target, k * reals.BYTES)

    call = intrinsic_of(emit, 3)

    @njit
    def run(source, table, target):
        call(source, table, target)

    dtype = FORMS[kind].dtype

    def over(x, table):
        lanes = kind.count
        padded = np.resize(x, -(-len(x) // lanes) * lanes).astype(dtype)
        out = np.empty((len(padded) // lanes, 2, lanes), dtype)
        for part, target in zip(padded.reshape(-1, lanes), out, strict=True):
            run(part.ctypes.data, table.ctypes.data, target.ctypes.data)
        return out.transpose(1, 0, 2).reshape(2, -1)[:, : len(x)].astype(np.float64)

    return over


@FORMATS
def test_a_table_is_right_within_its_error_up_to_both_ends(kind):
    form = FORMS[kind]
    table = tabulate(softplus_squared, -0.1, 0.35, form)
    x = np.linspace(-0.1, 0.35, 4001)
    errors = np.abs(read(table, form, x) - softplus_squared(x))
    assert errors.max() <= 1.1 * form.error * softplus_squared(-0.1)


@FORMATS
def test_there_is_no_table_of_a_curve_that_bends_too_much(kind):
    assert tabulate(lambda v: np.sqrt(np.abs(v)), -1.0, 1.0, FORMS[kind]) is None


@FORMATS
@pytest.mark.skipif(simd.level() != "avx512", reason="look_up needs AVX-512")
def test_looked_up_values_and_slopes_are_the_table_s(kind):
    form = FORMS[kind]
    table = tabulate(softplus_squared, 0.0, 0.35, form)
    memory = simd.aligned(table.shape, np.float64)
    memory[:] = table
    look_up = emitted(kind, lambda x, at: reals.look_up(x, at, form.terms, form.steep))
    x = np.append(np.random.default_rng(0).uniform(0, 0.35, 200), [0.0, 0.35])
    value, slope = look_up(x.astype(form.dtype), memory)
    small = np.finfo(form.dtype).eps * 200
    assert np.allclose(value, softplus_squared(x), rtol=small, atol=(small + form.error) * 40)
    step = 1e-6
    exact = (softplus_squared(x + step) - softplus_squared(x - step)) / (2 * step)
    assert np.abs(slope - exact).max() <= (1e-3 if kind == VF else 1e-5) * np.abs(exact).max()


@FORMATS
def test_softplus_is_right_where_nothing_is_looked_up(kind):
    x = np.append(np.random.default_rng(1).uniform(-60, 60, 200), [0.0, -1e-3, 1e-3])
    x = x.astype(FORMS[kind].dtype).astype(np.float64)
    value, slope = emitted(kind, lambda x, _at: reals.softplus(x))(x, np.zeros(8))
    bound = 1e-5 if kind == VF else 2e-15
    assert np.allclose(value, np.logaddexp(0, x), rtol=bound, atol=0)
    assert np.allclose(slope, 1 / (1 + np.exp(-x)), rtol=bound, atol=0)


@FORMATS
def test_exp_is_right_within_its_range(kind):
    most = 80.0 if kind == VF else 700.0
    x = np.random.default_rng(2).uniform(-most, most, 400).astype(FORMS[kind].dtype)
    value, _ = emitted(kind, lambda x, _at: (reals.exp(x), x))(x, np.zeros(8))
    bound = 2e-5 if kind == VF else 1e-15
    assert np.allclose(value, np.exp(x.astype(np.float64)), rtol=bound, atol=0)


@FORMATS
@pytest.mark.parametrize("cell", [Sram8T(), Reram1T1R()], ids=lambda cell: cell.kind)
def test_cells_have_tables_up_to_the_voltages_of_reads(cell, kind):
    def tables(volt):
        return tables_of(cell.kind, cell.numbers(volt), volt, FORMS[kind])

    count = 1 if cell.kind == "sram8t" else 2
    assert len(tables(0.05)) == len(tables(0.5)) == count
    assert tables(3.0) is None


def test_with_and_without_tables_columns_are_the_same(monkeypatch):
    rng = np.random.default_rng(4)
    ladder = Ladder(rows=48, source_ohm=20, bit_ohm=30, driver_ohm=200, sink_ohm=100, read_volt=0.4)
    active = rng.random((20, 48)) < 0.5
    for cell in (Sram8T(threshold_volt=0.31), Reram1T1R(threshold_volt=0.31)):
        weights = np.where(rng.random((48, 24)) < 0.5, 1.0, 1 / cell.on_off_ratio)
        looked_up = Columns(ladder, cell, weights).solve(active).currents
        with monkeypatch.context() as patch:
            patch.setattr("bitwright.targets.crossbar.solver.columns.tables_of", lambda *_: None)
            # A temperature that differs in its last digits, so that no memory is at hand.
            other = type(cell)(threshold_volt=0.31, temperature_kelvin=300.0 + 1e-10)
            computed = Columns(ladder, other, weights).solve(active).currents
        assert np.allclose(looked_up, computed, rtol=2e-8, atol=0)


def test_vectors_take_as_many_bytes_in_either_format():
    assert reals.BYTES == 8 * VD.count == 4 * VF.count
    assert isinstance(VF.element, ir.FloatType)
