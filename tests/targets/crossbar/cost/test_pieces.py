"""Prices between and beyond the sizes of a table, and units of area."""

import json

import pytest
from tests.targets.crossbar.cost.parts import table

from bitwright.errors import ConfigError
from bitwright.targets.crossbar.cost.pieces import load_pieces


def test_prices_lie_on_lines_between_sizes_and_widths():
    prices = table()
    assert prices.price("popcount", 64).energy_j == pytest.approx(64e-15)
    assert prices.price("popcount", 20).energy_j == pytest.approx(20e-15)
    assert prices.price("popcount", 200).area_m2 == pytest.approx(200e-12)
    assert prices.price("add", 8, 4).delay_s == pytest.approx((8 + 30) * 1e-12)
    assert prices.price("popcount", 0.5).energy_j == pytest.approx(0.5e-15)
    with pytest.raises(ConfigError, match="popcount"):
        prices.price("popcount", 0)


def test_the_shipped_prices_rise_with_size():
    prices = load_pieces()
    for kind in ("popcount", "decide", "flip", "signed", "correct", "select"):
        found = [prices.price(kind, size) for size in (3, 5, 8, 16, 40, 100)]
        assert [p.area_m2 for p in found] == sorted(p.area_m2 for p in found), kind
        assert [p.energy_j for p in found] == sorted(p.energy_j for p in found), kind
    assert "asap7" in prices.source
    # Half of the identity's terms more, so between 1 and 2 times as much.
    ratio = prices.price("correct", 7).energy_j / prices.price("signed", 7).energy_j
    assert 1 < ratio < 2


def test_areas_are_in_a_unit_that_is_known(tmp_path):
    file = tmp_path / "acre.json"
    file.write_text(json.dumps({**json.loads(table().text), "area_unit": "acre"}))
    with pytest.raises(ConfigError, match=r"no table of pieces.*unit of area is 'acre'"):
        load_pieces(str(file))
