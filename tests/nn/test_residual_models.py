from __future__ import annotations

import lzma
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from bitwright.errors import ConfigError
from bitwright.nn import (
    LEAVES,
    MODELS,
    AdaBinConv2d,
    BinaryConv2d,
    ChannelShortcut,
    Maxout,
    RPReLU,
    Sign,
    build,
)
from bitwright.nn.evaluate import accuracy
from bitwright.nn.layers import latent_weights

SHAPES = [(28, 28, 1), (32, 32, 3)]
VARIANTS = [
    ("vgg_small", {"estimator": "tanh", "weight_estimator": "tanh", "centred": True}),
    ("vgg_small", {"scale": "channel", "pad_value": 1}),
    ("resnet18", {}),
    ("resnet18", {"activation": "hardtanh", "shortcut": "pad", "scale": "channel"}),
    ("resnet20", {}),
    ("resnet20", {"activation": "maxout", "shortcut": "conv", "estimator": "reste"}),
    ("resnet20", {"activation": "none", "scale": "tensor", "scale_mode": "analytic"}),
    ("adabin_resnet20", {}),
    ("cnn", {}),
]


class Tracer(torch.fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, LEAVES) or super().is_leaf_module(m, module_qualified_name)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("name", "params"), VARIANTS)
def test_networks_build_run_trace_and_learn(
    name: str, params: dict[str, object], shape: tuple[int, int, int]
) -> None:
    torch.manual_seed(0)
    network = build(name, width=0.25, input_shape=shape, classes=7, **params)
    height, width, channels = shape
    pixels = torch.randint(0, 256, (2, channels, height, width), dtype=torch.uint8)
    network(pixels).square().sum().backward()
    for key, parameter in network.named_parameters():
        assert parameter.grad is not None, key
        assert bool(parameter.grad.isfinite().all()), key
    network.eval()
    graph = Tracer().trace(network)
    functions = {node.target.__name__ for node in graph.nodes if node.op == "call_function"}
    assert functions <= {"add"}
    assert {node.op for node in graph.nodes} <= {
        "placeholder",
        "call_module",
        "call_function",
        "output",
    }
    with torch.no_grad():
        logits = network(pixels)
        assert logits.shape == (2, 7)
        assert torch.equal(torch.fx.GraphModule(network, graph)(pixels), logits)


@pytest.mark.parametrize(
    ("name", "convolutions", "weights"),
    [("vgg_small", 5, 4_571_136), ("resnet18", 16, 10_985_472), ("resnet20", 18, 267_264)],
)
def test_full_networks_have_the_published_binary_weights(
    name: str, convolutions: int, weights: int
) -> None:
    with torch.device("meta"):
        network = build(name)
    assert len(latent_weights(network)) == convolutions
    assert sum(weight.numel() for weight in latent_weights(network)) == weights


def test_width_scales_every_network() -> None:
    for name in set(MODELS) - {"mlp"}:
        count = [
            sum(weight.numel() for weight in latent_weights(build(name, width=width)))
            for width in (0.25, 0.5)
        ]
        assert 2.5 < count[1] / count[0] < 4.1, name


def test_options_reach_the_layers() -> None:
    network = build(
        "resnet20",
        width=0.25,
        estimator="tanh",
        weight_estimator="reste",
        centred=True,
        normalised=True,
        scale="tensor",
        scale_mode="analytic",
        pad_value=-1,
    )
    convs = [layer for layer in network.modules() if isinstance(layer, BinaryConv2d)]
    assert {layer.estimator for layer in network.modules() if isinstance(layer, Sign)} == {"tanh"}
    found = {
        (c.estimator, c.centred, c.normalised, c.scale, c.scale_mode, c.pad_value) for c in convs
    }
    assert found == {("reste", True, True, "tensor", "analytic", -1)}
    kinds = {type(layer) for layer in network.modules()}
    assert {RPReLU, ChannelShortcut} <= kinds
    assert Maxout not in kinds


def test_a_shortcut_runs_around_each_convolution() -> None:
    network = build("resnet20", width=0.25).eval()
    block = network.stage1[0]
    with torch.no_grad():
        for norm in (block.bn1, block.bn2):
            norm.weight.zero_()
        x = torch.randn(1, 4, 8, 8)
        assert torch.equal(block(x), block.act2(block.act1(x)))


def test_pooled_shortcuts_take_the_windows_of_the_convolution_on_odd_maps() -> None:
    network = build("resnet18", width=0.125, input_shape=(28, 28, 1)).eval()
    pool = network.stage4[0].shortcut[0]
    x = torch.randn(2, 3, 7, 7)
    ninth = torch.full((3, 1, 3, 3), 1 / 9)
    expected = torch.nn.functional.conv2d(x, ninth, None, 2, 1, 1, 3)
    assert torch.allclose(pool(x), expected, atol=1e-6)
    even = torch.randn(2, 3, 8, 8)
    assert torch.equal(network.stage3[0].shortcut[0](even), nn.AvgPool2d(2)(even))


def test_unfit_images_and_unknown_choices_are_refused() -> None:
    with pytest.raises(ConfigError, match="shrinks an image of 7x9 pixels"):
        build("vgg_small", input_shape=(7, 9, 1))
    with pytest.raises(ConfigError, match="activation = 'relu'"):
        build("resnet18", activation="relu")
    with pytest.raises(ConfigError, match="unknown key 'shortcuts': did you mean 'shortcut'"):
        build("resnet18-float", shortcuts="pad")
    with pytest.raises(ConfigError, match="width = 0"):
        build("cnv", width=0)


@pytest.mark.parametrize("name", sorted(MODELS))
def test_every_network_has_a_float_twin(name: str) -> None:
    params = {} if name == "mlp" else {"width": 0.25}
    binary = build(name, **params)
    twin = build(f"{name}-float", **params)
    rows, columns, channels = (28, 28, 1) if name in ("mlp", "cnn") else (32, 32, 3)
    pixels = torch.randint(0, 256, (2, channels, rows, columns), dtype=torch.uint8)
    twin(pixels).square().sum().backward()
    kinds = {type(layer) for layer in twin.modules()}
    assert not kinds & {Sign, BinaryConv2d, AdaBinConv2d}
    assert not latent_weights(twin)
    real = {k: v.shape for k, v in twin.state_dict().items()}
    for key, tensor in binary.state_dict().items():
        assert "binary_a" in key or real[key] == tensor.shape, key


@pytest.fixture(scope="module")
def adabin_state() -> dict[str, torch.Tensor]:
    from tests.conftest import SHARED  # noqa: PLC0415

    path = SHARED / "models" / "adabin" / "model.th"
    if not path.is_file():
        pytest.skip(f"no {path}: set $BITWRIGHT_SHARED")
    state = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
    return {key.removeprefix("module."): value for key, value in state.items()}


def test_the_authors_adabin_checkpoint_loads_and_classifies(
    adabin_state: dict[str, torch.Tensor], shared: Path
) -> None:
    network = build("adabin_resnet20").eval()
    network.load_state_dict(adabin_state, strict=True)
    path = shared / "datasets" / "cifar-10-batches-bin" / "test_batch.bin.xz"
    if not path.is_file():
        pytest.skip(f"no {path}")
    with lzma.open(path) as file:
        records = np.frombuffer(file.read(500 * 3073), np.uint8).reshape(500, 3073)
    images = torch.from_numpy(records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1).copy())
    labels = torch.from_numpy(records[:, 0].astype(np.int64))
    assert accuracy(network, images, labels) == pytest.approx(0.88, abs=0.02)
