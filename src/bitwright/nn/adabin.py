"""AdaBin's convolution: both operands take two values that the training chooses.

- Activation: xb = alpha_a (s + beta_a) with s = sign((x - beta_a) / alpha_a); two scalars a layer.
- Weight, for each output channel: wb = std b + mean with b = sign(weight - mean); mean and
  population standard deviation of the latent weights.
- Zeros are padded after the activation was binarised: a padded tap adds nothing.
- sign(0) = +1, as everywhere here; the authors' program has torch.sign, which gives 0.

Source: Tu et al., AdaBin: Improving Binary Neural Networks with Adaptive Binary Sets (ECCV 2022),
and the program behind it (github huawei-noah/Efficient-Computing): names of parameters, gradients.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812  # torch's own name for it
from torch import Tensor, nn

from bitwright.errors import ConfigError
from bitwright.nn.estimators import estimate

_TANH_FIRST = 1e-3
_LEAST_VARIANCE = 1e-24  # a channel of equal weights has none; its gradient must stay finite


def _column(values: Tensor) -> Tensor:
    """Shape one number for each output channel so that it broadcasts over a weight."""
    return values.view(-1, 1, 1, 1)


class AdaBinActivation(nn.Module):
    """AdaBin's activation; the gradient of its sign is Bi-Real Net's.

    Attributes
    ----------
    alpha_a, beta_a
        Half the distance of the two values, and their centre over it; scalars.
    """

    def __init__(self) -> None:
        super().__init__()
        self.alpha_a = nn.Parameter(torch.tensor(1.0))
        self.beta_a = nn.Parameter(torch.tensor(0.0))

    def forward(self, x: Tensor) -> Tensor:
        """Give each element of ``x`` the value alpha_a (beta_a + 1) or alpha_a (beta_a - 1)."""
        bit = estimate((x - self.beta_a) / self.alpha_a, "approx")
        return self.alpha_a * (bit + self.beta_a)


class AdaBinConv2d(nn.Module):
    """AdaBin's convolution, its activation included; no bias, dilation or groups.

    Parameters
    ----------
    in_channels, out_channels
        Channels of the input and output.
    kernel_size
        Side of the square kernel, in pixels.
    stride
        Step of the kernel, in pixels.
    padding
        Rows and columns of 0 added on each of the four sides of the binarised input.

    Attributes
    ----------
    weight
        The latent real weight, (out, in, k, k).
    binary_a
        The activation.
    progress
        Share of the training done, in [0, 1]; the training sets it. The weights' gradient is
        IR-Net's tanh, whose t rises here from 0.001 to 10.

    Raises
    ------
    ConfigError
        If a size is out of range.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: int = 0,
    ) -> None:
        super().__init__()
        for name, value, least in (
            ("in_channels", in_channels, 1),
            ("out_channels", out_channels, 1),
            ("kernel_size", kernel_size, 1),
            ("stride", stride, 1),
            ("padding", padding, 0),
        ):
            if value < least:
                raise ConfigError(f"AdaBinConv2d: {name} is {value}", f"use at least {least}")
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = kernel_size
        self.stride = stride
        self.padding = padding
        self.progress = 0.0
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels, kernel_size, kernel_size))
        nn.init.kaiming_normal_(self.weight)
        self.binary_a = AdaBinActivation()

    @property
    def fan_in(self) -> int:
        """Products summed into one output, borders aside."""
        return self.in_channels * self.kernel_size**2

    @property
    def alpha_a(self) -> nn.Parameter:
        """Half the distance of the activation's two values; a scalar."""
        return self.binary_a.alpha_a

    @property
    def beta_a(self) -> nn.Parameter:
        """Centre of the activation's two values, over ``alpha_a``; a scalar."""
        return self.binary_a.beta_a

    def mean(self) -> Tensor:
        """Return the mean of the latent weights of each output channel: (out,)."""
        return self.weight.mean((1, 2, 3))

    def std(self) -> Tensor:
        """Return the population standard deviation of each output channel's weights: (out,)."""
        centred = self.weight - _column(self.mean())
        variance = centred.square().sum((1, 2, 3)) / self.fan_in
        return variance.clamp_min(_LEAST_VARIANCE).sqrt()

    def binary_weight(self) -> Tensor:
        """Return the weights' bits, +1 or -1, shaped as ``weight``."""
        normal = (self.weight - _column(self.mean())) / _column(self.std())
        return estimate(normal, "tanh", self.progress, tanh_first=_TANH_FIRST)

    def effective_weight(self) -> Tensor:
        """Return the weights computed with, std b + mean, shaped as ``weight``."""
        return self.binary_weight() * _column(self.std()) + _column(self.mean())

    def forward(self, x: Tensor) -> Tensor:
        """Binarise and convolve ``x``, shaped (batch, in, height, width)."""
        return F.conv2d(self.binary_a(x), self.effective_weight(), None, self.stride, self.padding)

    def extra_repr(self) -> str:
        """Describe the layer as torch's own do."""
        return (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, "
            f"stride={self.stride}, padding={self.padding}"
        )
