"""Fetch a file once, whole and verified.

Requirements:

- A cut download continues where it stopped, in this run or the next: the bytes so far stay in a
  ``.part`` file beside the target.
- A file has its final name only after its SHA-256 was right; pooch does that part.
- A server cannot send more than the known size.
- Two processes never write to one ``.part`` file.

Source of the protocol: RFC 9110, section 14 (range requests).
"""

from __future__ import annotations

import fcntl
import http
import http.client
import os
import re
import tarfile
import urllib.error
import urllib.request
from pathlib import Path
from typing import IO, Any

from bitwright.data.known import Download, KnownSet
from bitwright.data.streams import DAMAGE, Progress
from bitwright.errors import DataError

ATTEMPTS = 10
"""The most connections for one file. Each continues the last; one that brings nothing ends it."""

TIMEOUT_S = 30.0
"""Seconds without a byte after which a connection counts as cut."""

_CHUNK = 1 << 16
_NETWORK = (OSError, http.client.HTTPException, EOFError)  # OSError: URLError, timeout, reset


class ResumingDownloader:
    """A pooch downloader that continues a partial file.

    Parameters
    ----------
    size
        The size of the whole file in bytes.
    progress
        Called after each piece.
    attempts
        The most connections; one that brings nothing is the last.
    """

    def __init__(
        self, size: int, progress: Progress | None = None, attempts: int = ATTEMPTS
    ) -> None:
        self.size = size
        self.progress = progress
        self.attempts = attempts
        self.resumed = False

    def __call__(self, url: str, output_file: str, pooch: Any, check_only: bool = False) -> None:
        """Download `url` to `output_file`, through a ``.part`` file in the same folder.

        Raises
        ------
        DataError
            If the server refuses, sends too much, or the connection breaks each time.
        """
        if not url.startswith(("http://", "https://")):
            raise DataError(f"{url} is no web address", "use http:// or https://")
        part = Path(output_file).parent / (url.rsplit("/", 1)[-1] + ".part")
        with part.open("ab") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise DataError(
                    f"another process is downloading {url} to {part}", "wait until it is done"
                ) from None
            self.resumed = file.tell() > 0
            for attempt in range(1, self.attempts + 1):
                before = file.tell()
                try:
                    self._continue(url, file, part)
                    break
                except urllib.error.HTTPError as error:
                    error.close()
                    if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and before:
                        file.truncate(0)  # ours is of another version: from the start
                        continue
                    raise DataError(
                        f"{url} answered {error.code} {error.reason}",
                        "try again later, or get the file from elsewhere",
                    ) from error
                except _NETWORK as error:
                    if attempt == self.attempts or file.tell() <= before:
                        have = f"{file.tell():,} of {self.size:,} bytes are in {part}"
                        raise DataError(
                            f"cannot download {url} ({getattr(error, 'reason', error)}; {have})",
                            "run the command again to continue",
                        ) from error
            os.replace(part, output_file)

    def _continue(self, url: str, file: IO[bytes], part: Path) -> None:
        """Fetch what is missing; return once the file is complete."""
        have = file.seek(0, os.SEEK_END)
        if have > self.size:
            file.truncate(0)
            have = 0
        if have == self.size:
            return
        request = urllib.request.Request(url)  # noqa: S310  # the caller checked the scheme
        if have:
            request.add_header("Range", f"bytes={have}-")
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310
            if have and not _starts_at(answer, have):
                file.truncate(0)  # the server sends the whole file again
                have = 0
                self.resumed = False
            while piece := answer.read(_CHUNK):
                have += len(piece)
                if have > self.size:
                    file.truncate(0)
                    raise DataError(
                        f"{url} sends more than the {self.size:,} bytes of the file",
                        "the file was removed; get it from elsewhere",
                    )
                file.write(piece)
                if self.progress is not None:
                    self.progress(f"download {part.name.removesuffix('.part')}", have, self.size)
        file.flush()
        if have < self.size:
            raise EOFError(f"the connection ended after {have:,} bytes")


def _starts_at(answer: Any, position: int) -> bool:
    """Whether the server continues at the byte asked for."""
    content = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", ""))
    return answer.status == 206 and content is not None and int(content[1]) == position


def fetch(download: Download, folder: Path, progress: Progress | None = None) -> Path:
    """Download a file into a folder, unless it is there already with the right hash.

    Raises
    ------
    DataError
        If the download fails, the hash is wrong (the file is deleted), or the folder cannot be
        written.
    """
    import pooch  # noqa: PLC0415  # slow to import, and needed only when a file is missing

    address = download.address
    base = address.removesuffix(download.file)
    store = pooch.create(folder, base, registry={download.file: f"sha256:{download.sha256}"})
    downloader = ResumingDownloader(download.size, progress)
    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel("WARNING")  # pooch says on stderr what it does; a library stays quiet
    try:
        try:
            return Path(store.fetch(download.file, downloader=downloader))
        except ValueError:
            if not downloader.resumed:
                raise
            # The first part may be of another version of the file: once more, from the start.
            return Path(store.fetch(download.file, downloader=downloader))
    except ValueError as error:
        raise DataError(
            f"the file at {address} has another SHA-256 than expected and was deleted",
            "try again later, or get the data set from elsewhere and give its folder as --data-dir",
        ) from error
    except OSError as error:
        raise DataError(
            f"cannot store {download.file} in {folder} ({error})",
            "make room there, or set $XDG_CACHE_HOME to a folder that can be written",
        ) from error
    finally:
        logger.setLevel(level)


def fetch_split(known: KnownSet, split: str, cache: Path, progress: Progress | None) -> None:
    """Download all files of one split of a known data set to where `locate.find` finds them.

    Raises
    ------
    DataError
        As `fetch` does.
    """
    folder = cache / known.folders[0]
    for download in known.downloads[split]:
        file = fetch(download, folder, progress)
        if download.file.endswith(".tar.gz"):
            wanted = [name for names in known.files.values() for name in names]
            unpack(file, folder, wanted)
            file.unlink()


def unpack(archive: Path, folder: Path, wanted: list[str]) -> None:
    """Take the wanted files out of an archive, whatever folder they are in there.

    Raises
    ------
    DataError
        If the archive is damaged or lacks one.
    """
    missing = set(wanted)
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for member in tar:
                name = member.name.rsplit("/", 1)[-1]
                source = tar.extractfile(member) if name in missing else None
                if source is None:
                    continue
                partial = folder / f"{name}.part"
                with partial.open("wb") as target:
                    while piece := source.read(1 << 20):
                        target.write(piece)
                os.replace(partial, folder / name)
                missing.remove(name)
    except (*DAMAGE, tarfile.TarError) as error:
        raise DataError(
            f"cannot unpack {archive} ({error})", "delete it, check the free space and try again"
        ) from error
    if missing:
        raise DataError(f"{archive} lacks {', '.join(sorted(missing))}", "delete it and try again")
