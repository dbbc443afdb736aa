"""Exchanged cells: never more area or another function; faster, or lighter without being slower."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.eda import tiny as t
from tests.eda.netlists import chain, netlist
from tests.eda.popcounts import popcount

from bitwright.eda.liberty import read_liberty
from bitwright.eda.logic import outputs
from bitwright.eda.sizing import lighten, speed_up
from bitwright.eda.synthesis import synthesise
from bitwright.eda.timing import Boundary, analyse, typical_boundary

AT = Boundary(20e-12, 3e-15)


def inverter(name, capacitance, delay, area=1.0, limit=100.0):
    """Return an inverter of a delay that depends on nothing."""
    arc = t.timing("A", (delay, 0, 0), (delay, 0, 0), "negative_unate")
    out = t.output("Y", "!A", f"max_capacitance : {limit};", arc)
    return t.cell(name, area, t.input_("A", capacitance, capacitance), out)


def read(tmp_path, *cells):
    path = tmp_path / "sizes.lib"
    path.write_text(t.library(*cells))
    return read_liberty(path)


def input_capacitance(found):
    return sum(
        instance.cell.pins[pin].rise_capacitance_f + instance.cell.pins[pin].fall_capacitance_f
        for instance in found.instances
        for pin in instance.cell.inputs
    )


def names(found):
    return [
        instance.cell.name
        for instance in sorted(found.instances, key=lambda instance: int(instance.name[1:]))
    ]


def test_weak_cells_on_the_slow_path_are_exchanged_at_no_area(tmp_path):
    def loaded(name, area):
        arc = t.timing("A", (3, 0.05, 0.5), (3, 0.05, 0.5), "negative_unate")
        return t.cell(name, area, t.input_("A", 1.5, 1.5), t.output("Y", "!A", arc))

    library = read(tmp_path, *t.GATES, loaded("STRONG", 1), loaded("LARGE", 1.5))
    assert library.cells["STRONG"].area == library.cells["INV"].area
    slow = chain(library, "INV", "BUF", "INV", "INV")
    fast = speed_up(slow, library, AT)
    assert fast.area == slow.area
    assert set(fast.cell_counts) == {"STRONG", "BUF"}
    assert analyse(fast, AT).delay_s < analyse(slow, AT).delay_s
    bits = np.array([[False], [True]])
    assert np.array_equal(outputs(fast, bits), outputs(slow, bits))


STRONG, WEAK = inverter("STRONG", 2, 5), inverter("WEAK", 1, 9)


def two_chains(library):
    """Return four inverters, the slow path, and beside it two that have time."""
    nets = [(2, 3), (3, 4), (4, 5), (5, 6), (2, 7), (7, 8)]
    return netlist(library, [2], [6, 8], [("STRONG", {"A": a, "Y": y}) for a, y in nets])


def test_cells_with_time_are_exchanged_for_lighter_ones(tmp_path):
    library = read(tmp_path, STRONG, WEAK, inverter("LARGE", 0.5, 9, area=1.5))
    heavy = two_chains(library)
    light = lighten(heavy, library, AT)
    assert names(light) == ["STRONG"] * 4 + ["WEAK"] * 2
    assert light.area == heavy.area
    assert analyse(light, AT).delay_s == analyse(heavy, AT).delay_s == pytest.approx(20e-12)
    assert input_capacitance(light) == pytest.approx(input_capacitance(heavy) - 2 * 2e-15)
    bits = np.array([[False], [True]])
    assert np.array_equal(outputs(light, bits), outputs(heavy, bits))


def test_where_the_lightest_is_too_slow_the_next_is_tried(tmp_path):
    library = read(tmp_path, STRONG, WEAK, inverter("FEEBLE", 0.5, 12))
    light = lighten(two_chains(library), library, AT)
    # Two of 12 are slower than the four of 5, and so are one of 12 and one of 9.
    assert names(light)[:4] == ["STRONG"] * 4
    assert set(names(light)[4:]) == {"FEEBLE", "STRONG"}
    library = read(tmp_path, STRONG, WEAK, inverter("FEEBLE", 0.5, 16))
    light = lighten(two_chains(library), library, AT)
    assert names(light) == ["STRONG"] * 4 + ["WEAK"] * 2


def test_a_lighter_cell_must_be_able_to_drive_the_load(tmp_path):
    library = read(tmp_path, STRONG, inverter("WEAK", 1, 9, limit=2.9))
    # At the output there are 3 fF; between the two there is at most 2.
    assert names(lighten(two_chains(library), library, AT)) == [*["STRONG"] * 4, "WEAK", "STRONG"]


def test_no_pin_gets_heavier(tmp_path):
    def gate(name, a, b):
        arc = t.timing("A B", (5, 0, 0), (5, 0, 0), "negative_unate")
        return t.cell(
            name, 1.5, t.input_("A", a, a), t.input_("B", b, b), t.output("Y", "!(A B)", arc)
        )

    cells = [("GATE", {"A": 2, "B": 3, "Y": 4})]
    library = read(tmp_path, STRONG, gate("GATE", 2, 2), gate("UNEVEN", 0.1, 2.1))
    assert names(lighten(netlist(library, [2, 3], [4], cells), library, AT)) == ["GATE"]
    library = read(tmp_path, STRONG, gate("GATE", 2, 2), gate("UNEVEN", 0.1, 2))
    assert names(lighten(netlist(library, [2, 3], [4], cells), library, AT)) == ["UNEVEN"]


@pytest.mark.tool("yosys")
def test_a_popcount_with_strong_gates_gets_lighter_but_not_slower(asap7):
    boundary = typical_boundary(asap7)
    found = synthesise(popcount(40, levels=2), asap7).netlist
    strong = asap7.cells["INVx1_ASAP7_75t_R"]
    heavy = replace(
        found,
        instances=tuple(
            replace(instance, cell=strong) if instance.cell.inputs == strong.inputs else instance
            for instance in found.instances
        ),
    )
    assert heavy.cell_counts[strong.name] > 4
    fast = speed_up(heavy, asap7, boundary)
    light = lighten(fast, asap7, boundary)
    assert light.area <= fast.area
    assert analyse(light, boundary).delay_s <= analyse(fast, boundary).delay_s
    assert input_capacitance(light) < input_capacitance(fast)
    bits = np.random.default_rng(0).random((2000, 40)) < 0.5
    assert np.array_equal(outputs(light, bits), outputs(found, bits))
