"""Scales, centred and normalised weights, AdaBin, and the real layers between signs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from bitwright.errors import ConfigError
from bitwright.nn import (
    AdaBinConv2d,
    BinaryConv2d,
    BinaryLinear,
    ChannelShortcut,
    LearnableBias,
    Maxout,
    Normalise,
    RPReLU,
)
from bitwright.nn.layers import latent_weights


def bits(*shape: int) -> torch.Tensor:
    return torch.randint(0, 2, shape, generator=torch.Generator().manual_seed(1)) * 2.0 - 1.0


def latent(layer: nn.Module) -> np.ndarray:
    return layer.weight.detach().double().numpy().reshape(len(layer.weight), -1)


@pytest.mark.parametrize("scale", ["tensor", "channel"])
@pytest.mark.parametrize("mode", ["learned", "analytic"])
@pytest.mark.parametrize(("centred", "normalised"), [(False, False), (True, False), (True, True)])
def test_the_output_is_the_integer_dot_product_times_the_scale(
    scale: str, mode: str, centred: bool, normalised: bool
) -> None:
    torch.manual_seed(0)
    options = {"scale": scale, "scale_mode": mode, "centred": centred, "normalised": normalised}
    conv = BinaryConv2d(4, 6, 3, padding=1, **options)
    dense = BinaryLinear(8, 5, **options)
    for layer, x in ((conv, bits(2, 4, 5, 5)), (dense, bits(3, 8))):
        with torch.no_grad():
            layer.weight.add_(0.05)
            if layer.factor is not None:
                layer.factor.copy_(torch.linspace(-0.5, 2, len(layer.factor)))
        w = latent(layer)
        if centred:
            w = w - w.mean(axis=1, keepdims=True)
        if normalised:
            w = w / w.std(axis=1, ddof=1, keepdims=True)
        sign = torch.from_numpy(np.where(w >= 0, 1.0, -1.0)).float().reshape(layer.weight.shape)
        assert torch.equal(layer.binary_weight().detach(), sign)
        dot = F.conv2d(x, sign, padding=1) if layer is conv else F.linear(x, sign)
        scales = layer.scales()
        assert scales is not None
        assert scales.shape == ((1,) if scale == "tensor" else (len(w),))
        if mode == "analytic":
            mean = np.abs(w).mean(axis=None if scale == "tensor" else 1).reshape(-1)
            assert scales.tolist() == pytest.approx(mean.tolist(), rel=1e-5)
            assert not scales.requires_grad
        factors = scales.detach().view(1, -1, *[1] * (x.dim() - 2))
        assert torch.equal(layer(x).detach(), dot * factors)


def test_learned_scales_start_at_the_mean_magnitude_and_learn() -> None:
    layer = BinaryLinear(6, 3, scale="channel")
    assert latent(layer).__abs__().mean(axis=1) == pytest.approx(layer.scales().tolist(), rel=1e-5)
    x = bits(4, 6)
    layer(x).sum().backward()
    dot = F.linear(x, layer.binary_weight()).sum(dim=0)
    assert torch.allclose(layer.factor.grad, dot)
    assert layer.weight.grad is not None
    assert "factor" in layer.state_dict()
    assert "factor" not in BinaryLinear(6, 3, scale="channel", scale_mode="analytic").state_dict()
    assert set(BinaryLinear(6, 3).state_dict()) == {"weight"}


def test_scaled_layers_keep_a_bfloat16_map_in_bfloat16() -> None:
    x = torch.randn(2, 4, 5, 5).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        for layer in (
            BinaryConv2d(4, 4, 3, scale="channel"),
            AdaBinConv2d(4, 4, 3),
            Maxout(4),
            RPReLU(4),
            LearnableBias(4),
        ):
            assert layer(x).dtype == torch.bfloat16, layer


def test_centring_is_by_output_channel() -> None:
    layer = BinaryConv2d(2, 2, 1, centred=True)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[3.0, 5.0], [-7.0, -5.0]]).view(2, 2, 1, 1))
    assert layer.binary_weight().flatten().tolist() == [-1, 1, -1, 1]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: BinaryLinear(2, 2, scale="row"), "scale is 'row': use one of none, tensor"),
        (lambda: BinaryLinear(2, 2, scale_mode="fixed"), "scale_mode is 'fixed'"),
        (lambda: AdaBinConv2d(2, 0, 3), "out_channels is 0"),
        (lambda: Maxout(0), "Maxout: channels is 0"),
        (lambda: ChannelShortcut(0, 1, 1), "stride is 0"),
        (lambda: Normalise([0.5], [0.0]), "std above 0"),
        (lambda: Normalise([0.5], [0.1, 0.2]), "one mean and one std"),
    ],
)
def test_impossible_options_are_refused(make: object, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        make()


def adabin(stride: int = 1, padding: int = 1) -> AdaBinConv2d:
    torch.manual_seed(2)
    layer = AdaBinConv2d(3, 4, 3, stride, padding)
    with torch.no_grad():
        layer.weight.add_(0.1)
        layer.alpha_a.fill_(0.7)
        layer.beta_a.fill_(-0.3)
    return layer


@pytest.mark.parametrize(("stride", "padding"), [(1, 1), (2, 1), (1, 0)])
def test_adabin_is_the_published_expansion(stride: int, padding: int) -> None:
    # FORMAT.md, number 7: sums over the taps inside the map.
    layer = adabin(stride, padding)
    x = torch.randn(2, 3, 6, 6)
    y = layer(x).detach().double()

    def conv(values: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        return F.conv2d(values.double(), weight.double(), stride=stride, padding=padding)

    alpha, beta = 0.7, -0.3
    w = latent(layer)
    mean = torch.from_numpy(w.mean(axis=1)).view(1, -1, 1, 1)
    std = torch.from_numpy(w.std(axis=1)).view(1, -1, 1, 1)
    s = torch.where((x - beta) / alpha >= 0, 1.0, -1.0)
    b = torch.from_numpy(np.where(w >= w.mean(axis=1, keepdims=True), 1.0, -1.0))
    b = b.reshape(layer.weight.shape)
    ones = torch.ones_like(layer.weight)
    inside = torch.ones_like(x)
    wanted = alpha * std * (conv(s, b) + beta * conv(inside, b))
    wanted += alpha * mean * (conv(s, ones) + beta * conv(inside, ones))
    assert torch.allclose(y, wanted, atol=1e-5)
    assert torch.equal(layer.binary_weight().double(), b)


def test_adabin_activation_has_its_two_values_and_the_papers_gradients() -> None:
    layer = adabin()
    x = torch.tensor([-2.0, -0.9, -0.35, -0.3, 0.1, 0.39, 3.0], requires_grad=True)
    y = layer.binary_a(x)
    low, high = 0.7 * (-0.3 - 1), 0.7 * (-0.3 + 1)
    assert y.tolist() == pytest.approx([low] * 3 + [high] * 4)
    y.sum().backward()
    u = (x.detach() + 0.3) / 0.7
    slope = (2 - 2 * u.abs()).clamp(min=0)
    assert torch.allclose(x.grad, slope)
    sign = torch.where(u >= 0, 1.0, -1.0)
    assert layer.alpha_a.grad.item() == pytest.approx((sign - 0.3 - slope * u).sum().item())
    assert layer.beta_a.grad.item() == pytest.approx((0.7 - slope).sum().item(), abs=1e-6)


def test_adabin_weights_follow_autograd_through_mean_and_deviation() -> None:
    layer = adabin()
    layer.progress = 0.8
    incoming = torch.randn(layer.weight.shape)
    layer.effective_weight().backward(incoming)
    w = layer.weight.detach().double().requires_grad_()
    mean = w.mean((1, 2, 3), keepdim=True)
    std = w.std((1, 2, 3), keepdim=True, correction=0)
    normal = (w - mean) / std
    t = 1e-3 * 1e4**0.8
    smooth = max(1 / t, 1) * torch.tanh(normal * t)  # its derivative is the estimator's
    sign = torch.where(normal >= 0, 1.0, -1.0).double()
    ((sign + smooth - smooth.detach()) * std + mean).backward(incoming.double())
    assert torch.allclose(layer.weight.grad.double(), w.grad, rtol=1e-3, atol=1e-4)


def test_equal_adabin_weights_have_finite_gradients() -> None:
    layer = AdaBinConv2d(2, 2, 1)
    with torch.no_grad():
        layer.weight.fill_(0.25)
    y = layer(torch.randn(1, 2, 3, 3))
    y.sum().backward()
    assert bool(y.isfinite().all())
    assert bool(layer.weight.grad.isfinite().all())
    assert torch.allclose(layer.effective_weight(), torch.tensor(0.25))
    assert latent_weights(layer) == [layer.weight]


def randomised(layer: nn.Module) -> nn.Module:
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.randn(parameter.shape))
    return layer


@pytest.mark.parametrize("shape", [(5, 4), (2, 4, 3, 3)])
def test_activations_are_their_formulas(shape: tuple[int, ...]) -> None:
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    column = (1, 4, *[1] * (len(shape) - 2))
    maxout = randomised(Maxout(4))
    slope = torch.where(x > 0, maxout.pos_scale.view(column), maxout.neg_scale.view(column))
    assert torch.equal(maxout(x), slope * x)
    bias = randomised(LearnableBias(4))
    assert torch.equal(bias(x), x + bias.bias.view(column))
    rprelu = randomised(RPReLU(4))
    moved = x + rprelu.shift_in.view(column)
    wanted = F.prelu(moved, rprelu.slope) + rprelu.shift_out.view(column)
    assert torch.equal(rprelu(x), wanted)


def test_activations_start_as_published() -> None:
    x = torch.tensor([[-4.0, 4.0]])
    for layer in (Maxout(2), RPReLU(2)):
        assert layer(x).tolist() == [[-1, 4]]
    assert torch.equal(LearnableBias(2)(x), x)


def test_channel_shortcut_keeps_every_other_pixel_between_zeros() -> None:
    x = torch.arange(2 * 2 * 5 * 4.0).reshape(2, 2, 5, 4)
    y = ChannelShortcut(2, 1, 2)(x)
    assert y.shape == (2, 5, 3, 2)
    assert torch.equal(y[:, 1:3], x[:, :, [0, 2, 4]][:, :, :, [0, 2]])
    assert not y[:, 0].any()
    assert not y[:, 3:].any()
    assert torch.equal(ChannelShortcut(1, 0, 0)(x), x)


def test_normalise_is_the_usual_preprocessing() -> None:
    layer = Normalise((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    pixels = torch.randint(0, 256, (2, 3, 4, 4), dtype=torch.uint8)
    x = pixels.double() / 255
    mean = torch.tensor([0.485, 0.456, 0.406], dtype=torch.float64).view(1, 3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225], dtype=torch.float64).view(1, 3, 1, 1)
    assert torch.allclose(layer(pixels).double(), (x - mean) / std, atol=1e-5)
    assert torch.equal(layer(pixels), layer(pixels.float()))
    assert not layer.state_dict()
