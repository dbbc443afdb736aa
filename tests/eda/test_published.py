"""Popcounts in ASAP7 through the whole flow: the table of docs/eda.md, and hand-mapped ones.

`BY_HAND` was measured on popcounts whose adder and majority cells were placed by hand, under the
same conditions: 1,000 random vectors, glitches counted, no wires, inputs with transitions of
20 ps, 1 fF at the output. Its energies count what cells take at both rails, which is twice
(docs/eda.md); so does `both_rails`.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import bitwright.circuits as bc
from bitwright.eda import logic
from bitwright.eda.energy import energy
from bitwright.eda.opensta import find_delay
from bitwright.eda.synthesis import synthesise
from bitwright.eda.timing import Boundary

AT = Boundary(20e-12, 1e-15)
DOCUMENT = Path(__file__).parents[2] / "docs" / "eda.md"
ROW = re.compile(r"\| `([^`]+)` \| (\d+) \| ([\d.]+) / (\d+) / ([\d.]+) / ([\d.]+) \|")

# n, circuit: area in square micrometres, delay in ps, energy in fJ.
BY_HAND = {
    (64, "exact"): (16.7, 671, 74),
    (64, "maj"): (8.2, 500, 34),
    (288, "exact"): (62.6, 869, 294),
    (288, "maj"): (32.3, 795, 147),
    (576, "exact"): (123, 977, 571),
    (576, "maj"): (63.2, 890, 280),
    (576, "maj:L=2"): (42.8, 731, 185),
    (576, "maj:L=3"): (34.3, 549, 145),
    (1152, "exact"): (241, 1115, 1133),
    (1152, "maj"): (122, 1013, 568),
}


def neuron(spec: str, n: int) -> bc.Circuit:
    """Return a popcount with a threshold that half of random inputs reach."""
    popcount = bc.make(spec, n)
    sample = np.random.default_rng(0).random((1000, n)) < 0.5
    return bc.compare(popcount, int(np.median(bc.evaluate(popcount, sample.astype(np.uint8)))))


def documented() -> dict[tuple[int, str], tuple[float, ...]]:
    rows = ROW.findall(DOCUMENT.read_text(encoding="utf-8"))
    return {(int(n), spec): tuple(map(float, rest)) for spec, n, *rest in rows}


def test_the_document_has_every_row_that_was_mapped_by_hand():
    assert set(BY_HAND) <= set(documented())


@pytest.mark.slow
@pytest.mark.tool("yosys")
@pytest.mark.tool("sta")
@pytest.mark.parametrize(("n", "spec"), documented())
def test_popcounts_in_asap7(n, spec, asap7):
    circuit = neuron(spec, n)
    netlist = synthesise(bc.write_verilog(circuit), asap7, boundary=AT).netlist
    inputs = np.random.default_rng(1).random((10_000, n)) < 0.5
    wanted = np.asarray(bc.evaluate(circuit, inputs.astype(np.uint8))).reshape(-1, 1)
    logic.check_outputs(netlist, inputs, wanted.astype(bool))
    delay = find_delay(netlist, asap7, AT)
    found = energy(netlist, asap7, inputs[:1001], AT)
    area, delay_ps, total, own = documented()[n, spec]
    assert netlist.area == pytest.approx(area, rel=0.01)
    assert delay.delay_s == pytest.approx(delay_ps * 1e-12, rel=0.02)
    assert delay.own_s == pytest.approx(delay.delay_s, rel=1e-4)
    assert found.total_j == pytest.approx(total * 1e-15, rel=0.02)
    assert found.without_inputs_j == pytest.approx(own * 1e-15, rel=0.02)
    if (n, spec) in BY_HAND:
        their_area, their_delay, their_energy = BY_HAND[n, spec]
        both_rails = found.total_j + found.internal_j + found.hidden_j
        assert netlist.area <= their_area
        assert delay.delay_s <= their_delay * 1e-12
        assert both_rails == pytest.approx(their_energy * 1e-15, rel=0.2)
