"""The networks for CIFAR-10 that IR-Net and ReCU share: hardtanh around binary convolutions.

Their state dicts have the same names; what differs is the shortcut to a smaller map, and what
multiplies a dot product, which each adapter turns into a `BinaryConv2d`'s ``factor``.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from bitwright.nn.layers import BinaryConv2d, Normalise, Sign

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
Shortcut = Callable[[int, int], nn.Module]
"""Makes the shortcut from so many channels to so many, at half the size."""


def binary_conv(before: int, after: int, stride: int = 1) -> BinaryConv2d:
    """Return a 3x3 convolution of centred weights, with a factor a channel."""
    return BinaryConv2d(before, after, 3, stride, 1, scale="channel", centred=True)


class Block(nn.Module):
    """Two binary convolutions, each with a shortcut and a hardtanh behind it."""

    def __init__(self, before: int, after: int, shortcut: Shortcut) -> None:
        super().__init__()
        self.sign = Sign()
        self.conv1 = binary_conv(before, after, 1 if before == after else 2)
        self.bn1 = nn.BatchNorm2d(after)
        self.conv2 = binary_conv(after, after)
        self.bn2 = nn.BatchNorm2d(after)
        self.shortcut = nn.Identity() if before == after else shortcut(before, after)
        self.bend = nn.Hardtanh()

    def forward(self, x: Tensor) -> Tensor:
        """Map ``x``, shaped (batch, before, height, width)."""
        x = self.bend(self.bn1(self.conv1(self.sign(x))) + self.shortcut(x))
        out: Tensor = self.bend(self.bn2(self.conv2(self.sign(x))) + x)
        return out


class ResNet20(nn.Module):
    """Three stages of 16, 32 and 64 channels, three blocks each; real first and last layer."""

    def __init__(self, classes: int, shortcut: Shortcut) -> None:
        super().__init__()
        self.input = Normalise(MEAN, STD)
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.bend = nn.Hardtanh()
        self.layer1 = nn.Sequential(*(Block(16, 16, shortcut) for _ in range(3)))
        self.layer2 = _stage(16, 32, shortcut)
        self.layer3 = _stage(32, 64, shortcut)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.bn2 = nn.BatchNorm1d(64)
        self.linear = nn.Linear(64, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits for pixels 0..255, shaped (batch, 3, 32, 32)."""
        x = self.bend(self.bn1(self.conv1(self.input(x))))
        x = self.layer3(self.layer2(self.layer1(x)))
        out: Tensor = self.linear(self.bn2(self.flatten(self.pool(x))))
        return out


def _stage(before: int, after: int, shortcut: Shortcut) -> nn.Sequential:
    first = Block(before, after, shortcut)
    return nn.Sequential(first, Block(after, after, shortcut), Block(after, after, shortcut))


class VggSmall(nn.Module):
    """Convolutions of 128-128P-256-256P-512-512P channels; real first and last layer."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.input = Normalise(MEAN, STD)
        self.conv0 = nn.Conv2d(3, 128, 3, padding=1, bias=False)
        widths = (128, 128, 256, 256, 512, 512)
        for i, width in enumerate(widths):
            self.add_module(f"bn{i}", nn.BatchNorm2d(width))
            if i:
                self.add_module(f"conv{i}", binary_conv(widths[i - 1], width))
        self.pooling = nn.MaxPool2d(2)
        self.bend, self.sign, self.flatten = nn.Hardtanh(), Sign(), nn.Flatten()
        self.fc = nn.Linear(512 * 4 * 4, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits for pixels 0..255, shaped (batch, 3, 32, 32)."""
        layers = dict(self.named_children())
        x = self.bend(layers["bn0"](self.conv0(self.input(x))))
        for i in range(1, 6):
            x = layers[f"conv{i}"](self.sign(x))
            if i % 2:
                x = self.pooling(x)
            x = self.bend(layers[f"bn{i}"](x))
        out: Tensor = self.fc(self.flatten(x))
        return out
