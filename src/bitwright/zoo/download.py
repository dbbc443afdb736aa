"""Get a network that does not ship in the wheel, whole and verified.

Requirements:

- The index that ships in the wheel says which files a network has and what they hash to; the
  address is the user's, and nothing found there is believed.
- A network appears whole: its files come together in a folder beside, and are renamed into place
  when all are right.
- A cut download goes on where it stopped the next time; of a wrong file nothing is kept.
- One process at a time fills the cache.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bitwright.data import Progress
from bitwright.data.download import fetch
from bitwright.data.known import Download
from bitwright.errors import BitwrightError, ConfigError, DataError
from bitwright.files import write_atomically
from bitwright.zoo import places
from bitwright.zoo.catalogue import absent
from bitwright.zoo.index import PROGRAM, IndexedFile

ENVIRONMENT = "BITWRIGHT_ZOO_URL"
"""The environment variable with the address to get networks from."""


def get(name: str, address: str | None = None, *, progress: Progress | None = None) -> Path:
    """Return the file of a network; get it if it is not on this machine.

    Parameters
    ----------
    name
        A network of the zoo.
    address
        The folder that has its files: ``https://...``, ``file://...`` or a path. By default
        ``$BITWRIGHT_ZOO_URL``.
    progress
        Called after each piece; see `bitwright.data.Progress`.

    Raises
    ------
    UnknownNameError
        If the zoo has no network of that name.
    ConfigError
        If it has to be got and no address is given, or one that cannot be.
    DataError
        If the files are not there, are other ones, or cannot be stored.
    """
    found = places.find(name)
    if found is not None:
        return found
    files = places.indexed().get(name)
    if files is None:
        raise absent(name)
    base = _base(name, address or os.environ.get(ENVIRONMENT))
    folder = places.cache()
    with _alone(folder):
        stage = folder / f"{name}.part"
        try:
            stage.mkdir(exist_ok=True)
            for file in files:
                _bring(file, base, stage, progress)
            for file in files:
                os.replace(stage / file.name, folder / file.name)
            shutil.rmtree(stage)
        except OSError as error:
            raise _unwritable(folder, error) from error
        except BitwrightError:
            if not any(part.stat().st_size for part in stage.glob("*.part")):
                shutil.rmtree(stage, ignore_errors=True)  # no cut download to go on with
            raise
    return folder / f"{name}{PROGRAM}"


def _base(name: str, address: str | None) -> str | Path:
    """Return the address without a slash at the end, or the folder that it is."""
    if not address:
        raise ConfigError(
            f"there is no address to get '{name}' from",
            f"give the folder that has it, https://... or a path, as --from or in ${ENVIRONMENT}",
        )
    if "://" not in address:
        return Path(address).expanduser()
    try:
        parts = urllib.parse.urlsplit(address)
        if parts.scheme == "file" and parts.hostname in (None, "localhost"):
            return Path(urllib.request.url2pathname(parts.path))
        good = parts.scheme in ("http", "https") and parts.hostname and address.isascii()
    except ValueError:
        good = False
    if not good:
        raise ConfigError(
            f"'{address}' is no address of a folder", "give https://..., file:///... or a path"
        )
    return address.rstrip("/")


def _bring(file: IndexedFile, base: str | Path, folder: Path, progress: Progress | None) -> None:
    if isinstance(base, Path):
        _copy(file, base / file.name, folder)
        return
    address = f"{base}/{file.name}"
    try:
        fetch(Download(address, file.size, file.sha256), folder, progress)
    except DataError as error:
        if isinstance(error.__cause__, ValueError):  # pooch's word for another hash
            raise _wrong(address) from error
        raise


def _copy(file: IndexedFile, source: Path, folder: Path) -> None:
    try:
        with source.open("rb") as opened:
            content = opened.read(file.size + 1)  # no more, however large it is
    except OSError as error:
        raise DataError(
            f"cannot read {source} ({error.strerror})", "give the folder that has it as --from"
        ) from error
    if hashlib.sha256(content).hexdigest() != file.sha256:
        raise _wrong(source)
    write_atomically(folder / file.name, content)


def _wrong(where: str | Path) -> DataError:
    return DataError(
        f"{where} is not the file that this version of bitwright knows (another SHA-256)",
        "nothing of it was kept; give another address as --from",
    )


def _unwritable(folder: Path, error: OSError) -> DataError:
    return DataError(
        f"cannot store a network in {folder} ({error.strerror})",
        "make room there, or set $XDG_CACHE_HOME to a folder that can be written",
    )


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, that of the folder itself: no other file is left behind."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise _unwritable(folder, error) from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DataError(
                f"another process is getting a network into {folder}", "wait until it is done"
            ) from None
        yield
    finally:
        os.close(handle)
