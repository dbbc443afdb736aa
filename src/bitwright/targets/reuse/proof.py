"""The proof that an adder graph is a layer: each neuron's row of weights, worked out from it.

A graph is linear, so it computes ``weights @ x`` for all x if and only if the row of coefficients
that each neuron has in front of the inputs is its row of weights. This checker works these rows out
by adding integers, and shares no code with what makes, executes or prices graphs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.integer[Any]]


class Sums(Protocol):
    """The fields of a graph; `bitwright.targets.reuse.graph` says what they mean."""

    @property
    def inputs(self) -> int: ...  # noqa: D102
    @property
    def starts(self) -> Array: ...  # noqa: D102
    @property
    def sources(self) -> Array: ...  # noqa: D102
    @property
    def coefficients(self) -> Array: ...  # noqa: D102
    @property
    def outputs(self) -> Array: ...  # noqa: D102
    @property
    def signs(self) -> Array: ...  # noqa: D102


@dataclass(frozen=True)
class Verdict:
    """What the check of a layer found.

    Parameters
    ----------
    neurons
        How many rows were compared.
    wrong
        The neurons whose row is not their weights'.
    """

    neurons: int
    wrong: tuple[int, ...]

    @property
    def holds(self) -> bool:
        """Whether the graph computes the layer."""
        return not self.wrong


def check(sums: Sums, weights: Array) -> Verdict:
    """Compare each neuron's row with its weights.

    Parameters
    ----------
    weights
        (neurons, fan-in) integers.
    """
    neurons, fan_in = weights.shape
    if sums.inputs != fan_in or not len(sums.outputs) == len(sums.signs) == neurons:
        return Verdict(neurons, tuple(range(neurons)))
    starts, sources = sums.starts.tolist(), sums.sources.tolist()
    factors, wires = sums.coefficients.tolist(), sums.outputs.tolist()
    last = {  # the last node that reads each wire: its row is not needed after that
        source: node
        for node in range(len(starts) - 1)
        for source in sources[starts[node] : starts[node + 1]]
    }
    readers: dict[int, list[int]] = {}
    for neuron, wire in enumerate(wires):
        readers.setdefault(wire, []).append(neuron)
    rows: dict[int, Array] = {}
    wrong: list[int] = []
    for wire in range(fan_in + len(starts) - 1):
        row = np.zeros(fan_in, np.int64)
        terms = range(0)
        if wire < fan_in:
            row[wire] = 1
        else:
            terms = range(starts[wire - fan_in], starts[wire - fan_in + 1])
        for term in terms:
            if sources[term] < fan_in:
                row[sources[term]] += factors[term]
            else:
                row += factors[term] * rows[sources[term]]
        for term in terms:
            if last[sources[term]] == wire - fan_in:
                rows.pop(sources[term], None)
        wrong += [k for k in readers.get(wire, []) if (sums.signs[k] * row != weights[k]).any()]
        if wire >= fan_in and wire in last:
            rows[wire] = row
    return Verdict(neurons, tuple(sorted(wrong)))
