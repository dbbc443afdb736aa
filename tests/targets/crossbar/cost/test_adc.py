"""Converters against their sources' numbers."""

import math
from itertools import pairwise

import pytest

from bitwright.errors import ConfigError, UnknownNameError
from bitwright.targets.crossbar.cost import PARAMETERS
from bitwright.targets.crossbar.cost.adc import SAR, converter


def test_successive_approximation_at_7_nm():
    found = converter("sar", 6, "7nm")
    assert found.second == pytest.approx(7e-9)
    assert found.joule == pytest.approx((0.1061 * 6 + 0.8847) * 1e-6 * 7e-9)
    assert found.area_m2 == pytest.approx((478 + 5 * 182) * 0.02736e-12)
    # The source draws 0.043555 / R watt, R being 0.5 V by the current.
    ampere = 1e-4
    assert found.input_volt * ampere == pytest.approx(0.043555 / (0.5 / ampere))


def test_a_figure_of_merit():
    assert converter("walden", 6).joule == pytest.approx(2.2e-15 * 64)
    assert converter("walden", 6).input_volt == 0


def test_the_survey_s_best():
    # 6 bits in 7 ns: 143 MHz, above which rate the figure of merit falls.
    found = converter("survey", 6, "45nm")
    rate = 1 / 7e-9
    fom = min(180.1416, 302.7387 - 6.46079 * math.log(rate))
    assert found.joule == pytest.approx(0.5 / 10 ** ((fom - 37.88) / 10), rel=1e-4)
    logs = 4.850567 + 0.0666585 * math.log(rate) + 0.797324 * math.log(45) - 0.134373 * 6
    area = math.exp(logs + 0.423657 * math.log(found.joule * 1e12))
    assert found.area_m2 == pytest.approx(area * 1e-12, rel=1e-4)


@pytest.mark.parametrize("model", ["sar", "walden", "survey"])
def test_more_bits_take_more(model):
    for node in SAR:
        found = [converter(model, bits, node) for bits in range(1, 13)]
        for few, many in pairwise(found):
            assert 0 < few.joule < many.joule
            assert few.second < many.second
            assert few.area_m2 < many.area_m2


def test_smaller_nodes_take_less():
    found = [converter("sar", 6, node) for node in ("7nm", "10nm", "14nm", "22nm", "45nm")]
    for small, large in pairwise(found):
        assert small.joule < large.joule
        assert small.area_m2 < large.area_m2


@pytest.mark.parametrize("bits", [0, -1, 25])
def test_bits_out_of_range(bits):
    with pytest.raises(ConfigError, match=f"{bits} bits"):
        converter("sar", bits)


def test_unknown_models_and_nodes():
    with pytest.raises(UnknownNameError, match="sar"):
        converter("flash", 6)
    with pytest.raises(UnknownNameError, match="7nm"):
        converter("sar", 6, "8nm")


def test_every_number_says_where_it_comes_from():
    assert len(PARAMETERS) > 30
    for name, parameter in PARAMETERS.items():
        assert parameter.provenance in ("published", "derived", "assumed"), name
        assert parameter.source, name
        assert parameter.unit, name
        assert math.isfinite(parameter.value), name
