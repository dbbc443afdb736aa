import contextlib
import io
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitwright.data import load
from bitwright.errors import BitwrightError, DataError

RNG = np.random.default_rng(4)
X = RNG.integers(0, 256, (6, 5, 4, 3), dtype=np.uint8)
Y = np.array([0, 1, 2, 2, 1, 0])


def save(path: Path, **arrays) -> Path:
    np.savez_compressed(path, **arrays)
    return path


def raw_member(header: str, payload: bytes = b"", version: tuple[int, int] = (1, 0)) -> bytes:
    text = header.encode("latin-1")
    return b"\x93NUMPY" + bytes(version) + struct.pack("<H", len(text)) + text + payload


def write_raw(path: Path, member: bytes, name: str = "x.npy") -> Path:
    labels = io.BytesIO()
    np.save(labels, Y)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, member)
        if name != "y.npy":
            archive.writestr("y.npy", labels.getvalue())
    return path


@pytest.mark.parametrize("write", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("kind", ["u1", "i4", ">i8", "<u8"])
def test_images_and_labels(tmp_path, write, order, kind):
    path = tmp_path / "toy.npz"
    write(path, x=np.asarray(X, order=order), y=Y.astype(kind))
    for limit in (None, 1, 4, 100):
        data = load(path, limit=limit)
        assert (data.name, data.split, data.sources) == ("toy", "all", (path,))
        assert data.classes == ("0", "1", "2")
        assert np.array_equal(data.images, X[:limit])
        assert np.array_equal(data.labels, Y[:limit])
        assert data.digest == load(str(path)).head(limit).digest


def test_grey_images_get_a_channel_and_classes_their_names(tmp_path):
    path = save(tmp_path / "toy.npz", x=X[..., 0], y=Y, classes=np.array(["a", "b", "é"]), more=1.5)
    seen = []
    data = load(path, progress=lambda *args: seen.append(args))
    assert data.images.shape == (6, 5, 4, 1)
    assert data.classes == ("a", "b", "é")
    assert seen[-1] == ("read toy.npz", 120, 120)


@pytest.mark.parametrize(
    ("arrays", "match"),
    [
        ({"y": Y}, r"no array 'x' \(it has: y\)"),
        ({"x": X}, "no array 'y'"),
        ({"x": X.astype(np.float32), "y": Y}, "images of type float32"),
        ({"x": X.astype(np.int8), "y": Y}, "images of type int8"),
        ({"x": X[0, 0], "y": Y}, r"images of shape \(4, 3\)"),
        ({"x": X[..., None], "y": Y}, r"shape \(6, 5, 4, 3, 1\)"),
        ({"x": np.uint8(3), "y": Y}, r"shape \(\)"),
        ({"x": X[:0], "y": Y[:0]}, r"shape \(0, 5, 4, 3\)"),
        ({"x": np.zeros((6, 3, 8, 8), np.uint8), "y": Y}, "channels before"),
        ({"x": X, "y": Y[:5]}, "6 images, but 5 labels"),
        ({"x": X, "y": Y.astype(float)}, "labels of type float64"),
        ({"x": X, "y": Y.astype(bool)}, "labels of type bool"),
        ({"x": X, "y": Y[:, None]}, r"labels of shape \(6, 1\)"),
        ({"x": X, "y": Y - 1}, "labels from -1 to 1"),
        ({"x": X, "y": Y * 10**12}, "labels from 0 to 2000000000000"),
        ({"x": X, "y": Y.astype(np.uint64) << np.uint64(63)}, "labels from 0 to"),
        ({"x": X, "y": Y, "classes": np.array(["a", "b"])}, "'classes'.*labels up to 2"),
        ({"x": X, "y": Y, "classes": np.arange(3)}, "'classes' of type int64"),
        ({"x": X, "y": Y, "classes": np.array(["a", "b", "a"])}, "there twice"),
        ({"x": X, "y": Y, "classes": np.array(["a", "b", ""])}, "empty"),
        ({"x": X, "y": Y, "classes": np.array(["a", "b", "c\x1b[2J"])}, "unprintable"),
        ({"x": np.zeros(6, [("a", "u1")]), "y": Y}, "something else than a plain array"),
    ],
)
def test_what_is_refused(tmp_path, arrays, match):
    with pytest.raises(DataError, match=match) as caught:
        load(save(tmp_path / "toy.npz", **arrays))
    assert caught.value.way_out


def test_objects_are_never_unpickled(tmp_path):
    class Trap:
        def __reduce__(self):
            return (pytest.fail, ("unpickled",))

    objects = np.empty(6, object)
    objects[:] = Trap()
    for arrays in ({"x": objects, "y": Y}, {"x": X, "y": objects}):
        with pytest.raises(DataError, match=r"something else|objects"):
            load(save(tmp_path / "toy.npz", **arrays))


@pytest.mark.parametrize(
    ("member", "match"),
    [
        (
            raw_member("{'descr': '|u1', 'fortran_order': False, 'shape': (9000000000000, 28), }"),
            "claims the shape",
        ),
        (
            raw_member("{'descr': '|u1', 'fortran_order': False, 'shape': (6, 2, 2), }", b"1" * 23),
            "23 bytes",
        ),
        (raw_member("{'descr': '|u1', 'shape': (6, 2, 2), }", b"1" * 24), "plain array"),
        (raw_member("{'descr': '|q9', 'fortran_order': False, 'shape': (6,), }"), "unknown type"),
        (raw_member("__import__('os').abort()"), "plain array"),
        (raw_member(" " * 5000), "header of 5,000 bytes"),
        (raw_member("", version=(3, 0)), "no NumPy array"),
        (b"\x93NUMPY", "no NumPy array"),
        (b"\x93NUMPY\x01\x00", "cannot read"),
        (b"", "no NumPy array"),
    ],
)
def test_a_header_that_lies(tmp_path, member, match):
    with pytest.raises(DataError, match=match):
        load(write_raw(tmp_path / "toy.npz", member))


def test_a_bomb_is_refused_before_it_unpacks(tmp_path):
    path = save(tmp_path / "toy.npz", x=np.zeros((6, 100, 100), np.uint8), y=Y)
    content = bytearray(path.read_bytes())
    central = content.index(b"PK\x01\x02")
    struct.pack_into("<I", content, central + 24, 0xFFFF0000)  # the size once unpacked
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"claims 4,294,901,760 bytes|but has 4,294"):
        load(path)


