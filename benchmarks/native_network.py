"""Ask how fast a whole network is, where its time goes, and how far ahead of int8 it is.

CNV-W1A1 (the published weights if ``$BITWRIGHT_SHARED/models`` has them, else random ones of the
same shapes: the time is the same), batch 64, against ONNX Runtime int8 on the same topology in its
peer environment. Each layer's share is that of the register-only xor + popcount + add rate,
measured in the same run; the first layer multiplies 8-bit pixels and has none. The result is
compared with the reference before anything is timed. Prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np

from _peak import binary_rate
from _peers import run_peer
from bitwright.frontends.finn import import_finn
from bitwright.frontends.topology import load_topology
from bitwright.ir import Program, count_work, reference
from bitwright.native import NativeProgram
from bitwright.native.engine import Workspace


def network() -> Program:
    """Return CNV-W1A1, published or random."""
    shared = Path(os.environ.get("BITWRIGHT_SHARED", "../shared"))
    folder = shared / "models" / "bnn-pynq" / "cifar10" / "cnvW1A1"
    if folder.is_dir():
        return import_finn(folder, load_topology("cnv"))
    from bitwright.frontends.torch_lower import lower  # noqa: PLC0415 - only for random weights
    from bitwright.nn import build  # noqa: PLC0415

    return lower(build("cnv"), (32, 32, 3), name="cnv-random")


def layers(program: Program, images: np.ndarray, rounds: int) -> list[dict[str, Any]]:
    """Time each step of the plan on one thread, as many images at a time as the engine takes."""
    native = NativeProgram(program)
    part = np.ascontiguousarray(images[: native.images])
    space = Workspace(native.plan, len(part))
    operations = {w.op.output: w.binary_operations for w in count_work(program)}
    times: dict[int, list[float]] = {i: [] for i in range(len(native.plan.steps))}
    limits = []
    for _ in range(rounds):
        limits.append(binary_rate(1, 50_000))
        for i, step in enumerate(native.plan.steps):
            began = time.perf_counter()
            space.run_step(step, part)
            times[i].append(time.perf_counter() - began)
    limit = statistics.median(limits)
    rows = []
    for i, step in enumerate(native.plan.steps):
        seconds = statistics.median(times[i]) / len(part)
        # A fused step is named for its threshold; its work is the dot product's before it.
        definition = program.definitions.get(step.op)
        work = operations.get(step.op, 0) or operations.get(
            definition.input if definition else "", 0
        )
        share = work / seconds / limit if work else None
        rows.append(
            {
                "layer": step.op,
                "ms": round(seconds * 1e3, 5),
                "share_of_peak": None if share is None else round(share, 4),
            }
        )
    return rows


def main() -> None:
    """Measure and print the JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=5.0, help="time for each measurement")
    parser.add_argument("--no-peers", action="store_true", help="leave the peer out")
    options = parser.parse_args()
    program = network()
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (options.batch, 32, 32, 3), dtype=np.uint8)
    native = NativeProgram(program)
    expected = reference.run(program, images[:8])
    found = native.run(images, threads=options.threads)
    if not all(np.array_equal(found[name][:8], expected[name]) for name in expected):
        raise SystemExit("the engine is wrong: nothing was timed")
    times = []
    end = time.perf_counter() + options.seconds
    while time.perf_counter() < end:
        began = time.perf_counter()
        native.run(images, threads=options.threads)
        times.append(time.perf_counter() - began)
    rate = options.batch / statistics.median(times)
    result: dict[str, Any] = {
        "benchmark": "native_network",
        "network": program.name,
        "batch": options.batch,
        "threads": options.threads,
        "images_per_second": round(rate),
    }
    if not options.no_peers:
        arguments = ["--batch", options.batch, "--threads", options.threads]
        peer = run_peer("onnxruntime", "cnv_int8.py", [*arguments, "--seconds", options.seconds])
        result["vs_onnxruntime_int8"] = round(rate / peer["images_per_second"], 2)
    result["rows"] = layers(program, images, 100)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
