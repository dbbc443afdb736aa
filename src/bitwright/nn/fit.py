"""The training loop: what Lightning calls, and how Lightning is kept quiet.

- A step's learning rate is a function of its number, and an epoch's batches and random draws are
  functions of (seed, epoch): what a resumed run must restore is the network and the optimiser.
- `after_epoch` is called when an epoch is complete and before the next one draws anything.
"""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning.pytorch as lightning
import torch
import torch.nn.functional as F  # noqa: N812  # torch's own name for it
from torch import Tensor, nn

from bitwright.errors import ConfigError
from bitwright.nn.batches import Batches, derived_seed
from bitwright.nn.kernel_distance import KernelDistance
from bitwright.nn.layers import latent_weights, set_progress
from bitwright.nn.optimizers import learning_rate, make_optimizer
from bitwright.nn.progress import Progress
from bitwright.nn.recipe import Recipe

_REPORT_EVERY = 10  # steps; reading the loss more often would stall an accelerator


_LIGHTNINGS_OWN = (
    # Lightning 2.6 uses a part of torch that torch 2.13 deprecates
    ("`isinstance\\(treespec, LeafSpec\\)` is deprecated", FutureWarning),
    # the caller chose the accelerator
    ("GPU available but not used", UserWarning),
    # the batches come from memory
    ("The 'train_dataloader' does not have many workers", UserWarning),
)


@dataclass(frozen=True)
class EpochEnd:
    """The last `Progress` of an epoch, and the learning rate of its last step."""

    progress: Progress
    lr: float
    optimizer_state: dict[str, Any]


def fit(
    network: nn.Module,
    recipe: Recipe,
    images: Tensor,
    labels: Tensor,
    *,
    first_epoch: int,
    optimizer_state: dict[str, Any] | None,
    after_epoch: Callable[[EpochEnd], None],
    progress: Callable[[Progress], None] | None,
    accelerator: str,
    folder: Path,
    teacher: nn.Module | None = None,
    kernels: KernelDistance | None = None,
) -> None:
    """Train `network` in place from `first_epoch` (counted from 0) to the recipe's last.

    Parameters
    ----------
    network
        As it was after ``first_epoch`` epochs.
    recipe
        The run.
    images, labels
        uint8 (N, height, width, channels), and int64 (N,).
    first_epoch, optimizer_state
        Where a resumed run goes on; 0 and None for a new one.
    after_epoch
        Called after each epoch, in each process.
    progress
        Called every few steps, in the first process.
    accelerator
        As Lightning names it: "cpu", "gpu", "auto".
    folder
        Where Lightning may write; it does not.
    teacher
        What the network learns from beside the labels, if the recipe has a distillation.
    kernels
        What draws the network's kernels together, if the recipe wants that.

    Raises
    ------
    ConfigError
        If the loss stops being a finite number.
    KeyboardInterrupt
        If the user interrupts.
    """
    run = _Run(network, recipe, images, labels, first_epoch, optimizer_state, after_epoch, progress)
    if teacher is not None:
        run.teacher = (teacher.eval(),)
    if kernels is not None and kernels.weight:
        run.kernels = kernels
    with _quiet():
        trainer = lightning.Trainer(
            accelerator=accelerator,
            devices=recipe.devices,
            strategy="ddp" if recipe.devices > 1 else recipe.strategy,
            precision="32-true" if recipe.precision == "32" else recipe.precision,
            max_epochs=recipe.epochs - first_epoch,
            reload_dataloaders_every_n_epochs=1,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
            default_root_dir=folder,
        )
        try:
            trainer.fit(run)
        except SystemExit:
            # Lightning turns Ctrl-C into exit(1); a library's caller wants to know.
            if trainer.interrupted:
                raise KeyboardInterrupt from None
            raise


