"""Activities of designs that were simulated, and those that cannot be."""

from dataclasses import replace

import numpy as np
import pytest
from tests.networks import classifier
from tests.targets.crossbar.cost.parts import TINY

from bitwright.errors import ConfigError
from bitwright.targets.crossbar import Config
from bitwright.targets.crossbar.cost import (
    activities,
    compare,
    design_costs,
    full_range_bits,
    network_cost,
    technology_of,
)
from bitwright.targets.crossbar.lower import lower
from bitwright.targets.crossbar.simulate import simulate

IMAGES = 3


def run(**settings):
    """Return a small network on arrays of 32 x 16, and what they did for some images."""
    config = Config(rows=32, columns=16, **{"technology": "ideal", **settings})
    design = lower(classifier(), config)
    images = np.random.default_rng(0).integers(0, 256, (IMAGES, 8, 8, 1))
    return design, simulate(design, images, 1).counters


def test_counters_of_a_design_by_hand():
    design, counters = run()
    found = {a.name: a for a in activities(design, counters)}
    # 70 channels of 3 x 3 taps are 630 inputs in 20 tiles, and 20 outputs in two arrays each.
    layer = found["d2"]
    assert (layer.row_tiles, layer.column_tiles, layer.arrays) == (20, 2, 40)
    assert (layer.fan_in, layer.outputs, layer.windows, layer.groups) == (630, 20, 64, 1)
    assert layer.adc_bits == 6
    assert layer.reads == 64 * 20
    assert layer.conversions == 64 * 20 * 20
    assert layer.used_columns == 10
    assert layer.on_cells == layer.current
    assert layer.word_lines == counters["word_lines/d2"] / IMAGES
    # Seven halves of 32 rows follow one after another with 16 on at once.
    some = {a.name: a for a in activities(*run(word_lines=16))}["d2"]
    assert (some.groups, some.adc_bits) == (2, 5)
    assert some.reads == 64 * 40
    assert some.on_cells == layer.on_cells


@pytest.mark.parametrize("flips", ["static", "dynamic", "both", "random"])
def test_a_plain_activity_is_that_of_a_design_without_flips(flips):
    design, counters = run(flips=flips)
    plain, cured = (activities(design, counters, plain=p) for p in (True, False))
    for one, other in zip(plain, activities(*run()), strict=True):
        assert one.current == pytest.approx(other.current)
        assert replace(one, current=other.current) == other
    assert {a.flips for a in cured} == {flips}
    assert {a.adc_bits for a in cured} == {6 if flips == "random" else 5}
    for before, after in zip(plain, cured, strict=True):
        if flips in ("static", "dynamic", "both"):
            assert after.on_cells < before.on_cells
        assert (after.flipped_columns > 0) == (flips != "dynamic")
        assert (after.inverted_reads > 0) == (flips != "static")


def test_bits_are_saved_only_where_half_of_the_inputs_are_known_to_be_off():
    design, counters = run(flips="both", flip_granularity="kernel")
    assert {a.adc_bits for a in activities(design, counters)} == {6}
    assert {a.granularity for a in activities(design, counters)} == {"kernel"}
    design, counters = run(flips="both", adc_bits=4)
    assert {a.adc_bits for a in activities(design, counters, adc_bits=7)} == {4}
    design, counters = run(flips="both")
    assert {a.adc_bits for a in activities(design, counters, adc_bits=7)} == {7}


def test_currents_of_circuits_are_in_cells_that_are_on():
    wires = {"source_ohm": 1e-6, "bit_ohm": 1e-6, "driver_ohm": 0.0, "sink_ohm": 0.0}
    exact, drops = (
        activities(*run(technology="linear", wires=w)) for w in (wires, {"sink_ohm": 2e3})
    )
    for one, other in zip(exact, drops, strict=True):
        assert one.current == pytest.approx(one.on_cells, rel=1e-6)
        assert other.current < 0.9 * other.on_cells


def test_costs_of_a_design_add_up_to_a_network_s():
    design, counters = run(technology="sram8t", flips="both")
    plain, cured = (design_costs(design, counters, plain=p) for p in (True, False))
    found = compare(network_cost(plain), network_cost(cured))
    assert [cost.name for cost in cured] == list(design.layers)
    assert found.cured.joule == pytest.approx(sum(cost.joule for cost in cured))
    assert found.energy_saved > 0
    # The same work on other arrays.
    reram = technology_of("7nm", "reram1t1r")
    other = design_costs(design, counters, technology=reram)
    assert other[0].energy_joule["ADC"] == cured[0].energy_joule["ADC"]
    assert other[0].area_m2["cells"] < cured[0].area_m2["cells"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("adc_bits", 0), ("rows", 0), ("conversions", 0), ("current", -1.0), ("groups", 0),
        ("word_lines", float("nan")), ("flips", "some"), ("mapping", "or"), ("granularity", "row"),
    ],
)  # fmt: skip
def test_numbers_out_of_range(field, value):
    with pytest.raises(ConfigError, match=field):
        replace(TINY, **{field: value})


def test_complementary_cells_have_nothing_to_flip():
    with pytest.raises(ConfigError, match="complementary"):
        replace(TINY, mapping="xnor", flips="static")


def test_sizes_that_follow():
    wide = replace(TINY, rows=64, columns=64, outputs=100, column_tiles=2, conversions=600)
    assert wide.arrays == 4
    assert wide.used_columns == 50
    assert wide.inputs_at_once == 64
    assert replace(wide, mapping="xnor").inputs_at_once == 32
    assert replace(wide, groups=4).inputs_at_once == 16


def test_bits_of_a_range_that_is_never_left():
    assert full_range_bits(64) == 7
    assert full_range_bits(63) == 6
    assert full_range_bits(64, "both") == 6
    assert full_range_bits(64, "random") == 7
    assert full_range_bits(1, "static") == 1
    with pytest.raises(ConfigError, match="counts nothing"):
        full_range_bits(0)
