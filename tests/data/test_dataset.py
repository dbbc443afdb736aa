import hashlib

import numpy as np
import pytest

import bitwright.data
from bitwright.data import Dataset
from bitwright.errors import ConfigError, DataError
from bitwright.records import DataInfo


def make(count: int = 5, **changes) -> Dataset:
    rng = np.random.default_rng(1)
    fields = {
        "name": "toy",
        "split": "test",
        "images": rng.integers(0, 256, (count, 4, 3, 2), dtype=np.uint8),
        "labels": np.arange(count, dtype=np.int64) % 3,
        "classes": ("a", "b", "c"),
    }
    return Dataset(**(fields | changes))


def test_the_public_names_are_these():
    assert bitwright.data.__all__ == [
        "SAMPLE",
        "SPLITS",
        "Dataset",
        "Progress",
        "available",
        "load",
    ]


def test_the_digest_is_of_header_pixels_and_labels():
    data = make()
    content = b"bitwright-data 1 uint8 5x4x3x2\n" + data.images.tobytes() + data.labels.tobytes()
    assert data.digest == hashlib.sha256(content).hexdigest()
    assert data.info() == DataInfo("toy", "test", 5, data.digest)
    assert make(name="other", classes=("x", "y", "z")).digest == data.digest


@pytest.mark.parametrize("change", ["images", "labels", "shape"])
def test_the_digest_sees_every_change(change):
    data = make()
    images, labels = data.images.copy(), data.labels.copy()
    if change == "images":
        images[-1, -1, -1, -1] ^= 1
    elif change == "labels":
        labels[0] = 2
    else:
        images = images.reshape(5, 3, 4, 2)
    assert make(images=images, labels=labels).digest != data.digest


def test_head_is_the_beginning():
    data = make()
    assert len(data.head(2)) == 2
    assert np.array_equal(data.head(2).images, data.images[:2])
    assert data.head(None) is data
    assert data.head(5) is data
    assert data.head(6) is data
    assert make(images=data.images[:2], labels=data.labels[:2]).digest == data.head(2).digest


@pytest.mark.parametrize("limit", [0, -1, 1.5, True, "3"])
def test_a_limit_is_a_positive_integer(limit):
    with pytest.raises(ConfigError, match="at least 1"):
        make().head(limit)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"images": np.zeros((5, 4, 3, 2), np.float32)}, "type float32"),
        ({"images": np.zeros((5, 4, 3), np.uint8)}, r"shape \(5, 4, 3\)"),
        ({"images": np.zeros((0, 4, 3, 1), np.uint8)}, "at least one pixel"),
        ({"images": np.zeros((5, 4, 3, 2), np.uint8).swapaxes(1, 2)}, "C-contiguous"),
        ({"labels": np.zeros(4, np.int64)}, "5 images, but labels"),
        ({"labels": np.zeros(5, np.int32)}, "int32"),
        ({"labels": np.array([0, 1, 2, 3, 0])}, "labels from 0 to 3, but 3 classes"),
        ({"labels": np.array([0, 1, 2, -1, 0])}, "labels from -1 to 2"),
    ],
)
def test_what_breaks_a_rule_is_refused(changes, match):
    with pytest.raises(DataError, match=match):
        make(**changes)
