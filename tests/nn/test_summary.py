from __future__ import annotations

import pytest
from torch import nn

from bitwright.errors import ConfigError
from bitwright.nn import (
    AdaBinConv2d,
    BinaryConv2d,
    BinaryLinear,
    PixelLevels,
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
        Row("1", "BinaryConv2d", (8, 8, 4), 36, 0, 0, 64 * 4 * 9),
        Row("2", "BatchNorm2d", (8, 8, 4), 0, 16, 0, 0),
        Row("3", "Sign", (8, 8, 4), 0, 0, 0, 0),
        Row("4", "BinaryConv2d", (3, 3, 8), 144, 8, 9 * 8 * 18, 0),
    ]
    assert table.rows[-1] == Row("7", "BinaryLinear", (5,), 360, 0, 360, 0)
    total = table.total
    assert (total.binary_weights, total.other_weights) == (540, 24)
    assert total.kilobytes == (540 / 8 + 24 * 4) / 1024
    assert table.compression == pytest.approx(564 * 4 / (540 / 8 + 96))
    assert len(table) == 8
    assert network.training
    assert not network[2].training
    assert network[2].num_batches_tracked == 0
    assert not network[1]._forward_hooks


def test_real_layers_and_adabin_are_counted_apart() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), AdaBinConv2d(4, 6, 3), nn.Conv2d(6, 2, 1))
    rows = summary(network, (8, 9, 3)).rows
    assert rows[0] == Row("0", "Conv2d", (6, 7, 4), 0, 3 * 4 * 9 + 4, 0, 42 * 4 * 27)
    assert rows[1] == Row("1", "AdaBinConv2d", (4, 5, 6), 216, 2 + 12, 20 * 6 * 36, 0)
    assert rows[2].other_macs == 20 * 2 * 6


def test_a_layer_used_twice_works_twice_and_weighs_once() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, 1, 1, bias=False)

        def forward(self, x: object) -> object:
            return self.conv(self.conv(x))

    assert summary(Twice(), (2, 2, 1)).rows == (Row("conv", "Conv2d", (2, 2, 1), 0, 1, 0, 8),)


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
