"""The layers of random int8 networks, in exact NumPy arithmetic.

Requirements:

* Activations are uint8. Zero point 0 makes saturation at 0 the ReLU; zero point 128 is for what is
  added up next, which has a sign. Weights are int8, one scale an output channel; biases int32.
* What is multiplied by weights has zero point 0: each convolution but the last of a residual
  body, and each sum, ends with the ReLU.
* Weights stay within 7 bits. Without VNNI, x86 multiplies uint8 by int8 in pairs that saturate at
  16 bits: 2 * 255 * 127 would not fit, 2 * 255 * 63 does. The time does not depend on it.
* Scales are powers of two, so that float32 requantisation is exact and the NumPy answer is the
  only right one: round half to even, then saturate. That goes for sums and averages as well:
  ONNX Runtime rounds them as it does convolutions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from peer_common import convolve

WEIGHT_MAX = 63
SIGNED = 128
"""The zero point of values that keep their sign."""

LEVEL = 96
"""The root mean square that is aimed at for codes whose zero point is 0."""

SIGNED_LEVEL = 40
"""The same for signed codes, of which 127 is the largest."""


def saturate(values: NDArray[np.float64], zero_point: int) -> NDArray[np.uint8]:
    """Round real values half to even and make them codes of a zero point."""
    return np.clip(np.rint(values) + zero_point, 0, 255).astype(np.uint8)


@dataclass(frozen=True)
class Affine:
    """An int8 layer: sums, one scale a channel, saturation to uint8.

    Parameters
    ----------
    weights
        int8; ``(out, in, kernel, kernel)``.
    bias
        int32, shape ``(out,)``, in units of the sum.
    scale
        float32 powers of two, shape ``(out,)``: what a sum is multiplied by.
    padding
        Zeros on each side of the image, in pixels.
    stride
        Pixels from one window to the next, in both directions.
    zero_point
        The code of zero at the output: 0 folds in a ReLU, 128 keeps negative values.
    dense
        Whether it is a fully connected layer: the kernel is as large as the image.

    Notes
    -----
    One scale for the whole tensor takes as long (measured: within 1 %), so that weights have one
    scale a channel, as in practice.
    """

    weights: NDArray[np.int8]
    bias: NDArray[np.int32]
    scale: NDArray[np.float32]
    padding: int = 0
    stride: int = 1
    zero_point: int = 0
    dense: bool = False

    @classmethod
    def random(
        cls,
        shape: tuple[int, int, int, int],
        rng: np.random.Generator,
        *,
        padding: int = 0,
        stride: int = 1,
        zero_point: int = 0,
        dense: bool = False,
    ) -> Affine:
        """Draw a layer whose outputs fill the range of uint8 without much saturation.

        Parameters
        ----------
        shape
            That of the weights.
        rng
            Source of the weights, biases and scales.
        padding, stride, zero_point, dense
            See the class.

        Returns
        -------
        Affine
            The layer.
        """
        weights = rng.integers(-WEIGHT_MAX, WEIGHT_MAX + 1, shape).astype(np.int8)
        # The standard deviation of a sum whose inputs have the root mean square aimed at.
        spread = np.sqrt(np.prod(shape[1:])) * (WEIGHT_MAX / np.sqrt(3)) * LEVEL
        bias = rng.integers(-spread / 2, spread / 2, shape[0]).astype(np.int32)
        level = SIGNED_LEVEL if zero_point else LEVEL
        exponent = np.round(np.log2(level / spread)) + rng.integers(-1, 2, shape[0])
        scale = np.exp2(exponent).astype(np.float32)
        return cls(weights, bias, scale, padding, stride, zero_point, dense)

    def apply(self, codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Compute the layer; ``(batch, channels, height, width)`` in and out."""
        sums = convolve(codes, self.weights, self.padding)[:, :, :: self.stride, :: self.stride]
        by_channel = (-1, 1, 1)
        scaled = (sums + self.bias.reshape(by_channel)) * self.scale.reshape(by_channel)
        return saturate(scaled, self.zero_point)


@dataclass(frozen=True)
class MaxPool2:
    """The maximum of 2x2 pixels, stride 2; an odd last row or column is left out."""

    zero_point = 0

    def apply(self, codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Compute the layer; ``(batch, channels, height, width)`` in and out."""
        return _squares(codes).max(axis=(3, 5))


@dataclass(frozen=True)
class AveragePool2:
    """The average of 2x2 pixels, stride 2, of codes whose zero point is 0.

    Parameters
    ----------
    channels
        Channels of the image; one way to compute it is a convolution of each by itself.
    """

    channels: int
    zero_point = 0

    def apply(self, codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Compute the layer; ``(batch, channels, height, width)`` in and out."""
        return saturate(_squares(codes).mean(axis=(3, 5)), 0)


@dataclass(frozen=True)
class GlobalAveragePool:
    """The average of all pixels of a channel, of codes whose zero point is 0."""

    zero_point = 0

    def apply(self, codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Compute the layer; ``(batch, channels, height, width)`` in, one pixel out.

        Exact where the number of pixels is a power of two.
        """
        return saturate(codes.mean(axis=(2, 3), keepdims=True), 0)


@dataclass(frozen=True)
class Residual:
    """A body and a shortcut around it, added up; the ReLU comes after the sum.

    Parameters
    ----------
    body, shortcut
        Layers that are applied to the same image; no layers are the image itself.
    scales
        What the two are multiplied by before they are added: powers of two.
    """

    body: tuple[Layer, ...]
    shortcut: tuple[Layer, ...]
    scales: tuple[float, float]
    zero_point = 0

    def apply(self, codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Compute the layer; ``(batch, channels, height, width)`` in and out."""
        total = 0.0
        for branch, scale in zip((self.body, self.shortcut), self.scales, strict=True):
            total = total + scale * (expected(branch, codes).astype(np.float64) - zero_of(branch))
        return saturate(np.asarray(total), 0)


Layer = Affine | MaxPool2 | AveragePool2 | GlobalAveragePool | Residual


def zero_of(layers: Sequence[Layer]) -> int:
    """Return the zero point of what layers return; that of an image is 0."""
    return layers[-1].zero_point if layers else 0


def expected(layers: Sequence[Layer], codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Compute layers one after another, exactly.

    Parameters
    ----------
    layers
        The network.
    codes
        uint8, ``(batch, channels, height, width)``.

    Returns
    -------
    numpy.ndarray
        uint8, ``(batch, channels, height, width)``.
    """
    for layer in layers:
        codes = layer.apply(codes)
    return codes


def _squares(codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Part an image into squares of 2x2 pixels; axes 3 and 5 are those inside a square."""
    batch, channels, height, width = codes.shape
    even = codes[:, :, : height // 2 * 2, : width // 2 * 2]
    return even.reshape(batch, channels, height // 2, 2, width // 2, 2)
