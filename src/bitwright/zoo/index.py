"""The index: the files of the networks that do not ship in the wheel, with what they hash to.

``index.toml`` ships in the wheel, so that a download can be checked; ``scripts/zoo-index`` writes
it from the repository's folder ``zoo/``.
"""

from __future__ import annotations

import hashlib
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bitwright.errors import ConfigError

FILE = "index.toml"
PROGRAM, CARD, CERTIFICATE = ".safetensors", ".json", ".certificate.json"
"""What follows a network's name in the names of its files; a certificate may be missing."""
SHIPPED_BYTES = 500_000
"""The largest program file that ships in the wheel."""

_NAME = re.compile(r"[A-Za-z0-9_-]+")  # what TOML takes for a key as it is
_HEAD = """\
# Networks that do not ship in the wheel: their files, to check a download by.
# Written by scripts/zoo-index from the folder zoo/.
"""


@dataclass(frozen=True)
class IndexedFile:
    """One file of a network: its name, its size in bytes, and its SHA-256 in hexadecimal."""

    name: str
    size: int
    sha256: str

    def is_in(self, folder: Path) -> bool:
        """Return whether a folder has exactly this file."""
        path = folder / self.name
        try:
            return os.path.getsize(path) == self.size and _sha256(path) == self.sha256
        except OSError:
            return False


Index = Mapping[str, tuple[IndexedFile, ...]]
"""The files of each network, by its name."""


def read(path: Path) -> Index:
    """Read an index.

    Raises
    ------
    ConfigError
        If it is damaged.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        return {
            name: tuple(
                IndexedFile(str(file["file"]), int(file["bytes"]), str(file["sha256"]))
                for file in files
            )
            for name, files in content.items()
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"the index of the zoo, {path}, cannot be read ({error})",
            "install bitwright again, or run scripts/zoo-index in a clone",
        ) from error


def scan(folder: Path) -> Index:
    """Make the index of a folder; a folder that is empty or not there has no networks.

    Raises
    ------
    ConfigError
        If a network lacks its card, could ship in the wheel, or has a name that is no key of TOML.
    """
    return {path.stem: _files(path) for path in sorted(folder.glob(f"*{PROGRAM}"))}


def _files(program: Path) -> tuple[IndexedFile, ...]:
    name, size = program.stem, program.stat().st_size
    if _NAME.fullmatch(name) is None:
        raise ConfigError(f"'{name}' is no name for a network", "use letters, digits, - and _")
    if size <= SHIPPED_BYTES:
        raise ConfigError(
            f"{program} has {size:,} bytes, and up to {SHIPPED_BYTES:,} ship in the wheel",
            "move it, its card and its certificate to src/bitwright/zoo",
        )
    paths = [program.with_name(name + suffix) for suffix in (CERTIFICATE, CARD, PROGRAM)]
    if not paths[1].is_file():
        raise ConfigError(f"{program} has no card", f"put {paths[1].name} beside it")
    return tuple(
        IndexedFile(path.name, path.stat().st_size, _sha256(path))
        for path in paths
        if path.is_file()
    )


def to_toml(index: Index) -> str:
    """Return the text of ``index.toml``."""
    blocks = [_HEAD]
    for name, files in index.items():
        blocks += [
            f'[[{name}]]\nfile = "{file.name}"\nbytes = {file.size}\nsha256 = "{file.sha256}"\n'
            for file in files
        ]
    return "\n".join(blocks)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
