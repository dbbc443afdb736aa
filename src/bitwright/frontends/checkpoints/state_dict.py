"""State dicts from files: tensors only, nothing executed."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from bitwright.errors import FrontendError


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
    except (RuntimeError, ValueError, EOFError, KeyError, IndexError, TypeError) as error:
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
        tensors[name.removeprefix("module.")] = value
    return tensors


def load_into(module: nn.Module, state: dict[str, Tensor], source: str | Path) -> None:
    """Load tensors into a module, all of them and nothing else.

    Raises
    ------
    FrontendError
        If a tensor is missing, left over, or of another shape; the message names the first.
    """
    own = module.state_dict()
    missing = sorted(own.keys() - state.keys())
    unknown = sorted(state.keys() - own.keys())
    if missing or unknown:
        what = f"lacks '{missing[0]}'" if missing else f"holds '{unknown[0]}' too"
        raise FrontendError(
            f"'{source}' is of another network: it {what}", "choose the importer of its repository"
        )
    for name, tensor in state.items():
        if tensor.shape != own[name].shape:
            raise FrontendError(
                f"'{source}' has '{name}' of shape {tuple(tensor.shape)}, "
                f"not {tuple(own[name].shape)}",
                "choose the importer of its repository",
            )
    module.load_state_dict(state)
