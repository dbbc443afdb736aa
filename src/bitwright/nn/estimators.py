"""Gradients for the sign function: what stands in for its derivative while training.

- Forward, every estimator is the same function, `bitwright.nn.sign.plus_minus_one`.
- Backward, the incoming gradient is multiplied by g(x) of the estimator. Two of them sharpen as
  training goes on: they depend on `progress`, the share of the epochs done, in [0, 1].

| name | g(x) | source |
|---|---|---|
| identity | 1 | BinaryConnect (Courbariaux et al., 2015) |
| clip | 1 for abs(x) <= 1, else 0 | Binarized Neural Networks (Hubara et al., 2016) |
| approx | max(0, 2 - 2 abs(x)) | Bi-Real Net (Liu et al., ECCV 2018) |
| tanh | k t (1 - tanh(t x)**2), k = max(1, 1/t) | IR-Net's EDE (Qin et al., CVPR 2020) |
| reste | abs(x)**(1/o - 1) / o for abs(x) <= 1.5, else 0 | ReSTE (Wu et al., ICCV 2023) |

t rises from 0.1 to 10 geometrically. o rises from 1 to 3 as 1 + 2 (1 - cos(pi/2 progress)); for
abs(x) <= 0.1 ReSTE takes the chord's slope, 0.1**(1/o) / 0.1, because the curve's has no bound.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, get_args

import torch
from torch import Tensor

from bitwright.errors import ConfigError
from bitwright.nn.sign import plus_minus_one, sign

EstimatorName = Literal["clip", "approx", "tanh", "reste"]
"""The estimators for activations."""

WeightEstimatorName = Literal["identity", "clip", "approx", "tanh", "reste"]
"""The estimators for weights."""

TANH_FIRST, TANH_LAST = 0.1, 10.0
"""EDE's t at the first and after the last epoch."""

RESTE_LAST = 3.0
"""ReSTE's o after the last epoch."""

RESTE_BOUND = 1.5
RESTE_CHORD = 0.1


def tanh_slope(progress: float, first: float = TANH_FIRST) -> float:
    """Return EDE's t after the share `progress` of the training."""
    return first * math.pow(TANH_LAST / first, progress)


def reste_power(progress: float) -> float:
    """Return ReSTE's o after the share `progress` of the training."""
    return 1.0 + (RESTE_LAST - 1.0) * (1.0 - math.cos(0.5 * math.pi * progress))


def approx_gradient(x: Tensor) -> Tensor:
    """Return the derivative of Bi-Real Net's piecewise quadratic at `x`."""
    return (2.0 - 2.0 * x.abs()).clamp_min(0.0)


def tanh_gradient(x: Tensor, t: float) -> Tensor:
    """Return EDE's gradient at `x` for its parameter `t`; k follows from it."""
    return max(t, 1.0) * (1.0 - torch.tanh(x * t).square())


def reste_gradient(x: Tensor, power: float) -> Tensor:
    """Return ReSTE's gradient at `x` for the exponent 1/`power`."""
    size = x.abs()
    chord = RESTE_CHORD ** (1.0 / power - 1.0)
    curve = size.clamp_min(RESTE_CHORD).pow(1.0 / power - 1.0) / power
    inside = torch.where(size <= RESTE_CHORD, chord, curve)
    return torch.where(size <= RESTE_BOUND, inside, 0.0)


class _Estimated(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: torch.autograd.function.FunctionCtx, x: Tensor, gradient: Callable[[Tensor], Tensor]
    ) -> Tensor:
        ctx.save_for_backward(x)
        ctx.gradient = gradient  # type: ignore[attr-defined]  # ctx is torch's bag of attributes
        return plus_minus_one(x)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, grad: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors  # type: ignore[attr-defined]
        return grad * ctx.gradient(x).to(grad.dtype), None  # type: ignore[attr-defined]


def estimate(
    x: Tensor,
    name: WeightEstimatorName,
    progress: float = 0.0,
    *,
    tanh_first: float = TANH_FIRST,
) -> Tensor:
    """Binarise `x` to +1 and -1 with the gradient of an estimator.

    Parameters
    ----------
    x
        Any floating-point tensor.
    name
        The estimator.
    progress
        Share of the training done, in [0, 1]; only "tanh" and "reste" read it.
    tanh_first
        Where "tanh" starts its t.

    Returns
    -------
    Tensor
        Of the shape and dtype of ``x``: +1 where x >= 0 (-0.0 included), else -1.
    """
    match name:
        case "identity":
            return sign(x, bound=math.inf)
        case "clip":
            return sign(x)
        case "approx":
            gradient: Callable[[Tensor], Tensor] = approx_gradient
        case "tanh":
            slope = tanh_slope(progress, tanh_first)

            def gradient(x: Tensor) -> Tensor:
                return tanh_gradient(x, slope)
        case "reste":
            power = reste_power(progress)

            def gradient(x: Tensor) -> Tensor:
                return reste_gradient(x, power)

    return _Estimated.apply(x, gradient)  # type: ignore[no-any-return, no-untyped-call]


def check_estimator(layer: str, name: str, *, weights: bool = False) -> None:
    """Refuse an estimator that does not exist.

    Raises
    ------
    ConfigError
        If there is no estimator `name` for activations, or for weights.
    """
    known = get_args(WeightEstimatorName if weights else EstimatorName)
    if name not in known:
        raise ConfigError(f"{layer}: estimator is {name!r}", f"use one of {', '.join(known)}")
