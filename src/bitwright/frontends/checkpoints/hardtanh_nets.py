"""The networks for CIFAR-10 that IR-Net and ReCU share: hardtanh around binary convolutions.

- Their state dicts have the same names. What differs is the shortcut to a smaller map, and what
  multiplies a dot product, which each adapter turns into a `BinaryConv2d`'s ``factor``.
- Every sign and hardtanh is a layer of its own, so that each can be looked at by its name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from torch import Tensor, nn

from bitwright.nn.layers import BinaryConv2d, Normalise, Sign

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
Shortcut = Callable[[int, int], nn.Module]
"""Makes the shortcut from so many channels to so many, at half the size."""


def binary_conv(before: int, after: int, stride: int = 1, size: int = 3) -> BinaryConv2d:
    """Return a convolution of centred weights, with a factor a channel."""
    return BinaryConv2d(before, after, size, stride, size // 2, scale="channel", centred=True)


class BinaryShortcut(nn.Sequential):
    """A binary 1x1 convolution and BatchNorm to half the size; takes bits."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__(binary_conv(before, after, 2, 1), nn.BatchNorm2d(after))


class _Block(nn.Module):
    """Two binary convolutions; what runs around them is told by the classes below."""

    def __init__(self, before: int, after: int, stride: int, shortcut: Shortcut) -> None:
        super().__init__()
        self.sign1 = Sign()
        self.conv1 = binary_conv(before, after, stride)
        self.bn1 = nn.BatchNorm2d(after)
        self.bend1 = nn.Hardtanh()
        self.sign2 = Sign()
        self.conv2 = binary_conv(after, after)
        self.bn2 = nn.BatchNorm2d(after)
        self.bend2 = nn.Hardtanh()
        shrinks = stride != 1 or before != after
        self.shortcut = shortcut(before, after) if shrinks else nn.Identity()


class BlockOfTwo(_Block):
    """A shortcut around each convolution, as in ResNet-20."""

    def forward(self, x: Tensor) -> Tensor:
        """Map ``x``, shaped (batch, before, height, width)."""
        x = self.bend1(self.bn1(self.conv1(self.sign1(x))) + self.shortcut(x))
        out: Tensor = self.bend2(self.bn2(self.conv2(self.sign2(x))) + x)
        return out


class BlockOfOne(_Block):
    """One shortcut around both convolutions, as in ResNet-18."""

    def forward(self, x: Tensor) -> Tensor:
        """Map ``x``, shaped (batch, before, height, width)."""
        bits = self.sign1(x)
        y = self.bend1(self.bn1(self.conv1(bits)))
        y = self.bn2(self.conv2(self.sign2(y)))
        around = bits if isinstance(self.shortcut, BinaryShortcut) else x
        out: Tensor = self.bend2(y + self.shortcut(around))
        return out


class ResNet(nn.Module):
    """Stages that halve the map but for the first; real first and last layer.

    Parameters
    ----------
    stages
        Channels and number of blocks of each. With three, a ResNet-20: a shortcut around each
        convolution. With four, a ResNet-18: one around two, and no hardtanh before the first.
    classes
        Number of logits.
    shortcut
        To the smaller maps.
    """

    def __init__(self, stages: Sequence[tuple[int, int]], classes: int, shortcut: Shortcut) -> None:
        super().__init__()
        of_two = len(stages) == 3
        block = BlockOfTwo if of_two else BlockOfOne
        before = stages[0][0]
        self.input = Normalise(MEAN, STD)
        self.conv1 = nn.Conv2d(3, before, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(before)
        self.bend = nn.Hardtanh() if of_two else nn.Identity()
        self.stages = tuple(f"layer{number}" for number in range(1, len(stages) + 1))
        for name, (after, blocks) in zip(self.stages, stages, strict=True):
            layer = nn.Sequential()
            for index in range(blocks):
                stride = 2 if name != "layer1" and index == 0 else 1
                layer.append(block(before, after, stride, shortcut))
                before = after
            self.add_module(name, layer)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.bn2 = nn.BatchNorm1d(before)
        self.linear = nn.Linear(before, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits for pixels 0..255, shaped (batch, 3, 32, 32)."""
        x = self.bend(self.bn1(self.conv1(self.input(x))))
        for name in self.stages:
            x = self.get_submodule(name)(x)
        out: Tensor = self.linear(self.bn2(self.flatten(self.pool(x))))
        return out


class VggSmall(nn.Module):
    """Convolutions of 128-128P-256-256P-512-512P channels; real first and last layer."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.input = Normalise(MEAN, STD)
        widths = (3, 128, 128, 256, 256, 512, 512)
        for i, (before, after) in enumerate(pairwise(widths)):
            if i:
                self.add_module(f"sign{i}", Sign())
                self.add_module(f"conv{i}", binary_conv(before, after))
            else:
                self.conv0 = nn.Conv2d(before, after, 3, padding=1, bias=False)
            if i % 2:
                self.add_module(f"pool{i}", nn.MaxPool2d(2))
            self.add_module(f"bn{i}", nn.BatchNorm2d(after))
            self.add_module(f"bend{i}", nn.Hardtanh())
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(512 * 4 * 4, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits for pixels 0..255, shaped (batch, 3, 32, 32)."""
        for layer in self.children():  # in the order in which they were added
            x = layer(x)
        return x
