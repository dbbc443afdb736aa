"""``.npz`` files: ``x`` (images), ``y`` (labels) and, if there, ``classes`` (their names).

Requirements:

- Nothing is unpickled, and no code of the file is evaluated: the ``.npy`` header is matched.
- The size that a header claims is compared with the size of its zip member, and that with what
  the file could hold at all, before anything is allocated.
- ``x`` is read only as far as the limit asks.

Source of the format: the documentation of ``numpy.lib.format``, versions 1.0 and 2.0.
"""

from __future__ import annotations

import math
import re
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bitwright.data.streams import (
    MAX_BYTES,
    Progress,
    damage_named,
    expect_end,
    read_exactly,
)
from bitwright.errors import DataError

MAX_CLASSES = 1 << 16
"""The most classes of a data set; a larger label is taken for a mistake."""

_RESAVE = (
    "save it again with numpy.savez_compressed(path, x=images, y=labels): images uint8 of shape "
    "(N, H, W, C) or (N, H, W), labels integers of shape (N,)"
)
_MAX_NAMES_BYTES = 16 << 20
_MAX_HEADER_BYTES = 4096
_DEFLATE_RATIO = 1032  # the most that deflate compresses
_MAGIC = b"\x93NUMPY"
_FIELD = {
    "descr": re.compile(r"'descr': '([<>|=]?[A-Za-z]\d{0,9})'"),
    "fortran_order": re.compile(r"'fortran_order': (True|False)"),
    "shape": re.compile(r"'shape': \(((?:\d{1,18}, ?)*\d{0,18},?)\)"),
}


@dataclass(frozen=True)
class _Member:
    """An array in the file, its header read and checked."""

    name: str
    info: zipfile.ZipInfo
    dtype: np.dtype[Any]
    fortran: bool
    shape: tuple[int, ...]
    offset: int


def read_npz(
    path: Path, limit: int | None, progress: Progress | None
) -> tuple[NDArray[np.uint8], NDArray[np.int64], tuple[str, ...]]:
    """Read images, labels and the names of the classes.

    Parameters
    ----------
    path
        The file.
    limit
        Read at most the first `limit` images; None for all.
    progress
        Called while the images are read.

    Returns
    -------
    images
        uint8, shape (N, H, W, C).
    labels
        int64, shape (N,).
    classes
        From the file, else ``"0"``, ``"1"``, ... up to the largest label.

    Raises
    ------
    DataError
        If the file is damaged, lacks ``x`` or ``y``, or holds something else in them.
    """
    with damage_named(path), zipfile.ZipFile(path) as archive:
        x = _open_member(path, archive, "x")
        y = _open_member(path, archive, "y")
        _check(path, x, y)
        labels = _labels(path, _read(path, archive, y, y.shape[0], None))
        classes = _classes(path, archive, int(labels.max()))
        rows = x.shape[0] if limit is None else min(limit, x.shape[0])
        total = rows * math.prod(x.shape[1:])
        done = 0

        def tick(count: int) -> None:
            nonlocal done
            done += count
            if progress is not None:
                progress(f"read {path.name}", done, total)

        images = _read(path, archive, x, rows, tick)
    if images.ndim == 3:
        images = images[..., np.newaxis]
    return images, np.ascontiguousarray(labels[:rows]), classes


def _open_member(path: Path, archive: zipfile.ZipFile, name: str) -> _Member:
    """Read the header of an array and check it against the sizes in the archive."""
    try:
        info = archive.getinfo(f"{name}.npy")
    except KeyError:
        have = ", ".join(sorted(file.removesuffix(".npy") for file in archive.namelist())[:10])
        raise DataError(f"{path} has no array '{name}' (it has: {have})", _RESAVE) from None
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise DataError(f"{path} stores '{name}' with an unusual compression", _RESAVE)
    if info.file_size > _DEFLATE_RATIO * path.stat().st_size:
        raise DataError(
            f"{path} claims {info.file_size:,} bytes for '{name}', more than it can hold", _RESAVE
        )
    with archive.open(info) as stream:
        start = stream.read(8)
        version = tuple(start[6:8])
        if start[:6] != _MAGIC or version not in ((1, 0), (2, 0)):
            raise DataError(f"{path} holds no NumPy array as '{name}'", _RESAVE)
        layout = "<H" if version == (1, 0) else "<I"
        field = stream.read(struct.calcsize(layout))
        (length,) = struct.unpack(layout, field)
        if length > _MAX_HEADER_BYTES:
            raise DataError(f"{path} has a header of {length:,} bytes for '{name}'", _RESAVE)
        header = stream.read(length).decode("latin-1")
    offset = 8 + len(field) + length
    found = {key: pattern.search(header) for key, pattern in _FIELD.items()}
    descr, order, sizes = found["descr"], found["fortran_order"], found["shape"]
    if descr is None or order is None or sizes is None:
        raise DataError(f"{path} holds something else than a plain array as '{name}'", _RESAVE)
    try:
        dtype = np.dtype(descr[1])
    except TypeError:
        raise DataError(f"{path} has '{name}' of unknown type {descr[1]}", _RESAVE) from None
    if dtype.hasobject:
        raise DataError(f"{path} has Python objects in '{name}', which are never loaded", _RESAVE)
    shape = tuple(int(size) for size in re.findall(r"\d+", sizes[1]))
    if offset + math.prod(shape) * dtype.itemsize != info.file_size:
        raise DataError(
            f"{path} claims the shape {shape} of {dtype} for '{name}', but has "
            f"{max(info.file_size - offset, 0):,} bytes of it",
            _RESAVE,
        )
    return _Member(name, info, dtype, order[1] == "True", shape, offset)


