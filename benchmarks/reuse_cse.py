"""Ask what searches for common subexpressions leave of the adders of a trained binary layer.

Layers of CNV-W1A1 (the published weights if ``$BITWRIGHT_SHARED/models`` has them, else random
ones), each beside a random matrix of its shape: the adders of two numbers, the full adders, and the
energy of a window with everything counted (hardwired, the shipped table of pieces), over that of
the layer that shares nothing. The target `reuse` plans with the same functions and prices, and with
a register in each of its trees and tiles; ``one_stage`` is the energy without any, as the others
have it: the model then does not pass glitches on through compressors, only through adders of two.

The peer is da4ml, in its own environment. Its additions and subtractions become an adder graph, so
that the same count and the same prices do for it; ``adder_bits`` is its own cost. In ``da4ml`` each
of them is an adder of two; ``da4ml_folded`` hands on what is read once, unadded, to its only
reader, which adds all up in one compressor as our graphs do: the same additions, priced otherwise.
Its decompositions make columns from one another before pairs are sought, so ``steiner_tree_pairs``
is the like of it: our pairs in our tree. Of the decompositions in ``--search`` its cheapest counts,
by its own cost; ``--search all`` has it try every one in a single run, which takes far longer.
A run of it that has not finished after ``--limit-seconds`` is left out (null if none has).

Checked before anything is counted: every graph is proved to be its weights, and da4ml's own
interpreter gives the product on random bits. Prints a table to stderr and one JSON line.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from _peers import run_peer
from bitwright.targets.reuse.cost import LayerShape, cost_of
from bitwright.targets.reuse.graph import AdderGraph, GraphBuilder
from bitwright.targets.reuse.planner import dense_graph, plannable, shape_of
from bitwright.targets.reuse.prices import PieceTable, load_pieces
from bitwright.targets.reuse.proof import check
from bitwright.targets.reuse.static.clusters import cluster_tree
from bitwright.targets.reuse.static.cse import common_subexpressions, share_pairs
from bitwright.targets.reuse.static.operations import count_operations
from bitwright.targets.reuse.static.tiles import shared_tiles
from bitwright.targets.reuse.static.trees import spanning_tree, steiner_tree
from native_network import network

Matrix = npt.NDArray[np.integer[Any]]
Shape = tuple[int, int, int]
Row = dict[str, Any]
SHOWN = ("adders", "full_adders", "energy_over_dense", "one_stage_over_dense", "seconds")
TILE = 9
"""One channel's kernel of 3 x 3."""
OURS: dict[str, Callable[[Matrix, Shape], AdderGraph]] = {
    "dense": lambda weights, _: dense_graph(weights),
    "common_subexpressions": lambda weights, _: common_subexpressions(weights),
    "cluster_tree": lambda weights, _: cluster_tree(weights),
    "steiner_tree": lambda weights, _: steiner_tree(weights),
    "spanning_tree": lambda weights, _: spanning_tree(weights),
    "steiner_tree_pairs": lambda weights, _: share_pairs(steiner_tree(weights)),
    "shared_tiles": lambda weights, shape: shared_tiles(weights, shape, TILE),
}


def cut_of(method: str, graph: AdderGraph) -> int | None:
    """Return where a method's register is, as the planner has it; None for none."""
    if "tree" in method:
        return 0
    return int(graph.depth.max(initial=0)) if method == "shared_tiles" else None


@dataclass(frozen=True)
class Number:
    """A number of da4ml's solution: ``sign * 2**shift`` times a wire's value; no wire for 0."""

    wire: int | None
    sign: int = 1
    shift: int = 0

    def times(self, sign: int, shift: int) -> Number:
        """Return it times ``sign * 2**shift``."""
        return Number(self.wire, self.sign * sign, self.shift + shift)


