from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from bitwright.errors import ConfigError
from bitwright.nn import (
    LEAVES,
    BinaryConv2d,
    BinaryLinear,
    LogitScale,
    PixelLevels,
    Sign,
    build,
)
from bitwright.nn.layers import latent_weights
from bitwright.nn.sign import sign

DTYPES = [torch.float32, torch.bfloat16, torch.float64]


def random_bits(*shape: int, seed: int = 0) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed)
    return torch.randint(0, 2, shape, generator=random) * 2.0 - 1.0


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("training", [True, False])
def test_sign_breaks_ties_upwards_for_both_zeros(dtype: torch.dtype, training: bool) -> None:
    tiny = torch.finfo(dtype).tiny
    x = torch.tensor([0.0, -0.0, tiny, -tiny, 3.0, -3.0, torch.inf, -torch.inf], dtype=dtype)
    y = Sign().train(training)(x)
    assert y.dtype == dtype
    assert y.tolist() == [1, 1, 1, -1, 1, -1, 1, -1]


@pytest.mark.parametrize("dtype", DTYPES)
def test_sign_passes_the_gradient_inside_its_closed_bounds(dtype: torch.dtype) -> None:
    x = torch.tensor(
        [-1.01, -1.0, -0.5, 0.0, -0.0, 1.0, 1.01, 4.0], dtype=dtype, requires_grad=True
    )
    y = Sign()(x)
    y.backward(torch.arange(1, 9).to(dtype))
    assert x.grad is not None
    assert x.grad.tolist() == [0, 2, 3, 4, 5, 6, 0, 0]


def test_sign_without_bound_passes_every_gradient() -> None:
    x = torch.tensor([-100.0, 0.0, 100.0], requires_grad=True)
    sign(x, bound=float("inf")).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [1, 1, 1]


def manual_conv(
    x: np.ndarray, w: np.ndarray, stride: int, padding: int, pad_value: int, groups: int
) -> np.ndarray:
    """The definition, in loops."""
    margins = ((0, 0), (0, 0), (padding, padding), (padding, padding))
    x = np.pad(x, margins, constant_values=pad_value)
    out, share, k, _ = w.shape
    rows, columns = ((size - k) // stride + 1 for size in x.shape[2:])
    y = np.zeros((len(x), out, rows, columns))
    for o, r, c in itertools.product(range(out), range(rows), range(columns)):
        first = o // (out // groups) * share
        window = x[
            :, first : first + share, r * stride : r * stride + k, c * stride : c * stride + k
        ]
        y[:, o, r, c] = (window * w[o]).sum(axis=(1, 2, 3))
    return y


@pytest.mark.parametrize("pad_value", [-1, 0, 1])
@pytest.mark.parametrize(
    ("stride", "padding", "groups"), [(1, 1, 1), (2, 2, 1), (1, 0, 2), (2, 1, 2)]
)
def test_convolution_is_the_definition(
    pad_value: int, stride: int, padding: int, groups: int
) -> None:
    torch.manual_seed(0)
    layer = BinaryConv2d(4, 6, 3, stride, padding, pad_value, groups)
    x = random_bits(2, 4, 7, 5)
    w = np.where(layer.weight.detach().numpy() >= 0, 1.0, -1.0)
    assert np.array_equal(layer.binary_weight().detach().numpy(), w)
    wanted = manual_conv(x.numpy(), w, stride, padding, pad_value, groups)
    assert np.array_equal(layer(x).detach().numpy(), wanted)
    channels_last = x.contiguous(memory_format=torch.channels_last)
    assert np.array_equal(layer(channels_last).detach().numpy(), wanted)


def test_a_latent_weight_of_zero_counts_as_plus_one() -> None:
    layer = BinaryLinear(4, 1)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[0.0, -0.0, -1e-30, 1e-30]]))
    assert layer(torch.ones(1, 4)).item() == 2
    assert layer.binary_weight().tolist() == [[1, 1, -1, 1]]


def test_gradients_reach_latent_weights_of_any_size() -> None:
    layer = BinaryLinear(3, 2)
    with torch.no_grad():
        layer.weight.mul_(100.0)
    x = random_bits(5, 3)
    layer(x).sum().backward()
    assert torch.equal(layer.weight.grad, x.sum(dim=0).expand(2, 3))


def test_pixel_levels_follow_the_table_exactly_even_in_bfloat16() -> None:
    layer = PixelLevels()
    pixels = torch.arange(256, dtype=torch.uint8)
    assert layer(pixels).tolist() == list(layer.table)
    assert layer(pixels.float()).tolist() == list(layer.table)
    assert layer(pixels.bfloat16()).tolist() == list(layer.table)
    assert layer(pixels).bfloat16().tolist() == list(layer.table)
    assert layer.table[0] == -255
    assert layer.table[255] == 255


def test_logit_scale_keeps_the_order() -> None:
    logits = torch.tensor([[3.0, -5.0, 3.0, 1.0]])
    scaled = LogitScale(16)(logits)
    assert torch.equal(scaled, logits / 4)
    assert scaled.argmax(dim=1).item() == 0


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: BinaryConv2d(4, 4, 3, pad_value=2), "pad_value is 2"),
        (lambda: BinaryConv2d(4, 4, 0), "kernel_size is 0"),
        (lambda: BinaryConv2d(4, 6, 3, groups=4), "do not divide"),
        (lambda: BinaryLinear(0, 4), "in_features is 0"),
        (lambda: LogitScale(0), "fan_in is 0"),
    ],
)
def test_impossible_layers_are_refused(make: object, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        make()


class Tracer(torch.fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, LEAVES) or super().is_leaf_module(m, module_qualified_name)


@pytest.mark.parametrize("name", ["cnn", "mlp"])
def test_networks_trace_with_the_layers_as_leaves(name: str) -> None:
    network = build(name).eval()
    graph = Tracer().trace(network)
    kinds = {node.op for node in graph.nodes}
    assert kinds == {"placeholder", "call_module", "output"}
    traced = torch.fx.GraphModule(network, graph)
    pixels = torch.randint(0, 256, (2, 1, 28, 28), dtype=torch.uint8)
    with torch.no_grad():
        assert torch.equal(traced(pixels), network(pixels))


def test_latent_weights_are_those_of_binary_layers_only() -> None:
    network = nn.Sequential(BinaryLinear(4, 3), nn.BatchNorm1d(3), Sign(), nn.Linear(3, 2))
    assert [id(weight) for weight in latent_weights(network)] == [id(network[0].weight)]


def test_convolution_pads_after_binarisation_not_before() -> None:
    x = torch.full((1, 1, 3, 3), 0.25)
    layer = BinaryConv2d(1, 1, 3, padding=1, pad_value=-1)
    with torch.no_grad():
        layer.weight.fill_(0.5)
    y = nn.Sequential(Sign(), layer)(x)
    ones = torch.ones(1, 1, 3, 3)
    assert torch.equal(y, F.conv2d(F.pad(torch.ones_like(x), (1,) * 4, value=-1.0), ones))
    assert y[0, 0].tolist() == [[-1, 3, -1], [3, 9, 3], [-1, 3, -1]]
