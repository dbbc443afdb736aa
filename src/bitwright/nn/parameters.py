"""What the builders of networks take: the types of their parameters, and the binary style.

The types are read by pydantic: a builder's signature is the schema of its parameters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field
from torch import nn

from bitwright.nn.activations import LearnableBias, Maxout, RPReLU, Sign
from bitwright.nn.binary_layers import BinaryConv2d, ScaleMode, ScaleName
from bitwright.nn.estimators import EstimatorName, WeightEstimatorName
from bitwright.nn.fixed import Normalise

Size = Annotated[int, Field(ge=1, le=1 << 16)]
"""A number of channels, features or pixels."""

Sizes = Annotated[tuple[Size, ...], Field(max_length=64)]
ImageShape = tuple[Size, Size, Size]
"""(height, width, channels), as a data set has it."""

Classes = Annotated[int, Field(ge=2, le=1 << 16)]
PadValue = Literal[-1, 0, 1]
Width = Annotated[float, Field(gt=0, le=64)]
"""What all numbers of channels and hidden features are multiplied by."""

Activation = Literal["hardtanh", "rprelu", "prelu", "maxout", "none"]
"""What real values pass through between the addition and the next sign."""

_IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def scaled(channels: int, width: float) -> int:
    """Return `channels` times `width`, rounded, at least 1."""
    return max(1, round(channels * width))


def normalise(channels: int) -> Normalise:
    """Return the input layer of networks with a real first convolution.

    Its constants are ImageNet's for colour, as in the papers, and 0.5 and 0.5 for other pixels.
    """
    mean, std = _IMAGENET if channels == 3 else ((0.5,) * channels, (0.5,) * channels)
    return Normalise(mean, std)


def activation(name: Activation, channels: int) -> nn.Module:
    """Return the layer that real values pass through."""
    match name:
        case "hardtanh":
            return nn.Hardtanh()
        case "rprelu":
            return RPReLU(channels)
        case "prelu":
            return nn.PReLU(channels)
        case "maxout":
            return Maxout(channels)
        case "none":
            return nn.Identity()


@dataclass(frozen=True)
class Style:
    """How the layers of a network binarise; see `Sign` and `BinaryConv2d` for each."""

    estimator: EstimatorName = "clip"
    weight_estimator: WeightEstimatorName = "identity"
    centred: bool = False
    normalised: bool = False
    scale: ScaleName = "none"
    scale_mode: ScaleMode = "learned"
    pad_value: int = 0

    def sign(self) -> Sign:
        """Return a binary activation."""
        return Sign(self.estimator)

    def shifted_sign(self, name: Activation, channels: int) -> nn.Module:
        """Return a binary activation, with ReActNet's shift where its RPReLU is used."""
        if name == "rprelu":
            return nn.Sequential(LearnableBias(channels), self.sign())
        return self.sign()

    def conv(self, before: int, after: int, stride: int = 1) -> BinaryConv2d:
        """Return a binary 3x3 convolution that keeps the map's size, but for its stride."""
        return BinaryConv2d(
            before,
            after,
            3,
            stride,
            padding=1,
            pad_value=self.pad_value,
            scale=self.scale,
            scale_mode=self.scale_mode,
            centred=self.centred,
            normalised=self.normalised,
            estimator=self.weight_estimator,
        )
