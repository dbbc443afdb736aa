"""Torch layers that act on each element by itself, as straight pieces a channel."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from bitwright.errors import FrontendError
from bitwright.frontends.lines import Lines, clipped, kinked, line
from bitwright.nn import layers as own

SIGMAS = 16.0
"""Stored values saturate where a BatchNorm's output lies so many standard deviations off."""

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)
REPAIR = "train again with a lower learning rate, or repair the checkpoint"


class ChannelScale(nn.Module):
    """A factor a channel: what is left of a scaled binary layer beside its integer sum."""

    factor: torch.Tensor

    def __init__(self, factor: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("factor", factor)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Scale x (batch, channels, ...)."""
        return x * self.factor.reshape(-1, *[1] * (x.dim() - 2))


def lines_of(layer: nn.Module, channels: int) -> Lines | None:
    """Return what a layer does to each channel, or None if it is of another kind."""
    match layer:
        case nn.BatchNorm1d() | nn.BatchNorm2d():
            return _batch_norm(layer)
        case own.ChannelAffine():
            return line(_numbers(layer.scale, channels), _numbers(layer.shift, channels))
        case own.LogitScale():
            return line(np.full(channels, layer.scale), 0.0)
        case ChannelScale():
            return line(_numbers(layer.factor, channels), np.zeros(channels))
        case nn.ReLU():
            return kinked(np.zeros(channels), 0.0, 1.0)
        case nn.PReLU():
            return kinked(np.zeros(channels), _numbers(layer.weight, channels), 1.0)
        case own.Maxout():
            below, above = (_numbers(t, channels) for t in (layer.neg_scale, layer.pos_scale))
            return kinked(np.zeros(channels), below, above)
        case own.LearnableBias():
            return line(np.ones(channels), _numbers(layer.bias, channels))
        case own.RPReLU():
            before = line(np.ones(channels), _numbers(layer.shift_in, channels))
            bend = kinked(np.zeros(channels), _numbers(layer.slope, channels), 1.0)
            after = line(np.ones(channels), _numbers(layer.shift_out, channels))
            return after.after(bend.after(before))
        case nn.Hardtanh():
            ends = np.full(channels, layer.min_val), np.full(channels, layer.max_val)
            return clipped(*(end.astype(np.float64) for end in ends))
    return None


def reach_of(layer: nn.Module) -> npt.NDArray[np.float64] | None:
    """Return how far from zero a layer's outputs plausibly lie, if the layer knows: (channels,).

    A BatchNorm does: what it normalised in training has mean beta and standard deviation |gamma|.
    """
    if not isinstance(layer, BATCH_NORMS) or layer.weight is None or layer.bias is None:
        return None
    gamma, beta = (t.detach().double().abs().numpy() for t in (layer.weight, layer.bias))
    return np.asarray(beta + SIGMAS * gamma)


def _numbers(tensor: torch.Tensor, channels: int) -> npt.NDArray[np.float64]:
    numbers = tensor.detach().double().reshape(-1).numpy()
    return np.broadcast_to(numbers, (channels,)).copy()


def _batch_norm(layer: nn.BatchNorm1d | nn.BatchNorm2d) -> Lines:
    count = layer.num_features
    if layer.running_mean is None or layer.running_var is None:
        raise TypeError("checked before: a BatchNorm without statistics")
    gamma = np.ones(count) if layer.weight is None else _numbers(layer.weight, count)
    beta = np.zeros(count) if layer.bias is None else _numbers(layer.bias, count)
    mean = _numbers(layer.running_mean, count)
    slope = gamma / np.sqrt(_numbers(layer.running_var, count) + layer.eps)
    return line(slope, beta - mean * slope)


def check_batch_norm(name: str, layer: nn.BatchNorm1d | nn.BatchNorm2d) -> None:
    """Refuse statistics that no trained network has.

    Raises
    ------
    FrontendError
        If they are missing, not finite, or the variance is negative; `name` is the layer's.
    """
    if layer.running_mean is None or layer.running_var is None:
        raise FrontendError(
            f"layer '{name}' has no running statistics", "train with track_running_stats=True"
        )
    named = {
        "gamma": layer.weight,
        "beta": layer.bias,
        "mean": layer.running_mean,
        "variance": layer.running_var,
    }
    for what, tensor in named.items():
        if tensor is not None and not bool(torch.isfinite(tensor).all()):
            raise FrontendError(f"layer '{name}' has a {what} that is NaN or infinite", REPAIR)
    if bool((layer.running_var < 0).any()):
        raise FrontendError(f"layer '{name}' has a variance below zero", "repair the checkpoint")


def check_numbers(name: str, layer: nn.Module) -> None:
    """Refuse parameters that are NaN or infinite; those of a BatchNorm have a check of their own.

    Raises
    ------
    FrontendError
        If there is one; `name` is the layer's.
    """
    if isinstance(layer, BATCH_NORMS):
        return
    for what, tensor in layer.named_parameters():
        if not bool(torch.isfinite(tensor).all()):
            raise FrontendError(f"layer '{name}' has a {what} that is NaN or infinite", REPAIR)


def check_image_shape(shape: tuple[int, int, int]) -> None:
    """Refuse shapes of images that are not three sizes of at least 1.

    Raises
    ------
    FrontendError
        If `shape` is of another form, or dynamic.
    """
    if len(shape) != 3 or not all(isinstance(n, int) and n >= 1 for n in shape):
        raise FrontendError(
            f"images of the shape {shape} have no program",
            "give (rows, columns, channels) as fixed sizes",
        )
