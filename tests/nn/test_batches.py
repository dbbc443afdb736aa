from __future__ import annotations

import torch

from bitwright.nn.batches import Batches, augment, derived_seed
from bitwright.nn.recipe import Augmentation

PLAIN = Augmentation()


def test_batches_are_a_function_of_the_seed_and_cover_the_images_once() -> None:
    images = torch.arange(23, dtype=torch.uint8).reshape(23, 1, 1, 1)
    labels = torch.arange(23)
    epochs = [Batches(images, labels, 5, PLAIN, seed) for seed in (1, 1, 2)]
    seen = [torch.cat([wanted for _, wanted in epoch]).tolist() for epoch in epochs]
    assert len(epochs[0]) == 4
    assert seen[0] == seen[1] != seen[2]
    assert len(set(seen[0])) == 20
    for pixels, wanted in epochs[0]:
        assert pixels.shape == (5, 1, 1, 1)
        assert pixels.dtype == torch.uint8
        assert torch.equal(pixels.flatten().long(), wanted)


def test_shares_of_processes_make_up_the_whole_batches() -> None:
    images = torch.arange(40, dtype=torch.uint8).reshape(10, 2, 2, 1)
    labels = torch.arange(10)
    how = Augmentation(flip=True, shift=1)
    whole = list(Batches(images, labels, 4, how, 7))
    parts = [list(Batches(images, labels, 4, how, 7, (part, 2))) for part in range(2)]
    for batch, first, second in zip(whole, *parts, strict=True):
        for tensor, one, other in zip(batch, first, second, strict=True):
            assert len(one) == len(other) == 2
            assert torch.equal(tensor, torch.cat([one, other]))


def test_images_come_channels_last() -> None:
    images = torch.zeros(4, 6, 5, 3, dtype=torch.uint8)
    (pixels, _), *_ = Batches(images, torch.zeros(4).long(), 2, Augmentation(shift=1), 0)
    assert pixels.shape == (2, 3, 6, 5)
    assert pixels.is_contiguous(memory_format=torch.channels_last)


def test_augmentation_mirrors_and_shifts_each_image_by_itself() -> None:
    image = torch.arange(1, 13, dtype=torch.uint8).reshape(1, 3, 4, 1)
    many = augment(
        image.expand(400, 3, 4, 1),
        Augmentation(flip=True, shift=1),
        torch.Generator().manual_seed(0),
    )
    expected = set()
    for mirrored in (image, image.flip(2)):
        padded = torch.nn.functional.pad(mirrored, (0, 0, 1, 1, 1, 1))
        for row in range(3):
            for column in range(3):
                cut = padded[0, row : row + 3, column : column + 4, 0]
                expected.add(tuple(cut.flatten().tolist()))
    found = {tuple(one.flatten().tolist()) for one in many}
    assert found == expected


def test_without_augmentation_images_stay() -> None:
    image = torch.arange(12, dtype=torch.uint8).reshape(1, 3, 4, 1)
    assert augment(image, PLAIN, torch.Generator()) is image


def test_derived_seeds_differ_by_path() -> None:
    seeds = {
        derived_seed(seed, *path) for seed in range(4) for path in [(0,), (1, 0), (1, 1), (2, 0)]
    }
    assert len(seeds) == 16
    assert all(0 <= seed < 1 << 63 for seed in seeds)
