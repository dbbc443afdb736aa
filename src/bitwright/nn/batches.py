"""Training batches, from images in memory.

- The order of the images and what augmentation does to each follow from (seed, epoch) alone: a run
  that resumes at an epoch sees what an uninterrupted one would have seen.
- Whole batches are cut and augmented by one indexing operation; no worker processes.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  # torch's own name for it
from torch import Tensor

from bitwright.nn.recipe import Augmentation


def derived_seed(seed: int, *path: int) -> int:
    """Return a 63-bit seed for the stream `path`, such as an epoch, of a run's `seed`."""
    state = np.random.SeedSequence(entropy=seed, spawn_key=path).generate_state(1, np.uint64)
    return int(state[0] >> np.uint64(1))


class Batches:
    """The batches of one epoch; each iteration gives the same ones.

    Parameters
    ----------
    images
        uint8, (N, height, width, channels).
    labels
        int64, (N,).
    batch_size
        Images a batch; the last, incomplete batch is left out.
    augmentation
        What happens to the images.
    seed
        Decides order and augmentation.
    share
        (i, n): give the i-th of n equal parts of each batch, for one of n processes.

    Yields
    ------
    tuple of Tensor
        Pixels, uint8, (batch / n, channels, height, width), channels last in memory; and labels.
    """

    def __init__(
        self,
        images: Tensor,
        labels: Tensor,
        batch_size: int,
        augmentation: Augmentation,
        seed: int,
        share: tuple[int, int] = (0, 1),
    ) -> None:
        self.images = images
        self.labels = labels
        self.batch_size = batch_size
        self.augmentation = augmentation
        self.seed = seed
        self.share = share

    def __len__(self) -> int:
        return len(self.images) // self.batch_size

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        random = torch.Generator().manual_seed(self.seed)
        order = torch.randperm(len(self.images), generator=random)
        part, parts = self.share
        size = self.batch_size // parts
        mine = slice(part * size, (part + 1) * size)
        for start in range(0, len(self) * self.batch_size, self.batch_size):
            chosen = order[start : start + self.batch_size]
            pixels = augment(self.images[chosen], self.augmentation, random)[mine]
            yield pixels.permute(0, 3, 1, 2), self.labels[chosen[mine]]


def augment(images: Tensor, augmentation: Augmentation, random: torch.Generator) -> Tensor:
    """Mirror and shift each image of a batch by its own draw.

    Parameters
    ----------
    images
        (batch, height, width, channels).
    augmentation
        How.
    random
        Where the draws come from.

    Returns
    -------
    Tensor
        As `images`; pixels shifted in are 0.
    """
    shift = augmentation.shift
    if not (augmentation.flip or shift):
        return images
    batch, height, width, _ = images.shape
    rows = torch.arange(height).expand(batch, height)
    columns = torch.arange(width).expand(batch, width)
    if augmentation.flip:
        flipped = torch.rand(batch, 1, generator=random) < 0.5
        columns = torch.where(flipped, width - 1 - columns, columns)
    if shift:
        images = F.pad(images, (0, 0, shift, shift, shift, shift))
        rows = rows + torch.randint(2 * shift + 1, (batch, 1), generator=random)
        columns = columns + torch.randint(2 * shift + 1, (batch, 1), generator=random)
    return images[torch.arange(batch)[:, None, None], rows[:, :, None], columns[:, None, :]]