def _check(path: Path, x: _Member, y: _Member) -> None:
    """Check types and shapes, from the headers alone."""
    if x.dtype != np.uint8:
        raise DataError(f"{path} has images of type {x.dtype}, not uint8", _RESAVE)
    if len(x.shape) not in (3, 4) or 0 in x.shape:
        raise DataError(f"{path} has images of shape {x.shape}", _RESAVE)
    if len(x.shape) == 4 and x.shape[1] in (1, 3) and x.shape[3] > 4:
        raise DataError(
            f"{path} has images of shape {x.shape}, with the channels before rows and columns",
            "save images.transpose(0, 2, 3, 1)",
        )
    if y.dtype.kind not in "iu":
        raise DataError(f"{path} has labels of type {y.dtype}, not integers", _RESAVE)
    if len(y.shape) != 1:
        raise DataError(f"{path} has labels of shape {y.shape}, not (N,)", _RESAVE)
    if y.shape[0] != x.shape[0]:
        raise DataError(f"{path} has {x.shape[0]} images, but {y.shape[0]} labels", _RESAVE)


def _read(
    path: Path,
    archive: zipfile.ZipFile,
    member: _Member,
    rows: int,
    tick: Callable[[int], None] | None,
) -> NDArray[Any]:
    """Read the first rows of an array (all of it if it is in Fortran order)."""
    take = member.shape[0] if member.fortran else rows
    shape = (take, *member.shape[1:])
    size = math.prod(shape) * member.dtype.itemsize
    if size > MAX_BYTES:
        raise DataError(
            f"{path} has {size:,} bytes in '{member.name}', more than the {MAX_BYTES:,} that are "
            "loaded at once",
            "load a part of it with a limit, or split the file",
        )
    data = np.empty(size, dtype=np.uint8)
    with archive.open(member.info) as stream:
        read_exactly(stream, memoryview(bytearray(member.offset)), path)
        read_exactly(stream, data.data, path, tick)
        if take == member.shape[0]:
            expect_end(stream, path)
    array = data.view(member.dtype).reshape(shape, order="F" if member.fortran else "C")
    return np.ascontiguousarray(array[:rows])


def _labels(path: Path, raw: NDArray[Any]) -> NDArray[np.int64]:
    low, high = int(raw.min()), int(raw.max())
    if low < 0 or high >= MAX_CLASSES:
        raise DataError(
            f"{path} has labels from {low} to {high}",
            f"count the classes from 0, with at most {MAX_CLASSES:,} of them",
        )
    return raw.astype(np.int64)


def _classes(path: Path, archive: zipfile.ZipFile, highest: int) -> tuple[str, ...]:
    """Read the names of the classes, or make them up from the numbers."""
    if "classes.npy" not in archive.namelist():
        return tuple(str(number) for number in range(highest + 1))
    member = _open_member(path, archive, "classes")
    size = math.prod(member.shape) * member.dtype.itemsize
    if (
        member.dtype.kind != "U"
        or len(member.shape) != 1
        or not highest < member.shape[0] <= MAX_CLASSES
        or size > _MAX_NAMES_BYTES
    ):
        raise DataError(
            f"{path} has 'classes' of type {member.dtype} and shape {member.shape} for labels up "
            f"to {highest}",
            "save the names as a one-dimensional array of strings, one for each label, or leave "
            "'classes' out",
        )
    names = _read(path, archive, member, member.shape[0], None).tolist()
    if any(not name.isprintable() or not name for name in names) or len(set(names)) < len(names):
        raise DataError(
            f"{path} has a class name that is empty, unprintable or there twice",
            "give each class a name of its own",
        )
    return tuple(names)
