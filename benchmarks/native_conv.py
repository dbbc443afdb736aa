"""Ask how near to the limit a binary convolution runs, and how far ahead of int8.

3x3 kernels, padding 1, with threshold and packed output, against

- the rate of a register-only xor + popcount + add loop, measured in turn with each run;
- ONNX Runtime's int8 ``QLinearConv`` and torch's float32 convolution of the same shape, each in its
  peer environment (``benchmarks/peers/setup``).

The result is compared with the reference before anything is timed. Prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from _peak import binary_rate
from _peers import run_peer
from bitwright.ir import Bits, Conv2d, Program, Threshold, reference
from bitwright.native import NativeProgram
from bitwright.native.engine import Workspace

ROWS = (
    # channels, side, batch, threads
    (256, 16, 1, 1),
    (256, 16, 64, 1),
    (128, 32, 1, 1),
    (128, 32, 64, 1),
    (512, 8, 1, 1),
    (512, 8, 64, 1),
    (256, 16, 64, 2),
    (128, 32, 64, 2),
    (512, 8, 64, 2),
)


def layer(channels: int, side: int, rng: np.random.Generator) -> Program:
    """Return one convolution of bits with its threshold."""
    return Program(
        input_name="x",
        input_type=Bits((side, side, channels)),
        ops=(
            Conv2d(output="d", inputs=("x",), weights="w", padding=(1, 1, 1, 1), pad_value=-1),
            Threshold(output="y", inputs=("d",), thresholds="t", rising="r"),
        ),
        tensors={
            "w": rng.random((channels, 3, 3, channels)) < 0.5,
            "t": rng.integers(-9, 10, channels, dtype=np.int32),
            "r": np.ones(channels, np.bool_),
        },
        outputs=("y",),
    )


def spaces(program: Program, batch: np.ndarray, threads: int) -> list[tuple[Workspace, Any]]:
    """Return for each thread a workspace whose input is packed, and its share of the batch."""
    planned = NativeProgram(program).plan
    parts = np.array_split(batch, threads)
    ready = []
    for part in parts:
        data = np.ascontiguousarray(part)
        space = Workspace(planned, len(data))
        space.run(data)
        ready.append((space, data))
    return ready


def measure(channels: int, side: int, batch: int, threads: int, seconds: float) -> dict[str, Any]:
    """Time one row; the limit is measured in turn with the kernel."""
    rng = np.random.default_rng(0)
    program = layer(channels, side, rng)
    images = rng.random((batch, side, side, channels)) < 0.5
    expected = reference.run(program, images[:2])["y"]
    found = NativeProgram(program).run(images, threads=threads)["y"]
    if not np.array_equal(found[:2], expected):
        raise SystemExit("the kernel is wrong: nothing was timed")
    ready = spaces(program, images, threads)
    step = ready[0][0].plan.steps[-1]
    operations = batch * side * side * channels * 9 * channels

    def run(space: Workspace, data: np.ndarray, repeats: int) -> None:
        for _ in range(repeats):
            space.run_step(step, data)

    began = time.perf_counter()
    run(*ready[0], 3)
    repeats = max(1, int(0.02 / ((time.perf_counter() - began) / 3)))
    times, shares = [], []
    with ThreadPoolExecutor(threads) as pool:
        end = time.perf_counter() + seconds
        while time.perf_counter() < end or len(times) < 5:
            limit = binary_rate(threads, 200_000)
            began = time.perf_counter()
            if threads == 1:
                run(*ready[0], repeats)
            else:
                list(pool.map(lambda pair: run(*pair, repeats), ready))
            times.append((time.perf_counter() - began) / repeats)
            shares.append(operations / times[-1] / limit)
    return {
        "shape": f"{channels}x{side}x{side}->{channels}",
        "batch": batch,
        "threads": threads,
        "ms": round(statistics.median(times) * 1e3, 4),
        "share_of_peak": round(statistics.median(shares), 4),
    }


def main() -> None:
    """Measure every row and print the JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=3.0, help="time for each measurement")
    parser.add_argument("--no-peers", action="store_true", help="leave the peers out")
    options = parser.parse_args()
    rows = []
    for channels, side, batch, threads in ROWS:
        row = measure(channels, side, batch, threads, options.seconds)
        if not options.no_peers:
            shape = ["--in-channels", channels, "--out-channels", channels, "--size", side]
            rest = ["--batch", batch, "--threads", threads, "--seconds", options.seconds]
            int8 = run_peer("onnxruntime", "conv_int8.py", [*shape, *rest])
            float32 = run_peer("torch", "conv_float32.py", [*shape, *rest])
            row["vs_onnxruntime_int8"] = round(int8["ms"] / row["ms"], 2)
            row["vs_torch_float32"] = round(float32["ms"] / row["ms"], 2)
        rows.append(row)
    print(json.dumps({"benchmark": "native_conv", "rows": rows}))


if __name__ == "__main__":
    main()
