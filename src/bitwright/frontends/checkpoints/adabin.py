"""AdaBin's ResNet-20 for CIFAR-10.

Source: github huawei-noah/Efficient-Computing, BinaryNetworks/AdaBin/cifar10; Tu et al., AdaBin:
Improving Binary Neural Networks with Adaptive Binary Sets (ECCV 2022). Images are normalised with
ImageNet's mean and standard deviation. Its torch.sign gives 0 on a tie; here sign(0) is +1.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from torch import Tensor, nn

from bitwright.errors import FrontendError
from bitwright.frontends.checkpoints.state_dict import filled, read_state_dict
from bitwright.frontends.torch_lower import FRACTION_BITS, lower
from bitwright.ir.program import Program
from bitwright.nn import build

CIFAR10 = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip
INPUT_SHAPE = (32, 32, 3)


def adabin_module(path: str | Path) -> nn.Module:
    """Return the network of a checkpoint, in evaluation mode.

    Parameters
    ----------
    path
        The authors' ``model.th``: a ResNet-20 of 16, 32 and 64 channels.

    Raises
    ------
    FrontendError
        If the file cannot be read or is of another network.
    """
    return module_of(read_state_dict(path), path)


def module_of(state: dict[str, Tensor], source: str | Path) -> nn.Module:
    """Return the network of a state dict; as `adabin_module`, for a file that was read."""
    head = state.get("linear.weight")
    if head is None or head.dim() != 2:
        raise FrontendError(
            f"'{source}' is of another network: it lacks 'linear.weight'",
            "give a checkpoint of AdaBin's ResNet-20",
        )
    make = partial(build, "adabin_resnet20", input_shape=INPUT_SHAPE, classes=len(head))
    return filled(make, state, source)


def import_adabin(
    path: str | Path, *, name: str = "", fraction_bits: int = FRACTION_BITS
) -> Program:
    """Return the integer program of a checkpoint.

    Parameters
    ----------
    path
        As for `adabin_module`.
    name
        The program's name; by default ``adabin-resnet20``.
    fraction_bits
        As for `bitwright.frontends.torch_lower.lower`.

    Raises
    ------
    FrontendError
        If the file cannot be read or is of another network.
    """
    module = adabin_module(path)
    count = len(module.state_dict()["linear.weight"])
    classes = CIFAR10 if count == len(CIFAR10) else ()
    return lower(
        module,
        INPUT_SHAPE,
        name=name or "adabin-resnet20",
        classes=classes,
        fraction_bits=fraction_bits,
    )
