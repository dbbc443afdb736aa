"""State dicts from files: tensors only, nothing executed."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from bitwright.errors import FrontendError

ANOTHER = "give the file of that network, or choose the importer of its repository"


def read_state_dict(path: str | Path, key: str = "state_dict") -> dict[str, Tensor]:
    """Return the tensors of a checkpoint by name, on the CPU.

    Parameters
    ----------
    path
        A file that ``torch.save`` wrote: a state dict, or a dict that holds one under `key`.
    key
        Where the state dict is, if it is not the file itself.

    Raises
    ------
    FrontendError
        If the file cannot be read, or holds anything but tensors and plain values: it is loaded
        "weights only", which refuses whatever a pickle could execute.
    """
    source = Path(path)
    try:
        with warnings.catch_warnings():
            # torch warns about its own typed storages when it reads an old file.
            warnings.simplefilter("ignore")
            loaded = torch.load(source, map_location="cpu", weights_only=True)
    except OSError as error:
        raise FrontendError(
            f"cannot read '{source}' ({error.strerror})", "check the path"
        ) from error
    except pickle.UnpicklingError as error:
        raise FrontendError(
            f"'{source}' holds more than tensors, or is damaged; nothing of it was executed",
            "save the state dict alone: torch.save(model.state_dict(), ...)",
        ) from error
    except Exception as error:  # whatever a damaged file makes torch raise
        reason = " ".join(str(error).split())[:120]
        raise FrontendError(
            f"'{source}' is no checkpoint ({reason})", "give a file that torch.save wrote"
        ) from error
    state = loaded.get(key, loaded) if isinstance(loaded, dict) else None
    if not isinstance(state, dict):
        raise FrontendError(f"'{source}' holds no state dict", "give one, by torch.save")
    tensors = {}
    for name, value in state.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise FrontendError(
                f"'{source}' holds {name!r:.40}, which is no tensor", "save the state dict alone"
            )
        if not _is_stored(value):
            raise FrontendError(
                f"'{source}' holds '{name:.40}', which is no plain tensor of its stored numbers",
                "save dense tensors of real numbers, each with memory of its own",
            )
        tensors[name.removeprefix("module.")] = value
    return tensors


def _is_stored(tensor: Tensor) -> bool:
    """Whether each element has memory: a view that repeats one number could be of any size."""
    if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_complex():
        return False
    return tensor.numel() * tensor.element_size() <= tensor.untyped_storage().nbytes()


def check(state: Mapping[str, Tensor], expected: Mapping[str, Tensor], source: str | Path) -> None:
    """Compare names and shapes of tensors with those of a network.

    Raises
    ------
    FrontendError
        If a tensor is missing, left over, or of another shape; the message names the first.
    """
    missing = sorted(expected.keys() - state.keys())
    unknown = sorted(state.keys() - expected.keys())
    if missing or unknown:
        what = f"lacks '{missing[0]}'" if missing else f"holds '{unknown[0]}' too"
        raise FrontendError(f"'{source}' is of another network: it {what}", ANOTHER)
    for name, tensor in state.items():
        if tensor.shape != expected[name].shape:
            raise FrontendError(
                f"'{source}' has '{name}' of shape {tuple(tensor.shape)}, "
                f"not {tuple(expected[name].shape)}",
                ANOTHER,
            )


def skeleton(make: Callable[[], nn.Module]) -> nn.Module:
    """Return a network whose tensors have shapes but no memory."""
    with torch.device("meta"):
        return make()


def filled(
    make: Callable[[], nn.Module], state: Mapping[str, Tensor], source: str | Path
) -> nn.Module:
    """Return a network with these tensors, all of them and nothing else, in evaluation mode.

    The network gets memory only after the shapes are known to be those of the file.

    Raises
    ------
    FrontendError
        As for `check`.
    """
    check(state, skeleton(make).state_dict(), source)
    network = make()
    network.load_state_dict(state)
    return network.eval()
