from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from bitwright.errors import ConfigError
from bitwright.nn import (
    MODELS,
    AdaBinConv2d,
    BinaryConv2d,
    BinaryLinear,
    ChannelAffine,
    Normalise,
    PixelLevels,
    PixelOffset,
    Quantise,
    Row,
    Sign,
    build,
    summary,
)


def test_the_table_of_a_small_network() -> None:
    network = nn.Sequential(
        PixelLevels(),
        BinaryConv2d(1, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        Sign(),
        BinaryConv2d(4, 8, 3, stride=2, groups=2, scale="channel", scale_mode="analytic"),
        Sign(),
        nn.Flatten(),
        BinaryLinear(72, 5),
    )
    network.train()
    network[2].eval()
    table = summary(network, (8, 8, 1))
    assert list(table)[1:5] == [
        Row("1", "BinaryConv2d", 8, (8, 8, 4), 36, 0, 0, 0, 64 * 4 * 9),
        Row("2", "BatchNorm2d", None, (8, 8, 4), 0, 0, 16, 0, 0),
        Row("3", "Sign", None, (8, 8, 4), 0, 0, 0, 0, 0),
        Row("4", "BinaryConv2d", 1, (3, 3, 8), 144, 0, 8, 9 * 8 * 18, 0),
    ]
    assert table.rows[-1] == Row("7", "BinaryLinear", 1, (5,), 360, 0, 0, 360, 0)
    total = table.total
    assert (total.binary_weights, total.other_weights) == (540, 24)
    assert total.kilobytes == (540 / 8 + 24 * 4) / 1024
    assert table.compression == pytest.approx(564 * 4 / (540 / 8 + 96))
    assert table.binary_share == (1296 + 360) / (1296 + 360 + 2304)
    assert len(table) == 8
    assert network.training
    assert not network[2].training
    assert network[2].num_batches_tracked == 0
    assert not network[1]._forward_hooks


def test_real_layers_and_adabin_are_counted_apart() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), AdaBinConv2d(4, 6, 3), nn.Conv2d(6, 2, 1))
    rows = summary(network, (8, 9, 3)).rows
    assert rows[0] == Row("0", "Conv2d", 8, (6, 7, 4), 0, 0, 3 * 4 * 9 + 4, 0, 42 * 4 * 27)
    assert rows[1] == Row("1", "AdaBinConv2d", 1, (4, 5, 6), 216, 0, 2 + 12, 20 * 6 * 36, 0)
    assert (rows[2].input_bits, rows[2].other_macs) == (32, 20 * 2 * 6)


def test_the_precision_of_inputs() -> None:
    def last_bits(*before: nn.Module) -> int | None:
        network = nn.Sequential(*before, BinaryConv2d(1, 2, 3))
        return summary(network, (16, 16, 1)).rows[-1].input_bits

    normalise = Normalise((0.5,), (0.3,))
    assert last_bits(Sign()) == 1
    assert last_bits() == 8
    assert last_bits(PixelLevels()) == 8
    assert last_bits(PixelOffset([117])) == 8
    assert last_bits(normalise, Quantise(8, 5)) == 8
    assert last_bits(normalise, Quantise(16, 12)) == 32
    assert last_bits(normalise) == 32


def test_weights_on_a_grid_of_8_bits_are_counted_as_such() -> None:
    layer = nn.Linear(4, 2)
    steps = torch.tensor([[127.0, -1, 0, 5], [64, 3, -127, 2]])
    for scale, extra, in_bytes in ((0.25, 0.0, 8), (2.0, 0.0, 8), (0.25, 0.125, 0), (0.3, 0.0, 0)):
        layer.weight.data = steps * torch.tensor([[scale], [1.0]]) + torch.tensor([extra, 0, 0, 0])
        (row,) = summary(nn.Sequential(nn.Flatten(), layer), (2, 2, 1)).rows[1:]
        assert (row.byte_weights, row.other_weights) == (in_bytes, 10 - in_bytes)
    table = summary(nn.Sequential(ChannelAffine(3)), (2, 2, 3))
    assert table.rows == (Row("0", "ChannelAffine", None, (2, 2, 3), 0, 0, 6, 0, 0),)
    assert table.binary_share == 0


@pytest.mark.parametrize("name", MODELS)
def test_every_parameter_of_every_network_is_in_the_table(name: str) -> None:
    shape = (32, 32, 3)
    network = build(name, input_shape=shape)
    total = summary(network, shape).total
    norms = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    norms += [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm1d)]
    statistics = sum(2 * layer.num_features for layer in norms)
    adabin = [layer for layer in network.modules() if isinstance(layer, AdaBinConv2d)]
    derived = sum(2 * layer.out_channels for layer in adabin)
    stored = total.binary_weights + total.byte_weights + total.other_weights
    parameters = sum(parameter.numel() for parameter in network.parameters())
    assert stored == parameters + statistics + derived


def test_the_table_as_json() -> None:
    table = summary(nn.Sequential(nn.Flatten(), BinaryLinear(8, 4)), (4, 2, 1))
    content = json.loads(json.dumps(table.to_json()))
    assert content["layers"][1] == {
        "name": "1",
        "kind": "BinaryLinear",
        "input_bits": 8,
        "output": [4],
        "binary_weights": 32,
        "byte_weights": 0,
        "other_weights": 0,
        "binary_macs": 0,
        "other_macs": 32,
        "kilobytes": 32 / 8 / 1024,
    }
    assert content["total"]["float32_kilobytes"] == 32 * 4 / 1024
    assert content["compression"] == 32
    assert content["binary_share"] == 0


def test_a_layer_used_twice_works_twice_and_weighs_once() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, 1, 1, bias=False)

        def forward(self, x: object) -> object:
            return self.conv(self.conv(x))

    network = Twice()
    network.conv.weight.data.fill_(0.3)
    rows = summary(network, (2, 2, 1)).rows
    assert rows == (Row("conv", "Conv2d", 32, (2, 2, 1), 0, 0, 1, 0, 8),)


def test_published_sizes() -> None:
    cnv = summary(build("cnv"), (32, 32, 3))
    assert cnv.total.binary_weights == 1_542_848
    assert cnv.total.binary_macs + cnv.total.other_macs == 59_461_376
    resnet = summary(build("adabin_resnet20"), (32, 32, 3)).total
    assert resnet.binary_weights == 267_264
    assert resnet.binary_macs == 40_108_032


def test_images_that_do_not_fit_are_named() -> None:
    with pytest.raises(ConfigError, match="does not take an image of 32x32x1"):
        summary(build("cnv"), (32, 32, 1))
