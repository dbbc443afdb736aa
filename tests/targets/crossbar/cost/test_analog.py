"""A tiny array by hand, and how costs must move."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.targets.crossbar.cost.parts import TECHNOLOGY, TINY

from bitwright.errors import ConfigError, UnknownNameError
from bitwright.targets.crossbar.cost import Coefficients, Settings, technology_of
from bitwright.targets.crossbar.cost.analog import Array
from bitwright.targets.crossbar.devices.provenance import Parameter

SETTINGS = Settings(columns_per_adc=2)
SETTLING = math.log(2 / 0.5) * (200 + 20 / 2) * 0.5e-15


def test_energy_by_hand():
    energy = Array(TINY, TECHNOLOGY, SETTINGS).energy()
    assert energy["word lines"] == pytest.approx(5e-15)
    assert energy["word-line drivers"] == pytest.approx(5e-15 / 3)
    assert energy["bit lines"] == pytest.approx(12 * 0.5e-15 * 0.25)
    # Six times 50 uA at 0.5 V, for two steps of a converter of one bit.
    assert energy["cells"] == pytest.approx(6 * 50e-6 * 0.5 * (2e-9 + SETTLING))
    assert energy["ADC"] == pytest.approx(12 * (0.1061e-6 + 0.8847e-6) * 2e-9)
    assert energy["ADC inputs"] == pytest.approx(6 * 50e-6 * 0.08711 * 2e-9)


def test_latency_by_hand():
    array = Array(TINY, TECHNOLOGY, SETTINGS)
    latency = array.latency()
    # One converter, two columns one after another.
    assert array.turns == 2
    assert latency["ADC"] == pytest.approx(4e-9)
    assert latency["settling"] == pytest.approx(2 * SETTLING)
    # 1 fF is less than a stage's effort of four times 0.62 fF.
    assert latency["word lines"] == pytest.approx(18.3e-12 + 0.38 * 2 * 50 * 1e-15)
    long = Array(replace(TINY, columns=200), TECHNOLOGY, SETTINGS)
    stages = math.log(100 / 0.62) / math.log(4)
    wire = 0.38 * 200 * 50 * 100e-15
    assert long.word_line_second == pytest.approx(stages * 18.3e-12 + wire)


def test_area_by_hand():
    area = Array(TINY, TECHNOLOGY, SETTINGS).area()
    assert area["cells"] == pytest.approx(2 * 4 * 2e-12)
    assert area["word-line drivers"] == pytest.approx(2 * 2 * 1e-15 / 3 * 37.4)
    assert area["column switches"] == pytest.approx(2 * 2 * 0.0437e-12)
    assert area["ADC"] == pytest.approx(2 * 478 * 0.02736e-12)
    alone = Array(TINY, TECHNOLOGY, Settings(columns_per_adc=1)).area()
    assert alone["column switches"] == 0
    assert alone["ADC"] == pytest.approx(2 * area["ADC"])


def test_sampled_columns_conduct_for_a_sample_only():
    coefficients = Coefficients(sample_second=Parameter(3e-9, "s", "assumed", "a test"))
    settings = Settings(columns_per_adc=2, sensing="sampled", coefficients=coefficients)
    array = Array(TINY, TECHNOLOGY, settings)
    assert array.energy()["cells"] == pytest.approx(6 * 50e-6 * 0.5 * (3e-9 + SETTLING))
    assert array.energy()["ADC inputs"] == 0
    assert array.latency()["settling"] == pytest.approx(SETTLING)
    assert array.latency()["sampling"] == 3e-9


def test_a_tile_in_several_arrays_repeats_its_pulses():
    once, twice = (
        Array(replace(TINY, column_tiles=tiles), TECHNOLOGY, SETTINGS).energy() for tiles in (1, 2)
    )
    assert twice["word lines"] == pytest.approx(2 * once["word lines"])
    assert twice["ADC"] == once["ADC"]


counts = st.floats(1.0, 1e9)


@given(counts, counts, st.integers(1, 12), st.integers(1, 512), st.integers(1, 64))
def test_more_work_never_takes_less(current, pulses, bits, columns, shared):
    settings = Settings(columns_per_adc=shared)
    less = replace(TINY, current=current, word_lines=pulses, adc_bits=bits, columns=columns)
    array = Array(less, TECHNOLOGY, settings)
    assert all(v >= 0 and math.isfinite(v) for v in array.energy().values())
    for more in (
        replace(less, current=2 * current),
        replace(less, word_lines=2 * pulses),
        replace(less, adc_bits=bits + 1),
        replace(less, columns=columns + 1),
        replace(less, rows=3),
        replace(less, conversions=24, reads=12),
    ):
        other = Array(more, TECHNOLOGY, settings)
        assert sum(other.energy().values()) >= sum(array.energy().values())
        assert sum(other.area().values()) >= sum(array.area().values()) * (1 - 1e-12)
    wider = Array(replace(less, rows=8), TECHNOLOGY, settings)
    assert wider.settling_second >= array.settling_second


def test_fewer_converters_are_smaller_and_slower():
    wide = replace(TINY, columns=64, conversions=6 * 64, outputs=64)
    found = [Array(wide, TECHNOLOGY, Settings(columns_per_adc=k)) for k in (1, 2, 8, 64)]
    areas = [sum(a.area().values()) for a in found[1:]]
    assert areas == sorted(areas, reverse=True)
    assert [a.turns for a in found] == [1, 2, 8, 64]
    times = [sum(a.latency().values()) for a in found]
    assert times == sorted(times)


def test_presets_give_every_node_and_technology():
    for node in ("7nm", "10nm", "14nm", "22nm", "45nm"):
        for technology in ("ideal", "linear", "sram8t", "reram1t1r"):
            made = technology_of(node, technology)
            array = Array(TINY, made, SETTINGS)
            assert all(v >= 0 for v in array.energy().values())
            assert 1e-18 < made.word_line_farad(1) < 1e-14
    assert technology_of("7nm", "sram8t").cell_m2 == pytest.approx(0.18e-6 * 0.6552e-6)
    with pytest.raises(UnknownNameError, match="node"):
        technology_of("8nm", "sram8t")


@pytest.mark.parametrize(
    ("field", "value"),
    [("on_ohm", 0.0), ("read_volt", -1.0), ("cell_width_m", float("nan")), ("gate_farad", -1e-15)],
)
def test_a_technology_out_of_range_is_refused(field, value):
    with pytest.raises(ConfigError, match=field):
        replace(TECHNOLOGY, **{field: value})
