from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from bitwright.circuits import evaluate, flip_given_count, flips, joint, make, value_given_count
from bitwright.errors import CircuitError, ConfigError
from bitwright.frontends.torch_lower import lower
from bitwright.nn import (
    BinaryConv2d,
    BinaryLinear,
    PixelLevels,
    Sign,
    approximate,
    build,
    find_sites,
    layer_circuits,
)
from bitwright.nn.approximate import METHODS
from bitwright.nn.circuit_dot import circuit_dot
from bitwright.nn.evaluate import recalibrate
from bitwright.nn.sites import Site
from bitwright.targets import get_target
from bitwright.targets.majority import Config

SPECS = (
    "exact",
    "exact:keep=0.4",
    "maj",
    "maj:L=2",
    "maj:L=2,keep=0.6",
    "maj:gain=1",
    "andor",
    "lta:size=9",
)


def bits(*shape: int) -> torch.Tensor:
    return torch.randint(0, 2, shape) * 2.0 - 1


def small(**options: object) -> nn.Module:
    torch.manual_seed(1)
    shape = {"blocks": [[6, 5], [8]], "hidden": [16], "input_shape": (8, 8, 1), "classes": 4}
    return build("cnn", **(shape | options))


def pixels(count: int) -> torch.Tensor:
    return torch.randint(0, 256, (count, 1, 8, 8), generator=torch.Generator().manual_seed(2))


