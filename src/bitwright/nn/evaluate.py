"""What happens to a network after training: measuring it, and re-estimating its BatchNorms.

Both run in float32, where the sums of a binary network are exact (they stay below 2**24);
bfloat16 rounds them above 256.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

_BATCH = 500


def accuracy(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Return the share of images whose largest logit, the first if several, is their label's.

    Parameters
    ----------
    network
        Takes pixels (batch, channels, height, width); left in the mode that it was in.
    images
        uint8, (N, height, width, channels).
    labels
        int64, (N,).
    """
    device = next(network.parameters()).device
    mode = network.training
    network.eval()
    try:
        with torch.inference_mode(), torch.autocast(device.type, enabled=False):
            answers = [
                network(pixels.to(device)).argmax(dim=1).cpu() for pixels in batches_of(images)
            ]
    finally:
        network.train(mode)
    return int((torch.cat(answers) == labels).sum()) / len(labels)


def recalibrate(network: nn.Module, images: Tensor) -> None:
    """Re-estimate the running statistics of all BatchNorms, in place, over `images`.

    Each statistic becomes the plain mean over the batches. While training in bfloat16 they were
    collected from rounded sums, and while the weights still moved.

    Parameters
    ----------
    network
        Takes pixels (batch, channels, height, width); left in the mode that it was in.
    images
        uint8, (N, height, width, channels).
    """
    norms = [
        layer for layer in network.modules() if isinstance(layer, nn.modules.batchnorm._BatchNorm)
    ]
    momenta = [norm.momentum for norm in norms]
    device = next(network.parameters()).device
    mode = network.training
    network.eval()
    try:
        for norm in norms:
            norm.train()
            norm.reset_running_stats()
            norm.momentum = None  # torch's word for a cumulative mean
        with torch.no_grad(), torch.autocast(device.type, enabled=False):
            for pixels in batches_of(images):
                if len(pixels) > 1:  # a single image has no variance
                    network(pixels.to(device))
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        network.train(mode)


def batches_of(images: Tensor) -> Iterator[Tensor]:
    """Batches as the network takes them, channels last in memory."""
    for start in range(0, len(images), _BATCH):
        yield images[start : start + _BATCH].permute(0, 3, 1, 2)
