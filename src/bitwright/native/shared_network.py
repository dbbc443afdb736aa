"""Networks whose binary layers come from shared sums wherever that is faster.

Requirements:

- A layer can come from shared sums if it is a dot product of bits that only a threshold reads,
  perhaps behind a max-pool. All other steps are those of the native engine's plan.
- Both kernels of a layer are timed in this process, on maps of the network, for as many images as a
  thread takes at a time; the faster one stays. A graph that makes other bits than the layer does is
  refused.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from bitwright.errors import ConfigError
from bitwright.ir import ops as o
from bitwright.ir.program import Program
from bitwright.ir.types import Bits
from bitwright.native.convolution import dot_of
from bitwright.native.engine import NativeProgram, Workspace
from bitwright.native.fusion import find_fused
from bitwright.native.plan import Plan, Step
from bitwright.native.shared_layer import SharedLayer
from bitwright.native.shared_sums import Adders

Array = npt.NDArray[Any]

IMAGES = 512
"""Images that a thread takes at a time, at most: then even one window an image fills a vector."""
ROUNDS = 5
"""Each kernel is timed so often, in turn with the other; the least time counts."""


@dataclass(frozen=True)
class Timing:
    """What a layer takes with either kernel, in seconds an image."""

    dense: float
    shared: float

    @property
    def shares(self) -> bool:
        """Whether shared sums are faster."""
        return self.shared < self.dense


class SharedProgram(NativeProgram):
    """A program, some of whose layers come from shared sums.

    Parameters
    ----------
    program
        The program.
    adders
        Graphs by the names of the dot products that they make.
    keep
        The values to return; by default the program's outputs.
    images
        Images that a thread takes at a time, at most; layers are timed for so many.
    rng
        Draws the images that layers are timed on.

    Attributes
    ----------
    timings
        What each layer with a graph took, by the name of its dot product.

    Raises
    ------
    ConfigError
        If a layer does not exist or is none that shared sums can do, or its graph is another's.
    UnknownNameError
        If there is no value of a name in `keep`.
    """

    def __init__(
        self,
        program: Program,
        adders: Mapping[str, Adders],
        keep: Collection[str] | None = None,
        *,
        images: int = IMAGES,
        rng: np.random.Generator,
    ) -> None:
        super().__init__(program, keep)
        self.images = images
        layers = shared_layers(self.plan, adders)
        self.timings = time_layers(self.plan, layers, random_images(program, images, rng))
        chosen = {name: layers[name] for name in self.shared}
        steps = tuple(
            replace(step, kernel=chosen.get(dot_made(step), step.kernel))
            for step in self.plan.steps
        )
        self.plan = replace(self.plan, steps=steps)

    @property
    def shared(self) -> tuple[str, ...]:
        """The dot products that come from shared sums: those that were faster."""
        return tuple(name for name, timing in self.timings.items() if timing.shares)


def dot_made(step: Step) -> str:
    """Return the dot product of bits that a step does, an empty name if it does none."""
    last = step.outputs[-1]
    return last.value if last.layout.kind == "paired" else ""


def shared_layers(plan: Plan, adders: Mapping[str, Adders]) -> dict[str, SharedLayer]:
    """Return the kernels that stand in for steps of a plan, by their dot products.

    Parameters
    ----------
    plan
        The plan.
    adders
        Graphs by the names of the dot products that they make.

    Raises
    ------
    ConfigError
        If a layer does not exist or is none that shared sums can do.
    """
    program = plan.program
    dots = {
        op.output: dot_of(program, op) for op in program.ops if isinstance(op, o.Conv2d | o.Dense)
    }
    fused = find_fused(program, tuple(plan.kept), dots)
    names = {one.dot.op.output: bits for bits, one in fused.items() if one.dot.method == "binary"}
    steps = {dot_made(step): step for step in plan.steps}
    found = {}
    for name, graph in adders.items():
        if name not in names:
            raise ConfigError(
                f"'{name}' is no dot product of bits with a threshold behind it",
                f"layers that shared sums can do: {', '.join(names) or 'none'}",
            )
        threshold = program.definitions[names[name]]
        found[name] = SharedLayer(
            dots[name],
            graph,
            program.tensor(threshold, "thresholds"),
            program.tensor(threshold, "rising"),
            steps[name].inputs[0].layout,
            steps[name].outputs[0].layout,
        )
    return found


def random_images(program: Program, images: int, rng: np.random.Generator) -> Array:
    """Return images (images, *input shape) of any values that the program takes."""
    value = program.input_type
    if isinstance(value, Bits):
        return rng.random((images, *value.shape)) < 0.5
    return rng.integers(value.lo, value.hi, (images, *value.shape), np.int32, endpoint=True)


def time_layers(
    plan: Plan, layers: Mapping[str, SharedLayer], batch: Array, rounds: int = ROUNDS
) -> dict[str, Timing]:
    """Time both kernels of some layers where they stand, on one thread, and compare their bits.

    Parameters
    ----------
    plan
        The plan of the native engine.
    layers
        From `shared_layers`.
    batch
        Images (images, *input shape) within the bounds of the program's input.
    rounds
        Each kernel is timed so often, in turn with the other; the least time counts.

    Raises
    ------
    ConfigError
        If a graph makes other bits than its layer does.
    """
    images = len(batch)
    maps = np.ascontiguousarray(batch).reshape(images, *plan.source.layout.shape)
    space = Workspace(plan, images)
    found = {}
    for step in plan.steps:
        space.run_step(step, maps)
        name = dot_made(step)
        if name not in layers:
            continue
        made = space.buffers[step.outputs[0]]
        expected = made.copy()
        other = replace(step, kernel=layers[name])
        space.run_step(other, maps)
        if not np.array_equal(made, expected):
            raise ConfigError(
                f"the graph of '{name}' makes other bits than the layer does",
                "make it from this layer's weights",
            )
        times: tuple[list[float], list[float]] = ([], [])
        for _ in range(rounds):
            for one, taken in zip((step, other), times, strict=True):
                began = time.perf_counter()
                space.run_step(one, maps)
                taken.append((time.perf_counter() - began) / images)
        found[name] = Timing(*map(min, times))
    return found