@settings(deadline=None, max_examples=25)
@given(st.data())
def test_a_circuit_counts_the_very_products_of_a_convolution(data):
    seed = data.draw(st.integers(0, 1000))
    torch.manual_seed(seed)
    channels, side, stride, padding = (
        data.draw(st.integers(low, high)) for low, high in ((1, 5), (1, 3), (1, 2), (0, 1))
    )
    pad_value = data.draw(st.sampled_from((-1, 0, 1)))
    layer = BinaryConv2d(channels, 7, side, stride, padding, pad_value)
    circuit = make(data.draw(st.sampled_from(SPECS)), layer.fan_in, (side, side, channels))
    images, size = data.draw(st.integers(1, 3)), data.draw(st.integers(3, 6))
    x = bits(images, channels, size, size)

    found = circuit_dot(layer, circuit, x, (side, side, channels))

    # In a padding of 0 the circuit sees -1, and the sum of the weights there is added.
    fill = pad_value or -1
    padded = nn.functional.pad(x, (padding,) * 4, value=float(fill))
    inside = nn.functional.pad(torch.ones_like(x[:1]), (padding,) * 4)
    weight = layer.binary_weight().detach().permute(0, 2, 3, 1).reshape(7, -1)
    for i, j in np.ndindex(found.shape[2:]):
        rows, columns = (slice(k * stride, k * stride + side) for k in (i, j))
        window = padded[:, :, rows, columns].permute(0, 2, 3, 1).reshape(images, -1)
        products = (window[:, None] * weight[None] > 0).reshape(images * 7, -1)
        counts = np.asarray(evaluate(circuit, products.numpy().astype(np.uint8)))
        wanted = 2 * (counts // circuit.divisor) - layer.fan_in
        if padding and not pad_value:
            lost = 1 - inside[:, :, rows, columns].expand(1, channels, side, side)
            lost = lost.permute(0, 2, 3, 1).reshape(-1)
            wanted = wanted.reshape(images, 7) + (weight * lost).sum(1).numpy()
        assert (found[:, :, i, j].numpy() == wanted.reshape(images, 7)).all()


@pytest.mark.parametrize(
    ("channels", "spec"), [(40, "exact:keep=0.4"), (101, "exact"), (101, "maj")]
)
def test_autocast_rounds_no_count(channels, spec):
    torch.manual_seed(0)
    layer = BinaryConv2d(channels, 3, 3, padding=1)
    with torch.no_grad():
        layer.weight.abs_()  # sums up to the fan-in, beyond what bfloat16 holds
    circuit, kernel = make(spec, layer.fan_in, (3, 3, channels)), (3, 3, channels)
    x = torch.where(torch.rand(2, channels, 4, 4) < 0.97, 1.0, -1.0)
    wanted = circuit_dot(layer, circuit, x, kernel)
    with torch.autocast("cpu", torch.bfloat16):
        found = circuit_dot(layer, circuit, x.bfloat16(), kernel)
    assert found.dtype == torch.float32
    assert torch.equal(found, wanted)
    assert channels < 100 or (wanted.bfloat16() != wanted).any()


def test_a_fully_connected_layer_sees_the_map_row_by_row():
    torch.manual_seed(0)
    layer = BinaryLinear(2 * 3 * 3, 5)
    circuit = make("maj", 18, (3, 3, 2))
    x = bits(4, 2, 3, 3)
    weight = layer.binary_weight().detach().reshape(5, 2, 3, 3)
    products = (x[:, None] * weight[None] > 0).permute(0, 1, 3, 4, 2).reshape(20, 18)
    wanted = 2 * np.asarray(evaluate(circuit, products.numpy().astype(np.uint8))) - 18
    found = circuit_dot(layer, circuit, x.flatten(1), (3, 3, 2))
    assert (found.numpy().ravel() == wanted).all()


@pytest.mark.parametrize("model", ["cnn", "cnv", "resnet20"])
def test_sites_are_the_layers_of_bits(model):
    network = build(model, width=0.25) if model != "cnn" else small()
    shape = (2, 1, 8, 8) if model == "cnn" else (2, 3, 32, 32)
    sites = find_sites(network, torch.randint(0, 256, shape))
    binary = {
        name: layer
        for name, layer in network.named_modules()
        if isinstance(layer, BinaryConv2d | BinaryLinear)
    }
    if model == "resnet20":  # its first and last layers are real; shortcuts join before the sign
        assert sites.keys() == binary.keys()
        assert all(site.sign is None for site in sites.values())
    else:
        first, *rest = binary
        assert first not in sites
        assert list(sites) == rest
        assert [site.sign is None for site in sites.values()] == [False] * (len(rest) - 1) + [True]
    for name, site in sites.items():
        assert site.layer is binary[name]
        assert np.prod(site.kernel) == site.layer.fan_in


@pytest.mark.parametrize("method", METHODS)
def test_exact_circuits_change_nothing(method):
    network, x = small(), pixels(20)
    sites = find_sites(network, x)
    expected = network.train()(x)
    with approximate(sites, layer_circuits(sites, "exact"), method):
        assert torch.equal(network(x), expected)


@pytest.mark.parametrize("method", METHODS)
def test_hooks_come_off(method):
    network, x = small(), pixels(20)
    sites = find_sites(network, x)
    network.eval()
    expected = network(x)
    with approximate(sites, layer_circuits(sites, "maj:L=2"), method):
        assert not torch.equal(network(x), expected)
    assert torch.equal(network(x), expected)
    assert not any(layer._forward_hooks for layer in network.modules())


@pytest.mark.parametrize("method", ["table", "circuit"])
def test_the_gradient_is_the_exact_layers(method):
    torch.manual_seed(0)
    layer = BinaryConv2d(4, 6, 3, scale="channel")
    site = Site("conv", layer, (3, 3, 4), None, None)
    x, upstream = bits(3, 4, 6, 6).requires_grad_(), torch.randn(3, 6, 4, 4)
    expected = torch.autograd.grad(layer(x), (x, layer.weight, layer.factor), upstream)
    with approximate({"conv": site}, {"conv": make("maj:L=2", 36)}, method):
        found = torch.autograd.grad(layer(x), (x, layer.weight, layer.factor), upstream)
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one, other)


class OneNeuron(nn.Module):
    """A layer, a BatchNorm with its threshold at a dot product of 0, and a sign."""

    def __init__(self, fan_in: int, gain: float | None) -> None:
        super().__init__()
        self.input = PixelLevels()
        self.layer = BinaryLinear(fan_in, 1)
        self.norm = nn.BatchNorm1d(1, affine=gain is not None)
        self.norm.running_var.fill_(7.0)
        if gain is not None:
            self.norm.weight.data.fill_(gain)
            self.norm.bias.data.fill_(0.1)  # a dot product of 0 gives +1
        self.sign = Sign()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.sign(self.norm(self.layer(x)))


