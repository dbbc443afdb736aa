"""Costs of layers and networks, and of BinSparX next to plain arrays."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.targets.crossbar.cost.parts import TECHNOLOGY, TINY

from bitwright.errors import ConfigError
from bitwright.targets.crossbar.cost import (
    PUBLISHED,
    Activity,
    Settings,
    compare,
    cost_measurements,
    layer_cost,
    network_cost,
    technology_of,
)
from bitwright.targets.crossbar.cost.analog import Array
from bitwright.targets.crossbar.cost.digital import Logic

PLAIN = Activity(
    name="conv",
    rows=64,
    columns=64,
    row_tiles=18,
    column_tiles=4,
    fan_in=1152,
    outputs=256,
    windows=64,
    adc_bits=7,
    reads=64 * 18,
    conversions=64 * 18 * 256,
    word_lines=64 * 18 * 32,
    on_cells=64 * 18 * 256 * 16,
    current=64 * 18 * 256 * 15,
)
"""A convolution of 128 to 256 channels in arrays of 64 x 64."""
SRAM = technology_of("7nm", "sram8t")


def cured(share, flips="both"):
    """Return the layer with a share of its partial sums left."""
    return replace(
        PLAIN, flips=flips, on_cells=PLAIN.on_cells * share, current=PLAIN.current * share
    )


def test_a_layer_is_its_array_and_its_logic():
    settings = Settings(columns_per_adc=2)
    array = Array(TINY, TECHNOLOGY, settings)
    logic = Logic(array)
    cost = layer_cost(TINY, TECHNOLOGY, settings)
    assert cost.energy_joule == {**array.energy(), **logic.energy()}
    assert cost.area_m2 == {**array.area(), **logic.area()}
    assert cost.latency_second["ADC"] == pytest.approx(3 * 4e-9)
    assert cost.latency_second["digital"] == pytest.approx(3 * logic.after_second)
    assert cost.joule == pytest.approx(sum(cost.energy_joule.values()))
    assert cost.second == pytest.approx(sum(cost.latency_second.values()))
    assert cost.square_metre == pytest.approx(sum(cost.area_m2.values()))


def test_a_pipeline_hides_what_is_done_around_reads():
    waits, hides = (
        layer_cost(cured(0.5), SRAM, Settings(pipelined=pipelined)).latency_second
        for pipelined in (False, True)
    )
    assert waits["ADC"] == hides["ADC"]
    assert waits["flip decision"] == pytest.approx(64 * hides["flip decision"])
    assert waits["digital"] == pytest.approx(64 * hides["digital"])


def test_logic_that_is_slower_than_converters_delays_them():
    coarse = technology_of("45nm", "sram8t")
    activity = replace(cured(0.5), adc_bits=1)
    cost = layer_cost(activity, coarse)
    array = Array(activity, coarse, Settings())
    late = Logic(array).conversion_second - array.converter.second - array.settling_second
    assert late > 0
    assert cost.latency_second["waiting for digital"] == pytest.approx(64 * 7 * late)
    assert "waiting for digital" not in layer_cost(PLAIN, SRAM).latency_second


def test_a_network_is_the_sum_of_its_layers():
    one, two = layer_cost(PLAIN, SRAM), layer_cost(cured(0.6), SRAM)
    both = network_cost([one, two])
    assert both.joule == pytest.approx(one.joule + two.joule)
    assert both.second == pytest.approx(one.second + two.second)
    assert both.area_m2["cells"] == pytest.approx(2 * one.area_m2["cells"])
    assert both.energy_joule["correction"] == two.energy_joule["correction"]


def test_every_item_of_either_side_is_compared():
    plain, better = layer_cost(PLAIN, SRAM), layer_cost(cured(0.55), SRAM)
    found = compare(plain, better, ([PLAIN], [cured(0.55)]))
    assert found.partial_sum_reduction == pytest.approx(0.45)
    assert {c.item for c in found.energy} == set(plain.energy_joule) | set(better.energy_joule)
    assert sum(c.more for c in found.energy) == pytest.approx(better.joule - plain.joule)
    assert sum(c.more for c in found.latency) == pytest.approx(better.second - plain.second)
    assert found.energy_saved == pytest.approx(1 - better.joule / plain.joule)
    assert found.area_paid == pytest.approx(better.square_metre / plain.square_metre - 1)
    assert found.latency_paid == pytest.approx(better.second / plain.second - 1)
    changes = {c.item: c for c in found.energy}
    assert changes["cells"].cured == pytest.approx(0.55 * changes["cells"].plain)
    assert changes["ADC"].more == 0
    assert changes["constants"].plain == 0 < changes["constants"].cured
    assert compare(plain, better).partial_sum_reduction is None
    # Nothing but currents is saved by fewer ones, since the layers have the same converters.
    added = sum(c.more for c in found.energy if c.item not in ("cells", "ADC inputs"))
    saved = 0.45 * found.current_share - added / plain.joule
    assert found.energy_saved == pytest.approx(saved)
    low, high = PUBLISHED["partial sums"]
    assert low < 0.45 < high


def test_the_cure_pays_with_latency_and_area():
    plain = layer_cost(PLAIN, SRAM)
    paid = {
        flips: compare(plain, layer_cost(cured(1.0, flips), SRAM)) for flips in ("static", "both")
    }
    assert 0 < paid["static"].latency_paid < paid["both"].latency_paid < 0.1
    assert 0 < paid["static"].area_paid < paid["both"].area_paid < 0.5
    # The same current, and more logic: no energy is saved.
    assert paid["both"].energy_saved < paid["static"].energy_saved < 0


def test_random_flips_cost_what_both_flips_cost():
    both, random = (layer_cost(cured(0.8, flips), SRAM) for flips in ("both", "random"))
    assert both.energy_joule == random.energy_joule
    assert both.area_m2 == random.area_m2


@given(st.floats(0.01, 1.0), st.floats(0.01, 1.0), st.sampled_from(["current", "sampled"]))
def test_energy_saved_rises_with_the_partial_sums_saved(one, other, sensing):
    settings = Settings(sensing=sensing)
    plain = layer_cost(PLAIN, SRAM, settings)
    less, more = sorted((one, other))
    saved = [compare(plain, layer_cost(cured(s, "both"), SRAM, settings)) for s in (less, more)]
    assert saved[0].energy_saved >= saved[1].energy_saved
    assert saved[0].latency_paid == saved[1].latency_paid


def test_how_long_a_column_conducts_decides_what_is_saved():
    found = {}
    for sensing in ("current", "sampled"):
        settings = Settings(sensing=sensing)
        pair = (layer_cost(a, SRAM, settings) for a in (PLAIN, cured(0.55)))
        found[sensing] = compare(*pair).energy_saved
    assert found["sampled"] < found["current"] < 0.45


def test_measurements_name_unit_method_and_source():
    cost = layer_cost(PLAIN, SRAM)
    found = {m.metric: m for m in cost_measurements(cost)}
    assert found["energy/conv"].value == pytest.approx(cost.joule)
    assert found["energy/conv"].unit == "J/image"
    assert found["latency_ADC/conv"].value == pytest.approx(cost.latency_second["ADC"])
    assert found["area_word_line_drivers/conv"].unit == "m2"
    assert {m.method for m in found.values()} == {"estimated"}
    assert all("ADC model 'sar'" in m.source and "asap7" in m.source for m in found.values())


def test_no_partial_sums_cannot_be_reduced():
    nothing = replace(PLAIN, on_cells=0, current=0)
    cost = layer_cost(nothing, SRAM)
    with pytest.raises(ConfigError, match="no cell conducts"):
        compare(cost, cost, ([nothing], [nothing]))


@pytest.mark.parametrize(
    "settings",
    [{"columns_per_adc": 0}, {"adc": "flash"}, {"sensing": "voltage"}, {"constants": "wires"}],
)
def test_settings_out_of_range(settings):
    with pytest.raises(ConfigError):
        Settings(**settings)
