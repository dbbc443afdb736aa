"""AdaBin's ResNet-20, by the names of the authors' checkpoint.

- The ``state_dict`` is that of github huawei-noah/Efficient-Computing, BinaryNetworks/AdaBin,
  cifar10, less the prefix ``module.``: it loads strictly.
- Each convolution binarises its input itself and has a shortcut around it; Maxout follows.
"""

from __future__ import annotations

from torch import Tensor, nn

from bitwright.nn.activations import Maxout
from bitwright.nn.adabin import AdaBinConv2d
from bitwright.nn.parameters import Classes, ImageShape, Width, normalise, scaled
from bitwright.nn.resnets import option_a


class AdaBinBlock(nn.Module):
    """Two of AdaBin's convolutions, each with its own shortcut.

    Parameters
    ----------
    before, after
        Channels of the input and output.
    stride
        Of the first convolution.
    """

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.conv1 = AdaBinConv2d(before, after, 3, stride, padding=1)
        self.bn1 = nn.BatchNorm2d(after)
        self.nonlinear1 = Maxout(after)
        self.conv2 = AdaBinConv2d(after, after, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(after)
        self.nonlinear2 = Maxout(after)
        self.shortcut = option_a(before, after, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``x``, shaped (batch, before, height, width)."""
        x = self.nonlinear1(self.bn1(self.conv1(x)) + self.shortcut(x))
        out: Tensor = self.nonlinear2(self.bn2(self.conv2(x)) + x)
        return out


class AdaBinResNet(nn.Module):
    """The network that `adabin_resnet20` builds.

    Parameters
    ----------
    channels
        Of the three stages, each of three blocks.
    input_shape
        (height, width, channels) of an image.
    classes
        Number of logits.
    """

    def __init__(
        self, channels: tuple[int, int, int], input_shape: tuple[int, int, int], classes: int
    ) -> None:
        super().__init__()
        first, second, third = channels
        self.input = normalise(input_shape[2])
        self.conv1 = nn.Conv2d(input_shape[2], first, 3, padding=1, bias=False)
        nn.init.kaiming_normal_(self.conv1.weight)
        self.bn1 = nn.BatchNorm2d(first)
        self.nonlinear1 = Maxout(first)
        self.layer1 = _stage(first, first, stride=1)
        self.layer2 = _stage(first, second, stride=2)
        self.layer3 = _stage(second, third, stride=2)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.bn2 = nn.BatchNorm1d(third)
        self.linear = nn.Linear(third, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits for pixels 0..255, shaped (batch, channels, height, width)."""
        x = self.nonlinear1(self.bn1(self.conv1(self.input(x))))
        x = self.layer3(self.layer2(self.layer1(x)))
        logits: Tensor = self.linear(self.bn2(self.flatten(self.pool(x))))
        return logits


def _stage(before: int, after: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        AdaBinBlock(before, after, stride),
        AdaBinBlock(after, after, 1),
        AdaBinBlock(after, after, 1),
    )


def adabin_resnet20(
    width: Width = 1.0, input_shape: ImageShape = (32, 32, 3), classes: Classes = 10
) -> AdaBinResNet:
    """Build AdaBin's ResNet-20: 16-32-64 channels, three blocks each.

    Parameters
    ----------
    width
        What all numbers of channels are multiplied by.
    input_shape
        (height, width, channels) of an image.
    classes
        Number of logits.

    Notes
    -----
    Tu et al., AdaBin (ECCV 2022). Recipes that follow it set ``latent_clip = 0``: its weights are
    rescaled in each step.
    """
    first, second, third = (scaled(number, width) for number in (16, 32, 64))
    return AdaBinResNet((first, second, third), input_shape, classes)
