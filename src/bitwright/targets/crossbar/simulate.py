"""The crossbar target, simulated: every partial sum of every image through its column's circuit."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from bitwright.ir import reference
from bitwright.ir.ops import Threshold
from bitwright.ir.program import check_batch
from bitwright.targets.base import Counters, Simulation
from bitwright.targets.crossbar.arrays import CHUNK, Arrays
from bitwright.targets.crossbar.design import Design
from bitwright.targets.crossbar.distributions import LayerSurvey, exact_dots, threshold_of
from bitwright.targets.crossbar.mapping import binary_dots

BATCH = 64
"""Images between two reports of progress: of a network of 10^6 columns, about ten seconds."""


@lru_cache(maxsize=2)
def arrays_of(design: Design) -> dict[str, Arrays]:
    """Return the arrays of a design's layers, by the names of their dot products."""
    return {name: arrays_for(design, name) for name in design.layers}


def arrays_for(design: Design, name: str) -> Arrays:
    """Return the arrays of one layer, made anew.

    What is drawn for them is the same whichever other layers are on arrays.
    """
    index = list(binary_dots(design.program)).index(name)
    return Arrays(design.layers[name], index, design.config, design.cell, design.ladder)


def simulate(design: Design, batch: npt.NDArray[Any], threads: int | None) -> Simulation:
    """Return the outputs of a batch (images, *input shape), and what the arrays did for it."""
    program = design.program
    images = check_batch(program, batch)
    arrays = arrays_of(design)

    def part(start: int) -> tuple[dict[str, npt.NDArray[Any]], Counters]:
        chunk = images[start : start + CHUNK]
        sample = len(chunk[: max(design.config.sample - start, 0)])
        counters: Counters = {"sample_images": sample} if sample else {}
        exact = reference.trace(
            program,
            chunk[:sample],
            {name: _surveyed(design, arrays[name], counters) for name in arrays},
        )
        made = {name: by_arrays(design, arrays[name], counters) for name in arrays}
        outputs, begun = {}, False
        for name, value in reference.trace(program, chunk, made):
            begun |= name in arrays
            if name in program.outputs:
                outputs[name] = value
            if not sample:
                continue
            _, wanted = next(exact)
            if begun and isinstance(program.definitions.get(name), Threshold):
                counters[f"network_bits/{name}"] = wanted.size
                counters[f"network_bits_off/{name}"] = int((value[:sample] != wanted).sum())
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


def by_arrays(design: Design, arrays: Arrays, counters: Counters) -> reference.Compute:
    """Return what does a layer by its arrays and puts what they do into counters."""
    name = arrays.layer.name
    shape = design.program.types[name].shape

    def compute(value: npt.NDArray[Any]) -> npt.NDArray[Any]:
        dots, found = arrays.dots(value, design.sensing[name], design.corrections.get(name))
        counters.update(found)
        return dots.astype(np.int64).reshape(len(value), *shape)

    return compute


def _surveyed(design: Design, arrays: Arrays, counters: Counters) -> reference.Compute:
    """Return what does a layer exactly and counts what its arrays would make of the same bits."""
    name = arrays.layer.name
    shape = design.program.types[name].shape
    survey = LayerSurvey(arrays.layer, design.config, threshold_of(design.program, name))

    def compute(value: npt.NDArray[Any]) -> npt.NDArray[Any]:
        sensing, correction = design.sensing[name], design.corrections.get(name)
        dots, _ = arrays.dots(value, sensing, correction, survey.add)
        exact = exact_dots(arrays.layer, value)
        survey.close(dots, exact)
        counters.update(survey.counters())
        return exact.astype(np.int64).reshape(len(value), *shape)

    return compute
