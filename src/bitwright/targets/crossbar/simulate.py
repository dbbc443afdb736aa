"""The crossbar target, simulated: every partial sum of every image through its column's circuit."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from bitwright.ir import reference
from bitwright.ir.program import check_batch
from bitwright.targets.base import Counters, Simulation
from bitwright.targets.crossbar.arrays import Arrays
from bitwright.targets.crossbar.design import Design

CHUNK = 8
"""Images that a thread takes at a time; bounds the memory that currents take."""


@lru_cache(maxsize=2)
def arrays_of(design: Design) -> dict[str, Arrays]:
    """Return the arrays of a design's layers, by the names of their dot products."""
    return {
        name: Arrays(layer, index, design.config, design.cell, design.ladder)
        for index, (name, layer) in enumerate(design.layers.items())
    }


def simulate(design: Design, batch: npt.NDArray[Any], threads: int | None) -> Simulation:
    """Return the outputs of a batch (images, *input shape), and what the arrays did for it."""
    program = design.program
    images = check_batch(program, batch)
    arrays = arrays_of(design)

    def part(start: int) -> tuple[dict[str, npt.NDArray[Any]], Counters]:
        counters: Counters = {}

        def by_arrays(name: str) -> reference.Compute:
            def compute(value: npt.NDArray[Any]) -> npt.NDArray[Any]:
                dots, found = arrays[name].dots(
                    value, design.sensing[name], design.corrections.get(name)
                )
                counters.update(found)
                return dots.astype(np.int64).reshape(len(value), *program.types[name].shape)

            return compute

        chunk = images[start : start + CHUNK]
        made = {name: by_arrays(name) for name in arrays}
        outputs = {
            name: value
            for name, value in reference.trace(program, chunk, made)
            if name in program.outputs
        }
        return outputs, counters

    starts = range(0, len(images), CHUNK)
    with ThreadPoolExecutor(threads or len(os.sched_getaffinity(0))) as pool:
        parts = list(pool.map(part, starts))
    counters: Counters = {}
    for _, found in parts:
        for name, number in found.items():
            counters[name] = counters.get(name, 0) + number
    if not parts:
        return Simulation(reference.run(program, images), counters)
    outputs = {
        name: np.concatenate([found[name] for found, _ in parts]) for name in program.outputs
    }
    return Simulation(outputs, counters)
