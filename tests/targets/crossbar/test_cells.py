"""Cells: what their equations promise, and numbers that are no cell's."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.targets.crossbar import nodal_analysis
from tests.targets.crossbar.designs import between, cells, decades

from bitwright.errors import ConfigError
from bitwright.targets.crossbar.devices.cells import (
    Linear,
    Reram1T1R,
    Sram8T,
    current,
    middle,
    tangent,
)

KINDS = (Linear, Sram8T, Reram1T1R)
TRANSISTORS = ("sram8t", "reram1t1r")


@settings(deadline=None, max_examples=30)
@given(cells(), between(0.01, 1.2))
def test_a_cell_that_is_on_conducts_what_its_resistance_says(cell, volt):
    assert current(cell, volt, 0.0, 1.0, volt) == pytest.approx(volt / cell.on_ohm, rel=1e-9)


@settings(deadline=None, max_examples=30)
@given(cells(TRANSISTORS), between(0.01, 1.2), decades(-6, 1), between(0, 1), between(0, 1))
def test_both_elements_carry_the_same_and_all_falls_with_the_drops(cell, volt, weight, p, q):
    s, b = (1 - p / 3) * volt, q / 3 * volt
    x = middle(cell, np.array([s]), np.array([b]), np.array([weight]), volt)
    e = cell.elements(np.array([s]), x, np.array([b]), np.array([weight]), volt)
    assert b <= x[0] <= s
    assert e.upper[0] == pytest.approx(e.lower[0], rel=1e-6)
    plain = current(cell, s, b, weight, volt)
    step = 0.01 * volt
    assert plain > current(cell, s - step, b, weight, volt)
    assert plain > current(cell, s, b + step, weight, volt)
    assert plain < current(cell, s, b, 1.1 * weight, volt)


@settings(deadline=None, max_examples=30)
@given(cells(TRANSISTORS), between(0.05, 1.2), st.tuples(*[between(0, 1)] * 3))
def test_derivatives_are_those_of_the_currents(cell, volt, places):
    s, x, b = sorted((volt * place for place in places), reverse=True)
    step = 1e-5

    def at(ds=0.0, dx=0.0, db=0.0):
        arrays = (np.array([v]) for v in (s + ds, x + dx, b + db, 0.7))
        return cell.elements(*arrays, volt)

    here = at()
    scale = max(here.upper_by_s[0], here.upper_by_x[0], here.lower_by_x[0], here.lower_by_b[0])
    for derivative, element, sign, moved in (
        ("upper_by_s", "upper", 1, "ds"),
        ("upper_by_x", "upper", -1, "dx"),
        ("lower_by_x", "lower", 1, "dx"),
        ("lower_by_b", "lower", -1, "db"),
    ):
        up, down = (getattr(at(**{moved: k * step}), element)[0] for k in (1, -1))
        expected = sign * (up - down) / (2 * step)
        # The modulation has a corner where both ends are equal: half a step of it.
        assert getattr(here, derivative)[0] == pytest.approx(expected, rel=1e-4, abs=1e-5 * scale)


@settings(deadline=None, max_examples=30)
@given(cells(("sram8t",)), between(0.01, 1.2), between(0, 1), decades(-4, 1))
def test_two_equal_transistors_conduct_backwards_as_forwards(cell, volt, share, weight):
    forwards = current(cell, volt, share * volt, weight, volt)
    backwards = current(cell, share * volt, volt, weight, volt)
    assert backwards == pytest.approx(-forwards, rel=1e-6, abs=1e-15 * volt / cell.on_ohm)
    assert current(cell, volt, volt, weight, volt) == 0
    doubled = current(cell, volt, share * volt, 2 * weight, volt)
    assert doubled == pytest.approx(2 * forwards, rel=1e-9, abs=1e-300)


@given(cells(("linear",)), between(0.01, 1.2), between(0, 1), decades(-4, 1))
def test_a_linear_cell_is_a_resistor(cell, volt, share, weight):
    expected = weight * volt * (1 - share) / cell.on_ohm
    got = current(cell, volt, share * volt, weight, volt)
    assert got == pytest.approx(expected, rel=1e-9, abs=1e-12 * volt / cell.on_ohm)


@pytest.mark.parametrize("place", [0.1, 0.5, 0.9])
def test_a_memristor_without_its_curve_is_a_resistor_in_series(place):
    cell = Reram1T1R(sinh_volt=1e3, access_share=1e-4)
    expected = 0.2 * place / cell.on_ohm
    assert current(cell, 0.2 * place, 0.0, 1.0, 0.2) == pytest.approx(expected, rel=1e-3)


@settings(deadline=None, max_examples=30)
@given(cells(TRANSISTORS), between(0.05, 1.2), between(0, 1), between(0, 1), decades(-4, 1))
def test_the_equations_are_the_documented_ones(cell, volt, p, q, weight):
    s, b = (1 - p / 2) * volt, q / 2 * volt
    upper, lower = nodal_analysis.elements(cell, volt)(weight)
    x = nodal_analysis.bisect(lambda x: upper(s, x)[0] - lower(x, b)[0], b, s)
    expected = float(lower(x, nodal_analysis.LONG(b))[0])
    got = current(cell, s, b, weight, volt)
    assert got == pytest.approx(expected, rel=1e-6, abs=1e-13 * volt / cell.on_ohm)


@settings(deadline=None, max_examples=30)
@given(cells(TRANSISTORS), between(0.05, 1.2), between(0, 1), between(0, 1), decades(-7, 1))
def test_a_tangent_has_the_current_and_its_slopes(cell, volt, p, q, weight):
    """However little a cell conducts, its current is known, and how it changes with either rail."""
    s, b = (1 - p / 2) * volt, q / 2 * volt
    upper, lower = nodal_analysis.elements(cell, volt)(weight)

    def solved(s, b):
        s, b = nodal_analysis.LONG(s), nodal_analysis.LONG(b)
        x = nodal_analysis.bisect(lambda x: upper(s, x)[0] - lower(x, b)[0], min(s, b), max(s, b))
        return np.array([upper(s, x)[0], x])  # the memristor's current cancels least

    found = tangent(cell, *(np.array([v]) for v in (s, b, weight)), volt)
    current, x = solved(s, b)
    slope = (found.by_s + found.by_b).item()
    assert found.current.item() == pytest.approx(float(current), rel=1e-11, abs=1e-14 * slope)
    assert found.middle.item() == pytest.approx(float(x), abs=1e-9 * volt)
    h = 1e-6 * volt
    by_s = (solved(s + h, b) - solved(s - h, b)) / (2 * h)
    by_b = (solved(s, b + h) - solved(s, b - h)) / (2 * h)
    got = [found.by_s.item(), found.middle_by_s.item(), found.by_b.item(), found.middle_by_b.item()]
    expected = [*by_s, -by_b[0], by_b[1]]
    for one, other in zip(got, expected, strict=True):
        assert one == pytest.approx(float(other), rel=1e-4, abs=1e-6 * max(slope, abs(one)))


def test_heat_flattens_a_transistor():
    def saturated(cell):
        near, full = (current(cell, v, 0.0, 1.0, 0.7) for v in (0.1, 0.7))
        return near / full

    cold, hot = (Sram8T(temperature_kelvin=t) for t in (250.0, 400.0))
    assert saturated(cold) > saturated(hot)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("on_ohm", 0.0),
        ("on_ohm", -1e3),
        ("on_ohm", float("inf")),
        ("on_ohm", float("nan")),
        ("on_off_ratio", 0.99),
        ("on_off_ratio", -5.0),
        ("on_off_ratio", float("nan")),
        ("unselected_share", -0.1),
        ("unselected_share", 1.1),
    ],
)
def test_no_cell_has_such_numbers(kind, name, value):
    with pytest.raises(ConfigError, match=name):
        kind(**{name: value})


@pytest.mark.parametrize("kind", [Sram8T, Reram1T1R])
@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"supply_volt": 0.3, "threshold_volt": 0.3}, "threshold"),
        ({"supply_volt": float("nan")}, "threshold"),
        ({"slope_factor": 0.9}, "slope_factor"),
        ({"modulation_per_volt": -0.1}, "modulation_per_volt"),
        ({"temperature_kelvin": 0.0}, "temperature_kelvin"),
        ({"temperature_kelvin": 2000.0}, "temperature_kelvin"),
    ],
)
def test_no_transistor_has_such_numbers(kind, settings, named):
    with pytest.raises(ConfigError, match=named):
        kind(**settings)


@pytest.mark.parametrize(
    ("name", "value"), [("sinh_volt", 0.0), ("access_share", 0.0), ("access_share", 1.0)]
)
def test_no_memristor_has_such_numbers(name, value):
    with pytest.raises(ConfigError, match=name):
        Reram1T1R(**{name: value})


@given(st.sampled_from(KINDS))
def test_defaults_are_cells(kind):
    cell = kind()
    assert current(cell, 0.2, 0.0, 1 / cell.on_off_ratio, 0.2) < current(cell, 0.2, 0.0, 1.0, 0.2)
