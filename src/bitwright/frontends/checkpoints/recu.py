"""ReCU's ResNet-20 and VGG-Small for CIFAR-10.

A convolution takes the sign of its input and of its centred weights (clamping them changes no sign)
and multiplies by a learned factor a channel. Shortcuts average and pad channels.

Source: github z-hXu/ReCU, cifar; Xu et al., ReCU: Reviving the Dead Weights in Binary Neural
Networks (ICCV 2021). torch.sign gives 0 on a tie; here sign(0) is +1.
"""

from __future__ import annotations

from pathlib import Path

from torch import nn

from bitwright.frontends.checkpoints.hardtanh_import import (
    binary_names,
    build_network,
    to_program,
)
from bitwright.frontends.checkpoints.state_dict import read_state_dict
from bitwright.ir.program import Program
from bitwright.nn.layers import ChannelShortcut


def import_recu(path: str | Path, *, name: str = "") -> Program:
    """Return the integer program of a checkpoint.

    Raises
    ------
    FrontendError
        If the file cannot be read or is of another network.
    """
    return to_program(recu_module(path), name or "recu")


def recu_module(path: str | Path) -> nn.Module:
    """Return the network of a checkpoint, in evaluation mode.

    Raises
    ------
    FrontendError
        If the file cannot be read or is of another network.
    """
    state = read_state_dict(path)
    for conv in binary_names(state):
        state.pop(f"{conv}.tau", None)  # of use in training only
        if f"{conv}.alpha" in state:
            state[f"{conv}.factor"] = state.pop(f"{conv}.alpha").reshape(-1)
    return build_network(state, _average, path)


def _average(before: int, after: int) -> nn.Module:
    return nn.Sequential(nn.AvgPool2d(2), ChannelShortcut(1, after // 4, after // 4))
