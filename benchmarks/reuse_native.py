"""Ask whether sums that neurons share beat a dense kernel near the machine's peak, in software.

CNV-W1A1 (the published weights if ``$BITWRIGHT_SHARED/models`` has them, else random ones), layer
by layer, and one convolution of 256 channels, 16x16, with 3x3 random kernels. Each layer's kernels
are made from one another and from virtual ones (a Steiner tree); the bits come from those sums,
bit-sliced over images, transposing to planes of bits and back included. The peer is the native
engine's own kernel in the same run, in turn, on one thread; its share of the register-only xor +
popcount + add rate says how good a peer it is. Then the network as a whole, with the faster kernel
in each layer.

Per layer: the part of the fan-in that is added up (``added``: inputs added by all nodes over
neurons x fan-in) and the nodes. The least of the times counts. Checked before anything is timed:
both kernels make the same bits, the network's outputs are the engine's, and the reference's on a
few images. Prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import numpy as np

from _peak import binary_rate
from bitwright.ir import Program, count_work, reference
from bitwright.ir.ops import Conv2d, Dense
from bitwright.native import NativeProgram, level
from bitwright.native.convolution import dot_of
from bitwright.native.fusion import find_fused
from bitwright.native.shared_network import (
    SharedProgram,
    random_images,
    shared_layers,
    time_layers,
)
from bitwright.targets.reuse.graph import AdderGraph
from bitwright.targets.reuse.static.trees import steiner_tree
from native_conv import layer
from native_network import network

MERGE_COST = 40
"""Inputs that take about as long as another node does; more or less of it changes little."""
CHECKED = 4
"""Images that are compared with the reference, which is slow."""


def graphs_of(program: Program) -> dict[str, AdderGraph]:
    """Return a tree for each layer that shared sums can do, by the name of its dot product."""
    dots = {op.output: dot_of(program, op) for op in program.ops if isinstance(op, Conv2d | Dense)}
    found = {}
    for fused in find_fused(program, program.outputs, dots).values():
        if fused.dot.method == "binary":
            weights = fused.dot.weights.reshape(len(fused.dot.weights), -1)
            kernels = np.where(weights, np.int8(1), np.int8(-1))
            found[fused.dot.op.output] = steiner_tree(kernels, merge_cost=MERGE_COST)
    return found


def layer_rows(
    program: Program, graphs: dict[str, AdderGraph], batch: int, rounds: int
) -> list[dict[str, Any]]:
    """Time both kernels of each layer on batches of so many images."""
    plan = NativeProgram(program).plan
    images = random_images(program, batch, np.random.default_rng(0))
    limit = max(binary_rate() for _ in range(5))
    timings = time_layers(plan, shared_layers(plan, graphs), images, rounds)
    work = {w.op.output: w.binary_operations for w in count_work(program)}
    rows = []
    for name, timing in timings.items():
        graph = graphs[name]
        neurons = len(graph.outputs)
        added = int((graph.sources < graph.inputs).sum()) / (neurons * graph.inputs)
        rows.append(
            {
                "layer": f"{program.name}.{name}" if program.name else "256x16x16->256 random",
                "neurons": neurons,
                "fan_in": graph.inputs,
                "batch": batch,
                "added": round(added, 3),
                "nodes": graph.nodes,
                "dense_us": round(timing.dense * 1e6, 3),
                "dense_share_of_peak": round(work[name] / timing.dense / limit, 3),
                "shared_us": round(timing.shared * 1e6, 3),
                "ratio": round(timing.dense / timing.shared, 2),
            }
        )
    return rows


def check(found: dict[str, Any], expected: dict[str, Any]) -> None:
    """Stop unless outputs are the same."""
    if not all(np.array_equal(found[name], value) for name, value in expected.items()):
        raise SystemExit("shared sums are wrong: nothing was timed")


def whole_network(
    program: Program, graphs: dict[str, AdderGraph], batch: int, rounds: int
) -> dict[str, Any]:
    """Time the network with and without shared sums, in turn, on one thread."""
    rng = np.random.default_rng(0)
    images = random_images(program, batch, rng)
    dense = NativeProgram(program)
    shared = SharedProgram(program, graphs, images=batch, rng=rng)
    check(shared.run(images, threads=1), dense.run(images, threads=1))
    check(shared.run(images[:CHECKED], threads=1), reference.run(program, images[:CHECKED]))
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for native, taken in zip((dense, shared), times, strict=True):
            began = time.perf_counter()
            native.run(images, threads=1)
            taken.append(time.perf_counter() - began)
    slow, fast = map(min, times)
    return {
        "batch": batch,
        "shared_layers": list(shared.shared),
        "dense_images_per_second": round(batch / slow),
        "shared_images_per_second": round(batch / fast),
        "ratio": round(slow / fast, 2),
    }


def main() -> None:
    """Measure and print the JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, nargs="+", default=[64, 512])
    parser.add_argument("--rounds", type=int, default=20, help="times that each kernel is timed")
    options = parser.parse_args()
    cnv = network("cnv", 1.0)
    alone = layer(256, 16, np.random.default_rng(0))
    rows: list[dict[str, Any]] = []
    seconds = {}
    for program in (cnv, alone):
        began = time.perf_counter()
        graphs = graphs_of(program)
        seconds[program.name or "alone"] = round(time.perf_counter() - began, 1)
        for batch in options.batch:
            rows += layer_rows(program, graphs, batch, options.rounds)
        if program is cnv:
            networks = [whole_network(cnv, graphs, b, options.rounds) for b in options.batch]
    result = {"benchmark": "reuse_native", "level": level(), "networks": networks, "rows": rows}
    print(json.dumps(result | {"seconds_to_plan": seconds}))


if __name__ == "__main__":
    main()
