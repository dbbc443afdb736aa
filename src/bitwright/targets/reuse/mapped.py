"""A plan's datapath mapped to cells as a whole: the check of prices that are sums of pieces.

Both the shared sums and the neurons of the dense layer are mapped, compared with their circuits and
simulated with delays, as `bitwright.eda.implementation` does, on the same random activations.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bitwright.circuits import Circuit
from bitwright.eda.implementation import implement
from bitwright.eda.pdk import ChosenLibrary
from bitwright.eda.registers import register
from bitwright.eda.timing import typical_boundary
from bitwright.eda.vectors import expected_outputs, random_vectors
from bitwright.targets.reuse.datapath import Datapath, datapath
from bitwright.targets.reuse.design import LayerPlan
from bitwright.targets.reuse.graph import AdderGraph
from bitwright.targets.reuse.planner import dense_graph

CHECKED = 1000
"""Random vectors on which each netlist must equal its circuit."""


@dataclass(frozen=True)
class MappedLayer:
    """What a layer's sums take in cells, for one window, thresholds included.

    Parameters
    ----------
    energy_j, area
        Of both stages and the register between them.
    dense_energy_j, dense_area
        Of the dense layer: the mean of `neurons_mapped` neurons, times their number.
    delay_s, dense_delay_s
        Of the slower stage, and of the slowest of those neurons.
    """

    energy_j: float
    area: float
    delay_s: float
    dense_energy_j: float
    dense_area: float
    dense_delay_s: float
    neurons_mapped: int

    @property
    def saved(self) -> float:
        """The share of the dense layer's energy that sharing saves."""
        return 1 - self.energy_j / self.dense_energy_j


def map_layer(
    plan: LayerPlan,
    chosen: ChosenLibrary,
    *,
    operations: int = 100,
    neurons: int = 2,
    seed: int = 0,
) -> MappedLayer:
    """Map the plan of a layer of bits, and some neurons of the dense layer.

    Every neuron is compared with 0, whatever its threshold.

    Parameters
    ----------
    operations, seed
        Of the random activations.
    neurons
        How many of the dense layer are mapped.

    Raises
    ------
    LibertyError
        If the library lacks tables, or a flip-flop.
    ToolError
        If yosys is missing or fails.
    """
    weights = plan.dot.numbers.reshape(len(plan.dot.weights), -1)
    vectors = random_vectors(weights.shape[1], operations + 1, seed)
    rails = np.concatenate([vectors, ~vectors], axis=1)
    library, boundary = chosen.library, typical_boundary(chosen.library)
    bit = register(library, boundary)

    def mapped(circuit: Circuit, inputs: npt.NDArray[np.bool_]) -> tuple[float, float, float]:
        made = implement(circuit, library, boundary=boundary, vectors=CHECKED, seed=seed)
        return made.energy(inputs).total_j, made.mapped.netlist.area, made.delay.delay_s

    shared = _against_zero(plan.graph, plan.chosen.cut or 0)
    stages = [
        mapped(shared.first, rails),
        mapped(shared.second, expected_outputs(shared.first, rails)),
    ]
    held = shared.registers
    alone = []
    for row in weights[:neurons]:
        one = _against_zero(dense_graph(row[None]), 0)
        alone.append(mapped(one.whole(both_rails=True), rails))
    count = len(weights)
    return MappedLayer(
        stages[0][0] + stages[1][0] + held * (bit.cycle_j + bit.change_j / 2),
        stages[0][1] + stages[1][1] + held * bit.area,
        max(stage[2] for stage in stages),
        count * float(np.mean([energy for energy, _, _ in alone])),
        count * float(np.mean([area for _, area, _ in alone])),
        max(delay for _, _, delay in alone),
        len(alone),
    )


def _against_zero(graph: AdderGraph, cut: int) -> Datapath:
    neurons = len(graph.outputs)
    zeros, rising = np.zeros(neurons, np.int64), np.ones(neurons, np.bool_)
    return datapath(graph, zeros, rising, cut=cut)