def as_graph(stages: Mapping[str, Matrix], inputs: int) -> AdderGraph:
    """Return da4ml's solution, as ``solve_matrix.py`` writes it, as an adder graph.

    A shift is no addition: beyond the coefficients -2 .. 2 it is a node of one term.
    """
    builder = GraphBuilder(inputs)
    numbers = [Number(wire) for wire in range(inputs)]
    for stage in range(sum(name.startswith("ops_") for name in stages)):
        entry = stages[f"entry_{stage}"].tolist()
        numbers = [n.times(1, shift) for n, shift in zip(numbers, entry, strict=True)]
        made: list[Number] = []
        for one, two, opcode, shift in stages[f"ops_{stage}"].tolist():
            if opcode == -1:
                made.append(numbers[one])
            elif opcode in (0, 1):
                second = made[two].times(-1 if opcode else 1, shift)
                made.append(added(builder, made[one], second))
            else:
                raise SystemExit(f"da4ml's solution has an operation {opcode}: no addition")
        numbers = [
            made[index].times(-1 if negated else 1, shift) if index >= 0 else Number(None)
            for index, shift, negated in stages[f"leave_{stage}"].tolist()
        ]
    wires = [shifted(builder, number, 0) for number in numbers]
    return builder.finish(wires, [number.sign for number in numbers])


def added(builder: GraphBuilder, one: Number, two: Number) -> Number:
    """Add two numbers; what they have in common of their shifts stays a shift."""
    if one.wire is None or two.wire is None:
        return two if one.wire is None else one
    low = min(one.shift, two.shift)
    terms = []
    for number in (one, two):
        most = min(number.shift - low, 1)
        terms.append((shifted(builder, number, low + most), number.sign << most))
    sources, coefficients = zip(*terms, strict=True)
    return Number(builder.add(sources, coefficients), 1, low)


def shifted(builder: GraphBuilder, number: Number, shift: int) -> int:
    """Return a wire that is so many shifts short of a number; its sign is left out."""
    if number.wire is None:
        return builder.add([], [])
    if number.shift < shift:
        raise SystemExit("da4ml's solution has a neuron of fractions")
    wire = number.wire
    for _ in range(number.shift - shift):
        wire = builder.add([wire], [2])
    return wire


def folded(graph: AdderGraph) -> AdderGraph:
    """Return the graph with each node that is read once, and not doubled, in its reader's place.

    A node stays where the reader would read a wire twice.
    """
    reads = np.bincount(graph.sources, minlength=graph.inputs + graph.nodes)
    reads[graph.outputs] += 2
    terms: list[dict[int, int]] = []
    for node in range(graph.nodes):
        own = dict(zip(*(array.tolist() for array in graph.terms(node)), strict=True))
        for source, sign in list(own.items()):
            inner = terms[source - graph.inputs] if source >= graph.inputs else {}
            if reads[source] == 1 and abs(sign) == 1 and inner and not own.keys() & inner.keys():
                del own[source]
                own |= {wire: sign * coefficient for wire, coefficient in inner.items()}
                terms[source - graph.inputs] = {}
        terms.append(own)
    builder = GraphBuilder(graph.inputs)
    wires = list(range(graph.inputs))
    for own in terms:
        sources = [wires[source] for source in own]
        wires.append(builder.add(sources, list(own.values())) if own else -1)
    return builder.finish([wires[wire] for wire in graph.outputs], graph.signs.tolist())


def graphs_of(
    weights: Matrix, shape: Shape, options: argparse.Namespace
) -> Iterator[tuple[str, AdderGraph | None, float, Row]]:
    """Yield each method's graph, the seconds that it took, and what else is known of it."""
    for method, make in OURS.items():
        began = time.perf_counter()
        graph = make(weights, shape)
        yield method, graph, time.perf_counter() - began, {}
    for selection in options.selections:
        name = "da4ml" if selection == "wmc" else f"da4ml_{selection}"
        found, seconds, own = peer_graph(weights, selection, options)
        yield name, found, seconds, own
        if found is not None:
            yield f"{name}_folded", folded(found), seconds, own


