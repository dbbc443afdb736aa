"""`train`: a recipe and a data set make a network; a killed run resumes.

A resumed run ends with the same weights, bit for bit, as an uninterrupted one on the same machine
with the same number of threads. What a run keeps is told in `bitwright.nn.run_folder`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from pydantic import ValidationError
from torch import Tensor, nn

from bitwright.data import Dataset, load
from bitwright.errors import ConfigError, DataError, DependencyError
from bitwright.nn.approximate import counting
from bitwright.nn.array_response import responding
from bitwright.nn.batches import derived_seed
from bitwright.nn.board import check_board, write_board
from bitwright.nn.evaluate import accuracy, recalibrate
from bitwright.nn.kernel_distance import KernelDistance
from bitwright.nn.models import build
from bitwright.nn.processes import alone_again, leads
from bitwright.nn.progress import Progress
from bitwright.nn.quantise import quantise
from bitwright.nn.recipe import Recipe
from bitwright.nn.run_folder import (
    Checkpoint,
    Identity,
    LogRow,
    read_checkpoint,
    save_checkpoint,
    save_network,
)
from bitwright.nn.start import Locate, start_from
from bitwright.nn.teacher import FOLDER as TEACHER
from bitwright.nn.teacher import as_teacher, load_teacher, teacher_recipe

if TYPE_CHECKING:
    from bitwright.nn.fit import EpochEnd

_CHANGEABLE = {"threads", "recalibrate", "quantise", "log"}
"""What a recipe may change between two parts of a run: speed, logs, and what is done at the end."""


@dataclass(frozen=True)
class TrainedNetwork:
    """A network and how it came about.

    Attributes
    ----------
    network
        In evaluation mode, on the CPU.
    recipe
        What trained it.
    params
        All parameters that `bitwright.nn.build` was called with.
    test_accuracy
        Share of the test images that `network` classifies rightly in float32; with the recipe's
        circuits or the response of its arrays, if it has any.
    real_accuracy
        The same before the network was quantised; equal if it was not.
    log
        One row an epoch.
    folder
        The folder of the run.
    """

    network: nn.Module
    recipe: Recipe
    params: dict[str, Any]
    test_accuracy: float
    real_accuracy: float
    log: tuple[LogRow, ...]
    folder: Path


def train(
    recipe: Recipe,
    out: Path | str,
    *,
    data_dir: Path | None = None,
    resume: bool = True,
    progress: Callable[[Progress], None] | None = None,
    limit: int | None = None,
    datasets: tuple[Dataset, Dataset] | None = None,
    accelerator: str = "cpu",
    locate: Locate = Path,
) -> TrainedNetwork:
    """Train a network, or finish training it.

    Parameters
    ----------
    recipe
        The run.
    out
        Folder of the run; made if missing.
    data_dir
        Where the data set lies; see `bitwright.data.load`.
    resume
        Go on from the checkpoint in `out`, if there is one; otherwise start anew over it.
    progress
        Called every ten steps and after each epoch. An exception that it raises ends the run; the
        finished epochs are kept.
    limit
        Use only the first so many training images and so many test images.
    datasets
        Training and test images to use in place of the recipe's.
    accelerator
        As Lightning names it: "cpu", "gpu", "auto".
    locate
        Says where a network lies that the recipe starts from or learns from, by its name, and
        returns a path as it is; by default no names are known.

    Returns
    -------
    TrainedNetwork
        The network after the last epoch; none is picked by its test accuracy.

    Raises
    ------
    ConfigError
        If the network does not fit the images, the loss becomes infinite, what it starts from or
        learns from cannot be used, or `out` holds a run of another recipe or other images.
    DataError
        If the data set is missing or damaged, or has fewer images than a batch.
    DependencyError
        If Lightning is not installed, or TensorBoard where the recipe logs for it.
    UnknownNameError
        If the network or the data set does not exist.

    Notes
    -----
    With several devices the calling program is started once for each; see
    `bitwright.nn.processes`.
    """
    with alone_again():
        return _train(
            recipe, Path(out), data_dir, resume, progress, limit, datasets, accelerator, locate
        )


def _train(
    recipe: Recipe,
    folder: Path,
    data_dir: Path | None,
    resume: bool,
    progress: Callable[[Progress], None] | None,
    limit: int | None,
    datasets: tuple[Dataset, Dataset] | None,
    accelerator: str,
    locate: Locate,
) -> TrainedNetwork:
    try:  # not at the top: it takes two seconds, and only training needs it
        from bitwright.nn.fit import fit  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise DependencyError(error.name or "lightning", "train", "training") from None
    if recipe.log == "tensorboard":
        check_board()
    training, test = _datasets(recipe, data_dir, limit, datasets)
    params = _params(recipe, training)
    _check_counts(recipe, params, training)
    folder.mkdir(parents=True, exist_ok=True)
    identity = Identity(recipe.model_dump(mode="json", exclude=_CHANGEABLE), training.digest)
    saved = _resumable(folder, identity) if resume else None
    log = list(saved.log) if saved else []
    teacher = None
    if recipe.distillation and len(log) < recipe.epochs:
        teacher = _teacher(recipe, folder, resume, progress, (training, test), accelerator, locate)

    with _threads(recipe.threads), torch.random.fork_rng(devices=[]):
        torch.manual_seed(derived_seed(recipe.seed, 0))
        network = build(recipe.model.name, **params)
        _lay_out(network, torch.channels_last)
        images, labels = _tensors(training)
        if saved:
            network.load_state_dict(saved.network)
        elif recipe.start is not None:
            start_from(network, recipe.start, recipe.model.name, images, locate)
        wanted = recipe.reuse
        kernels = KernelDistance(network, wanted, params["input_shape"]) if wanted else None
        began = time.monotonic()

        def after_epoch(end: EpochEnd) -> None:
            nonlocal began
            now = time.monotonic()
            log.append(_log_row(end, now - began, kernels))
            began = now
            if not leads():
                return
            state = network.state_dict()
            save_checkpoint(folder, Checkpoint(identity, state, end.optimizer_state, tuple(log)))
            if recipe.log == "tensorboard":
                write_board(folder, log[-1])

        if len(log) < recipe.epochs:
            with _counts(network, recipe, images, training=True):
                fit(
                    network,
                    recipe,
                    images,
                    labels,
                    first_epoch=len(log),
                    optimizer_state=saved.optimizer if saved else None,
                    after_epoch=after_epoch,
                    progress=progress,
                    accelerator=accelerator,
                    folder=folder,
                    teacher=teacher,
                    kernels=kernels,
                )
        network, test_accuracy, real_accuracy = _finish(network.cpu(), recipe, images, test)
    _lay_out(network, torch.contiguous_format)
    about = {
        "model": recipe.model.name,
        "params": params,
        "recipe": recipe.model_dump(mode="json"),
        "train_digest": training.digest,
        "test_digest": test.digest,
        "test_accuracy": test_accuracy,
        "real_accuracy": real_accuracy,
    }
    if leads():
        save_network(folder, network.state_dict(), about)
    return TrainedNetwork(network, recipe, params, test_accuracy, real_accuracy, tuple(log), folder)


def _counts(
    network: nn.Module, recipe: Recipe, images: Tensor, *, training: bool
) -> AbstractContextManager[None]:
    """Return a context in which a network counts as a recipe has it, by circuits or on arrays."""
    if recipe.crossbar is not None:
        return responding(network, recipe.crossbar, images)
    return counting(network, recipe.approximate, images, training=training)


def _check_counts(recipe: Recipe, params: dict[str, Any], training: Dataset) -> None:
    """Refuse circuits or arrays that the network cannot have, before anything is trained."""
    with torch.random.fork_rng(devices=[]):
        network = build(recipe.model.name, **params)
    images, _ = _tensors(training.head(2))
    for stage in (True, False):
        with _counts(network, recipe, images, training=stage):
            pass


def _log_row(end: EpochEnd, seconds: float, kernels: KernelDistance | None) -> LogRow:
    """Return what is logged of an epoch."""
    now = end.progress
    row = LogRow(now.epoch, now.loss, now.accuracy, end.lr, seconds)
    if kernels is None:
        return row
    apart = kernels.measure()
    return replace(row, nearest_kernel=apart.nearest, products_left=apart.left)


def _finish(
    network: nn.Module, recipe: Recipe, images: Tensor, test: Dataset
) -> tuple[nn.Module, float, float]:
    """Settle a trained network; return it, its accuracy, and what that was before quantising."""
    draw = torch.Generator().manual_seed(derived_seed(recipe.seed, 3))
    order = torch.randperm(len(images), generator=draw)
    with _counts(network, recipe, images, training=False):
        if recipe.recalibrate:
            recalibrate(network, images[order[: recipe.recalibrate]])
        network.eval()
        before = accuracy(network, *_tensors(test))
    if not recipe.quantise:
        return network, before, before
    network = quantise(network, images[order[: recipe.quantise]])
    with _counts(network, recipe, images, training=False):
        return network, accuracy(network, *_tensors(test)), before


def _datasets(
    recipe: Recipe,
    data_dir: Path | None,
    limit: int | None,
    datasets: tuple[Dataset, Dataset] | None,
) -> tuple[Dataset, Dataset]:
    """Return the training and test images of the run."""
    if datasets is None:
        datasets = (
            load(recipe.data, split="train", data_dir=data_dir, limit=limit),
            load(recipe.data, split="test", data_dir=data_dir, limit=limit),
        )
    training, test = (data.head(limit) for data in datasets)
    if len(training) < recipe.batch_size:
        raise DataError(
            f"data set '{training.name}' has {len(training)} training images, fewer than a batch "
            f"of {recipe.batch_size}",
            "lower batch_size in the recipe or use more images",
        )
    return training, test


def _teacher(
    recipe: Recipe,
    folder: Path,
    resume: bool,
    progress: Callable[[Progress], None] | None,
    datasets: tuple[Dataset, Dataset],
    accelerator: str,
    locate: Locate,
) -> nn.Module | None:
    """Read the network that the recipe's learns from, or train it in a sub-folder of the run."""
    if recipe.distillation is None:
        return None
    own = teacher_recipe(recipe, recipe.distillation, locate)
    if own is None:
        place = locate(str(recipe.distillation.teacher))
        with torch.random.fork_rng(devices=[]):
            pupil = build(recipe.model.name, **_params(recipe, datasets[0]))
        teacher = load_teacher(place, pupil, datasets[0])
    else:
        report = as_teacher(progress)
        place = folder / TEACHER
        made = _train(own, place, None, resume, report, None, datasets, accelerator, locate)
        teacher = made.network
    _lay_out(teacher, torch.channels_last)
    return teacher


