"""Layers without parameters: pixels in, shortcuts between, logits out."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812  # torch's own name for it
from torch import Tensor, nn

from bitwright.errors import ConfigError


def _real(pixels: Tensor) -> Tensor:
    if pixels.is_floating_point():
        return pixels
    return pixels.to(torch.get_default_dtype())


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
        return _real(x) * 2.0 - 255.0


class Normalise(nn.Module):
    """Input layer before a real convolution: (pixel / 255 - mean[c]) / std[c].

    Parameters
    ----------
    mean, std
        One number a channel, of pixels scaled to [0, 1].

    Raises
    ------
    ConfigError
        If there is not one positive ``std`` for each ``mean``.

    Notes
    -----
    The constants are no part of the ``state_dict``: checkpoints of other programs hold none.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        if not mean or len(mean) != len(std) or min(std) <= 0:
            raise ConfigError(
                f"Normalise: mean is {list(mean)} and std is {list(std)}",
                "give one mean and one std above 0 for each channel",
            )
        self.register_buffer("mean", torch.tensor(list(mean)).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(list(std)).view(1, -1, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise pixels 0..255, shaped (batch, channels, height, width)."""
        return (_real(x) / 255.0 - self.mean) / self.std

    def extra_repr(self) -> str:
        """Describe the layer as torch's own do."""
        return f"mean={self.mean.flatten().tolist()}, std={self.std.flatten().tolist()}"


class ChannelShortcut(nn.Module):
    """Shortcut to a smaller map with more channels: every stride-th pixel, zeros as new channels.

    Parameters
    ----------
    stride
        Step in both directions, in pixels; the first pixel stays.
    before, after
        Channels of zeros added before and after those of the input.

    Raises
    ------
    ConfigError
        If a number is out of range.

    Notes
    -----
    Option A of He et al., Deep Residual Learning for Image Recognition (CVPR 2016).
    """

    def __init__(self, stride: int, before: int, after: int) -> None:
        super().__init__()
        for name, value, least in (
            ("stride", stride, 1),
            ("before", before, 0),
            ("after", after, 0),
        ):
            if value < least:
                raise ConfigError(f"ChannelShortcut: {name} is {value}", f"use at least {least}")
        self.stride = stride
        self.before = before
        self.after = after

    def forward(self, x: Tensor) -> Tensor:
        """Thin out ``x``, shaped (batch, channels, height, width), and add channels."""
        x = x[:, :, :: self.stride, :: self.stride]
        return F.pad(x, (0, 0, 0, 0, self.before, self.after))

    def extra_repr(self) -> str:
        """Describe the layer as torch's own do."""
        return f"stride={self.stride}, before={self.before}, after={self.after}"


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
