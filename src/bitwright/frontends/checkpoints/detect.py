"""Which repository a checkpoint is of, by the names of its tensors.

Only AdaBin's binary convolutions have an ``alpha_a``, and only ReCU's an ``alpha``; IR-Net's have
no tensor but their weights.
"""

from __future__ import annotations

from pathlib import Path

from torch import nn

from bitwright.frontends.checkpoints import adabin
from bitwright.frontends.checkpoints.irnet import IRNET
from bitwright.frontends.checkpoints.recu import RECU
from bitwright.frontends.checkpoints.state_dict import read_state_dict


def checkpoint_module(path: str | Path) -> nn.Module:
    """Return the network of a checkpoint of AdaBin, IR-Net or ReCU, in evaluation mode.

    Raises
    ------
    FrontendError
        If the file cannot be read or is of another network.
    """
    state = read_state_dict(path)
    own = {name.rpartition(".")[2] for name in state}
    if "alpha_a" in own:
        return adabin.module_of(state, path)
    return (RECU if "alpha" in own else IRNET).module_of(state, path)
