"""Activations of binary networks: the sign, and what real values pass through between signs.

- `Sign` alone makes bits. The others act on each element by itself, with parameters that depend
  on the channel (dimension 1) only.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812  # torch's own name for it
from torch import Tensor, nn

from bitwright.errors import ConfigError
from bitwright.nn.estimators import EstimatorName, check_estimator, estimate


def per_channel(parameter: Tensor, x: Tensor) -> Tensor:
    """Shape a vector over the channels so that it broadcasts along dimension 1 of ``x``.

    It also takes the dtype of ``x``: otherwise a bfloat16 map would become float32 here.
    """
    return parameter.view(1, -1, *[1] * (x.dim() - 2)).to(x.dtype)


class Sign(nn.Module):
    """Binary activation: +1 where x >= 0 (both zeros included), else -1.

    Parameters
    ----------
    estimator
        What stands in for its derivative (see `bitwright.nn.estimators`): "clip", "approx",
        "tanh" or "reste". It never changes the output.

    Attributes
    ----------
    progress
        Share of the training done, in [0, 1]; the training sets it, "tanh" and "reste" read it.

    Raises
    ------
    ConfigError
        If there is no such estimator.
    """

    def __init__(self, estimator: EstimatorName = "clip") -> None:
        super().__init__()
        check_estimator("Sign", estimator)
        self.estimator: EstimatorName = estimator
        self.progress = 0.0

    def forward(self, x: Tensor) -> Tensor:
        """Binarise ``x``, of any shape."""
        return estimate(x, self.estimator, self.progress)

    def extra_repr(self) -> str:
        """Describe the layer as torch's own do."""
        return "" if self.estimator == "clip" else f"estimator={self.estimator!r}"


class _PerChannel(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        if channels < 1:
            raise ConfigError(f"{type(self).__name__}: channels is {channels}", "use at least 1")
        self.channels = channels

    def extra_repr(self) -> str:
        """Describe the layer as torch's own do."""
        return f"{self.channels}"


class Maxout(_PerChannel):
    """A learned slope on each side of zero: pos_scale[c] relu(x) - neg_scale[c] relu(-x).

    Parameters
    ----------
    channels
        Channels of the input.

    Raises
    ------
    ConfigError
        If ``channels`` is below 1.

    Notes
    -----
    Tu et al., AdaBin: Improving Binary Neural Networks with Adaptive Binary Sets (ECCV 2022).
    The parameters start at 1 and 0.25, as there.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.neg_scale = nn.Parameter(torch.full((channels,), 0.25))
        self.pos_scale = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Scale ``x``, shaped (batch, channels, ...)."""
        positive, negative = per_channel(self.pos_scale, x), per_channel(self.neg_scale, x)
        return positive * F.relu(x) - negative * F.relu(-x)


class LearnableBias(_PerChannel):
    """A learned shift: x + bias[c]. Before a `Sign` it makes ReActNet's RSign.

    Parameters
    ----------
    channels
        Channels of the input.

    Raises
    ------
    ConfigError
        If ``channels`` is below 1.

    Notes
    -----
    Liu et al., ReActNet: Towards Precise Binary Neural Network with Generalized Activation
    Functions (ECCV 2020). There the threshold of RSign is -bias.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Shift ``x``, shaped (batch, channels, ...)."""
        return x + per_channel(self.bias, x)


class RPReLU(_PerChannel):
    """PReLU between two learned shifts: prelu(x + shift_in[c], slope[c]) + shift_out[c].

    Parameters
    ----------
    channels
        Channels of the input.

    Raises
    ------
    ConfigError
        If ``channels`` is below 1.

    Notes
    -----
    ReActNet (ECCV 2020); its gamma is -shift_in, its zeta is shift_out. The slope starts at 0.25.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.shift_in = nn.Parameter(torch.zeros(channels))
        self.slope = nn.Parameter(torch.full((channels,), 0.25))
        self.shift_out = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Bend ``x``, shaped (batch, channels, ...)."""
        x = x + per_channel(self.shift_in, x)
        # prelu(x), bit for bit: torch's own took 18 % of a ResNet-18 step on CPU, backward.
        bent = F.relu(x) - per_channel(self.slope, x) * F.relu(-x)
        return bent + per_channel(self.shift_out, x)
