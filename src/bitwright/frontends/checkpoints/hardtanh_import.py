"""What the adapters of IR-Net and ReCU share: from a checkpoint to a network and a program."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path

from torch import Tensor, nn

from bitwright.errors import FrontendError
from bitwright.frontends.checkpoints.adabin import CIFAR10, INPUT_SHAPE
from bitwright.frontends.checkpoints.hardtanh_nets import ResNet, Shortcut, VggSmall
from bitwright.frontends.checkpoints.state_dict import check, filled, read_state_dict, skeleton
from bitwright.frontends.torch_lower import lower
from bitwright.ir.program import Program
from bitwright.nn.layers import BinaryConv2d

State = dict[str, Tensor]
PROJECTION = "layer2.0.shortcut.0.weight"


@dataclass(frozen=True)
class Repository:
    """How the networks of one repository differ from those of the others.

    Parameters
    ----------
    name
        What its programs are called.
    own
        The tensors that only its binary convolutions have, by the last part of their name.
    factor
        What a binary convolution multiplies its dot products by, (out,): of the file's tensors,
        the name of the convolution and that of the file.
    plain, projection
        The shortcuts without parameters, and those with a convolution, of networks that have them.
    """

    name: str
    own: tuple[str, ...]
    factor: Callable[[State, str, str | Path], Tensor]
    plain: Shortcut
    projection: Shortcut

    def module(self, path: str | Path) -> nn.Module:
        """Return the network of a checkpoint, in evaluation mode.

        Raises
        ------
        FrontendError
            If the file cannot be read or is of another network.
        """
        return self.module_of(read_state_dict(path), path)

    def module_of(self, state: State, source: str | Path) -> nn.Module:
        """Return the network of a state dict; as `module`, for a file that was read."""
        make = self._network(state, source)
        network = skeleton(make)
        binary = [n for n, layer in network.named_modules() if isinstance(layer, BinaryConv2d)]
        factors = {f"{name}.factor" for name in binary}
        own = {f"{name}.{part}" for name in binary for part in self.own}
        shared = {key: tensor for key, tensor in state.items() if key not in own}
        check(shared, {k: t for k, t in network.state_dict().items() if k not in factors}, source)
        shared |= {f"{name}.factor": self.factor(state, name, source) for name in binary}
        return filled(make, shared, source)

    def program(self, path: str | Path, name: str = "") -> Program:
        """Return the program of a checkpoint, for 32x32 colour images.

        Raises
        ------
        FrontendError
            If the file cannot be read or is of another network.
        """
        network = self.module(path)
        head = network.fc if isinstance(network, VggSmall) else network.linear
        if not isinstance(head, nn.Linear):
            raise TypeError("the last layer of these networks is linear")
        classes = CIFAR10 if head.out_features == len(CIFAR10) else ()
        return lower(network, INPUT_SHAPE, name=name or self.name, classes=classes)

    def _network(self, state: State, source: str | Path) -> Callable[[], nn.Module]:
        if "fc.weight" in state and "conv5.weight" in state:
            return partial(VggSmall, _rows(state, "fc.weight", source))
        stages = _stages(state, source)
        if "linear.weight" not in state or len(stages) not in (3, 4):
            raise FrontendError(
                f"'{source}' is neither a ResNet-20, a ResNet-18 nor a VGG-Small",
                "give a checkpoint of the repository's CIFAR-10 networks of those names",
            )
        projected = len(stages) == 4 and PROJECTION in state
        shortcut = self.projection if projected else self.plain
        return partial(ResNet, stages, _rows(state, "linear.weight", source), shortcut)


def _stages(state: State, source: str | Path) -> list[tuple[int, int]]:
    """Channels and number of blocks of each stage."""
    stages = []
    for stage in count(1):
        name = f"layer{stage}.{{}}.conv1.weight"
        if name.format(0) not in state:
            break
        blocks = next(block for block in count(1) if name.format(block) not in state)
        stages.append((_rows(state, name.format(0), source), blocks))
    return stages


def _rows(state: State, name: str, source: str | Path) -> int:
    tensor = state[name]
    if not tensor.dim() or not len(tensor):
        raise FrontendError(f"'{source}' has an empty '{name}'", "repair the checkpoint")
    return len(tensor)
