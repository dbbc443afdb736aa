"""IR-Net's ResNet-20, ResNet-18 and VGG-Small for CIFAR-10 (1W1A).

A convolution takes the sign of its input and of its centred weights, and multiplies by a power of
two near the mean magnitude of the normalised weights. Shortcuts of ResNet-20 thin out and pad
channels; those of ResNet-18 are real 1x1 convolutions with BatchNorm. ResNet-18 ends in a
log-softmax, which changes no decision and is left out.

Source: github htqin/IR-Net, CIFAR-10; Qin et al., Forward and Backward Information Retention for
Accurate Binary Neural Networks (CVPR 2020). torch.sign gives 0 on a tie; here sign(0) is +1.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from bitwright.frontends.checkpoints.hardtanh_import import Repository, State
from bitwright.ir.program import Program
from bitwright.nn.layers import ChannelShortcut


def import_irnet(path: str | Path, *, name: str = "") -> Program:
    """Return the integer program of a checkpoint.

    Raises
    ------
    FrontendError
        If the file cannot be read or is of another network.
    """
    return IRNET.program(path, name)


def power_of_two_scale(weight: Tensor) -> Tensor:
    """Return the power of two nearest to the mean magnitude of normalised weights: (out,).

    NaN for a channel whose weights are all the same, as in the repository.
    """
    flat = weight.flatten(1).float()
    normal = flat - flat.mean(1, keepdim=True)
    normal = normal / normal.std(1, keepdim=True)
    return torch.exp2(torch.log2(normal.abs().mean(1)).round())


def _factor(state: State, name: str, source: str | Path) -> Tensor:
    return power_of_two_scale(state[f"{name}.weight"])


def _thin_out(before: int, after: int) -> nn.Module:
    return ChannelShortcut(2, after // 4, after // 4)


def _real(before: int, after: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(before, after, 1, 2, bias=False), nn.BatchNorm2d(after))


IRNET = Repository("irnet", (), _factor, _thin_out, _real)
