"""`SkipNetwork`: a program whose skippable layers skip; the native engine runs the rest.

Requirements:

- Each layer reads the bits that the layers before it made here, so that a wrong bit would show.
- The program is cut at skippable layers (`bitwright.native.parts`); the native engine runs the
  rest.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any

import numpy as np
import numpy.typing as npt

from bitwright.errors import UnknownNameError
from bitwright.ir.program import Program, check_batch
from bitwright.ir.types import Bits
from bitwright.ir.work import count_work
from bitwright.native.parts import Part, Sum, cut
from bitwright.targets.reuse.dynamic.channels import channel_orders
from bitwright.targets.reuse.dynamic.counters import LayerCounters
from bitwright.targets.reuse.dynamic.layer import SkipLayer, skip_layers
from bitwright.targets.reuse.dynamic.order import Integers, tile_orders
from bitwright.targets.reuse.dynamic.run import Twin, run_layer
from bitwright.targets.reuse.dynamic.schedule import Channels, Schedule, prepare
from bitwright.targets.reuse.dynamic.skips import Skips

Array = npt.NDArray[Any]
Values = dict[str, Array]

IMAGES = 16
"""A thread takes so many images at a time."""


@dataclass(frozen=True)
class SkipRun:
    """What a batch gave: the program's outputs, and the counters of each skippable layer."""

    outputs: Values
    counters: dict[str, LayerCounters]


Step = Schedule | Part | Sum


class SkipNetwork:
    """A program that skips redundant work.

    Parameters
    ----------
    program
        The program.
    skips
        What its skippable layers leave out.
    calibration
        Images, (N, *input shape), for orders of tiles that need some.
    layers
        The layers that skip, by the names of their dot products; by default all that can. The
        rest, and dot products that feed arithmetic, are computed in full.

    Raises
    ------
    ConfigError
        If an order needs calibration images and there are none.
    UnknownNameError
        If a layer does not exist or cannot skip.
    """

    def __init__(
        self,
        program: Program,
        skips: Skips,
        *,
        calibration: Any = None,
        layers: Collection[str] | None = None,
    ) -> None:
        self.program = program
        self.skips = skips
        possible = skip_layers(program)
        for name in layers or ():
            if name not in possible:
                raise UnknownNameError("skippable layer", name, possible)
        chosen = possible if layers is None else {name: possible[name] for name in layers}
        tiles, channels = dict[str, Integers](), dict[str, Channels]()
        if calibration is not None:
            tiles = tile_orders(program, chosen, skips, calibration)
            channels = channel_orders(program, chosen, skips, calibration, tiles=tiles)
        self.layers = {
            name: prepare(layer, skips, tiles.get(name), channels.get(name))
            for name, layer in chosen.items()
        }
        self.steps: list[Step] = cut(
            program,
            {step.layer.bits: step for step in self.layers.values()},
            program.outputs,
            {name for step in self.layers.values() for name in _hidden(step.layer)},
        )

    @property
    def full(self) -> dict[str, int]:
        """Binary operations an image of the dot products that are computed in full, by name."""
        return {
            work.op.output: work.binary_operations
            for work in count_work(self.program)
            if work.binary_operations and work.op.output not in self.layers
        }

    def run(self, batch: Any, *, threads: int | None = None, twin: Twin = "kernel") -> SkipRun:
        """Run the network on a batch.

        Parameters
        ----------
        batch
            As for `NativeProgram.run`.
        threads
            How many threads to use; by default one for each core that this process may use.
        twin
            As for `run_layer`.

        Raises
        ------
        DataError
            If the batch does not fit the program's input.
        """
        images = check_batch(self.program, batch)
        starts = range(0, max(1, len(images)), IMAGES)

        def one(start: int) -> tuple[Values, dict[str, LayerCounters]]:
            return self._block(images[start : start + IMAGES], twin)

        workers = max(1, threads or len(os.sched_getaffinity(0)))
        if min(workers, len(starts)) == 1:
            parts = [one(start) for start in starts]
        else:
            with ThreadPoolExecutor(workers) as pool:
                parts = list(pool.map(one, starts))
        return SkipRun(
            {
                name: np.concatenate([values[name] for values, _ in parts])
                for name in self.program.outputs
            },
            {name: reduce(add, (counters[name] for _, counters in parts)) for name in self.layers},
        )

    def _block(self, images: Array, twin: Twin) -> tuple[Values, dict[str, LayerCounters]]:
        values, counters = {self.program.input_name: images}, {}
        types = self.program.types
        for step in self.steps:
            if isinstance(step, Schedule):
                layer = step.layer
                bits, found = run_layer(step, values[step.source], twin=twin)
                values[layer.bits] = bits.reshape(len(images), *types[layer.bits].shape)
                counters[layer.name] = found
            elif isinstance(step, Part):
                values.update(step.native.run(values[step.source], threads=1))
            else:
                first, second = step.op.inputs
                values[step.op.output] = values[first] + values[second]
        outputs = {name: values[name] for name in self.program.outputs}
        for name, value in outputs.items():
            if not isinstance(types[name], Bits):
                outputs[name] = value.astype(np.int32, copy=False)  # an image may come as bytes
        return outputs, counters


def _hidden(layer: SkipLayer) -> set[str]:
    """The values between a layer's source and its bits."""
    between = {layer.name}
    if layer.pool is not None:
        between.add(layer.pool.output if layer.pool_first else layer.pool.input)
    return between
