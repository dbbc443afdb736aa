"""The majority target, simulated bit for bit."""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from bitwright.circuits.jit import SAMPLES
from bitwright.native import NativeProgram, binary
from bitwright.targets.base import Simulation
from bitwright.targets.majority.counters import Watch
from bitwright.targets.majority.design import Design
from bitwright.targets.majority.networks import Network, build, set_all


@lru_cache(maxsize=4)
def _networks(design: Design) -> tuple[Network, NativeProgram]:
    network = build(design.program, design.circuits)
    set_all(network, {**design.thresholds, **design.tables})
    return network, NativeProgram(design.program, network.bits)


def simulate(design: Design, batch: npt.NDArray[Any], threads: int | None) -> Simulation:
    """Return the outputs of a batch (images, *input shape), and what was counted on a sample."""
    network, exact = _networks(design)
    if not len(batch):
        return Simulation(network.run(batch, threads=threads))
    watch = Watch(network, exact, batch)
    outputs = network.run(batch, threads=threads, observe=watch)
    return Simulation(outputs, watch.counters)


def activations(
    design: Design, images: npt.NDArray[Any], names: Collection[str]
) -> dict[str, npt.NDArray[np.bool_]]:
    """Return what values of bits are while circuits count, (images, *shape) of each."""
    network, _ = _networks(design)
    found: dict[str, list[npt.NDArray[np.bool_]]] = {name: [] for name in names}
    for start in range(0, len(images), SAMPLES):
        block = images[start : start + SAMPLES]

        def keep(stage: Any, values: Any, count: int = len(block)) -> None:
            for name in found if stage is None else ():
                shape = design.program.types[name].shape
                words = network.words(name, values, count)
                bits = binary.unpack_channels(words, shape[-1])
                found[name].append(bits.reshape(count, *shape))

        network.run(block, threads=1, observe=keep)
    return {name: np.concatenate(parts) for name, parts in found.items()}
