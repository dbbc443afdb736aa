"""Where the files of a known data set are on this machine.

Requirements:

- The order is fixed: the folder given, ``$BITWRIGHT_DATA``, Debian's folder, the user's cache.
- A root holds the files directly or in a sub-folder named like the data set; the sub-folder wins,
  and a folder that bears the name of another data set is passed over, since MNIST and
  Fashion-MNIST use the same file names.
- A folder counts only if it holds all files of the split.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bitwright.data.known import KNOWN, KnownSet
from bitwright.errors import DataError

ENVIRONMENT = "BITWRIGHT_DATA"
"""The environment variable with more folders to look in, separated by colons."""

DEBIAN = Path("/usr/share/datasets")
"""Where Debian's ``dataset-*`` packages put their files."""


@dataclass(frozen=True)
class Found:
    """The files of one split: all in `folder`, in the order of `KnownSet.files`."""

    folder: Path
    files: tuple[Path, ...]


def cache_root() -> Path:
    """Return the folder that downloads go to: the user's cache."""
    import pooch  # noqa: PLC0415  # slow to import, and most runs find their files before

    return Path(pooch.os_cache("bitwright"))


def roots(data_dir: Path | None) -> Iterator[Path]:
    """Yield the folders to look in, best first; the cache last.

    Raises
    ------
    DataError
        If `data_dir` is given and is not a folder.
    """
    if data_dir is not None:
        data_dir = Path(os.path.expanduser(data_dir))
        if not os.path.isdir(data_dir):
            raise DataError(f"there is no folder {data_dir}", "give an existing one as --data-dir")
        yield data_dir
    for part in os.environ.get(ENVIRONMENT, "").split(os.pathsep):
        if part:
            yield Path(os.path.expanduser(part))
    yield DEBIAN
    yield cache_root()


def find(known: KnownSet, split: str, data_dir: Path | None) -> tuple[Found | None, list[str]]:
    """Look for the files of one split (``train`` or ``test``).

    Returns
    -------
    found
        The files, or None.
    looked
        A line for each root that does not have them: the root, and the files that an incomplete
        folder lacks.

    Raises
    ------
    DataError
        If `data_dir` is given and is not a folder.
    """
    looked: list[str] = []
    for root in roots(data_dir):
        line = str(root)
        for folder in _folders(known, root):
            files = [_first_file(folder, name, known.suffixes) for name in known.files[split]]
            present = tuple(file for file in files if file is not None)
            if len(present) == len(files):
                return Found(folder, present), looked
            if present:
                names = zip(known.files[split], files, strict=True)
                lacking = ", ".join(name for name, file in names if file is None)
                line = f"{folder} (without {lacking})"
        looked.append(line)
    return None, looked


def _folders(known: KnownSet, root: Path) -> Iterator[Path]:
    for name in known.folders:
        yield root / name
    others = (name for other in KNOWN.values() if other is not known for name in other.folders)
    if not any(_ends_with(root, name) for name in others):
        yield root


def _ends_with(path: Path, tail: str) -> bool:
    parts = Path(tail).parts
    return path.absolute().parts[-len(parts) :] == parts


def _first_file(folder: Path, name: str, suffixes: tuple[str, ...]) -> Path | None:
    for suffix in suffixes:
        file = folder / f"{name}{suffix}"
        if os.path.isfile(file):  # unlike Path.is_file, False for a folder that may not be read
            return file
    return None
