"""`open_module`: the torch module that a recipe describes, or that a training run left.

- A recipe says less than a module needs: the shape of the images and the number of classes come
  from its data set. Of one that is known by name neither is read.
- A recipe's module is untrained: fit for counting what it holds and does, not for running. What
  the recipe quantises at the end of the training is quantised.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from bitwright.data import load
from bitwright.data.known import KNOWN
from bitwright.errors import ConfigError
from bitwright.nn.models import build
from bitwright.nn.quantise import quantise, quantised_form
from bitwright.nn.recipe import Recipe
from bitwright.nn.recipe_file import load_recipe, shipped_recipes
from bitwright.nn.run_folder import NETWORK, read_network


@dataclass(frozen=True, eq=False)
class OpenedModule:
    """A module, and what it was built by.

    Attributes
    ----------
    module
        Takes pixels 0..255, shaped (batch, channels, height, width).
    model, params
        What `bitwright.nn.build` was called with.
    input_shape
        (height, width, channels) of an image.
    trained
        Whether its weights are those of a finished training run.
    """

    module: nn.Module
    model: str
    params: dict[str, Any]
    input_shape: tuple[int, int, int]
    trained: bool


def open_module(source: str | Path) -> OpenedModule:
    """Build a module from what describes it.

    Parameters
    ----------
    source
        What `bitwright.nn.load_recipe` takes: the name of a shipped recipe, or a TOML file; or
        the folder of a training run, or its ``network.safetensors``. A recipe's name wins over a
        folder of that name.

    Raises
    ------
    UnknownNameError
        If it is neither a path nor a shipped recipe, or names an unknown network.
    ConfigError
        If the recipe or the run's file cannot be read, or its network cannot be built.
    DataError
        If a recipe's data set, not one known by name, is not there to say what its images are.
    """
    path = Path(source)
    if source not in shipped_recipes() and (path.is_dir() or path.suffix == ".safetensors"):
        return _of_run(path)
    recipe = load_recipe(source)
    params = _completed(recipe)
    with torch.random.fork_rng(devices=[]):  # drawing weights leaves the caller's draws alone
        module = build(recipe.model.name, **params)
        shape = _shape(params)
        if recipe.quantise:
            module = quantise(module, torch.randint(0, 256, (2, *shape), dtype=torch.uint8))
    return OpenedModule(module, recipe.model.name, params, shape, trained=False)


def read_run(path: Path) -> tuple[dict[str, Any], nn.Module]:
    """Return what a training run says of its network, and the network with its weights.

    Parameters
    ----------
    path
        The run's folder, or its ``network.safetensors``.

    Raises
    ------
    ConfigError
        If the file cannot be read, or does not hold the network that it says.
    """
    file = path / NETWORK if path.is_dir() else path
    about, state = read_network(file)
    module = _built_for(about)
    try:
        module.load_state_dict(state)
    except (RuntimeError, TypeError, AttributeError) as error:
        reason = " ".join(str(error).split())[:160]
        raise ConfigError(
            f"{file} does not hold the {about['model']} that it says ({reason})",
            "give the file of that network, or train it anew",
        ) from error
    return about, module


def _built_for(about: dict[str, Any]) -> nn.Module:
    """Return the untrained module that a run's ``state_dict`` fits, by what the run says of it."""
    with torch.random.fork_rng(devices=[]):
        module = build(about["model"], **about["params"])
    recipe = about.get("recipe")
    if isinstance(recipe, dict) and recipe.get("quantise"):
        return quantised_form(module)
    return module


def _of_run(path: Path) -> OpenedModule:
    file = path / NETWORK if path.is_dir() else path
    if not file.exists():
        raise ConfigError(
            f"{path} holds no {NETWORK}",
            "give the folder of a run that 'bitwright train' has finished",
        )
    about, module = read_run(file)
    params = about["params"]
    if "input_shape" not in params:
        raise ConfigError(f"{file} does not say the shape of its images", "train it anew")
    return OpenedModule(module, about["model"], params, _shape(params), trained=True)


def _completed(recipe: Recipe) -> dict[str, Any]:
    """Return the parameters of the recipe's network with the shape of its data."""
    given = recipe.model.params
    if {"input_shape", "classes"} <= given.keys():
        return dict(given)
    known = KNOWN.get(recipe.data)
    if known is not None:
        shape, classes = known.shape, known.classes
    else:
        images = load(recipe.data, "train", limit=1)
        shape, classes = images.images.shape[1:], images.classes
    return {"input_shape": list(shape), "classes": len(classes), **given}


def _shape(params: dict[str, Any]) -> tuple[int, int, int]:
    """Return the shape of an image from parameters that `build` has checked."""
    height, width, channels = params["input_shape"]
    return height, width, channels
