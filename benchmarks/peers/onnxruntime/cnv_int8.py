"""Ask how many images a second ONNX Runtime classifies with the CNV network in int8 on the CPU.

CNV, the convolutional network of the FINN papers, at int8 all through: 3x3 convolutions without
padding, uint8 activations, int8 weights with one scale an output channel, int32 biases, random
numbers. Both layouts, both ways to write a fully connected layer, spinning and sleeping threads:
each is compared with NumPy, given a short trial, and the fastest is measured. Prints one JSON line.
"""

from __future__ import annotations

import json
import statistics

import numpy as np
import onnxruntime as ort
from int8_networks import Affine, Configuration, Layer, MaxPool2, checked_call, spinning_choices
from peer_common import measure_fastest, timing_arguments

IMAGE = (3, 32, 32)
CLASSES = 10
POOL = "pool"
CONVOLUTIONS = (64, 64, POOL, 128, 128, POOL, 256, 256)
DENSE = (512, 512)


def cnv(rng: np.random.Generator) -> list[Layer]:
    """Draw a CNV network: 32x32 pixels -> 30 -> 28 -> 14 -> 12 -> 10 -> 5 -> 3 -> 1 -> 10 classes.

    Parameters
    ----------
    rng
        Source of its weights.

    Returns
    -------
    list of Layer
        The network.
    """
    layers: list[Layer] = []
    width = IMAGE[0]
    for step in CONVOLUTIONS:
        if step == POOL:
            layers.append(MaxPool2())
        else:
            layers.append(Affine.random((step, width, 3, 3), rng))
            width = step
    for step in DENSE:
        layers.append(Affine.random((step, width), rng))
        width = step
    layers.append(Affine.random((CLASSES, width), rng, zero_point=128))
    return layers


def main() -> None:
    """Measure and print."""
    args = timing_arguments("Time the CNV network in ONNX Runtime.", batch=64).parse_args()
    rng = np.random.default_rng(0)
    layers = cnv(rng)
    codes = rng.integers(0, 256, (args.batch, *IMAGE), dtype=np.uint8)
    configurations = [
        Configuration(layout, spinning, dense)
        for layout in ("nchw", "nhwc")
        for spinning in spinning_choices(args.threads)
        for dense in ("qgemm", "qlinearconv")
    ]
    calls = {str(c): checked_call(layers, codes, c, args.threads) for c in configurations}
    configuration, times = measure_fastest(calls, args.seconds)
    median = statistics.median(times)
    line = {
        "peer": "onnxruntime",
        "version": ort.__version__,
        "network": "cnv",
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
