"""Ask how many images a second ONNX Runtime classifies with a whole int8 network on the CPU.

CNV, VGG-Small or ResNet-18 at int8 all through: uint8 activations, int8 weights with one scale an
output channel, int32 biases, random numbers. Both layouts, both ways to write a fully connected
layer and an average pool, spinning and sleeping threads: each is compared with NumPy, given a short
trial, and the fastest is measured. Prints one JSON line.
"""

from __future__ import annotations

import itertools
import json
import statistics
from collections.abc import Sequence

import numpy as np
import onnxruntime as ort
from int8_layers import AveragePool2, Layer, Residual
from int8_models import Configuration, checked_call, exact_answers, spinning_choices
from int8_networks import IMAGE, NETWORKS, RESIDUAL
from peer_common import measure_fastest, timing_arguments


def configurations(layers: Sequence[Layer], threads: int) -> list[Configuration]:
    """List the ways to run a network that are worth a trial."""
    averages = any(
        isinstance(inner, AveragePool2)
        for layer in layers
        if isinstance(layer, Residual)
        for inner in layer.shortcut
    )
    return [
        Configuration(layout, spinning, dense, pool)
        for layout, spinning, dense, pool in itertools.product(
            ("nchw", "nhwc"),
            spinning_choices(threads),
            ("qgemm", "qlinearconv"),
            ("average", "depthwise") if averages else (None,),
        )
    ]


def main() -> None:
    """Measure and print."""
    parser = timing_arguments("Time an int8 network in ONNX Runtime.", batch=64)
    parser.add_argument("--network", choices=NETWORKS, default="cnv")
    parser.add_argument("--width", type=float, default=1.0, help="multiplies the channels")
    parser.add_argument(
        "--shortcuts",
        choices=("conv", "block"),
        default="conv",
        help="of resnet18: around each convolution, or around each block of two",
    )
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    layers = NETWORKS[args.network](args.width, args.shortcuts, rng)
    codes = rng.integers(0, 256, (args.batch, *IMAGE), dtype=np.uint8)
    answers = exact_answers(layers, codes)
    calls = {
        str(way): checked_call(layers, codes, answers, way, args.threads)
        for way in configurations(layers, args.threads)
    }
    configuration, times = measure_fastest(calls, args.seconds)
    median = statistics.median(times)
    line = {
        "peer": "onnxruntime",
        "version": ort.__version__,
        "network": args.network,
        "width": args.width,
        "shortcuts": args.shortcuts if args.network in RESIDUAL else None,
        "batch": args.batch,
        "threads": args.threads,
        "configuration": configuration,
        "ms": median,
        "ms_min": min(times),
        "images_per_second": 1e3 * args.batch / median,
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
