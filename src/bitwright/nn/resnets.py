"""Residual networks for small images: a real-valued shortcut around every binary convolution.

- One half of a block is y = act(bn(conv(sign(x))) + shortcut(x)); a block is two halves.
- The first convolution, the last layer and, if chosen, the 1x1 convolutions of shortcuts are real.

Source: Liu et al., Bi-Real Net (ECCV 2018) for the shortcut around each convolution; Liu et al.,
ReActNet (ECCV 2020) for shifted signs and RPReLU; He et al. (CVPR 2016) for the two CIFAR shapes.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from bitwright.nn.binary_layers import ScaleMode, ScaleName
from bitwright.nn.estimators import EstimatorName, WeightEstimatorName
from bitwright.nn.fixed import ChannelShortcut
from bitwright.nn.parameters import (
    Activation,
    Classes,
    ImageShape,
    PadValue,
    Style,
    Width,
    activation,
    normalise,
    scaled,
)

Shortcut = Literal["pad", "conv"]
"""Where the map shrinks: option A, or average pooling and a real 1x1 convolution."""


def option_a(before: int, after: int, stride: int) -> nn.Module:
    """Return the shortcut without parameters between maps of these numbers of channels."""
    if before == after and stride == 1:
        return nn.Identity()
    new = after - before
    return ChannelShortcut(stride, new // 2, new - new // 2)


def _pooled(before: int, after: int, size: tuple[int, int]) -> nn.Module:
    """Return the shortcut of average pooling, a real 1x1 convolution and BatchNorm.

    An odd side is pooled by the windows of the convolution beside it, with zeros outside as there:
    all windows divide by the same number, which integers can do exactly.
    """
    odd = (size[0] % 2, size[1] % 2)
    return nn.Sequential(
        nn.AvgPool2d((2 + odd[0], 2 + odd[1]), 2, odd),
        nn.Conv2d(before, after, 1, bias=False),
        nn.BatchNorm2d(after),
    )


class BinaryBlock(nn.Module):
    """Two binary convolutions, each with its own shortcut.

    Parameters
    ----------
    before, after
        Channels of the input and output.
    stride
        Of the first convolution: 1 or 2.
    size
        (height, width) of the input, in pixels.
    style
        How the layers binarise.
    act
        What real values pass through after each addition.
    shortcut
        Where the map shrinks.
    """

    def __init__(
        self,
        before: int,
        after: int,
        stride: int,
        size: tuple[int, int],
        style: Style,
        act: Activation,
        shortcut: Shortcut,
    ) -> None:
        super().__init__()
        self.sign1 = style.shifted_sign(act, before)
        self.conv1 = style.conv(before, after, stride)
        self.bn1 = nn.BatchNorm2d(after)
        self.shortcut = (
            _pooled(before, after, size)
            if shortcut == "conv" and stride == 2
            else option_a(before, after, stride)
        )
        self.act1 = activation(act, after)
        self.sign2 = style.shifted_sign(act, after)
        self.conv2 = style.conv(after, after)
        self.bn2 = nn.BatchNorm2d(after)
        self.act2 = activation(act, after)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``x``, shaped (batch, before, height, width)."""
        x = self.act1(self.bn1(self.conv1(self.sign1(x))) + self.shortcut(x))
        out: Tensor = self.act2(self.bn2(self.conv2(self.sign2(x))) + x)
        return out


def _resnet(
    channels: tuple[int, ...],
    blocks: int,
    style: Style,
    act: Activation,
    shortcut: Shortcut,
    input_shape: tuple[int, int, int],
    classes: int,
) -> nn.Sequential:
    height, width, colours = input_shape
    network = nn.Sequential()
    network.add_module("input", normalise(colours))
    network.add_module("stem", nn.Conv2d(colours, channels[0], 3, padding=1, bias=False))
    network.add_module("stem_bn", nn.BatchNorm2d(channels[0]))
    network.add_module("stem_act", activation(act, channels[0]))
    before = channels[0]
    for number, after in enumerate(channels, start=1):
        stage = nn.Sequential()
        for index in range(blocks):
            stride = 2 if number > 1 and index == 0 else 1
            size = (height, width)
            stage.append(BinaryBlock(before, after, stride, size, style, act, shortcut))
            before = after
            height, width = -(-height // stride), -(-width // stride)
        network.add_module(f"stage{number}", stage)
    network.add_module("pool", nn.AdaptiveAvgPool2d(1))
    network.add_module("flatten", nn.Flatten())
    network.add_module("fc", nn.Linear(before, classes))
    _initialise(network)
    return network


@torch.no_grad()
def _initialise(network: nn.Module) -> None:
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight)


def resnet18(
    activation: Activation = "rprelu",
    shortcut: Shortcut = "conv",
    estimator: EstimatorName = "approx",
    weight_estimator: WeightEstimatorName = "identity",
    centred: bool = False,
    normalised: bool = False,
    scale: ScaleName = "none",
    scale_mode: ScaleMode = "learned",
    pad_value: PadValue = 0,
    width: Width = 1.0,
    input_shape: ImageShape = (32, 32, 3),
    classes: Classes = 10,
) -> nn.Sequential:
    """Build a ResNet-18 for small images: 64-128-256-512 channels, two blocks each.

    Parameters
    ----------
    activation
        What real values pass through after each addition; with "rprelu" signs are shifted too.
    shortcut
        Where the map shrinks: "pad" (every second pixel, channels of zeros) or "conv" (average
        pooling, a real 1x1 convolution, BatchNorm).
    estimator, weight_estimator
        The gradients of the signs.
    centred, normalised, scale, scale_mode, pad_value
        As for `BinaryConv2d`.
    width
        What all numbers of channels are multiplied by.
    input_shape
        (height, width, channels) of an image.
    classes
        Number of logits.
    """
    style = Style(estimator, weight_estimator, centred, normalised, scale, scale_mode, pad_value)
    channels = tuple(scaled(number, width) for number in (64, 128, 256, 512))
    return _resnet(channels, 2, style, activation, shortcut, input_shape, classes)


def resnet20(
    activation: Activation = "rprelu",
    shortcut: Shortcut = "pad",
    estimator: EstimatorName = "approx",
    weight_estimator: WeightEstimatorName = "identity",
    centred: bool = False,
    normalised: bool = False,
    scale: ScaleName = "none",
    scale_mode: ScaleMode = "learned",
    pad_value: PadValue = 0,
    width: Width = 1.0,
    input_shape: ImageShape = (32, 32, 3),
    classes: Classes = 10,
) -> nn.Sequential:
    """Build a ResNet-20: 16-32-64 channels, three blocks each.

    Parameters
    ----------
    activation, shortcut, estimator, weight_estimator
        As for `resnet18`.
    centred, normalised, scale, scale_mode, pad_value
        As for `BinaryConv2d`.
    width
        What all numbers of channels are multiplied by.
    input_shape
        (height, width, channels) of an image.
    classes
        Number of logits.
    """
    style = Style(estimator, weight_estimator, centred, normalised, scale, scale_mode, pad_value)
    channels = tuple(scaled(number, width) for number in (16, 32, 64))
    return _resnet(channels, 3, style, activation, shortcut, input_shape, classes)
