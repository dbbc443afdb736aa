"""Writing files whole or not at all: to a temporary file beside the target, then renamed."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

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
