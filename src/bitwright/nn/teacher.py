"""The network that a binary one learns from: found in a file, or a float one trained first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from bitwright.data import Dataset
from bitwright.errors import ConfigError, UnknownNameError
from bitwright.ir import codec
from bitwright.nn.float_twin import FLOAT
from bitwright.nn.from_program import take_program
from bitwright.nn.models import MODELS, build
from bitwright.nn.progress import Progress
from bitwright.nn.recipe import Distillation, ModelChoice, Recipe
from bitwright.nn.run_folder import read_network
from bitwright.nn.start import Locate

FOLDER = "teacher"
"""Sub-folder of a run that its teacher is trained in."""


def teacher_recipe(recipe: Recipe, distillation: Distillation, locate: Locate) -> Recipe | None:
    """Return the recipe that trains the teacher of `recipe`; None if it is in a file.

    `locate` knows the files of networks that have names.

    Raises
    ------
    ConfigError
        If the teacher is neither the name of a float network nor a file.
    """
    twin = recipe.model.name + FLOAT
    name = distillation.teacher or twin
    if name.removesuffix(FLOAT) not in MODELS or not name.endswith(FLOAT):
        if distillation.teacher is not None and _is_there(name, locate):
            return None
        raise ConfigError(
            f"distillation.teacher = {name!r} is neither a float network nor a file",
            f"use '{twin}', another network with '{FLOAT}', the path of a network.safetensors or "
            "of a program, or the name of one of the zoo",
        )
    params = distillation.params
    if not params and name == twin:
        params = recipe.model.params
    return recipe.model_copy(
        update={
            "model": ModelChoice(name=name, params=params),
            "epochs": distillation.epochs or recipe.epochs,
            "optimizer": distillation.optimizer,
            "distillation": None,
            "reuse": None,
            "start": None,
        }
    )


def _is_there(name: str, locate: Locate) -> bool:
    try:
        return locate(name).is_file()
    except UnknownNameError:
        return False


def load_teacher(path: Path, pupil: nn.Module, training: Dataset) -> nn.Module:
    """Read a network that another run wrote, or a program.

    Parameters
    ----------
    path
        The run's ``network.safetensors``, or a program's file.
    pupil
        Takes a program's weights and is returned: a program fits the network that learns from it.
    training
        The images of the training.

    Raises
    ------
    ConfigError
        If the file is no network, takes other images than `training`'s, or is a program of
        another network.
    """
    if codec.holds_program(path):
        take_program(pupil, codec.load(path), torch.from_numpy(training.images))
        return pupil
    about, state = read_network(path)
    network = build(about["model"], **about["params"])
    wanted = (list(training.images.shape[1:]), len(training.classes))
    found = (about["params"].get("input_shape"), about["params"].get("classes"))
    if found != wanted:
        raise ConfigError(
            f"the teacher in {path} takes images of {found[0]} in {found[1]} classes, and data "
            f"set '{training.name}' has {wanted[0]} in {wanted[1]}",
            "train the teacher on the same data",
        )
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise ConfigError(
            f"{path} does not hold the weights of a '{about['model']}'", "train the teacher anew"
        ) from error
    return network


def as_teacher(
    progress: Callable[[Progress], None] | None,
) -> Callable[[Progress], None] | None:
    """Return a `progress` that says that it is the teacher's."""
    if progress is None:
        return None
    return lambda now: progress(replace(now, stage="teacher"))
