"""The weights that a training starts with, where another run or a program has them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from torch import Tensor, nn

from bitwright.errors import ConfigError
from bitwright.ir import codec
from bitwright.nn.from_program import take_program
from bitwright.nn.run_folder import NETWORK, read_network

Locate = Callable[[str], Path]
"""Says where a network lies that a recipe names, or returns a path as it is; may raise."""


def start_from(network: nn.Module, source: str, model: str, images: Tensor, locate: Locate) -> None:
    """Give a network, in place, the weights that another run ended with, or a program's.

    Parameters
    ----------
    network
        The network, with weights as drawn.
    source
        A run's folder, its ``network.safetensors``, a program's file, or a name for `locate`.
    model
        The network's name in `bitwright.nn.MODELS`.
    images
        Of the training, as `bitwright.nn.from_program.take_program` takes them.
    locate
        What knows the names.

    Raises
    ------
    ConfigError
        If the file cannot be read, or holds the weights of another network.
    ProgramError
        If it holds a damaged program.
    """
    place = locate(source)
    file = place / NETWORK if place.is_dir() else place
    if codec.holds_program(file):
        take_program(network, codec.load(file), images)
        return
    about, state = read_network(file)
    if about["model"] != model:
        raise ConfigError(
            f"start = '{source}' is a '{about['model']}', the recipe's network a '{model}'",
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
