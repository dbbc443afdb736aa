"""Orders of inputs that calibration images choose, layer by layer.

Requirements:

- Windows hold what the exact network makes of the images; where a layer pads with zeros, a padded
  tap is an activation of -1, as the circuit sees it.
- All neurons of a layer share one order. It permutes wires: no gate comes or goes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from bitwright.circuits import Spec, product_covariance, with_learned_order
from bitwright.errors import ConfigError
from bitwright.ir.program import Program
from bitwright.native import NativeProgram
from bitwright.native.convolution import Dot, window_view

Array = npt.NDArray[Any]
Layers = Mapping[str, tuple[Dot, Spec]]
"""The dot products that have circuits, and their popcounts, by name."""

WINDOWS = 10_000
"""Of a layer at least so many windows are looked at, if there are as many."""
BATCH = 100
"""Images that run through the network at a time."""


def check_free(layers: Layers) -> None:
    """Refuse popcounts that say themselves which inputs meet.

    Raises
    ------
    ConfigError
        If there is one.
    """
    for name, (_, spec) in layers.items():
        if spec.group_sizes and (spec.order or spec.grouping != "natural"):
            raise ConfigError(
                f"order = 'learned', and the circuit of '{name}' has an order of its own",
                "leave 'grouping' and 'order' out of the circuit, or take order = 'natural'",
            )


def learn_orders(program: Program, layers: Layers, images: Array) -> dict[str, tuple[Dot, Spec]]:
    """Return the layers with orders in which inputs that meet in a gate are as unlike as can be.

    Parameters
    ----------
    program
        The network.
    layers
        Popcounts of which no gate takes a group of inputs stay as they are.
    images
        Calibration images (N, *input shape), at least one; no labels are used.
    """
    rng = np.random.default_rng(0)
    wanted = {name: dot for name, (dot, spec) in layers.items() if spec.group_sizes}
    seen = _windows(program, wanted, images, rng)
    found = dict(layers)
    for name, dot in wanted.items():
        weights = dot.weights.reshape(len(dot.weights), -1)
        covariance = product_covariance(seen.pop(name), weights)
        found[name] = dot, with_learned_order(layers[name][1], covariance, rng)
    return found


def _windows(
    program: Program, dots: Mapping[str, Dot], images: Array, rng: np.random.Generator
) -> dict[str, npt.NDArray[np.bool_]]:
    """Return what some windows of each layer hold, the same number of each image, drawn at random.

    (windows, inputs) of each.
    """
    parts: dict[str, list[npt.NDArray[np.bool_]]] = {name: [] for name in dots}
    engine = NativeProgram(program, keep=list(dict.fromkeys(dot.source for dot in dots.values())))
    for start in range(0, len(images), BATCH):
        maps = engine.run(images[start : start + BATCH])
        for name, dot in dots.items():
            view = window_view(dot, maps[dot.source])
            count, rows, columns = view.shape[:3]
            drawn = min(rows * columns, -(-WINDOWS // len(images)))
            order = rng.random((count, rows * columns)).argsort(axis=1)
            row, column = np.divmod(order[:, :drawn], columns)
            chosen = view[np.arange(count)[:, None], row, column]
            parts[name].append(chosen.reshape(-1, dot.weights[0].size))
    return {name: np.concatenate(found) for name, found in parts.items()}
