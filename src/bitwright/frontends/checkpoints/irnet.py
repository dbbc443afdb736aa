"""IR-Net's ResNet-20 and VGG-Small for CIFAR-10 (1W1A).

A convolution takes the sign of its input and of its centred weights, and multiplies by a power of
two near the mean magnitude of the normalised weights. Shortcuts thin out and pad channels.

Source: github htqin/IR-Net, CIFAR-10; Qin et al., Forward and Backward Information Retention for
Accurate Binary Neural Networks (CVPR 2020). torch.sign gives 0 on a tie; here sign(0) is +1.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from bitwright.frontends.checkpoints.hardtanh_import import (
    binary_names,
    build_network,
    to_program,
)
from bitwright.frontends.checkpoints.state_dict import read_state_dict
from bitwright.ir.program import Program
from bitwright.nn.layers import ChannelShortcut


def import_irnet(path: str | Path, *, name: str = "") -> Program:
    """Return the integer program of a checkpoint.

    Raises
    ------
    FrontendError
        If the file cannot be read or is of another network.
    """
    return to_program(irnet_module(path), name or "irnet")


def irnet_module(path: str | Path) -> nn.Module:
    """Return the network of a checkpoint, in evaluation mode.

    Raises
    ------
    FrontendError
        If the file cannot be read or is of another network.
    """
    state = read_state_dict(path)
    for conv in binary_names(state):
        state[f"{conv}.factor"] = power_of_two_scale(state[f"{conv}.weight"])
    return build_network(state, _thin_out, path)


def power_of_two_scale(weight: Tensor) -> Tensor:
    """Return the power of two nearest to the mean magnitude of normalised weights: (out,)."""
    flat = weight.flatten(1)
    normal = flat - flat.mean(1, keepdim=True)
    normal = normal / normal.std(1, keepdim=True)
    return torch.exp2(torch.log2(normal.abs().mean(1)).round())


def _thin_out(before: int, after: int) -> nn.Module:
    return ChannelShortcut(2, after // 4, after // 4)
