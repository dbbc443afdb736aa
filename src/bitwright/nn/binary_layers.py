"""Convolution and fully connected layer with weights of +1 and -1, times a scale if wanted.

- `binary_weight` is exactly +1 or -1; the layer's output is the integer dot product with them,
  times `scales` where there are any. The dot product is computed first and scaled then.
- Which bit a latent weight gives depends on its own output channel only.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
import torch.nn.functional as F  # noqa: N812  # torch's own name for it
from torch import Tensor, nn

from bitwright.errors import ConfigError
from bitwright.nn.activations import per_channel
from bitwright.nn.estimators import WeightEstimatorName, check_estimator, estimate

ScaleName = Literal["none", "tensor", "channel"]
ScaleMode = Literal["learned", "analytic"]


class _BinaryLayer(nn.Module):
    """The weight of a binary layer; see `BinaryConv2d` for the options."""

    weight: nn.Parameter
    factor: nn.Parameter | None

    def __init__(
        self,
        shape: tuple[int, ...],
        scale: ScaleName,
        scale_mode: ScaleMode,
        centred: bool,
        normalised: bool,
        estimator: WeightEstimatorName,
    ) -> None:
        super().__init__()
        kind = type(self).__name__
        check_estimator(kind, estimator, weights=True)
        for name, value, known in (
            ("scale", scale, get_args(ScaleName)),
            ("scale_mode", scale_mode, get_args(ScaleMode)),
        ):
            if value not in known:
                raise ConfigError(f"{kind}: {name} is {value!r}", f"use one of {', '.join(known)}")
        self.scale: ScaleName = scale
        self.scale_mode: ScaleMode = scale_mode
        self.centred = centred
        self.normalised = normalised
        self.estimator: WeightEstimatorName = estimator
        self.progress = 0.0
        self.weight = nn.Parameter(torch.empty(shape))
        nn.init.xavier_normal_(self.weight)
        learned = scale != "none" and scale_mode == "learned"
        self.factor = nn.Parameter(self._magnitude()) if learned else None

    def real_weight(self) -> Tensor:
        """Return the latent weights, centred and normalised if that is asked for."""
        weight: Tensor = self.weight
        rest = tuple(range(1, weight.dim()))
        if self.centred:
            weight = weight - weight.mean(rest, keepdim=True)
        if self.normalised:
            weight = weight / weight.std(rest, keepdim=True).clamp_min(1e-12)
        return weight

    def binary_weight(self) -> Tensor:
        """Return the weights computed with, +1 or -1, shaped as ``weight``."""
        return estimate(self.real_weight(), self.estimator, self.progress)

    def scales(self) -> Tensor | None:
        """Return what the dot product is multiplied by: (out,) or (1,); None if by nothing."""
        if self.scale == "none":
            return None
        return self._magnitude() if self.factor is None else self.factor

    @torch.no_grad()
    def _magnitude(self) -> Tensor:
        size = self.real_weight().abs()
        if self.scale == "tensor":
            return size.mean().reshape(1)
        return size.mean(tuple(range(1, size.dim())))

    def scaled(self, dot: Tensor) -> Tensor:
        """Multiply a dot product, (batch, out, ...), with the scales."""
        scales = self.scales()
        return dot if scales is None else dot * per_channel(scales, dot)

    def _options(self) -> str:
        """Describe the options that are not the default."""
        words = []
        if self.scale != "none":
            words.append(f"scale={self.scale!r}, scale_mode={self.scale_mode!r}")
        words += [f"{name}=True" for name in ("centred", "normalised") if getattr(self, name)]
        if self.estimator != "identity":
            words.append(f"estimator={self.estimator!r}")
        return "".join(f", {word}" for word in words)


class BinaryConv2d(_BinaryLayer):
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
    scale
        What the dot product is multiplied by: "none", one factor for the "tensor", or one for
        each output "channel".
    scale_mode
        "learned": a parameter, which starts at the mean magnitude of the latent weights.
        "analytic": that mean itself, anew in each step; no gradient passes through it.
    centred
        Take the sign of weight - mean(weight), mean over an output channel.
    normalised
        Divide by the (sample) standard deviation of the output channel before the sign; this
        changes gradients and analytic scales only.
    estimator
        The gradient of the weights' sign (see `bitwright.nn.estimators`). With "identity" it
        passes through, and `bitwright.nn.train` keeps latent weights inside its clip instead.

    Attributes
    ----------
    weight
        The latent real weight, (out, in/groups, k, k); its sign is what is computed with.
    progress
        Share of the training done, in [0, 1]; the training sets it for the estimator.

    Raises
    ------
    ConfigError
        If a size is out of range, or an option is none of those named.

    Notes
    -----
    Analytic scales: Rastegari et al., XNOR-Net (ECCV 2016). Centred and normalised weights: Qin
    et al., IR-Net (CVPR 2020). Learned scales: Bulat and Tzimiropoulos, XNOR-Net++ (BMVC 2019).
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
        *,
        scale: ScaleName = "none",
        scale_mode: ScaleMode = "learned",
        centred: bool = False,
        normalised: bool = False,
        estimator: WeightEstimatorName = "identity",
    ) -> None:
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
        shape = (out_channels, in_channels // groups, kernel_size, kernel_size)
        super().__init__(shape, scale, scale_mode, centred, normalised, estimator)
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = kernel_size
        self.stride = stride
        self.padding = padding
        self.pad_value = pad_value
        self.groups = groups

    @property
    def fan_in(self) -> int:
        """Products summed into one output, borders aside."""
        return self.in_channels // self.groups * self.kernel_size**2

    def forward(self, x: Tensor) -> Tensor:
        """Convolve ``x``, shaped (batch, in, height, width), with the binary weights."""
        padding = self.padding
        if padding and self.pad_value:
            x = F.pad(x, (padding,) * 4, value=float(self.pad_value))
            padding = 0
        dot = F.conv2d(x, self.binary_weight(), None, self.stride, padding, 1, self.groups)
        return self.scaled(dot)

    def extra_repr(self) -> str:
        """Describe the layer as torch's own do."""
        return (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, "
            f"stride={self.stride}, padding={self.padding}, pad_value={self.pad_value}, "
            f"groups={self.groups}{self._options()}"
        )


