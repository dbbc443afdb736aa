"""Wires and presets: the published resistances, and what was derived from published numbers."""

from dataclasses import asdict

import numpy as np
import pytest
from tests.targets.crossbar import nodal_analysis

from bitwright.errors import ConfigError, UnknownNameError
from bitwright.targets.crossbar.devices import (
    PARAMETERS,
    TECHNOLOGIES,
    cell_preset,
    presets,
    read_volt,
    wires,
)
from bitwright.targets.crossbar.devices.cells import Linear, Reram1T1R, Sram8T
from bitwright.targets.crossbar.devices.wires import wire_ohm, word_line_ohm
from bitwright.targets.crossbar.solver.ladder import Ladder

NODES = ("7nm", "10nm", "14nm", "22nm", "45nm")


def test_wires_of_7_nm_are_the_published_ones():
    assert wires.NODES["7nm"].ohm_per_metre() == pytest.approx(98e6, rel=1e-3)
    assert wire_ohm("7nm", "sram8t") == pytest.approx((17.6, 17.6), rel=5e-3)
    assert wire_ohm("7nm", "reram1t1r") == pytest.approx((7.06, 7.06), rel=5e-3)
    assert word_line_ohm("7nm", "reram1t1r") == pytest.approx(21.2, rel=5e-3)
    assert word_line_ohm("7nm", "sram8t") == pytest.approx(1.3 * 49.4, rel=5e-3)


def test_wires_rise_with_every_smaller_node():
    values = [wire_ohm(node, "sram8t")[0] for node in NODES]
    assert values == sorted(values, reverse=True)
    assert values[-1] < 0.2 * values[0]


@pytest.mark.parametrize("node", NODES)
def test_a_wire_is_its_geometry(node):
    wire = wires.NODES[node]
    area = wire.width_metre * (wire.width_metre * wire.aspect_ratio)
    height, width = wires.cell_size(node, "reram1t1r")
    assert (height, width) == pytest.approx((4 * wire.width_metre, 12 * wire.width_metre))
    expected = wire.resistivity_ohm_metre * height / area
    assert wire_ohm(node, "reram1t1r") == pytest.approx((expected, expected))
    assert wire_ohm(node, "ideal") == (0, 0)


def test_wires_warm_up_as_copper_does():
    cold, warm = (wire_ohm("14nm", "sram8t", kelvin)[0] for kelvin in (300.0, 400.0))
    assert warm == pytest.approx(1.39 * cold)


@pytest.mark.parametrize("kelvin", [0.0, 20.0, 1001.0, float("nan")])
def test_no_wire_is_that_cold_or_hot(kelvin):
    with pytest.raises(ConfigError, match="K"):
        wire_ohm("7nm", "sram8t", kelvin)


def test_what_does_not_exist_is_named():
    with pytest.raises(UnknownNameError, match="5nm"):
        wire_ohm("5nm", "sram8t")
    with pytest.raises(UnknownNameError, match="sram6t"):
        wire_ohm("7nm", "sram6t")
    with pytest.raises(UnknownNameError, match="5nm"):
        cell_preset("sram8t", "5nm")
    with pytest.raises(UnknownNameError, match="sram6t"):
        cell_preset("sram6t")
    with pytest.raises(UnknownNameError, match="sram6t"):
        read_volt("sram6t")
    with pytest.raises(UnknownNameError, match="5nm"):
        read_volt("sram8t", "5nm")


def test_defaults_of_cells_are_the_presets_of_7_nm():
    assert cell_preset("sram8t", "7nm") == Sram8T()
    assert cell_preset("reram1t1r", "7nm") == Reram1T1R()
    assert cell_preset("linear", "7nm") == cell_preset("ideal", "7nm") == Linear()


def _transistor(node, threshold=None):
    """Return EKV's equations of a node's transistor, and its published currents in ampere."""
    t = presets.NODES[node]
    cell = Sram8T(supply_volt=t.supply_volt, threshold_volt=threshold or t.threshold_volt)
    on = t.on_ampere_per_metre * t.width_metre
    return (
        nodal_analysis.fet(cell, nodal_analysis.LONG(1)),
        on,
        t.off_ampere_per_metre * t.width_metre,
    )


@pytest.mark.parametrize("node", NODES)
def test_thresholds_give_the_published_ratio_of_currents(node):
    t = presets.NODES[node]
    law, on, off = _transistor(node)
    supply = nodal_analysis.LONG(t.supply_volt)
    # A gate at 0 is a pinch-off voltage that is lower by supply / slope: both ends seen from there.
    shift = supply / nodal_analysis.LONG(presets.SLOPE_FACTOR)
    ratio = law(supply, supply * 0)[0] / law(supply + shift, shift)[0]
    assert float(ratio) == pytest.approx(on / off, rel=0.03)


@pytest.mark.parametrize("node", NODES)
def test_two_transistors_in_series_have_the_preset_s_resistance(node):
    t = presets.NODES[node]
    law, on, off = _transistor(node)
    zero, supply = nodal_analysis.LONG(0), nodal_analysis.LONG(t.supply_volt)
    read = nodal_analysis.LONG(read_volt("sram8t", node))
    assert float(read) == pytest.approx(t.supply_volt / 2)
    specific = on / law(supply, zero)[0]
    x = nodal_analysis.bisect(lambda x: law(read, x)[0] - law(x, zero)[0], 0, read)
    flow = float(specific * law(x, zero)[0])
    assert cell_preset("sram8t", node).on_ohm == pytest.approx(float(read) / flow, rel=0.01)
    assert cell_preset("sram8t", node).on_off_ratio == pytest.approx(flow / off, rel=0.03)


def test_every_number_says_where_it_comes_from():
    known = {parameter.value for parameter in PARAMETERS.values()}
    for node in NODES:
        for technology in TECHNOLOGIES:
            cell = cell_preset(technology, node)
            fixed = {"temperature_kelvin": 300.0}  # the temperature at which all of them hold
            for name, value in asdict(cell).items():
                assert value in known or fixed.get(name) == value, (node, technology, name)
        for value in asdict(presets.NODES[node]).values():
            assert value in known or isinstance(value, str)
        for value in asdict(wires.NODES[node]).values():
            assert value in known
    ends = Ladder(rows=1, source_ohm=0, bit_ohm=0, read_volt=1)
    assert ends.driver_ohm == PARAMETERS["driver_ohm"].value
    assert ends.sink_ohm == PARAMETERS["sink_ohm"].value
    for name, parameter in PARAMETERS.items():
        assert parameter.provenance in ("published", "derived", "assumed"), name
        assert len(parameter.source) > 15, name
        assert parameter.unit, name
        assert not np.isnan(parameter.value), name
    assert sum(parameter.provenance == "published" for parameter in PARAMETERS.values()) > 20
