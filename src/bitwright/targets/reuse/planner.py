"""Choosing how to compute a layer: all candidates are priced in full, the cheapest wins.

"Nothing reused" is a candidate like any other, and what every saving is compared with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from bitwright.ir import ops as o
from bitwright.ir.program import Program
from bitwright.ir.types import Int
from bitwright.native.convolution import Dot, dot_of
from bitwright.targets.reuse.cost import Cost, LayerShape, cost_of
from bitwright.targets.reuse.design import Candidate, Config, LayerPlan, Method, Objective
from bitwright.targets.reuse.graph import AdderGraph, GraphBuilder, Integers
from bitwright.targets.reuse.prices import PieceTable
from bitwright.targets.reuse.static.clusters import cluster_tree
from bitwright.targets.reuse.static.cse import affordable, common_subexpressions
from bitwright.targets.reuse.static.operations import count_operations
from bitwright.targets.reuse.static.permutation import similar_inputs
from bitwright.targets.reuse.static.tiles import Order, shared_tiles, tables
from bitwright.targets.reuse.static.trees import spanning_tree, steiner_tree

WHOLE: dict[Method, Callable[[Integers], AdderGraph]] = {
    "spanning": spanning_tree,
    "steiner": steiner_tree,
    "clusters": cluster_tree,
    "subexpressions": lambda weights: common_subexpressions(
        weights, most=affordable(*weights.shape)
    ),
}
"""Methods that take a layer's kernels as a whole."""
TILED: dict[Method, Callable[..., AdderGraph]] = {
    "tiles": shared_tiles,
    "tables": tables,
}
"""Methods that take them tile by tile."""


def plannable(program: Program) -> dict[str, Dot]:
    """Return the dot products with weights of one bit, by name, in the program's order."""
    found = {}
    for op in program.ops:
        if isinstance(op, o.Conv2d | o.Dense):
            dot = dot_of(program, op)
            if dot.weights.dtype == np.bool_ and dot.groups == 1:
                found[op.output] = dot
    return found


def shape_of(program: Program, name: str, dot: Dot) -> LayerShape:
    """Return what a cost needs to know of a layer."""
    value = dot.value
    neurons, rows, columns, channels = dot.weights.shape
    readers = [op for op in program.ops if name in op.inputs]
    while len(readers) == 1 and isinstance(readers[0], o.MaxPool2d):
        readers = [op for op in program.ops if readers[0].output in op.inputs]
    return LayerShape(
        name,
        neurons,
        rows * columns * channels,
        dot.windows.number,
        int(value.hi - value.lo).bit_length() if isinstance(value, Int) else 1,
        rows,
        channels,
        len(readers) == 1 and isinstance(readers[0], o.Threshold),
    )


def dense_graph(weights: Integers) -> AdderGraph:
    """Return the layer with nothing reused: each neuron adds up all of its inputs."""
    builder = GraphBuilder(weights.shape[1])
    return builder.finish([builder.root(row) for row in weights], [1] * len(weights))


def plan_layer(
    program: Program, name: str, dot: Dot, config: Config, table: PieceTable
) -> LayerPlan:
    """Return the cheapest way to compute a layer, and what else there was."""
    weights = dot.numbers.reshape(len(dot.weights), -1)
    shape = shape_of(program, name, dot)
    graphs: list[AdderGraph] = []
    candidates: list[Candidate] = []
    for method, width, graph in _graphs(dot, weights, config):
        cut = _cut(method, graph)
        cost = cost_of(graph, shape, table, style=config.style, cut=cut, reach=width)
        operations = count_operations(graph).xnors
        candidates.append(Candidate(method, width, cut, operations, cost))
        graphs.append(graph)
    best = min(range(len(graphs)), key=lambda k: worth(candidates[k].cost, config.objective))
    return LayerPlan(dot, shape, graphs[best], candidates[best], candidates[0], tuple(candidates))


def _cut(method: Method, graph: AdderGraph) -> int | None:
    """Return where a method's register is: behind sums of inputs, behind tiles, or nowhere."""
    if method in ("dense", "subexpressions"):
        return None
    return int(graph.depth.max(initial=0)) if method in TILED else 0


def worth(cost: Cost, objective: Objective) -> float:
    """Return the number that the planner makes small."""
    total = cost.total
    return {"energy": cost.energy_j, "area": total.area, "luts": total.luts}[objective]


def _graphs(
    dot: Dot, weights: Integers, config: Config
) -> Iterator[tuple[Method, int, AdderGraph]]:
    """Yield the candidates, nothing reused first."""
    yield "dense", 0, dense_graph(weights)
    rows, columns, channels = dot.weights.shape[1:]
    for method in dict.fromkeys(config.methods):
        if method in WHOLE:
            yield method, 0, WHOLE[method](weights)
        elif method in TILED:
            for width in config.widths:
                order: Order = "kernel"
                if config.input_order == "similar":
                    order = similar_inputs(weights, width)
                elif config.input_order == "stored":
                    order = "stored"
                made = TILED[method](weights, (rows, columns, channels), width, order=order)
                yield method, width, made
