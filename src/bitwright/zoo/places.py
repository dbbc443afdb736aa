"""Where the networks of the zoo are on this machine.

Requirements:

- The order is fixed: the package; the folder ``zoo/`` of the repository, if the package runs from
  a clone of it; the user's cache, which `bitwright.zoo.get` fills.
- A network is there if its program and its card are.
- In the cache, only the files that the index names count, by their SHA-256: what another version
  of Bitwright got there under the same name is as if it were not there.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

from bitwright.zoo import index
from bitwright.zoo.index import CARD, PROGRAM, Index

PACKAGE = Path(__file__).parent


def clone() -> Path | None:
    """Return the folder ``zoo/`` of the repository that the package runs from; None elsewhere."""
    source = PACKAGE.parent.parent
    root = source.parent
    if source.name != "src":
        return None
    try:
        about = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
        ours = about["project"]["name"] == "bitwright"
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return root / "zoo" if ours and (root / "zoo").is_dir() else None


def cache() -> Path:
    """Return the folder that downloads go to, in the user's cache."""
    from bitwright.data.locate import cache_root  # noqa: PLC0415 - imports pooch, which is slow

    return cache_root() / "zoo"


def indexed() -> Index:
    """Return the networks that do not ship in the wheel."""
    return index.read(PACKAGE / index.FILE)


def names() -> tuple[str, ...]:
    """Return the names of all networks that are on this machine."""
    found = {
        path.stem
        for folder in (PACKAGE, clone())
        if folder is not None
        for path in folder.glob(f"*{PROGRAM}")
        if _has(folder, path.stem)
    }
    return tuple(sorted(found | {name for name in indexed() if name not in found and find(name)}))


def find(name: str) -> Path | None:
    """Return the program file of a network; None if it is not on this machine."""
    if os.path.basename(name) != name:
        return None
    for folder in (PACKAGE, clone()):
        if folder is not None and _has(folder, name):
            return folder / f"{name}{PROGRAM}"
    files = indexed().get(name)
    if files and all(file.is_in(cache()) for file in files):
        return cache() / f"{name}{PROGRAM}"
    return None


def _has(folder: Path, name: str) -> bool:
    return all(os.path.isfile(folder / f"{name}{suffix}") for suffix in (PROGRAM, CARD))
