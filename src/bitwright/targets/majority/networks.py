"""The network of a design, whichever of the two kinds runs it, and its exact twin."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from bitwright.circuits import Circuit, make
from bitwright.ir.program import Program
from bitwright.native.circuit_graph import CircuitGraph
from bitwright.native.sliced_network import CircuitNetwork, is_chain

Network = CircuitNetwork | CircuitGraph
Settings = Mapping[str, npt.NDArray[np.integer[Any]]]
"""Layers' thresholds in a chain, their tables of dot products in any other network."""


@lru_cache(maxsize=64)
def exact(inputs: int) -> Circuit:
    """Return the exact popcount of a fan-in."""
    return make("exact", inputs)


def build(program: Program, circuits: Mapping[str, Circuit]) -> Network:
    """Return a network with circuits, its thresholds and tables those of exact counts."""
    if is_chain(program, circuits):
        return CircuitNetwork(program, circuits, exact)
    return CircuitGraph(program, circuits)


def twin(network: Network) -> Network:
    """Return the network with exact circuits: the same steps, the exact network's values."""
    circuits = {s.name: exact(s.layer.code.circuit.inputs) for s in network.layers}
    return build(network.program, circuits)


def set_all(network: Network, settings: Settings) -> None:
    """Give layers their thresholds or tables."""
    for name, setting in settings.items():
        if isinstance(network, CircuitNetwork):
            network.decide_by(name, np.asarray(setting, np.int64))
        else:
            network.correct_by(name, setting)
