"""The layers of a binary network, as plain ``torch.nn`` modules.

What a lowering to integers relies on:

- Each layer is one leaf of the ``torch.fx`` graph (see `LEAVES`): no data-dependent control flow
  and no functional sign in between.
- Weights and activations that are called binary are exactly +1 or -1 in the forward pass, and
  sign(0) = +1 (see `bitwright.nn.sign`).
- Convolutions have no bias and pad explicitly: what is added at the border is `pad_value`, after
  the input was binarised, never what a framework would add silently.
- Everything else in a network is torch's own: ``BatchNorm1d/2d``, ``MaxPool2d``, ``AvgPool2d``,
  ``AdaptiveAvgPool2d(1)``, ``Flatten``, ``Hardtanh``, ``ReLU``, ``PReLU``; real ``Conv2d`` and
  ``Linear`` at the ends and in shortcuts; and the addition of two maps, written ``a + b``.
"""

from __future__ import annotations

from torch import nn

from bitwright.nn.activations import LearnableBias, Maxout, RPReLU, Sign
from bitwright.nn.adabin import AdaBinConv2d
from bitwright.nn.binary_layers import BinaryConv2d, BinaryLinear
from bitwright.nn.fixed import ChannelShortcut, LogitScale, Normalise, PixelLevels
from bitwright.nn.quantised import ChannelAffine, PixelOffset, Quantise

__all__ = [
    "LEAVES",
    "AdaBinConv2d",
    "BinaryConv2d",
    "BinaryLinear",
    "ChannelAffine",
    "ChannelShortcut",
    "LearnableBias",
    "LogitScale",
    "Maxout",
    "Normalise",
    "PixelLevels",
    "PixelOffset",
    "Quantise",
    "RPReLU",
    "Sign",
    "latent_weights",
    "set_progress",
]

LEAVES: tuple[type[nn.Module], ...] = (
    Sign,
    BinaryConv2d,
    BinaryLinear,
    AdaBinConv2d,
    Maxout,
    RPReLU,
    LearnableBias,
    ChannelShortcut,
    PixelLevels,
    Normalise,
    LogitScale,
    PixelOffset,
    ChannelAffine,
    Quantise,
)
"""The layers that a ``torch.fx`` trace must not look into."""


def latent_weights(network: nn.Module) -> list[nn.Parameter]:
    """Return the real parameters of `network` that lie behind its binary weights."""
    binary = (BinaryConv2d, BinaryLinear, AdaBinConv2d)
    return [layer.weight for layer in network.modules() if isinstance(layer, binary)]


def set_progress(network: nn.Module, progress: float) -> None:
    """Tell every estimator in `network` which share of the training, in [0, 1], is done."""
    for layer in network.modules():
        if isinstance(layer, Sign | BinaryConv2d | BinaryLinear | AdaBinConv2d):
            layer.progress = progress