@pytest.mark.parametrize("gain", [1.0, -0.3, None])
@pytest.mark.parametrize("method", ["uniform", "margin"])
def test_bits_flip_at_the_rates_of_the_circuit(method, gain):
    torch.manual_seed(0)
    network = OneNeuron(18, gain).eval()
    x = bits(200_000, 18)
    sites = find_sites(network, x[:2])
    circuit = make("maj", 18)
    counts = ((x * network.layer.binary_weight()).sum(1) + 18).div(2).long()
    with torch.no_grad():
        exact = network(x)[:, 0]
        with approximate(sites, {"layer": circuit}, method):
            flipped = (network(x)[:, 0] != exact).double()
    best = flips(joint(circuit), 9)
    assert flipped.mean().item() == pytest.approx(best.best, abs=0.005)
    by_count = [flipped[counts == count].mean().item() for count in range(5, 14)]
    if method == "uniform":
        assert by_count == pytest.approx([best.best] * 9, abs=0.02)
    else:
        wanted = flip_given_count(joint(circuit), 9, best.best_cutoff)[5:14]
        assert by_count == pytest.approx(list(wanted), abs=0.02)
        assert max(wanted) > 2 * min(wanted)


def test_values_are_drawn_from_the_table_by_count():
    torch.manual_seed(0)
    layer = BinaryLinear(18, 1)
    site = Site("layer", layer, (1, 1, 18), None, None)
    circuit = make("maj", 18)
    x = bits(200_000, 18)
    counts = (layer(x)[:, 0] + 18).div(2).long()
    with torch.no_grad(), approximate({"layer": site}, {"layer": circuit}, "table"):
        values = (layer(x)[:, 0] + 18).div(2).long()
    table, known = value_given_count(joint(circuit)), joint(circuit).values
    for count in (6, 9, 12):
        drawn = values[counts == count].numpy()
        shares = [(drawn == value).mean() for value in known]
        assert shares == pytest.approx(list(table[:, count]), abs=0.02)


@pytest.mark.parametrize("spec", ["exact", "maj:L=2,keep=0.6", "andor"])
@pytest.mark.parametrize("pad_value", [-1, 0, 1])
def test_a_network_with_circuits_is_the_program_with_circuits(spec, pad_value):
    network, x = small(pad_value=pad_value), pixels(100)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.uniform_(layer.weight, -1.5, 1.5)  # falling thresholds too
            nn.init.uniform_(layer.bias, -0.5, 0.5)
    sites = find_sites(network, x)
    circuits = layer_circuits(sites, spec)
    with approximate(sites, circuits), torch.no_grad():
        recalibrate(network, x.permute(0, 2, 3, 1))
        logits = network.eval()(x)
    program = lower(network, (8, 8, 1))
    images = x.permute(0, 2, 3, 1).numpy().astype(np.uint8)
    design_of = get_target("majority")
    design = design_of.lower(program, Config(circuit=spec, thresholds="unchanged"))
    found = design_of.simulate(design, images, 1).outputs[program.logits]
    scale = np.sqrt(sites["fc2"].layer.fan_in)
    assert (np.rint(logits.numpy() * scale) == found).all()


def test_what_cannot_be_is_said():
    network = small()
    sites = find_sites(network, pixels(2))
    with pytest.raises(ConfigError, match=r"'conv1' is no layer of bits.*conv2"):
        layer_circuits(sites, "maj", ["conv1"])
    with pytest.raises(CircuitError):
        layer_circuits(sites, "netlist:path=/nowhere.v")
    with pytest.raises(ConfigError, match=r"'guess'.*margin"), approximate(sites, {}, "guess"):
        pass
    with (
        pytest.raises(ConfigError, match="no sign follows on 'fc2'"),
        approximate(sites, {"fc2": make("maj", 16)}, "margin"),
    ):
        pass
