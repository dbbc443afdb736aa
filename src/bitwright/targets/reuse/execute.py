"""Running a program by its plans: dot products come from shared sums and from nothing else.

Requirements:

- A planned layer's dot products are worked out from the graph alone, window by window; the weights
  are not looked at. All other ops are those of `bitwright.ir.reference`.
- A layer reads what the layers before it made here: an error would spread to the outputs.
- A tap in padding of zeros is 0, a tap in any other padding is that value: graphs are linear.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt

from bitwright.ir import reference
from bitwright.ir.program import Program, check_batch, check_names
from bitwright.native.convolution import Dot
from bitwright.native.geometry import map_shape
from bitwright.targets.reuse.graph import AdderGraph

Array = npt.NDArray[Any]
COLUMNS = 4096
"""Windows whose sums are worked out together; bounds the memory that nodes take."""


def run(
    program: Program,
    graphs: Mapping[str, tuple[Dot, AdderGraph]],
    batch: Any,
    keep: Collection[str] | None = None,
    *,
    threads: int | None = None,
) -> dict[str, Array]:
    """Run a program on a batch by graphs, in plain NumPy.

    Parameters
    ----------
    graphs
        Of the planned layers, by the names of their dot products.
    batch, keep
        As `bitwright.ir.reference.run` takes them.
    threads
        How many work on chunks of images; by default all cores that this process may use.

    Returns
    -------
    dict
        For each kept value an array (images, *shape).
    """
    array = check_batch(program, batch)
    names = check_names(program, program.outputs if keep is None else keep)
    made = {name: _by_graph(program, *found) for name, found in graphs.items()}

    def part(start: int) -> dict[str, Array]:
        chunk = array[start : start + reference.CHUNK]
        return {n: v for n, v in reference.trace(program, chunk, made) if n in names}

    starts = range(0, max(len(array), 1), reference.CHUNK)
    with ThreadPoolExecutor(threads or len(os.sched_getaffinity(0))) as pool:
        parts = list(pool.map(part, starts))
    return {name: np.concatenate([found[name] for found in parts]) for name in names}


def _by_graph(program: Program, dot: Dot, graph: AdderGraph) -> reference.Compute:
    shape = program.types[dot.op.output].shape

    def compute(value: Array) -> Array:
        columns = taps(dot, value)
        found = np.empty((columns.shape[1], len(graph.outputs)), np.int64)
        for start in range(0, columns.shape[1], COLUMNS):
            part = slice(start, start + COLUMNS)
            found[part] = graph.values(columns[:, part]).T
        return found.reshape(len(value), *shape)

    return compute


def taps(dot: Dot, value: Array) -> Array:
    """Return what the windows of a layer hold, (fan-in, images * windows) of integers."""
    maps = value.reshape(len(value), *map_shape(dot.value))
    if maps.dtype == np.bool_:
        maps = np.where(maps, np.int8(1), np.int8(-1))
    top, bottom, left, right = dot.padding
    sides = ((0, 0), (top, bottom), (left, right), (0, 0))
    maps = np.pad(maps, sides, constant_values=dot.pad_value)
    kernel = (dot.weights.shape[1], dot.weights.shape[2])
    windows = np.lib.stride_tricks.sliding_window_view(maps, kernel, axis=(1, 2))
    windows = windows[:, :: dot.stride[0], :: dot.stride[1]].transpose(4, 5, 3, 0, 1, 2)
    return windows.reshape(dot.weights[0].size, -1)
