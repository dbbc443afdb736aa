"""The networks that Bitwright trains, by name.

What a lowering and a recipe rely on:

- A network is a plain module tree that ``torch.fx`` can trace with the layers of
  `bitwright.nn.layers` as leaves; the layers carry names that a reader of a report recognises.
- Its input is a batch of pixels 0..255, shaped (batch, channels, height, width); its output one
  logit a class.
- The order is convolution, pooling, BatchNorm, sign: pooling after the sign would tie.
- A builder's signature is the schema of its parameters: `build` validates against it.

A new network is a builder function and an entry in `MODELS`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, ValidationError, validate_call
from torch import nn

from bitwright.errors import ConfigError, UnknownNameError
from bitwright.nn.layers import BinaryConv2d, BinaryLinear, LogitScale, PixelLevels, Sign
from bitwright.nn.settings import explain

Size = Annotated[int, Field(ge=1, le=1 << 16)]
"""A number of channels, features or pixels."""

Sizes = Annotated[tuple[Size, ...], Field(max_length=64)]
ImageShape = tuple[Size, Size, Size]
"""(height, width, channels), as a data set has it."""

Classes = Annotated[int, Field(ge=2, le=1 << 16)]
PadValue = Literal[-1, 0, 1]


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
    input_shape
        (height, width, channels) of an image.
    classes
        Number of logits.
    """
    stack = _Stack(input_shape, name="cnn")
    for block in blocks:
        for index, channels in enumerate(block, start=1):
            stack.conv(channels, padding=1, pad_value=pad_value, pool=index == len(block))
    for width in hidden:
        stack.dense(width)
    return stack.finish(classes)


def cnv(input_shape: ImageShape = (32, 32, 3), classes: Classes = 10) -> nn.Sequential:
    """Build FINN's CNV: unpadded 3x3 convolutions 64-64P-128-128P-256-256, then FC 512-512.

    Parameters
    ----------
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
        stack.conv(channels, pool=pool)
    stack.conv(256)
    for width in (512, 512):
        stack.dense(width)
    return stack.finish(classes)


MODELS: Mapping[str, Callable[..., nn.Module]] = {"cnn": cnn, "cnv": cnv, "mlp": mlp}
"""The builders, by the name of their network."""


def build(name: str, **params: Any) -> nn.Module:
    """Build the network `name`, untrained, its weights drawn from torch's global generator.

    Parameters
    ----------
    name
        A key of `MODELS`.
    **params
        The parameters of its builder; those left out have the builder's defaults.

    Returns
    -------
    nn.Module
        Takes pixels 0..255, shaped (batch, channels, height, width); returns logits, shaped
        (batch, classes).

    Raises
    ------
    UnknownNameError
        If there is no network of that name.
    ConfigError
        If a parameter is unknown or out of range, or the image is too small for the network.
    """
    if name not in MODELS:
        raise UnknownNameError("network", name, MODELS)
    builder = MODELS[name]
    checked = validate_call(config=ConfigDict(allow_inf_nan=False))(builder)
    try:
        return checked(**params)
    except ValidationError as error:
        known = list(inspect.signature(builder).parameters)
        raise explain(error, f"network '{name}'", lambda _: known) from None


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
