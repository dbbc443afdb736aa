"""Networks of one layer after the other, binary throughout: 8-bit pixels in, integers out.

- The order is convolution, pooling, BatchNorm, sign: pooling after the sign would tie.
- The logits are integers times one positive constant.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from torch import nn

from bitwright.errors import ConfigError
from bitwright.nn.activations import Sign
from bitwright.nn.binary_layers import BinaryConv2d, BinaryLinear
from bitwright.nn.fixed import LogitScale, PixelLevels
from bitwright.nn.parameters import Classes, ImageShape, PadValue, Sizes, Width, scaled


def mlp(
    widths: Sizes = (256, 256, 256), input_shape: ImageShape = (28, 28, 1), classes: Classes = 10
) -> nn.Sequential:
    """Build a multilayer perceptron: pixels, then binary layers of the given widths.

    Parameters
    ----------
    widths
        Features of each hidden layer.
    input_shape
        (height, width, channels) of an image.
    classes
        Number of logits.
    """
    stack = _Stack(input_shape, name="mlp")
    for width in widths:
        stack.dense(width)
    return stack.finish(classes)


def cnn(
    blocks: Annotated[tuple[Sizes, ...], Field(max_length=16)] = ((32, 32), (64, 64), (128,)),
    hidden: Sizes = (256,),
    pad_value: PadValue = -1,
    width: Width = 1.0,
    input_shape: ImageShape = (28, 28, 1),
    classes: Classes = 10,
) -> nn.Sequential:
    """Build a network of padded 3x3 convolutions; 436,000 binary weights by default.

    Parameters
    ----------
    blocks
        Channels of the convolutions; each block ends with a 2x2 max-pooling.
    hidden
        Features of the fully connected layers before the logits.
    pad_value
        What binary maps are padded with. The first convolution pads its pixel levels with 0, the
        middle of their range, whatever this says.
    width
        What all numbers of channels and hidden features are multiplied by.
    input_shape
        (height, width, channels) of an image.
    classes
        Number of logits.
    """
    stack = _Stack(input_shape, name="cnn")
    for block in blocks:
        for index, channels in enumerate(block, start=1):
            pool = index == len(block)
            stack.conv(scaled(channels, width), padding=1, pad_value=pad_value, pool=pool)
    for features in hidden:
        stack.dense(scaled(features, width))
    return stack.finish(classes)


def cnv(
    width: Width = 1.0, input_shape: ImageShape = (32, 32, 3), classes: Classes = 10
) -> nn.Sequential:
    """Build FINN's CNV: unpadded 3x3 convolutions 64-64P-128-128P-256-256, then FC 512-512.

    Parameters
    ----------
    width
        What all numbers of channels and hidden features are multiplied by.
    input_shape
        (height, width, channels) of an image.
    classes
        Number of logits.

    Notes
    -----
    Umuroglu et al., FINN: A Framework for Fast, Scalable Binarized Neural Network Inference
    (FPGA 2017). There BatchNorm and sign come before the pooling, which for one sign of the
    BatchNorm's gain is the same; here pooling comes first, as in all of these networks.
    """
    stack = _Stack(input_shape, name="cnv")
    for channels, pool in ((64, False), (64, True), (128, False), (128, True), (256, False)):
        stack.conv(scaled(channels, width), pool=pool)
    stack.conv(scaled(256, width))
    for features in (512, 512):
        stack.dense(scaled(features, width))
    return stack.finish(classes)


class _Stack:
    """Layers in a row, and the shape of the map that they have made so far."""

    def __init__(self, input_shape: tuple[int, int, int], name: str) -> None:
        self.name = name
        self.height, self.width, self.channels = input_shape
        self.input_shape = input_shape
        self.layers: dict[str, nn.Module] = {"input": PixelLevels()}
        self.count = {"conv": 0, "fc": 0}
        self.flat = False

    def _number(self, kind: str) -> int:
        self.count[kind] += 1
        return self.count[kind]

    def _shrink(self, height: int, width: int) -> None:
        if height < 1 or width < 1:
            rows, columns, _ = self.input_shape
            raise ConfigError(
                f"network '{self.name}' shrinks an image of {rows}x{columns} pixels to nothing",
                "use larger images or fewer layers",
            )
        self.height, self.width = height, width

    def conv(self, channels: int, padding: int = 0, pad_value: int = 0, pool: bool = False) -> None:
        """Add a 3x3 convolution, perhaps a 2x2 pooling, BatchNorm and sign."""
        first = len(self.layers) == 1
        number = self._number("conv")
        self._shrink(self.height + 2 * padding - 2, self.width + 2 * padding - 2)
        self.layers[f"conv{number}"] = BinaryConv2d(
            self.channels, channels, 3, padding=padding, pad_value=0 if first else pad_value
        )
        if pool:
            self._shrink(self.height // 2, self.width // 2)
            self.layers[f"pool{number}"] = nn.MaxPool2d(2)
        self.layers[f"conv{number}_bn"] = nn.BatchNorm2d(channels)
        self.layers[f"conv{number}_sign"] = Sign()
        self.channels = channels

    def _linear(self, features: int) -> str:
        """Add a fully connected layer alone; return its name."""
        if not self.flat:
            self.layers["flatten"] = nn.Flatten()
            self.channels *= self.height * self.width
            self.flat = True
        name = f"fc{self._number('fc')}"
        self.layers[name] = BinaryLinear(self.channels, features)
        self.channels = features
        return name

    def dense(self, features: int) -> None:
        """Add a fully connected layer, BatchNorm and sign."""
        name = self._linear(features)
        self.layers[f"{name}_bn"] = nn.BatchNorm1d(features)
        self.layers[f"{name}_sign"] = Sign()

    def finish(self, classes: int) -> nn.Sequential:
        """Add the logits and return the network."""
        last = self._linear(classes)
        fan_in = self.layers[last].in_features
        self.layers["scale"] = LogitScale(int(fan_in))  # type: ignore[arg-type]
        network = nn.Sequential()
        for name, layer in self.layers.items():
            network.add_module(name, layer)
        return network
