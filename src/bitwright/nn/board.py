"""The log of a run for TensorBoard."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from bitwright.errors import DependencyError
from bitwright.nn.run_folder import LogRow

FOLDER = "tensorboard"
"""Sub-folder of a run that TensorBoard is pointed at."""


def check_board() -> None:
    """Refuse to log for TensorBoard without it.

    Raises
    ------
    DependencyError
        If TensorBoard is not installed.
    """
    if importlib.util.find_spec("tensorboard") is None:
        raise DependencyError("tensorboard", "train", 'log = "tensorboard"')


def write_board(folder: Path, row: LogRow) -> None:
    """Add an epoch of the run in `folder`."""
    from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415  # optional

    with SummaryWriter(str(folder / FOLDER)) as writer:
        for name, value in row.values().items():
            if name != "epoch":
                writer.add_scalar(f"train/{name}", value, row.epoch)
