"""Layers that real values pass through in a quantised network: all on a grid of binary fractions.

- Every constant is a whole number times a power of two, with so few bits that float32 computes
  products and sums exactly; rounding is half up. A lowering to integers therefore repeats the
  module's numbers, and loses none.
- `bitwright.nn.quantise` makes them of trained layers.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from bitwright.errors import ConfigError
from bitwright.nn.activations import per_channel

PIXEL_BITS = 6
"""`PixelOffset` divides by 2**PIXEL_BITS: pixels then spread about as much as normalised ones."""


class PixelOffset(nn.Module):
    """Input layer of a quantised network: (pixel - zero[c]) / 64.

    Zero padding behind it means the pixel values `zero`.

    Parameters
    ----------
    zero
        For each channel the pixel value that becomes 0, in 0..255.

    Raises
    ------
    ConfigError
        If a number is no pixel value.
    """

    offset: Tensor

    def __init__(self, zero: Sequence[int]) -> None:
        super().__init__()
        if not zero or not all(0 <= z <= 255 for z in zero):
            raise ConfigError(f"PixelOffset: zero is {list(zero)}", "use 0 to 255 for each channel")
        self.zero = tuple(zero)
        offset = torch.tensor([float(z) for z in zero]).view(1, -1, 1, 1)
        self.register_buffer("offset", offset, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map pixels 0..255, shaped (batch, channels, height, width)."""
        real = x if x.is_floating_point() else x.to(torch.get_default_dtype())
        return (real - self.offset) * 2.0**-PIXEL_BITS

    def extra_repr(self) -> str:
        """Describe the layer as torch's own do."""
        return ", ".join(map(str, self.zero))


class ChannelAffine(nn.Module):
    """A trained BatchNorm: x * scale[c] + shift[c].

    Parameters
    ----------
    channels
        Channels of the input.

    Attributes
    ----------
    scale, shift
        Buffers, (channels,).

    Raises
    ------
    ConfigError
        If ``channels`` is below 1.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        if channels < 1:
            raise ConfigError(f"ChannelAffine: channels is {channels}", "use at least 1")
        self.channels = channels
        self.register_buffer("scale", torch.ones(channels))
        self.register_buffer("shift", torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``x``, shaped (batch, channels, ...)."""
        return x * per_channel(self.scale, x) + per_channel(self.shift, x)

    def extra_repr(self) -> str:
        """Describe the layer as torch's own do."""
        return f"{self.channels}"


class Quantise(nn.Module):
    """Round to multiples of 2**-fraction_bits, half up; the gradient passes through.

    Parameters
    ----------
    bits
        Width of the signed integers that multiples are held to; None for no limit.
    fraction_bits
        How fine the grid is, -24 to 24.

    Attributes
    ----------
    fraction_bits
        A buffer, since calibration may change it: an integer, ().

    Raises
    ------
    ConfigError
        If a number is out of range.
    """

    fraction_bits: Tensor

    def __init__(self, bits: int | None = None, fraction_bits: int = 8) -> None:
        super().__init__()
        if bits is not None and not 2 <= bits <= 24:
            raise ConfigError(f"Quantise: bits is {bits}", "use 2 to 24, or None")
        if not -24 <= fraction_bits <= 24:
            raise ConfigError(f"Quantise: fraction_bits is {fraction_bits}", "use -24 to 24")
        self.bits = bits
        self.register_buffer("fraction_bits", torch.tensor(fraction_bits))

    @property
    def step(self) -> float:
        """The distance between neighbours on the grid."""
        return 2.0 ** -int(self.fraction_bits)

    @property
    def bounds(self) -> tuple[float, float]:
        """The least and the greatest output."""
        if self.bits is None:
            return -float("inf"), float("inf")
        half = 2.0 ** (self.bits - 1)
        return -half * self.step, (half - 1) * self.step

    def forward(self, x: Tensor) -> Tensor:
        """Round ``x``, of any shape."""
        rounded: Tensor = _RoundHalfUp.apply(x, self.step)  # type: ignore[no-untyped-call]
        return rounded if self.bits is None else rounded.clamp(*self.bounds)

    def extra_repr(self) -> str:
        """Describe the layer as torch's own do."""
        return f"bits={self.bits}, fraction_bits={int(self.fraction_bits)}"


class _RoundHalfUp(torch.autograd.Function):
    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, x: Tensor, step: float) -> Tensor:
        return torch.floor(x / step + 0.5) * step

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient, None
