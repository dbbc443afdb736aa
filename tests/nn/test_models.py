from __future__ import annotations

import pytest
import torch
from torch import nn

from bitwright.errors import ConfigError, UnknownNameError
from bitwright.nn import MODELS, BinaryConv2d, build
from bitwright.nn.layers import latent_weights


@pytest.mark.parametrize(
    ("name", "shape", "weights"),
    [
        ("mlp", (1, 28, 28), 784 * 256 + 2 * 256 * 256 + 2560),
        ("cnn", (1, 28, 28), 436_000),
        ("cnv", (3, 32, 32), 1_542_848),
    ],
)
def test_networks_have_the_published_size_and_give_integer_logits(
    name: str, shape: tuple[int, int, int], weights: int
) -> None:
    network = build(name).eval()
    assert sum(weight.numel() for weight in latent_weights(network)) == weights
    pixels = torch.randint(0, 256, (2, *shape), dtype=torch.uint8)
    with torch.no_grad():
        logits = network(pixels)
        integers = network[:-1](pixels)
    assert logits.shape == (2, 10)
    assert torch.equal(integers, integers.round())
    assert torch.equal(logits, integers * network[-1].scale)


def test_every_builder_takes_the_shape_of_the_data() -> None:
    for name in MODELS:
        network = build(name, input_shape=(32, 36, 3), classes=7).eval()
        with torch.no_grad():
            assert network(torch.zeros(1, 3, 32, 36)).shape == (1, 7)


def test_pooling_comes_before_batchnorm_and_sign() -> None:
    names = [name for name, _ in build("cnn").named_children()]
    assert names[4:8] == ["conv2", "pool2", "conv2_bn", "conv2_sign"]


def test_binary_maps_are_padded_as_asked_and_pixels_with_zero() -> None:
    network = build("cnn", pad_value=1, blocks=[[4], [4]])
    values = [layer.pad_value for layer in network.modules() if isinstance(layer, BinaryConv2d)]
    assert values == [0, 1]


def test_networks_without_hidden_layers_are_possible() -> None:
    assert isinstance(build("mlp", widths=()), nn.Sequential)
    assert isinstance(build("cnn", blocks=[[4]], hidden=[]), nn.Sequential)


def test_same_seed_same_weights() -> None:
    weights = []
    for _ in range(2):
        torch.manual_seed(5)
        weights.append(latent_weights(build("mlp", widths=(8,)))[0])
    assert torch.equal(*weights)


def test_unknown_network_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'cnv'"):
        build("cnvv")


@pytest.mark.parametrize(
    ("name", "params", "said"),
    [
        ("mlp", {"width": [3]}, "unknown key 'width': did you mean 'widths'"),
        ("mlp", {"widths": [0]}, "widths.0 = 0"),
        ("mlp", {"widths": "many"}, "widths = 'many'"),
        ("cnn", {"pad_value": 3}, "pad_value = 3"),
        ("cnn", {"classes": 1}, "classes = 1"),
        ("cnn", {"input_shape": [7, 7, 1]}, "image of 7x7 pixels to nothing"),
        ("cnv", {"input_shape": [28, 28, 1]}, "image of 28x28 pixels to nothing"),
        ("cnv", {"input_shape": [28, 28]}, "input_shape"),
    ],
)
def test_impossible_parameters_are_refused_by_name(
    name: str, params: dict[str, object], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        build(name, **params)
