"""From a circuit to checked numbers."""

from __future__ import annotations

import numpy as np
import pytest

from bitwright import circuits
from bitwright.eda import implementation, opensta
from bitwright.eda.implementation import energy_measurements, implement
from bitwright.eda.synthesis import synthesise
from bitwright.eda.timing import Boundary
from bitwright.eda.vectors import random_vectors
from bitwright.errors import CircuitError

yosys = pytest.mark.tool("yosys")
AT = Boundary(20e-12, 2e-15)


@yosys
def test_every_number_says_how_it_was_got(tiny, monkeypatch):
    monkeypatch.setattr(opensta, "is_there", lambda name: False)
    circuit = circuits.make("maj", 12)
    made = implement(circuit, tiny, boundary=AT, vectors=500, seed=3, prove=True)
    found = {m.metric: m for m in made.measurements("um2")}
    assert found["area"].value == made.mapped.netlist.area
    assert (found["area"].unit, found["area"].method) == ("um2", "synthesised")
    assert "yosys" in found["area"].source
    assert "library tiny" in found["area"].source
    assert found["cells"].value == len(made.mapped.netlist.instances)
    assert found["delay"].value == pytest.approx(made.delay.own_s * 1e12)
    assert found["delay"].method == "estimated", "our own static timing is no tool's report"
    assert (made.checked, made.seed, made.boundary) == (500, 3, AT)
    assert made.proof is not None
    energy = made.energy(random_vectors(12, 101, 0))
    total, own, leakage = energy_measurements(energy, tiny, "_on_data")
    assert total.metric == "energy_on_data"
    assert total.value == pytest.approx(energy.total_j * 1e15)
    assert own.value < total.value
    assert leakage.unit == "nW"


@yosys
@pytest.mark.tool("sta")
def test_a_tools_delay_is_synthesised(tiny):
    made = implement(circuits.make("exact", 6), tiny, boundary=AT)
    (delay,) = (m for m in made.measurements() if m.metric == "delay")
    assert delay.method == "synthesised"
    assert delay.source.startswith("OpenSTA ")
    assert made.checked == 10_000
    assert made.proof is None


@yosys
def test_a_wrong_netlist_gives_no_number(tiny, monkeypatch):
    other = synthesise(circuits.write_verilog(circuits.make("exact", 9)), tiny)
    monkeypatch.setattr(implementation, "synthesise", lambda *args, **more: other)
    weighed = circuits.make("exact", 9)
    swapped = circuits.Circuit(9, weighed.cells, weighed.outputs[::-1])
    with pytest.raises(CircuitError, match="differs from its circuit"):
        implement(swapped, tiny, boundary=AT)


@yosys
def test_a_netlist_is_checked_on_the_vectors_of_an_energy(tiny):
    made = implement(circuits.make("exact", 5), tiny, boundary=AT)
    changed = circuits.Circuit(5, made.circuit.cells, made.circuit.outputs[::-1])
    wrong = implementation.Implementation(
        changed, tiny, AT, made.mapped, made.delay, made.checked, 0, None
    )
    quiet = np.zeros((5, 5), bool)
    assert wrong.energy(quiet).total_j == 0, "equal where all bits are 0"
    quiet[2, 1] = True
    with pytest.raises(CircuitError, match="differs from its circuit in 1 of 5 vectors"):
        wrong.energy(quiet)
