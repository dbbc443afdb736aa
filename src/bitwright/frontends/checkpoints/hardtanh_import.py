"""What the adapters of IR-Net and ReCU share: from a translated state dict to a program."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn

from bitwright.errors import FrontendError
from bitwright.frontends.checkpoints.adabin import CIFAR10, INPUT_SHAPE
from bitwright.frontends.checkpoints.hardtanh_nets import ResNet20, Shortcut, VggSmall
from bitwright.frontends.checkpoints.state_dict import load_into
from bitwright.frontends.torch_lower import lower
from bitwright.ir.program import Program


def binary_names(state: dict[str, Tensor]) -> list[str]:
    """Return the names of the binary convolutions of a state dict, by those of their weights."""
    first = "conv0.weight" if "conv0.weight" in state else "conv1.weight"
    return [
        name.removesuffix(".weight")
        for name in state
        if name.endswith(".weight") and "conv" in name and name != first
    ]


def build_network(state: dict[str, Tensor], shortcut: Shortcut, source: str | Path) -> nn.Module:
    """Return the network that a translated state dict is of, in evaluation mode.

    Raises
    ------
    FrontendError
        If it is neither ResNet-20 nor VGG-Small.
    """
    network: nn.Module
    if "linear.weight" in state and "layer3.2.conv2.weight" in state:
        network = ResNet20(len(state["linear.weight"]), shortcut)
    elif "fc.weight" in state and "conv5.weight" in state:
        network = VggSmall(len(state["fc.weight"]))
    else:
        raise FrontendError(
            f"'{source}' is neither a ResNet-20 nor a VGG-Small",
            "give a checkpoint of the repository's CIFAR-10 networks of those names",
        )
    load_into(network, state, source)
    return network.eval()


def to_program(network: nn.Module, name: str) -> Program:
    """Return the program of a network for 32x32 colour images."""
    last = [t for key, t in network.state_dict().items() if key in ("linear.weight", "fc.weight")]
    classes = CIFAR10 if len(last[0]) == len(CIFAR10) else ()
    return lower(network, INPUT_SHAPE, name=name, classes=classes)