def peer_graph(
    weights: Matrix, selection: str, options: argparse.Namespace
) -> tuple[AdderGraph | None, float, Row]:
    """Return the peer's cheapest graph by its own cost, the seconds of all of its runs, that cost.

    There is no graph where no run finished.
    """
    best: AdderGraph | None = None
    own: Row = {}
    seconds = 0.0
    with tempfile.TemporaryDirectory() as folder:
        matrix, out = Path(folder, "matrix.npy"), Path(folder, "solution.npz")
        np.save(matrix, weights.T)
        for search in options.search:
            wanted = ["--selection", selection, "--search", search]
            limit = ["--limit-seconds", options.limit_seconds]
            result = run_peer("da4ml", "solve_matrix.py", [matrix, out, *wanted, *limit])
            seconds += result.get("seconds", options.limit_seconds)
            if not result["finished"] or result["adder_bits"] >= own.get("adder_bits", np.inf):
                continue
            best = as_graph(np.load(out), weights.shape[1])
            own = {"adder_bits": result["adder_bits"], "search": search}
            if count_operations(best).adds != result["adders"]:
                raise SystemExit("da4ml's solution lost or won additions as an adder graph")
    return best, seconds, own


def rows_of(
    weights: Matrix,
    shape: Shape,
    layer: LayerShape,
    table: PieceTable,
    options: argparse.Namespace,
) -> dict[str, Row | None]:
    """Return what each method leaves of one matrix; None where a limit ran out."""
    rows: dict[str, Row | None] = {}
    dense = 0.0
    for method, graph, seconds, own in graphs_of(weights, shape, options):
        if graph is None:
            rows[method] = None
            continue
        if not check(graph, weights).holds:
            raise SystemExit(f"the graph of '{method}' is not its weights: nothing was counted")
        cost = cost_of(graph, layer, table, cut=cut_of(method, graph))
        alone = cost_of(graph, layer, table, cut=None)
        dense = dense or cost.energy_j
        rows[method] = {
            "adders": count_operations(graph).adds,
            "full_adders": cost.adders,
            "energy_over_dense": round(cost.energy_j / dense, 4),
            "one_stage_over_dense": round(alone.energy_j / dense, 4),
            "seconds": round(seconds, 2),
        } | own
    return rows


def show(name: str, rows: Mapping[str, Mapping[str, Row | None]]) -> None:
    """Write a layer's table, trained weights beside random ones, to stderr."""
    heads = ("adders", "full adders", "energy", "one stage", "seconds")
    lines = [f"{name:30}" + "".join(f"{head:>12}" for head in heads * len(rows))]
    for method in dict.fromkeys(method for side in rows.values() for method in side):
        line = f"{method:30}"
        for side in rows.values():
            row = side.get(method)
            line += "".join(f"{row[key]:>12,}" for key in SHOWN) if row else f"{'none':>60}"
        lines.append(line)
    print("\n".join(lines), file=sys.stderr, flush=True)


def main() -> None:
    """Plan, check, count; print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--layers", nargs="+", help="names of dot products; all if left out")
    parser.add_argument("--selections", nargs="*", default=["mc"], help="da4ml's method0")
    parser.add_argument("--search", nargs="+", default=["2", "4", "6"], help="all, one, or N")
    parser.add_argument("--limit-seconds", type=float, default=600, help="of each run of the peer")
    options = parser.parse_args()
    program = network("cnv", 1.0)
    dots = plannable(program)
    unknown = set(options.layers or ()) - set(dots)
    if unknown:
        parser.error(f"no binary layer '{min(unknown)}'; there are {', '.join(dots)}")
    table = load_pieces("asap7")
    layers = {}
    for name in options.layers or dots:
        dot = dots[name]
        weights = dot.numbers.reshape(len(dot.weights), -1)
        random = np.random.default_rng(0).choice(np.array([-1, 1], np.int8), weights.shape)
        shape = dot.weights.shape[1:]
        layer = shape_of(program, name, dot)
        both = {
            side: rows_of(matrix, shape, layer, table, options)
            for side, matrix in (("trained", weights), ("random", random))
        }
        neurons, fan_in = weights.shape
        show(f"{name} {neurons}x{fan_in}", both)
        layers[name] = {"neurons": neurons, "fan_in": fan_in, **both}
    result = {"benchmark": "reuse_cse", "search": options.search, "pieces": table.source}
    print(json.dumps(result | {"limit_seconds": options.limit_seconds, "layers": layers}))


if __name__ == "__main__":
    main()
