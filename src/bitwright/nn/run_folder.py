"""What a training run keeps in its folder.

- ``checkpoint.pt``, replaced after each epoch: the network, the optimiser and the log after it.
- ``log.csv``: one line an epoch.
- ``network.safetensors``, at the end: the network's ``state_dict``, and in the metadata under
  ``bitwright.network`` what builds it and how accurate it is.

Each is written under another name and then renamed, so that a kill leaves the old file or the new
one. A checkpoint is read without running code from it (torch's ``weights_only``).
"""

from __future__ import annotations

import csv
import io
import json
import os
import pickle
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch

from bitwright.errors import ConfigError

CHECKPOINT = "checkpoint.pt"
LOG = "log.csv"
NETWORK = "network.safetensors"
METADATA_KEY = "bitwright.network"

State = dict[str, torch.Tensor]


@dataclass(frozen=True)
class LogRow:
    """One epoch.

    Attributes
    ----------
    epoch
        Counting from 1.
    loss, accuracy
        Means over the training steps of the epoch; accuracy as a share.
    lr
        Learning rate of its last step.
    seconds
        Wall time of the epoch.
    nearest_kernel, products_left
        `bitwright.nn.kernel_distance.Distances` after it; None if the recipe does not draw
        kernels together.
    """

    epoch: int
    loss: float
    accuracy: float
    lr: float
    seconds: float
    nearest_kernel: float | None = None
    products_left: float | None = None

    def values(self) -> dict[str, float]:
        """Return what is known, by name."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True)
class Identity:
    """What a run must have in common with the one that it goes on with.

    Attributes
    ----------
    recipe
        The recipe as JSON data, less what does not change the result.
    data
        Digest of the training images and labels.
    """

    recipe: dict[str, Any]
    data: str

    def differs_in(self, other: Identity) -> str:
        """Return what differs, in words; nothing if nothing does."""
        keys = sorted(self.recipe.keys() | other.recipe.keys())
        names = [key for key in keys if self.recipe.get(key) != other.recipe.get(key)]
        if self.data != other.data:
            names.append("training images")
        return ", ".join(names)


@dataclass(frozen=True)
class Checkpoint:
    """A run after ``len(log)`` epochs."""

    identity: Identity
    network: State
    optimizer: dict[str, Any]
    log: tuple[LogRow, ...]


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Replace the checkpoint and the log of the run in `folder`."""
    content = {
        "identity": {"recipe": checkpoint.identity.recipe, "data": checkpoint.identity.data},
        "network": checkpoint.network,
        "optimizer": checkpoint.optimizer,
        "log": [tuple(row.values().values()) for row in checkpoint.log],
    }
    buffer = io.BytesIO()
    torch.save(content, buffer)
    _replace(folder / CHECKPOINT, buffer.getvalue())

    lines = io.StringIO()
    table = csv.writer(lines, lineterminator="\n")
    table.writerow(checkpoint.log[0].values())
    for row in checkpoint.log:
        table.writerow(f"{number:.6g}" for number in row.values().values())
    _replace(folder / LOG, lines.getvalue().encode())


def read_checkpoint(folder: Path) -> Checkpoint | None:
    """Read the checkpoint of the run in `folder`; None if there is none.

    Raises
    ------
    ConfigError
        If it is damaged, or not a checkpoint of Bitwright's.
    """
    path = folder / CHECKPOINT
    if not path.exists():
        return None
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        return Checkpoint(
            Identity(**content["identity"]),
            content["network"],
            content["optimizer"],
            tuple(LogRow(*row) for row in content["log"]),
        )
    except (OSError, EOFError, pickle.UnpicklingError, RuntimeError, KeyError, TypeError) as error:
        raise ConfigError(
            f"{path} cannot be read as a checkpoint ({type(error).__name__})",
            "use another folder, or start anew with resume=False",
        ) from error


def save_network(folder: Path, state: State, about: dict[str, Any]) -> None:
    """Write the trained network's `state`, with `about` it (JSON data) in the metadata."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    content = safetensors.torch.save(plain, {METADATA_KEY: json.dumps(about, sort_keys=True)})
    _replace(folder / NETWORK, content)


def read_network(path: Path) -> tuple[dict[str, Any], State]:
    """Read what `save_network` wrote: what is said about the network, and its state.

    Raises
    ------
    ConfigError
        If the file cannot be read, or is not such a network.
    """
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            about = json.loads((file.metadata() or {})[METADATA_KEY])
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        known = isinstance(about["model"], str) and isinstance(about["params"], dict)
    except (OSError, safetensors.SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ConfigError(
            f"{path} cannot be read as a trained network ({type(error).__name__})",
            "give the network.safetensors of a training run",
        ) from error
    if not known:
        raise ConfigError(f"{path} does not say what network it is", "train it anew")
    return about, state


def _replace(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.part")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
