"""Ask how fast a whole network is, where its time goes, and how far ahead of int8 it is.

CNV-W1A1 (the published weights if ``$BITWRIGHT_SHARED/models`` has them, else random ones of the
same shapes: the time is the same), VGG-Small or ResNet-18 (random weights), batch 64, against ONNX
Runtime int8 on the same topology in its peer environment. Our ResNet-18 has a shortcut around each
convolution, and the headline ratio is to the peer with the same graph; the other ratio is to the
usual ResNet-18, with a shortcut around each block of two, which is less work.

Each layer's share is that of the register-only xor + popcount + add rate, measured in the same run;
layers that multiply integers have none. ``shares`` parts the time by kind of step:

- ``binary``: convolutions and fully connected layers on bits;
- ``real``: those on pixels or fixed point (the first and last layer, 1x1 ones in shortcuts);
- ``fixed_point``: the lines and sums between them (Affine, PiecewiseLinear, Add, Offset);
- ``rest``: thresholds, pools, changes of layout.

A step that does several ops at once counts as the convolution among them: lines, sums and
thresholds that are fused behind a convolution are in its time, not in theirs. To tell what they
take, ``shares_apart`` parts the time of a second plan, slower as a whole, which keeps all dot
products in memory. The result is compared with the reference before anything is timed. Prints one
JSON line.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from _peak import binary_rate
from _peers import run_peer
from bitwright.frontends.finn import import_finn
from bitwright.frontends.topology import load_topology
from bitwright.ir import Program, count_work, reference
from bitwright.ir.ops import Add, Affine, Conv2d, Dense, Offset, Op, PiecewiseLinear
from bitwright.ir.work import Work
from bitwright.native import NativeProgram
from bitwright.native.engine import Workspace
from bitwright.native.plan import Step

NETWORKS = ("cnv", "vgg_small", "resnet18")
KINDS = ("binary", "real", "fixed_point", "rest")
IMAGE = (32, 32, 3)
CHECKED = 8
"""Images that are compared with the reference, which is slow."""


def network(name: str, width: float) -> Program:
    """Return a network by its name: CNV with the published weights, or random ones."""
    shared = Path(os.environ.get("BITWRIGHT_SHARED", "../shared"))
    folder = shared / "models" / "bnn-pynq" / "cifar10" / "cnvW1A1"
    if name == "cnv" and width == 1 and folder.is_dir():
        return import_finn(folder, load_topology("cnv"))
    return random_network(name, width)


def random_network(name: str, width: float) -> Program:
    """Return a network of `bitwright.nn` with random weights, quantised and lowered.

    All parameters of channels differ from their initial values: a shift of 0 could be left out,
    that of a trained network cannot. BatchNorm's statistics are those of random images, so that
    each sign sees both signs.
    """
    import torch  # noqa: PLC0415 - the published weights do not need it

    from bitwright.frontends.torch_lower import lower  # noqa: PLC0415
    from bitwright.nn import build, quantise  # noqa: PLC0415
    from bitwright.nn.evaluate import recalibrate  # noqa: PLC0415

    torch.manual_seed(0)
    module = build(name, width=width)
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.dim() == 1:
                parameter.add_(torch.randn_like(parameter), alpha=0.1)
    images = torch.randint(0, 256, (32, *IMAGE), dtype=torch.uint8)
    recalibrate(module, images)
    return lower(quantise(module, images), IMAGE, name=f"{name}-random")


def ops_of(step: Step, program: Program) -> list[Op]:
    """Return the ops that a step does: back from the one it ends with to what it reads.

    A step that only changes the layout of a value reads that value, and does none.
    """
    read = {slot.value for slot in step.inputs}
    found: dict[str, Op] = {}
    names = [step.op]
    while names:
        name = names.pop()
        if name not in read and name not in found and name in program.definitions:
            found[name] = program.definitions[name]
            names += found[name].inputs
    return list(found.values())


def kind_of(ops: list[Op], work: Mapping[str, Work]) -> str:
    """Return the kind of a step that does `ops`, one of `KINDS`: that of its largest product."""
    largest = max((work[op.output] for op in ops), key=lambda w: w.operations, default=None)
    if largest is not None and largest.operations:
        return "binary" if largest.binary_operations else "real"
    lines = any(isinstance(op, Affine | PiecewiseLinear | Add | Offset) for op in ops)
    return "fixed_point" if lines else "rest"


def step_seconds(native: NativeProgram, part: np.ndarray, seconds: float) -> tuple[Any, float]:
    """Time each step on one thread.

    Parameters
    ----------
    native
        The network.
    part
        As many images as the engine takes through the plan at a time.
    seconds
        How long to go on, after one warm-up; at least three rounds are timed.

    Returns
    -------
    list of float
        Seconds an image of each step: the median.
    float
        The limit: binary operations a second, the median of measurements in the same rounds.
    """
    space = Workspace(native.plan, len(part))
    space.run(part)
    rounds: list[list[float]] = []
    limits = []
    end = time.perf_counter() + seconds
    while len(rounds) < 3 or time.perf_counter() < end:
        limits.append(binary_rate(1, 50_000))
        rounds.append([])
        for step in native.plan.steps:
            began = time.perf_counter()
            space.run_step(step, part)
            rounds[-1].append(time.perf_counter() - began)
    medians = [statistics.median(times) / len(part) for times in zip(*rounds, strict=True)]
    return medians, statistics.median(limits)


def layers(
    native: NativeProgram, images: np.ndarray, seconds: float
) -> tuple[list[dict[str, Any]], dict[str, float]]:
    """Time each step on one thread; return a row a step, and each kind's share of the time."""
    part = np.ascontiguousarray(images[: native.images])
    times, limit = step_seconds(native, part, seconds)
    work = {w.op.output: w for w in count_work(native.program)}
    rows = []
    by_kind = dict.fromkeys(KINDS, 0.0)
    for step, taken in zip(native.plan.steps, times, strict=True):
        ops = ops_of(step, native.program)
        kind = kind_of(ops, work)
        by_kind[kind] += taken
        operations = sum(work[op.output].binary_operations for op in ops)
        rows.append(
            {
                "layer": step.op,
                "kind": kind,
                "ms": round(taken * 1e3, 5),
                "share_of_peak": round(operations / taken / limit, 4) if operations else None,
            }
        )
    total = sum(by_kind.values())
    return rows, {kind: round(taken / total, 4) for kind, taken in by_kind.items()}


