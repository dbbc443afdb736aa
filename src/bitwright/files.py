"""Writing files whole or not at all: to a temporary file beside the target, then renamed.

Folders for files that are kept are made here, and their names, too.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bitwright.errors import ConfigError


def write_atomically(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file; on any failure the old file stands as it was and nothing is left beside it.

    Raises
    ------
    ConfigError
        If the file cannot be written.
    """
    target = Path(path)
    try:
        with tempfile.NamedTemporaryFile(dir=target.parent, delete=False) as part:
            temporary = Path(part.name)
            try:
                part.write(data)
                part.flush()
                os.fsync(part.fileno())
                temporary.chmod(0o644)
                temporary.replace(target)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
    except OSError as error:
        raise ConfigError(
            f"cannot write '{target}' ({error.strerror})", "choose a place that can be written"
        ) from error


def check_writable(path: str | os.PathLike[str]) -> None:
    """Refuse a path that cannot be written, before any work is done for it.

    Raises
    ------
    ConfigError
        If its folder does not exist or may not be written, or it is a folder itself.
    """
    target = Path(path)
    if target.is_dir():
        raise ConfigError(f"cannot write '{target}' (it is a folder)", "name a file")
    if not target.parent.is_dir():
        raise ConfigError(
            f"cannot write '{target}' (there is no folder '{target.parent}')", "make it first"
        )
    if not os.access(target.parent, os.W_OK):
        raise ConfigError(
            f"cannot write '{target}' (no permission)", "choose a place that can be written"
        )


def make_folder(folder: Path, way_out: str) -> None:
    """Make a folder, and those above it, if it is not there.

    Parameters
    ----------
    way_out
        What the user can do if that fails: what to give another one as.

    Raises
    ------
    ConfigError
        If it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"cannot make the folder '{folder}' ({error.strerror})", way_out
        ) from error


def digest_of(decides: Mapping[str, Any]) -> str:
    """Return the beginning of the SHA-256 of JSON-ready data, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:32]
