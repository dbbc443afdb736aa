"""A folder of PNG and JPEG images by class: each sub-folder is a class, in the order of the names.

Requirements:

- All images have one size and one mode (grey ``L`` or colour ``RGB``): nothing is converted,
  scaled or cropped behind the user's back.
- The order is fixed and takes turns between the classes (the first image of each class, the second
  of each, ...), so that the first n images are a fair part of the whole.
- If the only sub-folders are ``train`` and ``test``, those are the splits, each with its classes.
"""

from __future__ import annotations

import warnings
from itertools import zip_longest
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bitwright.data.streams import MAX_BYTES, Progress, damage_named
from bitwright.errors import DataError

SUFFIXES = (".png", ".jpg", ".jpeg")
"""The files that are taken for images, in upper or lower case."""

_MODES = {"L": 1, "RGB": 3}
_LAYOUT = "make one sub-folder for each class, with its PNG or JPEG images in it"


def split_folder(path: Path, split: str) -> tuple[Path, str]:
    """Return the folder with the classes, and which split that is.

    A folder without ``train`` and ``test`` is taken whole, as ``all``, whatever was asked for.

    Raises
    ------
    DataError
        If the folder has splits, but not this one.
    """
    names = {child.name for child in _subfolders(path)}
    if not names or names - {"train", "test"}:
        return path, "all"
    if split not in names:
        raise DataError(f"{path} has no split '{split}'", f"it has: {', '.join(sorted(names))}")
    return path / split, split


def read_folder(
    path: Path, limit: int | None, progress: Progress | None
) -> tuple[NDArray[np.uint8], NDArray[np.int64], tuple[str, ...], tuple[Path, ...]]:
    """Read the images of a folder.

    Parameters
    ----------
    path
        The folder, with a sub-folder for each class.
    limit
        Read at most the first `limit` images; None for all.
    progress
        Called after each image.

    Returns
    -------
    images
        uint8, shape (N, H, W, C).
    labels
        int64, shape (N,).
    classes
        The names of the sub-folders, sorted.
    sources
        The file of each image.

    Raises
    ------
    DataError
        If there are no classes, a class has no image, or an image is unreadable or of another
        size or mode than the first.
    """
    folders = _subfolders(path)
    if not folders:
        raise DataError(f"{path} has no sub-folders, and so no classes", _LAYOUT)
    by_class: list[list[tuple[Path, int]]] = []
    for label, folder in enumerate(folders):
        with damage_named(folder):
            files = sorted(
                file
                for file in folder.iterdir()
                if file.suffix.lower() in SUFFIXES
                and not file.name.startswith(".")
                and file.is_file()
            )
        if not files:
            raise DataError(f"class folder {folder} has no PNG or JPEG image", _LAYOUT)
        by_class.append([(file, label) for file in files])
    order = [item for turn in zip_longest(*by_class) for item in turn if item is not None]
    order = order[:limit]

    first = _read_image(order[0][0])
    total = len(order) * first.size
    if total > MAX_BYTES:
        raise DataError(
            f"{path} has {total:,} bytes of pixels, more than the {MAX_BYTES:,} that are loaded "
            "at once",
            "load a part of it with a limit, or scale the images down",
        )
    images = np.empty((len(order), *first.shape), dtype=np.uint8)
    for row, (file, _) in enumerate(order):
        image = first if row == 0 else _read_image(file)
        if image.shape != first.shape:
            raise DataError(
                f"{file} is {_describe(image)}, but {order[0][0]} is {_describe(first)}",
                "give all images one size and one mode",
            )
        images[row] = image
        if progress is not None:
            progress(f"read {path.name}", (row + 1) * first.size, total)
    labels = np.array([label for _, label in order], dtype=np.int64)
    classes = tuple(folder.name for folder in folders)
    return images, labels, classes, tuple(file for file, _ in order)


def _subfolders(path: Path) -> list[Path]:
    with damage_named(path):
        return sorted(
            child for child in path.iterdir() if child.is_dir() and not child.name.startswith(".")
        )


def _read_image(path: Path) -> NDArray[np.uint8]:
    """Read one image as (H, W, C)."""
    try:
        with warnings.catch_warnings():
            # Pillow warns of an image that unpacks to more than 89 million pixels.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=("PNG", "JPEG")) as image:
                mode = image.mode
                if mode in _MODES:
                    pixels = np.asarray(image, dtype=np.uint8)
    except Exception as error:  # Pillow's decoders raise whatever they run into
        raise DataError(
            f"cannot read the image {path} ({type(error).__name__}: {error})",
            "check that it is a whole PNG or JPEG file, or remove it",
        ) from error
    if mode not in _MODES:
        raise DataError(
            f"{path} has the mode {mode}, which is neither L (grey) nor RGB",
            "convert the images, e.g. with Pillow's Image.convert('RGB')",
        )
    return pixels.reshape(*pixels.shape[:2], _MODES[mode])


def _describe(image: NDArray[np.uint8]) -> str:
    height, width, channels = image.shape
    return f"{width} x {height} {'RGB' if channels == 3 else 'grey'}"
