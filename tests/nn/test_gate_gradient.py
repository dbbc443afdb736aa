from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.nn.test_train import RECIPE, run
from torch import Tensor, nn

from bitwright.circuits import Cell, Circuit, Output, evaluate, make
from bitwright.errors import ConfigError
from bitwright.nn import BinaryConv2d, BinaryLinear, Site, approximate, with_options
from bitwright.nn.circuit_dot import circuit_dot
from bitwright.nn.gate_gradient import first_gates, with_gates_gradient
from bitwright.nn.recipe_file import parse_recipe

LEVEL = (
    "andor:L=0",
    "andor:L=0,size=2",
    "andor:L=0,grouping=channel",
    "maj",
    "exact",
    "exact:keep=0.7",
    "exact:keep=0.1",
)
"""Circuits of one level of gates and adders: nothing of them is left out of the gradient."""


def bits(*shape: int) -> Tensor:
    return torch.randint(0, 2, shape) * 2.0 - 1


@pytest.mark.parametrize("spec", LEVEL)
def test_the_first_gates_of_one_level_are_the_circuit(spec):
    circuit = make(spec, 36, (3, 3, 4))
    products = bits(200, 36).numpy()
    total = np.zeros(200)
    for gate in first_gates(circuit):
        for mask, coefficient in enumerate(gate.walsh):
            factors = [i for j, i in enumerate(gate.inputs) if mask >> j & 1]
            total += coefficient * products[:, factors].prod(axis=1)
    wanted = 2 * evaluate(circuit, (products > 0).astype(np.uint8)) / circuit.divisor
    assert total - total[0] == pytest.approx(wanted - wanted[0])


def test_a_majority_of_gates_counts_by_its_linear_part():
    one, two = (first_gates(make(f"andor:L={levels}", 36)) for levels in (0, 1))
    assert {gate.inputs: gate.walsh.tolist() for gate in one} == {
        gate.inputs: pytest.approx(gate.walsh.tolist()) for gate in two
    }
    # ab + cd: 1 for each input, 1 for ab and cd, -1/3 for what the two halves do to each other
    gate = next(gate for gate in one if gate.inputs == (0, 1, 2, 3))
    assert gate.walsh[[1, 2, 4, 8, 3, 12]] == pytest.approx(1)
    assert gate.walsh[[5, 6, 7, 9, 10, 11, 13, 14, 15]] == pytest.approx(-1 / 3)


def test_the_leading_terms_of_an_and_or_are_six_with_six_sevenths_of_its_variance():
    circuit = make("andor:L=0", 36)
    whole = {gate.inputs: gate.walsh for gate in first_gates(circuit)}
    for gate in first_gates(circuit, "leading"):
        kept = np.flatnonzero(gate.walsh)
        assert kept.tolist() == [1, 2, 3, 4, 8, 12]
        assert gate.walsh[kept] == pytest.approx(whole[gate.inputs][kept])
        share = (gate.walsh**2).sum() / (whole[gate.inputs] ** 2).sum()
        assert share == pytest.approx(6 / 7)


def counted(layer: nn.Module, circuit: Circuit, kernel: tuple[int, int, int], x: Tensor) -> Tensor:
    """Return what a circuit counts, not rounded to an integer of matches."""
    whole = circuit_dot(layer, replace(circuit, divisor=1), x, kernel)
    return (whole + layer.fan_in) / circuit.divisor - layer.fan_in


def flipped_one_by_one(function, bits_of: Tensor) -> Tensor:
    """Return half of what a scalar changes by when one of the bits goes from -1 to +1."""
    found = torch.empty(bits_of.numel())
    for i in range(bits_of.numel()):
        high, low = bits_of.clone(), bits_of.clone()
        high.view(-1)[i], low.view(-1)[i] = 1, -1
        found[i] = (function(high) - function(low)) / 2
    return found.reshape(bits_of.shape)


@pytest.mark.parametrize("spec", LEVEL)
@pytest.mark.parametrize("channels", [4, 3])  # gates within taps, and across them
@pytest.mark.parametrize(("stride", "padding", "pad_value"), [(1, 0, 0), (2, 1, -1), (1, 1, 1)])
def test_the_gradient_is_what_each_bit_changes(spec, channels, stride, padding, pad_value):
    torch.manual_seed(0)
    layer = BinaryConv2d(channels, 2, 3, stride, padding, pad_value)
    check(layer, make(spec, layer.fan_in, (3, 3, channels)), (3, 3, channels), (2, channels, 3, 4))


def test_the_gradient_of_a_fully_connected_layer_knows_the_map_before_it():
    torch.manual_seed(0)
    check(BinaryLinear(4 * 2 * 3, 3), make("andor:L=0", 24, (2, 3, 4)), (2, 3, 4), (2, 24))


def check(
    layer: nn.Module, circuit: Circuit, kernel: tuple[int, int, int], shape: tuple[int, ...]
) -> None:
    x = bits(*shape)
    value = counted(layer, circuit, kernel, x)
    upstream = torch.randn_like(value)
    leaf = x.clone().requires_grad_()
    found = with_gates_gradient(layer, circuit, leaf, kernel, value)
    assert torch.equal(found, value)
    by_x, by_weight = torch.autograd.grad(found, (leaf, layer.weight), upstream)

    def loss(x: Tensor) -> Tensor:
        return (counted(layer, circuit, kernel, x) * upstream).sum()

    wanted = flipped_one_by_one(loss, x)
    assert torch.allclose(by_x, wanted, atol=1e-4)

    def loss_of(weight: Tensor) -> Tensor:
        layer.weight.data = weight
        return loss(x)

    wanted = flipped_one_by_one(loss_of, layer.binary_weight().detach().clone())
    assert torch.allclose(by_weight, wanted, atol=1e-4)


