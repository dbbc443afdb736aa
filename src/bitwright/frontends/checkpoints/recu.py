"""ReCU's ResNet-20, ResNet-18 and VGG-Small for CIFAR-10.

A convolution takes the sign of its input and of its centred weights and multiplies by a learned
factor a channel. Before the sign, weights are clamped to +-Q(tau), which changes no sign while Q
is above 0, that is for 0.5 < tau <= 1. Shortcuts average and pad channels, but in one of the
repository's two versions of ResNet-18, where they are binary 1x1 convolutions with BatchNorm.

Source: github z-hXu/ReCU, cifar; Xu et al., ReCU: Reviving the Dead Weights in Binary Neural
Networks (ICCV 2021). torch.sign gives 0 on a tie; here sign(0) is +1.
"""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn

from bitwright.errors import FrontendError
from bitwright.frontends.checkpoints.hardtanh_import import Repository, State
from bitwright.frontends.checkpoints.hardtanh_nets import BinaryShortcut
from bitwright.frontends.checkpoints.state_dict import ANOTHER
from bitwright.ir.program import Program
from bitwright.nn.layers import ChannelShortcut


def import_recu(path: str | Path, *, name: str = "") -> Program:
    """Return the integer program of a checkpoint.

    Raises
    ------
    FrontendError
        If the file cannot be read or is of another network.
    """
    return RECU.program(path, name)


def _factor(state: State, name: str, source: str | Path) -> Tensor:
    alpha, tau = state.get(f"{name}.alpha"), state.get(f"{name}.tau")
    if alpha is None:
        raise FrontendError(f"'{source}' is of another network: it lacks '{name}.alpha'", ANOTHER)
    if tau is not None and not bool(((tau > 0.5) & (tau <= 1)).all()):
        raise FrontendError(
            f"'{source}' has a '{name}.tau' that is not above 0.5 and at most 1: weights clamped"
            " by it lose their signs",
            "give a checkpoint that was trained with tau in that range, such as 0.85 to 0.99",
        )
    return alpha.reshape(-1)


def _average(before: int, after: int) -> nn.Module:
    added = 0 if after == before else after // 4
    return nn.Sequential(nn.AvgPool2d(2), ChannelShortcut(1, added, added))


RECU = Repository("recu", ("alpha", "tau"), _factor, _average, BinaryShortcut)
