"""Ask how long ONNX Runtime takes for one int8 3x3 convolution on the CPU.

One QLinearConv: uint8 activations, int8 weights with one scale an output channel, int32 bias, the
ReLU folded in; padding 1, stride 1. Both layouts, with spinning and sleeping threads: each is
compared with NumPy, given a short trial, and the fastest is measured. Prints one JSON line.
"""

from __future__ import annotations

import json
import statistics

import numpy as np
import onnxruntime as ort
from int8_layers import Affine
from int8_models import Configuration, checked_call, exact_answers, spinning_choices
from peer_common import conv_arguments, measure_fastest, shape_name


def main() -> None:
    """Measure and print."""
    args = conv_arguments("Time one int8 3x3 convolution in ONNX Runtime.").parse_args()
    rng = np.random.default_rng(0)
    layer = Affine.random((args.out_channels, args.in_channels, 3, 3), rng, padding=1)
    shape = (args.batch, args.in_channels, args.size, args.size)
    codes = rng.integers(0, 256, shape, dtype=np.uint8)
    answers = exact_answers([layer], codes)
    configurations = [
        Configuration(layout, spinning)
        for layout in ("nchw", "nhwc")
        for spinning in spinning_choices(args.threads)
    ]
    calls = {
        str(way): checked_call([layer], codes, answers, way, args.threads) for way in configurations
    }
    configuration, times = measure_fastest(calls, args.seconds)
    line = {
        "peer": "onnxruntime",
        "version": ort.__version__,
        "op": "QLinearConv",
        "shape": shape_name(args),
        "batch": args.batch,
        "threads": args.threads,
        "configuration": configuration,
        "ms": statistics.median(times),
        "ms_min": min(times),
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
