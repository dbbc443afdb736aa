"""Batches that were evaluated, kept in a folder, so that a long evaluation goes on after a kill.

Requirements:

- A batch is a file, written whole or not at all; its name is a digest of all that decides it.
- A file that is damaged is as if it were not there.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bitwright.files import make_folder, write_atomically

Array = npt.NDArray[np.int64]
Counters = dict[str, int | float]


class Batches:
    """The batches of one evaluation.

    Parameters
    ----------
    folder
        Where they are kept; made if it is not there.
    deciding
        What decides their results, but for the images: JSON-ready.

    Raises
    ------
    ConfigError
        If the folder cannot be made.
    """

    def __init__(self, folder: Path, deciding: Mapping[str, Any]) -> None:
        make_folder(folder, "name another one")
        self._folder = folder
        self._deciding = json.dumps(deciding, sort_keys=True, default=str)

    def _path(self, images: npt.NDArray[Any]) -> Path:
        digest = hashlib.sha256(self._deciding.encode())
        digest.update(f"{images.dtype} {images.shape}".encode())
        digest.update(images.tobytes())
        return self._folder / f"batch-{digest.hexdigest()[:32]}.npz"

    def find(self, images: npt.NDArray[Any]) -> tuple[Array, Array, Counters] | None:
        """Return the scores, decisions and counters of a batch, if it is there."""
        try:
            file = io.BytesIO(self._path(images).read_bytes())
            with np.load(file, allow_pickle=False) as kept:
                scores, predicted = kept["scores"], kept["predicted"]
                counters = json.loads(str(kept["counters"]))
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None
        if len(scores) != len(images) or len(predicted) != len(images):
            return None
        return scores, predicted, counters

    def keep(
        self, images: npt.NDArray[Any], scores: Array, predicted: Array, counters: Counters
    ) -> None:
        """Keep what a batch gave.

        Raises
        ------
        ConfigError
            If it cannot be written.
        """
        plain = {name: np.asarray(value).item() for name, value in counters.items()}
        file = io.BytesIO()
        np.savez(file, scores=scores, predicted=predicted, counters=np.array(json.dumps(plain)))
        write_atomically(self._path(images), file.getvalue())
