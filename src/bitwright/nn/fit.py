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
from bitwright.nn.layers import latent_weights
from bitwright.nn.progress import Progress
from bitwright.nn.recipe import Optimizer, Recipe

_REPORT_EVERY = 10  # steps; reading the loss more often would stall an accelerator


_LIGHTNINGS_OWN = (
    # Lightning 2.6 uses a part of torch that torch 2.13 deprecates
    ("`isinstance\\(treespec, LeafSpec\\)` is deprecated", FutureWarning),
    # the caller chose the accelerator
    ("GPU available but not used", UserWarning),
)


@dataclass(frozen=True)
class EpochEnd:
    """The last `Progress` of an epoch, and the learning rate of its last step."""

    progress: Progress
    lr: float
    optimizer_state: dict[str, Any]


def learning_rate(settings: Optimizer, step: int, steps_per_epoch: int, epochs: int) -> float:
    """Return the learning rate of a step, counted from 0 over the whole run.

    It rises linearly over the warm-up, then follows the schedule: half a cosine to 0 at the
    step after the last, or constant.
    """
    warmup = round(settings.warmup_epochs * steps_per_epoch)
    if step < warmup:
        return settings.lr * (step + 1) / warmup
    if settings.schedule == "constant":
        return settings.lr
    done = (step - warmup) / max(1, steps_per_epoch * epochs - warmup)
    return settings.lr * 0.5 * (1.0 + math.cos(math.pi * done))


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
        Called after each epoch.
    progress
        Called every few steps.
    accelerator
        As Lightning names it: "cpu", "gpu", "auto".
    folder
        Where Lightning may write; it does not.

    Raises
    ------
    ConfigError
        If the loss stops being a finite number.
    KeyboardInterrupt
        If the user interrupts.
    """
    run = _Run(network, recipe, images, labels, first_epoch, optimizer_state, after_epoch, progress)
    with _quiet():
        trainer = lightning.Trainer(
            accelerator=accelerator,
            devices=1,
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
        self.latent = latent_weights(network)
        self.steps = len(images) // recipe.batch_size
        self.lr = 0.0

    @property
    def epoch(self) -> int:
        """The epoch in the whole run, from 0."""
        return self.first_epoch + int(self.current_epoch)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Make the optimiser, or bring back its state."""
        settings = self.recipe.optimizer
        optimizer: torch.optim.Optimizer
        if settings.name == "adam":
            optimizer = torch.optim.Adam(self.parameters(), lr=settings.lr, fused=True)
        else:
            optimizer = torch.optim.SGD(self.parameters(), lr=settings.lr, momentum=0.9)
        if self.optimizer_state is not None:
            optimizer.load_state_dict(self.optimizer_state)
        return optimizer

    def train_dataloader(self) -> Batches:
        """Cut the batches of the coming epoch."""
        recipe = self.recipe
        seed = derived_seed(recipe.seed, 1, self.epoch)
        return Batches(self.images, self.labels, recipe.batch_size, recipe.augmentation, seed)

    def on_train_epoch_start(self) -> None:
        """Seed what the network itself may draw, and start the epoch's sums."""
        torch.manual_seed(derived_seed(self.recipe.seed, 2, self.epoch))
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
        loss = F.cross_entropy(logits, labels, label_smoothing=self.recipe.label_smoothing)
        self.loss_sum += loss.detach()
        self.right += (logits.detach().argmax(dim=1) == labels).sum()
        return loss

    def on_train_batch_end(self, _outputs: object, _batch: object, step: int) -> None:
        """Clip the latent weights and report."""
        clip = self.recipe.optimizer.latent_clip
        with torch.no_grad():
            for weight in self.latent:
                weight.clamp_(-clip, clip)
        done = step + 1
        if self.progress is not None and done % _REPORT_EVERY == 0 and done < self.steps:
            self.progress(self._now(done))

    def on_train_epoch_end(self) -> None:
        """Check the loss and hand the epoch over."""
        now = self._now(self.steps)
        if not math.isfinite(now.loss):
            raise ConfigError(
                f"the loss became {now.loss} in epoch {now.epoch}",
                f"use a learning rate below {self.recipe.optimizer.lr} or a longer warm-up",
            )
        self.after_epoch(EpochEnd(now, self.lr, self.optimizers().state_dict()))
        if self.progress is not None:
            self.progress(now)

    def _now(self, step: int) -> Progress:
        return Progress(
            epoch=self.epoch + 1,
            epochs=self.recipe.epochs,
            step=step,
            steps=self.steps,
            loss=float(self.loss_sum) / step,
            accuracy=int(self.right) / (step * self.recipe.batch_size),
        )


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
