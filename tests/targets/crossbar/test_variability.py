"""Cells as they come out of programming."""

import numpy as np
import pytest

from bitwright.errors import ConfigError
from bitwright.targets.crossbar.devices.cells import Linear, Reram1T1R
from bitwright.targets.crossbar.devices.variability import program

CELL = Reram1T1R(on_off_ratio=50.0)
BITS = np.random.default_rng(5).random((300, 200)) < 0.4


def made(*settings, cell=CELL, seed=1):
    return program(BITS, cell, np.random.default_rng(seed), *settings)


def test_without_spread_a_cell_is_its_bit():
    assert np.array_equal(made(), np.where(BITS, 1.0, 1 / 50.0))
    open_cells = made(0.5, cell=Linear(on_off_ratio=np.inf))
    assert np.array_equal(open_cells > 0, BITS)


def test_conductances_are_lognormal_around_their_bits():
    spread = np.log(made(0.3) / made())
    assert spread.mean() == pytest.approx(0, abs=0.005)
    assert spread.std() == pytest.approx(0.3, rel=0.02)
    assert np.mean(spread > 0.3) == pytest.approx(0.1587, abs=0.005)
    assert np.corrcoef(spread.ravel(), BITS.ravel())[0, 1] == pytest.approx(0, abs=0.02)


def test_stuck_cells_hold_one_bit_whatever_they_are_given():
    stored = made(0.0, 0.1, 0.05) == 1
    assert stored[~BITS].mean() == pytest.approx(0.1, abs=0.01)
    assert 1 - stored[BITS].mean() == pytest.approx(0.05, abs=0.01)
    others = program(~BITS, CELL, np.random.default_rng(1), 0.0, 0.1, 0.05) == 1
    assert np.mean(stored == others) == pytest.approx(0.15, abs=0.01)


@pytest.mark.parametrize(("stuck", "value"), [((1.0, 0.0), 1.0), ((0.0, 1.0), 1 / 50.0)])
def test_all_cells_may_be_stuck(stuck, value):
    assert np.all(made(0.0, *stuck) == value)


def test_settings_do_not_change_what_is_drawn():
    assert np.array_equal(made(0.2), made(0.2))
    assert not np.array_equal(made(0.2), made(0.2, seed=2))
    assert np.allclose(np.log(made(0.4) / made()), 2 * np.log(made(0.2) / made()))
    few, many = (made(0.0, share, 0.0) == 1 for share in (0.05, 0.2))
    assert np.all(many[few])


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ((-0.1,), "sigma"),
        ((float("nan"),), "sigma"),
        ((float("inf"),), "sigma"),
        ((0.1, -0.1), "stuck_on"),
        ((0.1, 1.1), "stuck_on"),
        ((0.1, 0.0, float("nan")), "stuck_off"),
        ((0.1, 0.6, 0.6), "stuck on"),
    ],
)
def test_no_array_is_like_that(settings, named):
    with pytest.raises(ConfigError, match=named):
        made(*settings)
