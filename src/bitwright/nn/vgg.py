"""VGG-Small: six 3x3 convolutions, of which five are binary, and one fully connected layer."""

from __future__ import annotations

from torch import nn

from bitwright.errors import ConfigError
from bitwright.nn.binary_layers import ScaleMode, ScaleName
from bitwright.nn.estimators import EstimatorName, WeightEstimatorName
from bitwright.nn.parameters import (
    Classes,
    ImageShape,
    PadValue,
    Style,
    Width,
    normalise,
    scaled,
)


def vgg_small(
    estimator: EstimatorName = "clip",
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
    """Build VGG-Small: convolutions 128-128P-256-256P-512-512P, then the logits.

    Parameters
    ----------
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

    Raises
    ------
    ConfigError
        If the image is smaller than 8x8 pixels.

    Notes
    -----
    As in Qin et al., IR-Net (CVPR 2020): the first convolution and the last layer are real, the
    last layer takes real values, and Hardtanh comes before each sign. The order is convolution,
    pooling, BatchNorm, Hardtanh, sign.
    """
    height, columns, colours = input_shape
    if min(height, columns) < 8:
        raise ConfigError(
            f"network 'vgg_small' shrinks an image of {height}x{columns} pixels to nothing",
            "use larger images",
        )
    style = Style(estimator, weight_estimator, centred, normalised, scale, scale_mode, pad_value)
    network = nn.Sequential()
    network.add_module("input", normalise(colours))
    before = colours
    for number, channels in enumerate((128, 128, 256, 256, 512, 512), start=1):
        after = scaled(channels, width)
        if number == 1:
            first = nn.Conv2d(before, after, 3, padding=1, bias=False)
            nn.init.kaiming_normal_(first.weight)
            network.add_module("conv1", first)
        else:
            network.add_module(f"conv{number}_sign", style.sign())
            network.add_module(f"conv{number}", style.conv(before, after))
        if number % 2 == 0:
            network.add_module(f"pool{number}", nn.MaxPool2d(2))
            height, columns = height // 2, columns // 2
        network.add_module(f"conv{number}_bn", nn.BatchNorm2d(after))
        network.add_module(f"conv{number}_act", nn.Hardtanh())
        before = after
    network.add_module("flatten", nn.Flatten())
    network.add_module("fc", nn.Linear(before * height * columns, classes))
    return network
