"""`load`: from a name or a path to a `Dataset`.

Requirements:

- A known name wins over a file of the same name (say ``./mnist`` for the file).
- What is returned says which files it was read from.
- A data set that is not there is an error that says where it was looked for.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bitwright.data import download as downloads
from bitwright.data.cifar import RECORD_BYTES, check_meta, read_batch
from bitwright.data.dataset import SPLITS, Dataset, check_limit
from bitwright.data.folder import read_folder, split_folder
from bitwright.data.idx import read_idx
from bitwright.data.known import KNOWN, KnownSet
from bitwright.data.locate import ENVIRONMENT, Found, cache_root, find
from bitwright.data.npz import read_npz
from bitwright.data.streams import Progress, way_out
from bitwright.errors import DataError, UnknownNameError

SAMPLE = "fashion-mnist-sample"
"""1,000 test images of Fashion-MNIST, 100 a class, that come with Bitwright."""

_SAMPLE_FILE = Path(__file__).parent / "samples" / f"{SAMPLE}.npz"


def load(
    data: str | Path,
    split: str = "test",
    *,
    data_dir: Path | None = None,
    limit: int | None = None,
    download: bool = True,
    progress: Progress | None = None,
) -> Dataset:
    """Load a data set into memory.

    Parameters
    ----------
    data
        ``fashion-mnist``, ``mnist``, ``cifar10``, ``fashion-mnist-sample``, or the path of an
        ``.npz`` file (see `bitwright.data.npz`) or of a folder of images by class (see
        `bitwright.data.folder`).
    split
        ``train``, ``test``, or ``all`` (train, then test). A file or folder without splits is
        taken whole; its `Dataset` says ``all``.
    data_dir
        The folder to look in first, before ``$BITWRIGHT_DATA`` (colon-separated),
        ``/usr/share/datasets`` and the user's cache.
    limit
        Load the first `limit` images only. The rest of the file is then not read, nor its
        checksum verified.
    download
        Whether to download a known data set that is not found, to the user's cache.
    progress
        Called as ``progress(what, done, total)``, in bytes, while downloading and reading.

    Returns
    -------
    Dataset
        With at least one image.

    Raises
    ------
    UnknownNameError
        If there is no data set or split of that name.
    ConfigError
        If `limit` is less than 1.
    DataError
        If the data set is not found, cannot be downloaded, or is damaged.
    """
    if split not in SPLITS:
        raise UnknownNameError("split", str(split), SPLITS)
    check_limit(limit)
    if isinstance(data, str) and data in KNOWN:
        return _load_known(
            KNOWN[data],
            split,
            data_dir=data_dir,
            limit=limit,
            download=download,
            progress=progress,
        )
    if isinstance(data, str) and data == SAMPLE:
        if split == "train":
            raise DataError(f"'{SAMPLE}' has test images only", "load 'fashion-mnist' for training")
        return _load_npz(_SAMPLE_FILE, SAMPLE, "test", limit, progress)
    return _load_path(data, split, limit, progress)


def available(data_dir: Path | None = None) -> list[tuple[str, Path | None]]:
    """Say which data sets are on this machine; downloads nothing.

    Returns
    -------
    list
        For each known data set its name and the folder that holds its test split, or else its
        training split, or None; the sample that comes with Bitwright is last.

    Raises
    ------
    DataError
        If `data_dir` is given and is not a folder.
    """
    places: list[tuple[str, Path | None]] = []
    for known in KNOWN.values():
        found = find(known, "test", data_dir)[0] or find(known, "train", data_dir)[0]
        places.append((known.name, found.folder if found else None))
    places.append((SAMPLE, _SAMPLE_FILE if _SAMPLE_FILE.is_file() else None))
    return places


def _load_path(
    data: str | Path, split: str, limit: int | None, progress: Progress | None
) -> Dataset:
    path = Path(os.path.expanduser(data))
    if os.path.isdir(path):
        folder, split = split_folder(path, split)
        images, labels, classes, sources = read_folder(folder, limit, progress)
        return Dataset(path.resolve().name, split, images, labels, classes, sources)
    if os.path.isfile(path):
        if path.suffix != ".npz":
            raise DataError(
                f"{path} is neither an .npz file nor a folder of images by class",
                "a known data set is loaded by its name, with its folder as --data-dir",
            )
        return _load_npz(path, path.stem, "all", limit, progress)
    if isinstance(data, Path) or os.sep in data or data.endswith(".npz"):
        raise DataError(
            f"there is no file or folder {path}",
            f"give the path of an .npz file or a folder of images, or one of: {_names()}",
        )
    also = "; or give the path of an .npz file or of a folder of images by class"
    raise UnknownNameError("data set", data, (*KNOWN, SAMPLE), also)


def _load_npz(
    path: Path, name: str, split: str, limit: int | None, progress: Progress | None
) -> Dataset:
    images, labels, classes = read_npz(path, limit, progress)
    return Dataset(name, split, images, labels, classes, (path,))


def _names() -> str:
    return ", ".join((*KNOWN, SAMPLE))


def _load_known(
    known: KnownSet,
    split: str,
    *,
    data_dir: Path | None,
    limit: int | None,
    download: bool,
    progress: Progress | None,
) -> Dataset:
    splits = ("train", "test") if split == "all" else (split,)
    counts = {name: sum(known.counts[name]) for name in splits}
    total = sum(counts.values()) if limit is None else min(limit, sum(counts.values()))
    images = np.empty((total, *known.shape), dtype=np.uint8)
    labels = np.empty(total, dtype=np.int64)
    sources: list[Path] = []
    start = 0
    for name in splits:
        if start == total:
            break
        found = _provide(known, name, data_dir, download, progress)
        stop = min(start + counts[name], total)
        read = _read_idx_split if known.layout == "idx" else _read_cifar_split
        part = slice(start, stop)
        sources += read(known, name, found, images[part], labels[part], progress=progress)
        start = stop
    return Dataset(known.name, split, images, labels, known.classes, tuple(sources))


def _provide(
    known: KnownSet,
    split: str,
    data_dir: Path | None,
    download: bool,
    progress: Progress | None,
) -> Found:
    """Find the files of a split, else download them."""
    found, looked = find(known, split, data_dir)
    if found is not None:
        return found
    cause = f"the {split} split of '{known.name}' is not in {', '.join(looked)}"
    files = ", ".join(known.files[split])
    help_ = f"put {files} into a folder and give it as --data-dir or in ${ENVIRONMENT}"
    if known.package:
        help_ += f", or install Debian's package {known.package}"
    if not download:
        raise DataError(f"{cause}, and was not to be downloaded", help_)
    try:
        downloads.fetch_split(known, split, cache_root(), progress)
    except DataError as error:
        raise DataError(f"{cause}, and {error.cause}", f"{error.way_out}; or {help_}") from error
    found, looked = find(known, split, data_dir)
    if found is None:
        raise DataError(f"{cause}, not even after the download", help_)
    return found


class _Meter:
    """Adds up the bytes read and reports them."""

    def __init__(self, progress: Progress | None, what: str, total: int) -> None:
        self.progress, self.what, self.total, self.done = progress, what, total, 0

    def __call__(self, count: int) -> None:
        self.done += count
        if self.progress is not None:
            self.progress(self.what, self.done, self.total)


def _read_idx_split(
    known: KnownSet,
    split: str,
    found: Found,
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    *,
    progress: Progress | None,
) -> tuple[Path, ...]:
    pixels, names = found.files
    count = sum(known.counts[split])
    # All labels are read, also under a limit: they are few, and tell which data set this is.
    raw = np.empty(count, dtype=np.uint8)
    read_idx(names, (count,), raw)
    _check_counts(known, split, names, raw)
    meter = _Meter(progress, f"read {known.name}", images.size)
    read_idx(pixels, (count, *known.shape[:2]), images, meter)
    labels[:] = raw[: len(labels)]
    return found.files


def _read_cifar_split(
    known: KnownSet,
    split: str,
    found: Found,
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    *,
    progress: Progress | None,
) -> tuple[Path, ...]:
    meta = found.folder / "batches.meta.txt"
    if os.path.isfile(meta):
        check_meta(meta, known.classes)
    count = sum(known.counts[split])
    batch = count // len(found.files)
    meter = _Meter(progress, f"read {known.name}", len(images) * RECORD_BYTES)
    used = []
    for start, file in zip(range(0, len(images), batch), found.files, strict=False):
        part = slice(start, start + batch)
        read_batch(file, batch, images[part], labels[part], meter)
        used.append(file)
    if len(images) == count:
        _check_counts(known, split, found.folder, labels)
    return tuple(used)


def _check_counts(
    known: KnownSet, split: str, path: Path, labels: NDArray[np.uint8] | NDArray[np.int64]
) -> None:
    counts = tuple(np.bincount(labels, minlength=len(known.classes)).tolist())
    if counts != known.counts[split]:
        raise DataError(
            f"{path} does not hold the {split} labels of '{known.name}': the classes have "
            f"{', '.join(map(str, counts[:20]))} images",
            f"{way_out(path)}; MNIST and Fashion-MNIST use the same file names",
        )