class BinaryLinear(_BinaryLayer):
    """Fully connected layer with weights binarised to +1 and -1; no bias.

    Parameters
    ----------
    in_features, out_features
        Sizes of the input and output.
    scale, scale_mode, centred, normalised, estimator
        As for `BinaryConv2d`.

    Attributes
    ----------
    weight
        The latent real weight, (out, in); its sign is what is computed with.
    progress
        Share of the training done, in [0, 1]; the training sets it for the estimator.

    Raises
    ------
    ConfigError
        If a size is below 1, or an option is none of those named.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        scale: ScaleName = "none",
        scale_mode: ScaleMode = "learned",
        centred: bool = False,
        normalised: bool = False,
        estimator: WeightEstimatorName = "identity",
    ) -> None:
        for name, value in (("in_features", in_features), ("out_features", out_features)):
            if value < 1:
                raise ConfigError(f"BinaryLinear: {name} is {value}", "use at least 1")
        shape = (out_features, in_features)
        super().__init__(shape, scale, scale_mode, centred, normalised, estimator)
        self.in_features = in_features
        self.out_features = out_features

    @property
    def fan_in(self) -> int:
        """Products summed into one output."""
        return self.in_features

    def forward(self, x: Tensor) -> Tensor:
        """Multiply ``x``, shaped (batch, in), with the binary weights."""
        return self.scaled(F.linear(x, self.binary_weight()))

    def extra_repr(self) -> str:
        """Describe the layer as torch's own do."""
        return f"{self.in_features}, {self.out_features}{self._options()}"
