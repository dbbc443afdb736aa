"""Ask how long PyTorch takes for one float32 3x3 convolution on the CPU.

One conv2d with bias; padding 1, stride 1, in inference mode. Contiguous (NCHW) and channels-last
(NHWC) tensors, and oneDNN's own blocked layout with weights packed beforehand: each is compared
with NumPy, given a short trial, and the fastest is measured. Prints one JSON line.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable

import numpy as np
import torch
from peer_common import conv_arguments, convolve, measure_fastest, shape_name
from torch.utils import mkldnn

TOLERANCE = 1e-3
"""Of a sum over thousands of products in float32, whose standard deviation is near 1."""


def configurations(
    conv: torch.nn.Conv2d, images: torch.Tensor
) -> dict[str, Callable[[], torch.Tensor]]:
    """List the ways to run a convolution.

    Parameters
    ----------
    conv
        The convolution.
    images
        float32, ``(batch, channels, height, width)``.

    Returns
    -------
    dict of str to Callable
        Calls by the name of the layout.
    """
    packed = mkldnn.to_mkldnn(conv)
    blocked = images.to_mkldnn()
    last = images.to(memory_format=torch.channels_last)
    conv_last = torch.nn.Conv2d(
        conv.in_channels, conv.out_channels, conv.kernel_size, padding=conv.padding
    )
    conv_last.load_state_dict(conv.state_dict())
    conv_last.to(memory_format=torch.channels_last)
    return {
        "contiguous": lambda: conv(images),
        "channels_last": lambda: conv_last(last),
        "mkldnn": lambda: packed(blocked),
    }


def check(name: str, output: torch.Tensor, conv: torch.nn.Conv2d, images: torch.Tensor) -> None:
    """Compare the first and last image's output with NumPy's.

    Parameters
    ----------
    name
        The name of the configuration.
    output
        Its output.
    conv, images
        What it was asked to compute.

    Raises
    ------
    SystemExit
        If they differ by more than `TOLERANCE`.
    """
    ends = [0, -1]
    bias = conv.bias.numpy()[:, None, None]
    answer = convolve(images.numpy()[ends], conv.weight.numpy(), padding=1) + bias
    dense = output.to_dense() if output.is_mkldnn else output
    difference = float(np.abs(dense.numpy()[ends] - answer).max())
    if not difference < TOLERANCE:
        raise SystemExit(
            f"PyTorch ({name}): differs from NumPy by {difference:.3g};"
            " do not use its times on this machine"
        )


@torch.inference_mode()
def main() -> None:
    """Measure and print."""
    args = conv_arguments("Time one float32 3x3 convolution in PyTorch.").parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    conv = torch.nn.Conv2d(args.in_channels, args.out_channels, 3, padding=1)
    images = torch.randn(args.batch, args.in_channels, args.size, args.size)
    calls = configurations(conv, images)
    for name, call in calls.items():
        check(name, call(), conv, images)
    configuration, times = measure_fastest(calls, args.seconds)
    line = {
        "peer": "torch",
        "version": torch.__version__,
        "op": "conv2d float32",
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
