from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from bitwright.errors import ConfigError
from bitwright.nn import BinaryConv2d, BinaryLinear, Sign
from bitwright.nn.estimators import estimate, reste_power, tanh_slope
from bitwright.nn.layers import set_progress

NAMES = ["identity", "clip", "approx", "tanh", "reste"]
POINTS = [-4.0, -1.5, -1.2, -1.0, -0.7, -0.11, -0.04, -0.0, 0.0, 0.04, 0.09, 0.3, 0.99, 1.5, 2.0]


def gradient(name: str, x: float, progress: float) -> float:
    """The published formula."""
    size = abs(x)
    match name:
        case "identity":
            return 1.0
        case "clip":
            return float(size <= 1)
        case "approx":
            return 2 - 2 * size if size < 1 else 0.0
        case "tanh":
            t = 10 ** (-1 + 2 * progress)
            return max(1 / t, 1) * t * (1 - math.tanh(x * t) ** 2)
        case _:
            o = 1 + (1 - math.cos(progress * math.pi / 2)) * 2
            if size > 1.5:
                return 0.0
            return 0.1 ** (1 / o) / 0.1 if size <= 0.1 else size ** ((1 - o) / o) / o


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("progress", [0.0, 0.4, 1.0])
def test_gradients_are_those_of_the_papers(name: str, progress: float) -> None:
    x = torch.tensor(POINTS, requires_grad=True)
    incoming = torch.linspace(-2, 3, len(POINTS))
    estimate(x, name, progress).backward(incoming)
    wanted = [gradient(name, float(np.float32(point)), progress) for point in POINTS]
    assert x.grad is not None
    assert x.grad.tolist() == pytest.approx(
        (np.array(wanted) * incoming.numpy()).tolist(), rel=1e-4, abs=1e-6
    )


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_forward_is_the_same_sign_for_all(name: str, dtype: torch.dtype) -> None:
    x = torch.tensor([*POINTS, torch.inf, -torch.inf], dtype=dtype, requires_grad=True)
    y = estimate(x, name, 0.5)
    assert y.dtype == dtype
    assert torch.equal(y, torch.where(x >= 0, 1.0, -1.0).to(dtype))
    y.sum().backward()
    assert x.grad is not None
    assert x.grad.dtype == dtype
    assert bool(x.grad.isfinite().all())


def test_schedules_run_from_the_papers_first_to_their_last_value() -> None:
    assert [tanh_slope(share) for share in (0, 0.5, 1)] == pytest.approx([0.1, 1, 10])
    assert tanh_slope(0, first=1e-3) == 1e-3
    assert tanh_slope(1, first=1e-3) == pytest.approx(10)
    assert [reste_power(share) for share in (0, 1)] == pytest.approx([1, 3])


def test_progress_reaches_every_estimator_and_changes_gradients_only() -> None:
    network = torch.nn.Sequential(
        Sign("tanh"), BinaryConv2d(1, 2, 3, estimator="reste"), torch.nn.Flatten(), Sign("approx")
    )
    x = torch.linspace(-1, 1, 32).reshape(2, 1, 4, 4).requires_grad_()
    seen = []
    for share in (0.0, 0.9):
        set_progress(network, share)
        y = network[0](x)
        seen.append((y.detach(), torch.autograd.grad(y.sum(), x)[0]))
    assert torch.equal(seen[0][0], seen[1][0])
    assert not torch.equal(seen[0][1], seen[1][1])
    assert [network[0].progress, network[1].progress] == [0.9, 0.9]


def test_unknown_estimators_are_refused() -> None:
    with pytest.raises(ConfigError, match="estimator is 'identity': use one of clip, approx"):
        Sign("identity")
    with pytest.raises(ConfigError, match=r"estimator is 'ste'.*identity, clip"):
        BinaryLinear(3, 3, estimator="ste")
