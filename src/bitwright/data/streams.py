"""Read exactly so many bytes from a plain, gzip or xz file.

Requirements:

- The reader, not the file, says how many bytes it wants: nothing is allocated on a file's word.
- However a file is damaged, the user sees a `DataError` that names it, never the decoder's error.
- The memory of the xz decoder is bounded: the dictionary size stands in the file.
"""

from __future__ import annotations

import gzip
import io
import lzma
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Protocol, cast

from bitwright.errors import DataError

Progress = Callable[[str, int, int], None]
"""Called as ``progress(what, done, total)``: a short text, bytes done, bytes in all."""

DAMAGE = (
    OSError,  # with gzip.BadGzipFile
    EOFError,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
    RuntimeError,  # zipfile: encrypted; with NotImplementedError: an unknown compression
    struct.error,  # zipfile: cut inside a local header
    ValueError,  # zipfile: an impossible offset or file name
    OverflowError,
)
"""What the decoders of the standard library raise on damaged input."""

MAX_BYTES = 4 << 30
"""The most bytes of pixels that are loaded at once: a guard against decompression bombs."""

_CHUNK = 1 << 20
_XZ_MEMORY = 128 << 20  # `xz -9` needs 65 MiB to decode


class Readable(Protocol):
    """What `read_exactly` reads from: a file or a zip member."""

    def read(self, size: int = -1, /) -> bytes:
        """Return at most `size` bytes; none at the end."""
        ...


class _XzReader(io.RawIOBase):
    """An xz file as a stream, decoded with bounded memory (`lzma.open` has no bound)."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        self._decoder = self._new_decoder()

    @staticmethod
    def _new_decoder() -> lzma.LZMADecompressor:
        return lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = b""
        while not data:
            feed = b""
            if self._decoder.eof:
                # Streams may follow one another, with zero padding between them.
                feed = self._decoder.unused_data.lstrip(b"\0")
                while not feed:
                    block = self._file.read(_CHUNK)
                    if not block:
                        return 0
                    feed = block.lstrip(b"\0")
                self._decoder = self._new_decoder()
            elif self._decoder.needs_input:
                feed = self._file.read(_CHUNK)
                if not feed:
                    raise EOFError("the xz stream ends early")
            data = self._decoder.decompress(feed, max_length=len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()


@contextmanager
def damage_named(path: Path) -> Iterator[None]:
    """Turn a decoder's error into a `DataError` that names the file."""
    try:
        yield
    except DAMAGE as error:
        reason = str(error) or type(error).__name__
        raise DataError(f"cannot read {path} ({reason})", way_out(path)) from error


def way_out(path: Path) -> str:
    """Return the advice for a damaged file."""
    return f"check that {path.name} is whole and readable; delete it and fetch it again"


@contextmanager
def open_bytes(path: Path, size: int) -> Iterator[BinaryIO]:
    """Open a file whose decoded content is `size` bytes; ``.gz`` and ``.xz`` are decoded.

    Raises
    ------
    DataError
        If the file cannot be opened, if a plain file is not `size` bytes long, or if the decoder
        fails within the ``with`` block.
    """
    with damage_named(path):
        stream: BinaryIO
        if path.suffix == ".gz":
            stream = cast(BinaryIO, gzip.GzipFile(path))
        elif path.suffix == ".xz":
            stream = io.BufferedReader(_XzReader(path), _CHUNK)
        else:
            have = path.stat().st_size
            if have != size:
                raise DataError(f"{path} is {have:,} bytes long, not {size:,}", way_out(path))
            stream = path.open("rb")
        with stream:
            yield stream


def read_exactly(
    stream: Readable,
    buffer: memoryview,
    path: Path,
    tick: Callable[[int], None] | None = None,
) -> None:
    """Fill a flat byte buffer from a stream.

    Parameters
    ----------
    stream
        Where the bytes come from.
    buffer
        A contiguous writable buffer of bytes, shape (n,).
    path
        The file, for the error.
    tick
        Called with the number of bytes after each piece read.

    Raises
    ------
    DataError
        If the stream ends before the buffer is full.
    """
    done = 0
    while done < len(buffer):
        piece = stream.read(min(_CHUNK, len(buffer) - done))
        if not piece:
            raise DataError(
                f"{path} ends early: {done:,} of {len(buffer):,} bytes are there", way_out(path)
            )
        buffer[done : done + len(piece)] = piece
        done += len(piece)
        if tick is not None:
            tick(len(piece))


def expect_end(stream: Readable, path: Path) -> None:
    """Check that nothing follows; reading to the end is also what verifies a checksum.

    Raises
    ------
    DataError
        If there are more bytes.
    """
    if stream.read(1):
        raise DataError(f"{path} goes on after its last record", way_out(path))