def test_a_padding_of_zero_is_put_right_in_the_gradient_too():
    torch.manual_seed(0)
    zero, minus = BinaryConv2d(4, 3, 3, 1, 1, 0), BinaryConv2d(4, 3, 3, 1, 1, -1)
    minus.weight.data.copy_(zero.weight.data)
    circuit, kernel, x = make("andor", 36), (3, 3, 4), bits(2, 4, 5, 5)
    upstream = torch.randn(2, 3, 5, 5)
    gradients = []
    for layer in (zero, minus):
        value = circuit_dot(layer, circuit, x, kernel)
        dot = with_gates_gradient(layer, circuit, x, kernel, value)
        assert torch.equal(dot, value)
        gradients += torch.autograd.grad(dot, layer.weight, upstream)
    outside = nn.functional.pad(torch.zeros(1, 4, 5, 5), (1,) * 4, value=1.0)
    border = nn.functional.conv2d(outside, zero.binary_weight())
    (wanted,) = torch.autograd.grad(border, zero.weight, upstream.sum(0, keepdim=True))
    assert torch.allclose(gradients[0] - gradients[1], wanted, atol=1e-4)


def test_a_layer_keeps_its_value_and_its_scales_learn():
    torch.manual_seed(0)
    layer = BinaryConv2d(4, 6, 3, scale="channel")
    sites = {"conv": Site("conv", layer, (3, 3, 4), None, None)}
    circuits = {"conv": make("andor", 36)}
    x, upstream = bits(3, 4, 6, 6), torch.randn(3, 6, 4, 4)
    with approximate(sites, circuits):
        value = layer(x)
    with approximate(sites, circuits, gradient="gates"):
        found = layer(x)
        with torch.no_grad():
            assert torch.equal(layer(x), value)
    assert torch.equal(found, value)
    (by_scale,) = torch.autograd.grad(found, layer.factor, upstream)
    dot = circuit_dot(layer, circuits["conv"], x, (3, 3, 4))
    assert torch.allclose(by_scale, (upstream * dot).sum((0, 2, 3)), rtol=1e-4)


@pytest.mark.parametrize(("spec", "same"), [("maj", True), ("andor:L=0", False)])
def test_majorities_have_leading_terms_only(spec, same):
    torch.manual_seed(0)
    layer = BinaryConv2d(4, 6, 3)
    sites = {"conv": Site("conv", layer, (3, 3, 4), None, None)}
    circuits = {"conv": make(spec, 36)}
    x, upstream = bits(3, 4, 6, 6).requires_grad_(), torch.randn(3, 6, 4, 4)
    found = []
    for gradient in ("gates", "leading"):
        with approximate(sites, circuits, gradient=gradient):
            found.append(torch.autograd.grad(layer(x), (x, layer.weight), upstream))
    for whole, leading in zip(*found, strict=True):
        assert torch.allclose(whole, leading, atol=1e-5) == same


def test_training_with_it_differs_and_repeats(tmp_path: Path) -> None:
    recipe = with_options(RECIPE, method="circuit", circuit="andor", start=None)
    other, third = (
        recipe.model_copy(
            update={"approximate": recipe.approximate.model_copy(update={"gradient": gradient})}
        )
        for gradient in ("gates", "leading")
    )
    runs = {"straight": recipe, "gates": other, "again": other, "leading": third}
    found = {
        name: run(tmp_path / name, one).network.state_dict()["conv2.weight"]
        for name, one in runs.items()
    }
    assert torch.equal(found["gates"], found["again"])
    for one, two in itertools.combinations(("straight", "gates", "leading"), 2):
        assert not torch.equal(found[one], found[two])


def test_what_has_no_gates_is_refused():
    layer = BinaryLinear(6, 2)
    sites = {"fc": Site("fc", layer, (1, 1, 6), None, None)}
    circuits = {"fc": make("andor", 6)}
    with (
        pytest.raises(ConfigError, match="'table' has no gates"),
        approximate(sites, circuits, "table", "gates"),
    ):
        pass
    with (
        pytest.raises(ConfigError, match=r"gradient is 'bits'.*gates"),
        approximate(sites, circuits, "circuit", "bits"),
    ):
        pass
    cells = (Cell("XOR3", (0, 1, 2)), Cell("XOR3", (3, 4, 5)), Cell("XOR2", (6, 7)))
    parity = Circuit(6, cells, (Output(8, 1),))
    with (
        pytest.raises(ConfigError, match="linear in none of its first gates"),
        approximate(sites, {"fc": parity}, gradient="gates"),
    ):
        pass
    text = (
        'data = "fashion-mnist"\nepochs = 2\n[model]\nname = "mlp"\n'
        '[approximate]\nmethod = "margin"\ngradient = "gates"\n'
    )
    with pytest.raises(ConfigError, match="gates' goes with method = 'circuit' only"):
        parse_recipe(text)
