"""From a recipe to a packed network with card and certificate: train, lower, evaluate, write."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from bitwright import data as data_sets
from bitwright import flow, zoo
from bitwright.certificate import Certificate
from bitwright.certify import certify
from bitwright.files import write_atomically
from bitwright.frontends import torch_lower
from bitwright.frontends.torch_source import TorchSource
from bitwright.frontends.torch_ties import count_ties
from bitwright.ir import codec
from bitwright.ir.program import Program
from bitwright.nn import Progress, Recipe, TrainedNetwork, train

TIE_IMAGES = 1000
"""Test images on which exact zeros before a sign are counted."""
CERTIFIED_IMAGES = 1000
"""Test images on which program and module are compared, layer by layer."""


@dataclass(frozen=True, eq=False)
class Made:
    """A trained network: the program, its card and certificate, and where the program lies."""

    program: Program
    card: dict[str, Any]
    certificate: Certificate
    path: Path


def make(
    name: str,
    recipe: Recipe,
    folder: Path,
    *,
    data_dir: Path | None = None,
    resume: bool = True,
    progress: Callable[[Progress], None] | None = None,
    accelerator: str = "cpu",
) -> Made:
    """Train a network, lower it, evaluate the integers on the test set, and write the files.

    Parameters
    ----------
    name
        The network's name; the files are ``<name>.safetensors``, the card ``<name>.json`` and
        ``<name>.certificate.json``, which says whether the program is what the module is. If the
        recipe has approximate popcounts, ``<name>.majority.toml`` is the target's configuration
        that has them, and the card's record is of that target. If it drew kernels together, the
        card says so under ``changed_by``.
    recipe
        What to train.
    folder
        The run's folder: checkpoints, log, and these files. A run that was cut off is resumed.
    data_dir
        Where the data set lies; see `bitwright.data.load`.
    resume
        Go on from the folder's checkpoint, if there is one.
    progress
        Called as training goes on.
    accelerator
        As Lightning names it: "cpu", "gpu", "auto".

    Raises
    ------
    BitwrightError
        If the recipe, the data or the folder do not allow it.
    """
    training = data_sets.load(recipe.data, split="train", data_dir=data_dir)
    test = data_sets.load(recipe.data, split="test", data_dir=data_dir)
    trained = train(
        recipe,
        folder,
        datasets=(training, test),
        resume=resume,
        progress=progress,
        accelerator=accelerator,
        locate=zoo.locate,
    )
    shape = test.images.shape
    program = torch_lower.lower(
        trained.network, (shape[1], shape[2], shape[3]), name=name, classes=test.classes
    )
    ties = count_ties(trained.network, test.images[:TIE_IMAGES])
    settings = majority_settings(recipe)
    if settings is None:
        record = flow.evaluate(program, test).record
    else:
        record = flow.evaluate(program, test, target="majority", config=settings).record
    certificate = certify(TorchSource(trained.network, name), program, test.head(CERTIFIED_IMAGES))
    seconds = round(sum(row.seconds for row in trained.log))
    card = {
        "name": name,
        "digest": program.digest,
        "recipe": recipe.model_dump(mode="json"),
        **changes(trained),
        "train_data": training.info().to_json(),
        "ties": {"images": min(TIE_IMAGES, len(test)), "zeros": sum(ties.values())},
        "training_seconds": seconds,
        "budget": f"{recipe.epochs} epochs in {seconds:,} s on {accelerator}, "
        f"{recipe.threads or torch.get_num_threads()} thread(s)",
        "float_accuracy": trained.test_accuracy,
        "float_accuracy_before_quantisation": trained.real_accuracy,
        "record": record.to_json(),
        "trained_with": {name: metadata.version(name) for name in ("torch", "lightning")},
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
    }
    path = folder / f"{name}.safetensors"
    codec.save(program, path)
    if settings is not None:
        toml = "".join(f"{key} = {_toml(value)}\n" for key, value in settings.items())
        write_atomically(folder / f"{name}.majority.toml", toml.encode())
    for suffix, content in ((".json", card), (".certificate.json", certificate.to_json())):
        text = json.dumps(content, indent=2) + "\n"
        write_atomically(folder / f"{name}{suffix}", text.encode())
    return Made(program, card, certificate, path)


def majority_settings(recipe: Recipe) -> dict[str, Any] | None:
    """Return the majority target's settings for a network trained by a recipe.

    Its thresholds are what the training made of them: they already fit the circuits. None if the
    recipe has no approximate popcounts.
    """
    wanted = recipe.approximate
    if wanted is None:
        return None
    settings: dict[str, Any] = {"circuit": wanted.circuit, "thresholds": "unchanged"}
    if wanted.layers:
        settings["layers"] = list(wanted.layers)
    if wanted.circuits:
        settings["circuits"] = dict(wanted.circuits)
    return settings


def changes(trained: TrainedNetwork) -> dict[str, Any]:
    """Return what a card says of a training that made another network for the hardware's sake.

    Nothing if there was no such training. Skipping and reuse of a network that is there change no
    bit; reuse-aware training makes another one, and nobody should take it for the same.
    """
    wanted = trained.recipe.reuse
    if wanted is None or not wanted.weight:
        return {}
    end = trained.log[-1]
    label = {
        "training": "reuse-aware: kernels were drawn together, so this is another network than "
        "the same recipe makes without [reuse]",
        "weight": wanted.weight,
        "layers": list(wanted.layers) or "all with binary weights",
        "nearest_kernel": end.nearest_kernel,
        "products_left": end.products_left,
    }
    return {"changed_by": label}


def _toml(value: Any) -> str:
    """Return a text, a list of them or a table of them as TOML."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_toml(k)} = {_toml(v)}" for k, v in value.items()) + " }"
    return json.dumps(value, ensure_ascii=False)
