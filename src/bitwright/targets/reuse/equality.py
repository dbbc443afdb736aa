"""What is proved of a design: its sums are its layers, and what is emitted is what is summed.

Two arguments, neither of which looks at how a plan was found:

- `bitwright.targets.reuse.proof` works out each neuron's row of weights from the plan's graph.
- Slices of the emitted datapath are compared with slices of one that counts each neuron by itself,
  by yosys's SAT solver: for all inputs, not for samples. Counts that are made in different orders
  have nothing in common inside, so the solver's time grows tenfold every three inputs or so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bitwright.circuits import write_verilog
from bitwright.eda.equivalence import prove_same
from bitwright.errors import ConfigError
from bitwright.targets.reuse.datapath import datapath
from bitwright.targets.reuse.design import Design, LayerPlan
from bitwright.targets.reuse.graph import AdderGraph, Integers
from bitwright.targets.reuse.planner import dense_graph
from bitwright.targets.reuse.proof import check

SLICE = 9
"""Inputs of a slice that the solver compares, unless another number is given."""
MOST = 32
"""Inputs of a slice, at most."""
NEURONS = 8
"""Neurons of a slice."""
LEVELS = (-2, 0, 2)
"""Each neuron's sum of a slice is compared with all of these."""
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class LayerProof:
    """What is proved of one layer.

    Parameters
    ----------
    name, method
        The layer, and what its plan is.
    neurons, wrong
        How many rows of weights were worked out from the plan, and which of them differ.
    slices
        How many slices of the emitted datapath the solver found equal.
    """

    name: str
    method: str
    neurons: int
    wrong: tuple[int, ...]
    slices: int

    @property
    def holds(self) -> bool:
        """Whether nothing differs."""
        return not self.wrong


def prove(
    design: Design, *, slices: int = 0, width: int = SLICE, progress: Progress | None = None
) -> tuple[LayerProof, ...]:
    """Prove that each plan is its layer.

    Parameters
    ----------
    slices
        How many slices of each layer of bits the solver compares, spread over its inputs.
    width
        Inputs of a slice, 1 to 32.

    Raises
    ------
    ConfigError
        If `width` or `slices` is out of range.
    CircuitError
        If the solver finds an input for which a slice differs.
    ToolError
        If slices are asked for and yosys is missing, or does not decide in time.
    """
    if slices < 0 or not 1 <= width <= MOST:
        raise ConfigError(
            f"{slices} slices of {width} inputs cannot be compared", f"give 1 to {MOST} inputs"
        )
    found = []
    for done, (name, plan) in enumerate(design.plans.items()):
        weights = plan.dot.numbers.reshape(len(plan.dot.weights), -1)
        verdict = check(plan.graph, weights)
        solved = _solve(plan, weights, slices, width) if plan.shape.input_bits == 1 else 0
        found.append(LayerProof(name, plan.chosen.method, len(weights), verdict.wrong, solved))
        if progress is not None:
            progress(name, done + 1, len(design.plans))
    return tuple(found)


def _solve(plan: LayerPlan, weights: Integers, slices: int, most: int) -> int:
    width = min(most, weights.shape[1])
    places = np.linspace(0, weights.shape[1] - width, slices).astype(int).tolist()
    for first in places:
        part = plan.graph.part(first, width, NEURONS)
        alone = dense_graph(weights[:NEURONS, first : first + width])
        cut = plan.chosen.cut or 0
        prove_same(_verilog(alone, 0), _verilog(part, cut), "layer")
    return len(places)


def _verilog(graph: AdderGraph, cut: int) -> str:
    """Return the datapath that compares each neuron's sum with all of `LEVELS`."""
    count = len(graph.outputs)
    each = AdderGraph(
        graph.inputs, graph.starts, graph.sources, graph.coefficients,
        np.repeat(graph.outputs, len(LEVELS)), np.repeat(graph.signs, len(LEVELS)),
    )  # fmt: skip
    levels = np.tile(LEVELS, count)
    made = datapath(each, levels, np.ones(len(levels), np.bool_), cut=cut)
    return write_verilog(made.whole(), "layer")
