"""The weights that a training starts with, where another run made them."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from bitwright.errors import ConfigError
from bitwright.nn.run_folder import NETWORK, read_network


def start_from(network: nn.Module, path: Path, model: str) -> None:
    """Give a network, in place, the weights that another run ended with.

    Parameters
    ----------
    network
        The network.
    path
        The run's folder, or its ``network.safetensors``.
    model
        The network's name in `bitwright.nn.MODELS`.

    Raises
    ------
    ConfigError
        If the file cannot be read, or holds the weights of another network.
    """
    file = path / NETWORK if path.is_dir() else path
    about, state = read_network(file)
    if about["model"] != model:
        raise ConfigError(
            f"start = '{path}' is a '{about['model']}', the recipe's network a '{model}'",
            "start from a run of the same network",
        )
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:160]
        raise ConfigError(
            f"the weights in '{file}' do not fit the recipe's network ({reason})",
            "start from a run with the same parameters, not quantised",
        ) from error
