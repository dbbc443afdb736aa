"""Which popcounts are compared: one fan-in, or all that a network's binary layers have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from bitwright import circuits
from bitwright.circuits import Circuit
from bitwright.circuits.grouping import Shape
from bitwright.eda.vectors import random_vectors
from bitwright.explore.layers import popcount_layers, products
from bitwright.ir.program import Program

EXACT = "exact"


@dataclass(frozen=True, eq=False)
class Popcount:
    """One fan-in, with the circuits that are compared for it.

    Parameters
    ----------
    inputs
        The fan-in.
    circuits
        By name; one is `EXACT`.
    shape
        The kernel's rows, columns and channels, if it is of one.
    layers
        The layers of a network that have it.
    real
        For some of those layers what they see on real images, of shape (vectors, inputs).
    """

    inputs: int
    circuits: Mapping[str, Circuit]
    shape: Shape | None = None
    layers: tuple[str, ...] = ()
    real: Mapping[str, npt.NDArray[np.bool_]] = field(default_factory=dict)


def popcount(
    specs: Sequence[str], inputs: int, shape: Shape | None = None, *, threshold: bool = False
) -> Popcount:
    """Return a popcount with the circuits of some specs, the exact one first.

    Parameters
    ----------
    specs
        As `bitwright.circuits.parse` reads them.
    threshold
        Whether each is a neuron: see `with_threshold`.

    Raises
    ------
    ConfigError
        If a spec is not valid.
    CircuitError
        If there is no such circuit of this fan-in.
    """
    made = {spec: circuits.make(spec, inputs, shape) for spec in dict.fromkeys((EXACT, *specs))}
    if threshold:
        made = {name: with_threshold(circuit) for name, circuit in made.items()}
    return Popcount(inputs, made, shape)


def with_threshold(circuit: Circuit, samples: int = 1000) -> Circuit:
    """Return a circuit with a comparison behind it: value >= its median on random inputs."""
    if circuit.is_bit:
        return circuit
    values = circuits.evaluate(circuit, random_vectors(circuit.inputs, samples, 0))
    return circuits.compare(circuit, int(np.median(values)))


def popcounts_of(
    program: Program,
    specs: Sequence[str],
    *,
    threshold: bool = False,
    images: npt.NDArray[Any] | None = None,
    count: int = 1001,
    neuron: int = 0,
) -> list[Popcount]:
    """Return a network's distinct popcounts, by kernel shape.

    Parameters
    ----------
    specs, threshold
        As for `popcount`.
    images
        Of shape (images, *input shape): what layers see on them becomes `Popcount.real`.
    count, neuron
        As for `bitwright.explore.layers.products`.

    Raises
    ------
    ConfigError
        If the network has no binary layer or not so many neurons, or a spec is not valid.
    CircuitError
        If there is no such circuit for a layer.
    DataError
        If the images do not fit, or are too few.
    """
    layers = popcount_layers(program)
    found = []
    for shape in dict.fromkeys(layer.shape for layer in layers):
        alike = [layer for layer in layers if layer.shape == shape]
        made = popcount(specs, alike[0].inputs, shape, threshold=threshold)
        real = {}
        if images is not None:
            real = {
                layer.name: products(program, layer, images, count=count, neuron=neuron)
                for layer in alike
            }
        found.append(replace(made, layers=tuple(layer.name for layer in alike), real=real))
    return found
