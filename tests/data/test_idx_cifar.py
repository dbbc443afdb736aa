"""Both record formats: what is read is what was written; damage ends in a DataError."""

import gzip
import lzma
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitwright.data.cifar import check_meta, read_batch
from bitwright.data.idx import read_idx
from bitwright.errors import BitwrightError, DataError

SHAPE = (6, 4, 5)
PIXELS = np.random.default_rng(2).integers(0, 256, SHAPE, dtype=np.uint8)
IDX = struct.pack(">4I", 0x803, *SHAPE) + PIXELS.tobytes()
PACK = {"": bytes, ".gz": gzip.compress, ".xz": lzma.compress}
RECORDS = np.random.default_rng(3).integers(0, 256, (7, 3073), dtype=np.uint8)
RECORDS[:, 0] = np.arange(7)


def read(path: Path, rows: int = SHAPE[0]) -> np.ndarray:
    out = np.zeros((rows, *SHAPE[1:]), np.uint8)
    read_idx(path, SHAPE, out)
    return out


def read_cifar(path: Path, rows: int = 7) -> tuple[np.ndarray, np.ndarray]:
    images, labels = np.zeros((rows, 32, 32, 3), np.uint8), np.zeros(rows, np.int64)
    read_batch(path, 7, images, labels)
    return images, labels


@pytest.mark.parametrize("suffix", PACK)
@pytest.mark.parametrize("rows", [1, 5, 6])
def test_idx(tmp_path, suffix, rows):
    path = tmp_path / f"x{suffix}"
    path.write_bytes(PACK[suffix](IDX))
    assert np.array_equal(read(path, rows), PIXELS[:rows])


@pytest.mark.parametrize("suffix", PACK)
@pytest.mark.parametrize("rows", [1, 7])
def test_cifar_becomes_nhwc(tmp_path, suffix, rows):
    path = tmp_path / f"x.bin{suffix}"
    path.write_bytes(PACK[suffix](RECORDS.tobytes()))
    images, labels = read_cifar(path, rows)
    assert np.array_equal(labels, np.arange(rows))
    for row in range(rows):
        for channel in range(3):
            plane = RECORDS[row, 1 + 1024 * channel : 1 + 1024 * (channel + 1)]
            assert np.array_equal(images[row, :, :, channel].ravel(), plane)


def test_xz_streams_may_follow_one_another(tmp_path):
    path = tmp_path / "x.xz"
    path.write_bytes(lzma.compress(IDX[:50]) + b"\0" * 8 + lzma.compress(IDX[50:]) + b"\0" * 4)
    assert np.array_equal(read(path), PIXELS)


def test_an_xz_file_cannot_ask_for_much_memory(tmp_path):
    path = tmp_path / "x.xz"
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1 << 20}]
    content = bytearray(lzma.compress(IDX, filters=filters))
    content[16] = 36  # the dictionary size of the block header: 1 GiB
    content[20:24] = struct.pack("<I", zlib.crc32(content[12:20]))
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"[Mm]emory"):
        read(path)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "0 bytes long"),
        (IDX[:-1], "135 bytes long, not 136"),
        (IDX + b"\0", "137 bytes long"),
        (b"\0\0\x09\x03" + IDX[4:], "begins with 0x00000903, not 0x00000803"),
        (struct.pack(">4I", 0x803, 6, 5, 4) + IDX[16:], r"shape \(6, 5, 4\), not \(6, 4, 5\)"),
    ],
)
def test_a_wrong_idx_file(tmp_path, content, match):
    path = tmp_path / "x"
    path.write_bytes(content)
    with pytest.raises(DataError, match=match) as caught:
        read(path)
    assert str(path) in str(caught.value)
    assert "fetch it again" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("x.gz", IDX, "Not a gzipped file"),
        ("x.gz", gzip.compress(IDX)[:-12], "cannot read"),
        ("x.gz", gzip.compress(IDX[:-1]), "ends early: 119 of 120"),
        ("x.gz", gzip.compress(IDX + b"\0"), "goes on after"),
        ("x.xz", b"nothing of the kind", "cannot read"),
        ("x.xz", lzma.compress(IDX)[:-9], "ends early"),
        ("x.xz", lzma.compress(IDX[:-1]), "ends early: 119 of 120"),
        ("x.xz", lzma.compress(IDX + b"\0"), "goes on after"),
    ],
)
def test_a_damaged_compressed_file(tmp_path, name, content, match):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError, match=match):
        read(path)


def test_a_missing_file_and_a_folder(tmp_path):
    for name in ("none", "none.gz", "none.xz", "."):
        with pytest.raises(DataError):
            read(tmp_path / name)


def test_a_wrong_cifar_batch(tmp_path):
    path = tmp_path / "x.bin"
    path.write_bytes(RECORDS.tobytes()[:-1])
    with pytest.raises(DataError, match="21,510 bytes long, not 21,511"):
        read_cifar(path)
    records = RECORDS.copy()
    records[3, 0] = 10
    path.write_bytes(records.tobytes())
    with pytest.raises(DataError, match="record 3 has the label 10"):
        read_cifar(path)


def test_the_class_names_of_cifar_must_be_the_known_ones(tmp_path):
    path = tmp_path / "batches.meta.txt"
    path.write_text("cat\ndog\n\n")
    check_meta(path, ("cat", "dog"))
    with pytest.raises(DataError, match="cat, dog"):
        check_meta(path, ("dog", "cat"))
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(DataError):
        check_meta(path, ("cat", "dog"))


@pytest.mark.parametrize("suffix", PACK)
def test_damage_never_ends_in_anything_but_our_errors(tmp_path, suffix):
    whole = PACK[suffix](IDX)
    path = tmp_path / f"x{suffix}"

    @settings(max_examples=150, deadline=None, derandomize=True)
    @given(cut=st.integers(0, len(whole)), bit=st.integers(0, 8 * len(whole) - 1))
    def damaged(cut: int, bit: int) -> None:
        content = bytearray(whole)
        content[bit // 8] ^= 1 << bit % 8
        for damaged in (bytes(content), whole[:cut], bytes(content[:cut])):
            path.write_bytes(damaged)
            try:
                out = read(path)
            except BitwrightError:
                pass
            else:  # a plain file has no checksum; gzip does not protect its header
                assert suffix == "" or np.array_equal(out, PIXELS)

    damaged()