def _params(recipe: Recipe, data: Dataset) -> dict[str, Any]:
    """Complete the parameters of the recipe's network with the shape of the data."""
    shape = {"input_shape": list(data.images.shape[1:]), "classes": len(data.classes)}
    for key, value in shape.items():
        wanted = recipe.model.params.get(key, value)
        if wanted != value and wanted != tuple(data.images.shape[1:]):
            raise ConfigError(
                f"the recipe's network has {key} = {wanted}, but data set '{data.name}' "
                f"has {value}",
                f"leave {key} out of the recipe, or use other data",
            )
    return {**recipe.model.params, **shape}


def _resumable(folder: Path, identity: Identity) -> Checkpoint | None:
    saved = read_checkpoint(folder)
    if saved is None:
        return None
    difference = identity.differs_in(_completed(saved.identity))
    if difference:
        raise ConfigError(
            f"{folder} holds a run that differs in: {difference}",
            "use another folder, or start anew with resume=False",
        )
    return saved


def _completed(identity: Identity) -> Identity:
    """Add the defaults of the keys that recipes did not have yet when the run began."""
    try:
        recipe = Recipe.model_validate(identity.recipe)
    except ValidationError:
        return identity
    return replace(identity, recipe=recipe.model_dump(mode="json", exclude=_CHANGEABLE))


def _tensors(data: Dataset) -> tuple[Tensor, Tensor]:
    """Share the images and labels with torch."""
    return torch.from_numpy(data.images), torch.from_numpy(data.labels)


def _lay_out(network: nn.Module, order: torch.memory_format) -> None:
    """Put the four-dimensional weights into this memory order, in place."""
    network.to(memory_format=order)  # type: ignore[call-overload]  # torch's stub lacks the keyword


@contextmanager
def _threads(count: int | None) -> Iterator[None]:
    """Compute with so many threads; afterwards with as many as before."""
    before = torch.get_num_threads()
    if count is not None:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