class _Run(lightning.LightningModule):  # type: ignore[misc]  # mypy sees Lightning as Any
    def __init__(
        self,
        network: nn.Module,
        recipe: Recipe,
        images: Tensor,
        labels: Tensor,
        first_epoch: int,
        optimizer_state: dict[str, Any] | None,
        after_epoch: Callable[[EpochEnd], None],
        progress: Callable[[Progress], None] | None,
    ) -> None:
        super().__init__()
        self.network = network
        self.recipe = recipe
        self.images = images
        self.labels = labels
        self.first_epoch = first_epoch
        self.optimizer_state = optimizer_state
        self.after_epoch = after_epoch
        self.progress = progress
        self.teacher: tuple[nn.Module, ...] = ()  # in a tuple it is no part of this module
        self.kernels: KernelDistance | None = None
        self.latent = latent_weights(network)
        self.steps = len(images) // recipe.batch_size
        self.lr = 0.0

    @property
    def epoch(self) -> int:
        """The epoch in the whole run, from 0."""
        return self.first_epoch + int(self.current_epoch)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Make the optimiser, or bring back its state."""
        optimizer = make_optimizer(self.network, self.recipe.optimizer)
        if self.optimizer_state is not None:
            optimizer.load_state_dict(self.optimizer_state)
        return optimizer

    def train_dataloader(self) -> Batches:
        """Cut the batches of the coming epoch."""
        recipe = self.recipe
        seed = derived_seed(recipe.seed, 1, self.epoch)
        share = (int(self.trainer.global_rank), int(self.trainer.world_size))
        return Batches(
            self.images, self.labels, recipe.batch_size, recipe.augmentation, seed, share
        )

    def on_train_epoch_start(self) -> None:
        """Seed what the network itself may draw, set the estimators, start the epoch's sums."""
        torch.manual_seed(derived_seed(self.recipe.seed, 2, self.epoch))
        set_progress(self.network, self.epoch / self.recipe.epochs)
        for teacher in self.teacher:
            teacher.to(self.device)
        if self.kernels is not None:
            self.kernels.find_trees()
        self.loss_sum = torch.zeros((), device=self.device)
        self.right = torch.zeros((), dtype=torch.int64, device=self.device)

    def on_train_batch_start(self, _batch: object, step: int) -> None:
        """Set this step's learning rate."""
        total = self.epoch * self.steps + step
        self.lr = learning_rate(self.recipe.optimizer, total, self.steps, self.recipe.epochs)
        for group in self.optimizers().param_groups:
            group["lr"] = self.lr

    def training_step(self, batch: tuple[Tensor, Tensor], _step: int) -> Tensor:
        """Return the loss of a batch."""
        pixels, labels = batch
        logits = self.network(pixels).float()
        if self.recipe.loss == "hinge":
            loss = modified_hinge(logits, labels, self.recipe.hinge_margin)
        else:
            loss = F.cross_entropy(logits, labels, label_smoothing=self.recipe.label_smoothing)
        distillation = self.recipe.distillation
        if distillation is not None:
            for teacher in self.teacher:
                with torch.no_grad():
                    wanted = teacher(pixels).float()
                apart = distance(logits, wanted, distillation.temperature)
                loss = torch.lerp(loss, apart, distillation.weight)
        self.loss_sum += loss.detach()
        self.right += (logits.detach().argmax(dim=1) == labels).sum()
        if self.kernels is not None:
            loss = loss + self.kernels.penalty()
        return loss

    def configure_gradient_clipping(self, *_: object, **__: object) -> None:
        """Shorten the gradient. Lightning's own way refuses fused optimisers."""
        longest = self.recipe.optimizer.gradient_clip
        if longest:
            nn.utils.clip_grad_norm_(self.network.parameters(), longest)

    def on_train_batch_end(self, _outputs: object, _batch: object, step: int) -> None:
        """Clip the latent weights and report."""
        clip = self.recipe.optimizer.latent_clip
        if clip:
            with torch.no_grad():
                for weight in self.latent:
                    weight.clamp_(-clip, clip)
        done = step + 1
        if done % _REPORT_EVERY == 0 and done < self.steps:
            self._report(self._now(done))

    def on_train_epoch_end(self) -> None:
        """Check the loss and hand the epoch over."""
        reduce = self.trainer.strategy.reduce  # over the processes
        self.loss_sum = reduce(self.loss_sum, reduce_op="mean")
        self.right = reduce(self.right, reduce_op="sum")
        now = self._now(self.steps, self.recipe.batch_size)
        if not math.isfinite(now.loss):
            raise ConfigError(
                f"the loss became {now.loss} in epoch {now.epoch}",
                f"use a learning rate below {self.recipe.optimizer.lr} or a longer warm-up",
            )
        self.after_epoch(EpochEnd(now, self.lr, self.optimizers().state_dict()))
        self._report(now)

    def _report(self, now: Progress) -> None:
        if self.progress is not None and self.trainer.is_global_zero:
            self.progress(now)

    def _now(self, step: int, batch: int | None = None) -> Progress:
        """Return how far this process is, or with a full batch's size all processes."""
        batch = batch or self.recipe.batch_size // int(self.trainer.world_size)
        return Progress(
            epoch=self.epoch + 1,
            epochs=self.recipe.epochs,
            step=step,
            steps=self.steps,
            loss=float(self.loss_sum) / step,
            accuracy=int(self.right) / (step * batch),
        )


def modified_hinge(logits: Tensor, labels: Tensor, margin: float) -> Tensor:
    """Return how far logits fall short of a margin on the right side of 0, mean over all.

    Parameters
    ----------
    logits
        (batch, classes).
    labels
        int64, (batch,); the right side of a wrong class is the negative one.
    margin
        What a logit should reach.
    """
    side = 2.0 * F.one_hot(labels, logits.shape[1]) - 1
    return F.relu(margin - side * logits).mean()


def distance(logits: Tensor, wanted: Tensor, temperature: float) -> Tensor:
    """Return how far a network's softened answers are from its teacher's.

    Parameters
    ----------
    logits, wanted
        Of the network and the teacher, (batch, classes).
    temperature
        What both are divided by.

    Returns
    -------
    Tensor
        The Kullback-Leibler divergence, mean over the batch, times temperature squared: its
        gradient then stays as large as that of the labels' loss.
    """
    softened = F.log_softmax(logits / temperature, dim=1)
    target = F.log_softmax(wanted / temperature, dim=1)
    apart = F.kl_div(softened, target, reduction="batchmean", log_target=True)
    return apart * temperature**2


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence what Lightning tells users of Lightning: hardware found, tips, how to log."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            for message, category in _LIGHTNINGS_OWN:
                warnings.filterwarnings("ignore", message, category)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
