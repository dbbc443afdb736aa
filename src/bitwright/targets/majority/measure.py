"""What approximate popcounts cost: counted from the program and the circuits."""

from __future__ import annotations

from collections import Counter

from bitwright.circuits import Circuit, make
from bitwright.ir.work import count_work
from bitwright.records import Measurement
from bitwright.targets.base import Counters
from bitwright.targets.majority.design import Design

ADDERS = ("FA", "HA")


def measure(design: Design, counters: Counters) -> tuple[Measurement, ...]:
    """Return the operations of one image, and the cells of one popcount of each layer."""
    work = count_work(design.program)
    exact = [make("exact", circuit.inputs) for circuit in design.circuits.values()]
    return (
        Measurement(
            "binary_operations", sum(w.binary_operations for w in work), "op/image", "counted"
        ),
        Measurement(
            "integer_operations", sum(w.integer_operations for w in work), "op/image", "counted"
        ),
        Measurement("weight_bits", sum(w.weight_bits for w in work), "bit", "counted"),
        Measurement("thresholds", sum(w.thresholds for w in work), "threshold", "counted"),
        *_cells("popcount", list(design.circuits.values())),
        *_cells("exact_popcount", exact),
    )


def _cells(name: str, circuits: list[Circuit]) -> list[Measurement]:
    """The cells of one popcount of each layer with a circuit."""
    found: Counter[str] = Counter()
    for circuit in circuits:
        found.update(circuit.counts)
    gates = sum(count for kind, count in found.items() if kind not in ADDERS)
    counts = {"full_adders": found["FA"], "half_adders": found["HA"], "gates": gates}
    return [Measurement(f"{name}_{kind}", n, "cell", "counted") for kind, n in counts.items()]