def images_per_second(
    native: NativeProgram, images: np.ndarray, threads: int, seconds: float
) -> float:
    """Return the median rate on whole batches, for `seconds` and three batches or more."""
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < 3 or time.perf_counter() < end:
        began = time.perf_counter()
        native.run(images, threads=threads)
        times.append(time.perf_counter() - began)
    return len(images) / statistics.median(times)


def peer_rates(options: argparse.Namespace) -> dict[str, float]:
    """Return the peer's images a second by the name that its ratio has in the result."""
    arguments: list[object] = ["--batch", options.batch, "--threads", options.threads]
    arguments += ["--network", options.network, "--width", options.width]
    arguments += ["--seconds", options.seconds]
    peers = {"onnxruntime_int8": "conv"}
    if options.network == "resnet18":
        peers["onnxruntime_int8_block_shortcuts"] = "block"
    return {
        name: run_peer("onnxruntime", "network_int8.py", [*arguments, "--shortcuts", shortcuts])[
            "images_per_second"
        ]
        for name, shortcuts in peers.items()
    }


def main() -> None:
    """Measure and print the JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", choices=NETWORKS, default="cnv")
    parser.add_argument("--width", type=float, default=1.0, help="multiplies the channels")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=5.0, help="time for each measurement")
    parser.add_argument("--no-peers", action="store_true", help="leave the peer out")
    options = parser.parse_args()
    program = network(options.network, options.width)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (options.batch, *IMAGE), dtype=np.uint8)
    native = NativeProgram(program)
    expected = reference.run(program, images[:CHECKED])
    found = native.run(images, threads=options.threads)
    if not all(np.array_equal(found[name][:CHECKED], expected[name]) for name in expected):
        raise SystemExit("the engine is wrong: nothing was timed")
    rate = images_per_second(native, images, options.threads, options.seconds)
    result: dict[str, Any] = {
        "benchmark": "native_network",
        "network": program.name,
        "width": options.width,
        "batch": options.batch,
        "threads": options.threads,
        "images_per_second": round(rate, 1),
    }
    if not options.no_peers:
        for name, peer_rate in peer_rates(options).items():
            result[f"{name}_images_per_second"] = round(peer_rate, 1)
            result[f"vs_{name}"] = round(rate / peer_rate, 2)
    rows, result["shares"] = layers(native, images, options.seconds)
    if options.network == "resnet18":
        products = [op.output for op in program.ops if isinstance(op, Conv2d | Dense)]
        apart = NativeProgram(program, keep=[*program.outputs, *products])
        result["shares_apart"] = layers(apart, images, options.seconds)[1]
    print(json.dumps({**result, "rows": rows}))


if __name__ == "__main__":
    main()
