"""The layers of a binary network, as plain ``torch.nn`` modules.

What a lowering to integers relies on:

- Each layer is one leaf of the ``torch.fx`` graph (see `LEAVES`): no data-dependent control flow
  and no functional sign in between.
- Weights and activations that are called binary are exactly +1 or -1 in the forward pass, and
  sign(0) = +1 (see `bitwright.nn.sign`).
- Convolutions have no bias and pad explicitly: what is added at the border is `pad_value`, after
  the input was binarised, never what a framework would add silently.
- Everything else in a network is torch's own: ``BatchNorm1d/2d``, ``MaxPool2d``, ``Flatten``.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F  # noqa: N812  # torch's own name for it
from torch import Tensor, nn

from bitwright.errors import ConfigError
from bitwright.nn.sign import sign


class Sign(nn.Module):
    """Binary activation: +1 where x >= 0 (both zeros included), else -1.

    The gradient is the clipped identity: it passes where |x| <= 1.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Binarise ``x``, of any shape."""
        return sign(x)


class BinaryConv2d(nn.Module):
    """Convolution with weights binarised to +1 and -1; no bias, no dilation.

    Parameters
    ----------
    in_channels, out_channels
        Channels of the input and output.
    kernel_size
        Side of the square kernel, in pixels.
    stride
        Step of the kernel, in pixels.
    padding
        Rows and columns added on each of the four sides.
    pad_value
        What is added: 0 (the tap adds nothing), -1 or +1.
    groups
        Number of groups that do not see each other's channels.

    Raises
    ------
    ConfigError
        If a size is out of range, or ``pad_value`` is none of the three.

    Notes
    -----
    The parameter ``weight``, shaped (out, in/groups, k, k), is the latent real weight; its sign
    is what is computed with. The gradient passes straight through the sign: `bitwright.nn.train`
    keeps latent weights inside its clip after each step instead.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: int = 0,
        pad_value: int = 0,
        groups: int = 1,
    ) -> None:
        super().__init__()
        for name, value, least in (
            ("in_channels", in_channels, 1),
            ("out_channels", out_channels, 1),
            ("kernel_size", kernel_size, 1),
            ("stride", stride, 1),
            ("padding", padding, 0),
            ("groups", groups, 1),
        ):
            if value < least:
                raise ConfigError(f"BinaryConv2d: {name} is {value}", f"use at least {least}")
        if pad_value not in (-1, 0, 1):
            raise ConfigError(f"BinaryConv2d: pad_value is {pad_value}", "use -1, 0 or 1")
        if in_channels % groups or out_channels % groups:
            raise ConfigError(
                f"BinaryConv2d: {groups} groups do not divide {in_channels} input and "
                f"{out_channels} output channels",
                "use a number of groups that divides both",
            )
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = kernel_size
        self.stride = stride
        self.padding = padding
        self.pad_value = pad_value
        self.groups = groups
        self.weight = nn.Parameter(
            torch.empty(out_channels, in_channels // groups, kernel_size, kernel_size)
        )
        nn.init.xavier_normal_(self.weight)

    @property
    def fan_in(self) -> int:
        """Products summed into one output, borders aside."""
        return self.in_channels // self.groups * self.kernel_size**2

    def binary_weight(self) -> Tensor:
        """Return the weights computed with, +1 or -1, shaped as ``weight``."""
        return sign(self.weight, bound=float("inf"))

    def forward(self, x: Tensor) -> Tensor:
        """Convolve ``x``, shaped (batch, in, height, width), with the binary weights."""
        padding = self.padding
        if padding and self.pad_value:
            x = F.pad(x, (padding,) * 4, value=float(self.pad_value))
            padding = 0
        return F.conv2d(x, self.binary_weight(), None, self.stride, padding, 1, self.groups)

    def extra_repr(self) -> str:
        """Describe the layer as torch's own do."""
        return (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, "
            f"stride={self.stride}, padding={self.padding}, pad_value={self.pad_value}, "
            f"groups={self.groups}"
        )


class BinaryLinear(nn.Module):
    """Fully connected layer with weights binarised to +1 and -1; no bias.

    Parameters
    ----------
    in_features, out_features
        Sizes of the input and output.

    Raises
    ------
    ConfigError
        If a size is below 1.
    """

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        for name, value in (("in_features", in_features), ("out_features", out_features)):
            if value < 1:
                raise ConfigError(f"BinaryLinear: {name} is {value}", "use at least 1")
        self.in_features = in_features
        self.out_features = out_features
        self.weight = nn.Parameter(torch.empty(out_features, in_features))
        nn.init.xavier_normal_(self.weight)

    @property
    def fan_in(self) -> int:
        """Products summed into one output."""
        return self.in_features

    def binary_weight(self) -> Tensor:
        """Return the weights computed with, +1 or -1, shaped (out, in)."""
        return sign(self.weight, bound=float("inf"))

    def forward(self, x: Tensor) -> Tensor:
        """Multiply ``x``, shaped (batch, in), with the binary weights."""
        return F.linear(x, self.binary_weight())

    def extra_repr(self) -> str:
        """Describe the layer as torch's own do."""
        return f"{self.in_features}, {self.out_features}"


class PixelLevels(nn.Module):
    """8-bit input layer: pixel p in 0..255 becomes the odd integer 2p - 255.

    The levels lie symmetrically about zero and are exact even in bfloat16 (they need eight bits).
    The first BatchNorm normalises what the first convolution makes of them.

    Attributes
    ----------
    table
        The 256 integers, in the order of the pixel values.
    """

    table: tuple[int, ...] = tuple(2 * pixel - 255 for pixel in range(256))

    def forward(self, x: Tensor) -> Tensor:
        """Map pixels 0..255 (uint8, or whole numbers in floating point), of any shape."""
        if not x.is_floating_point():
            x = x.to(torch.get_default_dtype())
        return x * 2.0 - 255.0


class LogitScale(nn.Module):
    """Integer logits times the positive constant 1/sqrt(fan_in), for the loss's sake.

    It never changes which logit is the largest, so a lowering drops it.

    Parameters
    ----------
    fan_in
        Inputs of the last binary layer; its logits have about this variance.

    Raises
    ------
    ConfigError
        If ``fan_in`` is below 1.
    """

    def __init__(self, fan_in: int) -> None:
        super().__init__()
        if fan_in < 1:
            raise ConfigError(f"LogitScale: fan_in is {fan_in}", "use at least 1")
        self.fan_in = fan_in
        self.scale = 1.0 / math.sqrt(fan_in)

    def forward(self, x: Tensor) -> Tensor:
        """Scale logits of any shape."""
        return x * self.scale

    def extra_repr(self) -> str:
        """Describe the layer as torch's own do."""
        return f"{self.fan_in}"


LEAVES: tuple[type[nn.Module], ...] = (Sign, BinaryConv2d, BinaryLinear, PixelLevels, LogitScale)
"""The layers that a ``torch.fx`` trace must not look into."""


def latent_weights(network: nn.Module) -> list[nn.Parameter]:
    """Return the parameters of `network` of which only the sign is computed with."""
    binary = (BinaryConv2d, BinaryLinear)
    return [layer.weight for layer in network.modules() if isinstance(layer, binary)]
