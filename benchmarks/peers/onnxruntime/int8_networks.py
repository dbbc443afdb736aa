"""The networks that are measured, by name, with random weights: CNV, VGG-Small and ResNet-18.

All take 32x32 pixels in three colours and return ten scores. They are the graphs of
`bitwright.nn` with the ReLU, which costs int8 nothing, in the place of signs and activations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np
from int8_layers import (
    SIGNED,
    Affine,
    AveragePool2,
    GlobalAveragePool,
    Layer,
    MaxPool2,
    Residual,
)

Shortcuts = Literal["conv", "block"]
"""What residual networks add up: each convolution (Bi-Real Net), or each block of two (ResNet)."""

IMAGE = (3, 32, 32)
CLASSES = 10
POOL = "pool"
CNV = (64, 64, POOL, 128, 128, POOL, 256, 256)
CNV_DENSE = (512, 512)
VGG_SMALL = (128, 128, POOL, 256, 256, POOL, 512, 512, POOL)
RESNET18 = (64, 128, 256, 512)
BLOCKS = 2

# They keep the root mean square of what flows along the shortcuts near `int8_layers.LEVEL`.
PLAIN_SCALES = (2.0, 0.5)
SHRINKING_SCALES = (2.0, 2.0)


def cnv(width: float, shortcuts: Shortcuts, rng: np.random.Generator) -> list[Layer]:
    """Draw a CNV network: 32x32 pixels -> 30 -> 28 -> 14 -> 12 -> 10 -> 5 -> 3 -> 1 -> 10 classes.

    Parameters
    ----------
    width
        What all numbers of channels are multiplied by.
    shortcuts
        Which convolutions have one; it has none.
    rng
        Source of its weights.

    Returns
    -------
    list of Layer
        The network.
    """
    layers, channels = _plain(CNV, width, 0, rng)
    for features in CNV_DENSE:
        layers.append(_dense(channels, 1, _scaled(features, width), rng))
        channels = _scaled(features, width)
    return [*layers, _scores(channels, 1, rng)]


def vgg_small(width: float, shortcuts: Shortcuts, rng: np.random.Generator) -> list[Layer]:
    """Draw a VGG-Small: six convolutions with padding 1, a pool after each second one, the scores.

    Parameters and returns are those of `cnv`.
    """
    layers, channels = _plain(VGG_SMALL, width, 1, rng)
    return [*layers, _scores(channels, 4, rng)]


def resnet18(width: float, shortcuts: Shortcuts, rng: np.random.Generator) -> list[Layer]:
    """Draw a ResNet-18 for small images: four stages of two blocks of two 3x3 convolutions.

    Parameters and returns are those of `cnv`.

    Notes
    -----
    With shortcuts around each convolution it is Liu et al., Bi-Real Net (ECCV 2018), where the map
    shrinks by 2x2 average pooling and a 1x1 convolution. With one around each block it is He et
    al. (CVPR 2016): the usual ResNet-18, with a 1x1 convolution of stride 2 there.
    """
    channels = _scaled(RESNET18[0], width)
    layers: list[Layer] = [Affine.random((channels, IMAGE[0], 3, 3), rng, padding=1)]
    for stage, after in enumerate(RESNET18):
        for block in range(BLOCKS):
            stride = 2 if stage and not block else 1
            layers += _block(channels, _scaled(after, width), stride, shortcuts, rng)
            channels = _scaled(after, width)
    return [*layers, GlobalAveragePool(), _scores(channels, 1, rng)]


NETWORKS: Mapping[str, Callable[[float, Shortcuts, np.random.Generator], list[Layer]]] = {
    "cnv": cnv,
    "vgg_small": vgg_small,
    "resnet18": resnet18,
}
"""The builders, by the name of their network."""

RESIDUAL = ("resnet18",)
"""The networks that have shortcuts."""


def _scaled(channels: int, width: float) -> int:
    """Return `channels` times `width`, rounded, at least 1: as `bitwright.nn` does."""
    return max(1, round(channels * width))


def _plain(
    steps: tuple[int | str, ...], width: float, padding: int, rng: np.random.Generator
) -> tuple[list[Layer], int]:
    """Draw 3x3 convolutions and pools one after another; return them and the channels left."""
    layers: list[Layer] = []
    channels = IMAGE[0]
    for step in steps:
        if isinstance(step, str):
            layers.append(MaxPool2())
        else:
            after = _scaled(step, width)
            layers.append(Affine.random((after, channels, 3, 3), rng, padding=padding))
            channels = after
    return layers, channels


def _block(
    before: int, after: int, stride: int, shortcuts: Shortcuts, rng: np.random.Generator
) -> list[Layer]:
    """Draw two 3x3 convolutions with one shortcut around both, or with one around each."""
    signed = shortcuts == "conv"
    first = Affine.random(
        (after, before, 3, 3), rng, padding=1, stride=stride, zero_point=SIGNED if signed else 0
    )
    second = Affine.random((after, after, 3, 3), rng, padding=1, zero_point=SIGNED)
    around: tuple[Layer, ...] = ()
    scales = PLAIN_SCALES
    if stride == 2:
        scales = SHRINKING_SCALES
        pointwise = (after, before, 1, 1)
        if signed:
            around = (AveragePool2(before), Affine.random(pointwise, rng, zero_point=SIGNED))
        else:
            around = (Affine.random(pointwise, rng, stride=2, zero_point=SIGNED),)
    if signed:
        return [Residual((first,), around, scales), Residual((second,), (), PLAIN_SCALES)]
    return [Residual((first, second), around, scales)]


def _dense(
    channels: int, size: int, features: int, rng: np.random.Generator, zero_point: int = 0
) -> Affine:
    shape = (features, channels, size, size)
    return Affine.random(shape, rng, dense=True, zero_point=zero_point)


def _scores(channels: int, size: int, rng: np.random.Generator) -> Affine:
    """Draw the last layer, whose outputs keep their sign."""
    return _dense(channels, size, CLASSES, rng, SIGNED)
