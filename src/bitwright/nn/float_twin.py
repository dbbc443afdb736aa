"""The float twin of a binary network: the same layers and shapes, in real numbers.

- Each sign becomes ReLU, and each binary weight a real one that torch initialises.
- Zeros are padded, whatever the binary network pads.

A twin is a teacher for distillation, and the accuracy that binarisation is measured against.
"""

from __future__ import annotations

from torch import nn

from bitwright.nn.activations import Sign
from bitwright.nn.adabin import AdaBinConv2d
from bitwright.nn.binary_layers import BinaryConv2d, BinaryLinear

FLOAT = "-float"
"""What the name of a twin has after that of its network."""


def float_twin(network: nn.Module) -> nn.Module:
    """Replace the binary layers of `network`, in place, and return it.

    Parameters
    ----------
    network
        Any network of `bitwright.nn.models.MODELS`, or of their layers.
    """
    for name, layer in network.named_children():
        twin = _twin(layer)
        if twin is None:
            float_twin(layer)
        else:
            setattr(network, name, twin)
    return network


def _twin(layer: nn.Module) -> nn.Module | None:
    match layer:
        case Sign():
            return nn.ReLU()
        case BinaryLinear():
            return nn.Linear(layer.in_features, layer.out_features, bias=False)
        case BinaryConv2d():
            return _conv(layer, layer.groups)
        case AdaBinConv2d():
            return _conv(layer, 1)
    return None


def _conv(layer: BinaryConv2d | AdaBinConv2d, groups: int) -> nn.Conv2d:
    conv = nn.Conv2d(
        layer.in_channels,
        layer.out_channels,
        layer.kernel_size,
        layer.stride,
        layer.padding,
        groups=groups,
        bias=False,
    )
    nn.init.kaiming_normal_(conv.weight)
    return conv
