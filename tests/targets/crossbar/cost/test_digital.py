"""The logic around a tiny layer by hand, with pieces that cost their size."""

from dataclasses import replace

import pytest
from tests.targets.crossbar.cost.parts import TECHNOLOGY, TINY, table

from bitwright.targets.crossbar.cost import Settings
from bitwright.targets.crossbar.cost.analog import Array
from bitwright.targets.crossbar.cost.digital import Logic


@pytest.fixture
def logic(tmp_path):
    """Return what makes the logic of the tiny layer with changes."""
    file = tmp_path / "pieces.json"
    file.write_text(table().text)

    def make(constants="registers", columns_per_adc=2, node="7nm", **changes):
        settings = Settings(columns_per_adc=columns_per_adc, pieces=str(file), constants=constants)
        technology = replace(TECHNOLOGY, node=node)
        return Logic(Array(replace(TINY, **changes), technology, settings))

    return make


def in_fj(items):
    return {item: pytest.approx(value * 1e-15) for item, value in items.items()}


def test_energy_without_flips(logic):
    # Six reads of two inputs, 12 conversions of one bit, 6 results of four inputs: 3 bits.
    assert logic().energy() == in_fj(
        {
            "input registers": 6 * 2,
            "popcount": 6 * 2,
            "partial sums": (12 - 6) * 3,
            "sum registers": 12 * 3,
            # Three counts of two bits added to others; a number of 4 bits from one of 5 six times.
            "activation sums": 3 * (3 + 10) + 6 * (5 + 30),
            "thresholds": 6 * 3,
        }
    )


def test_energy_with_static_flips(logic):
    # S and A have 2 bits, and s (2 S - A) 4; the sum has a sign.
    assert logic(flips="static").energy() == in_fj(
        {
            "input registers": 6 * 2,
            "popcount": 6 * 2,
            "flip registers": 12 * 2,
            "correction": 12 * 2,
            "partial sums": (12 - 6) * (4 + 30),
            "sum registers": 12 * 4,
            "thresholds": 6 * 4,
        }
    )


@pytest.mark.parametrize("flips", ["both", "random"])
def test_energy_with_both_flips(logic, flips):
    energy = logic(flips=flips).energy()
    static = logic(flips="static").energy()
    added = {"flip decision": 6 * 2, "activation flips": 6 * 2, "constants": 12 * 3 * 2}
    assert {item: energy[item] for item in added} == in_fj(added)
    assert {item: energy[item] for item in static} == {i: pytest.approx(static[i]) for i in static}


def test_area_with_both_flips(logic):
    area = logic(flips="both").area()
    wanted = {
        "input registers": 2 * 2,
        "popcount": 2 * 2,
        "flip decision": 2 * 2,
        "activation flips": 2 * 2,
        # A bit for each of two columns of two arrays, and a selector of two for each array.
        "flip registers": 4 + 2 * 2,
        "constants": 4 * 3 + 2 * 3 * 2,
        "correction": 2 * 2,
        "partial sums": 2 * (4 + 30),
        "sum registers": 2 * 4,
        "thresholds": 4,
    }
    assert area == {item: pytest.approx(value * 1e-12) for item, value in wanted.items()}
    cells = logic(flips="both", constants="cells").area()
    assert cells["constants"] == pytest.approx((4 * 3 * 2 + 2 * 3 * 2) * 1e-12)


def test_a_converter_for_each_column_selects_nothing(logic):
    assert logic(flips="both", columns_per_adc=1).energy()["constants"] == 0


def test_delays(logic):
    plain, both = logic(), logic(flips="both")
    assert plain.before_second == 0
    assert both.before_second == pytest.approx(3 * 2e-12)
    # Selection 2, correction 2, addition 4 + 30, comparison 4.
    assert both.after_second == pytest.approx((2 + 2 + 34 + 4) * 1e-12)
    assert plain.after_second == pytest.approx((3 + 35 + 3) * 1e-12)
    # Eight tiles are three additions.
    assert logic(row_tiles=8).after_second == pytest.approx((3 * 3 + 35 + 3) * 1e-12)


def test_flips_of_whole_kernels_cost_no_correction(logic):
    plain = logic()
    static = logic(flips="static", granularity="kernel")
    assert static.energy() == plain.energy()
    assert static.area() == plain.area()
    both = logic(flips="both", granularity="kernel")
    energy = both.energy()
    assert "correction" not in energy
    assert energy["partial sums"] == plain.energy()["partial sums"]
    assert energy["activation sums"] == pytest.approx((3 * 13 + 6 * 2 * 35) * 1e-15)
    # The decision waits for two counts to be added.
    assert both.before_second == pytest.approx((3 * 2 + 13) * 1e-12)
    assert both.area()["constants"] == pytest.approx(2 * 4 * 1e-12)


def test_complementary_cells_need_no_counts(logic):
    found = logic(mapping="xnor")
    assert set(found.energy()) == {
        "input registers", "partial sums", "sum registers", "thresholds",
    }  # fmt: skip
    assert "popcount" not in found.area()


def test_reads_one_after_another_keep_a_sum_for_every_column(logic):
    area = logic(groups=2, reads=12, conversions=24).area()
    assert area["sum registers"] == pytest.approx(2 * 2 * 3 * 1e-12)


def test_other_nodes_are_scaled(logic):
    small, large = logic().energy(), logic(node="14nm").energy()
    assert large["popcount"] == pytest.approx(small["popcount"] * 2 * (0.8 / 0.7) ** 2)
    assert logic(node="14nm").area()["popcount"] == pytest.approx(4 * logic().area()["popcount"])
    assert logic(node="14nm", flips="both").before_second == pytest.approx(2 * 6e-12)


def test_a_constant_of_columns_that_are_not_flipped_has_a_bit_more(logic):
    dynamic = logic(flips="dynamic").energy()
    assert dynamic["constants"] == pytest.approx(12 * 4 * 2 * 1e-15)
    assert "flip registers" not in dynamic