def test_too_much_for_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr("bitwright.data.npz.MAX_BYTES", 300)
    path = save(tmp_path / "toy.npz", x=X, y=Y)
    with pytest.raises(DataError, match="360 bytes in 'x'"):
        load(path)
    assert len(load(path, limit=5)) == 5


def test_other_compressions_and_no_zip(tmp_path):
    path = tmp_path / "toy.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("x.npy", b"")
    with pytest.raises(DataError, match="unusual compression"):
        load(path)
    path.write_bytes(b"PK but nothing more")
    with pytest.raises(DataError, match="not a zip file"):
        load(path)


@pytest.mark.parametrize("write", [np.savez, np.savez_compressed])
def test_damage_never_ends_in_anything_but_our_errors(tmp_path, write):
    path = tmp_path / "toy.npz"
    write(path, x=X, y=Y, classes=np.array(["a", "b", "c"]))
    whole = path.read_bytes()

    @settings(max_examples=400, deadline=None, derandomize=True)
    @given(
        cut=st.integers(0, len(whole)),
        flips=st.lists(st.integers(0, 8 * len(whole) - 1), min_size=1, max_size=3),
    )
    def damaged(cut: int, flips: list[int]) -> None:
        content = bytearray(whole)
        for bit in flips:
            content[bit // 8] ^= 1 << bit % 8
        for damaged in (bytes(content), whole[:cut]):
            path.write_bytes(damaged)
            for limit in (None, 2):
                with contextlib.suppress(BitwrightError):
                    load(path, limit=limit)

    damaged()
