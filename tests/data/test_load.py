"""Names, places, and the real data sets."""

import gzip
import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bitwright.data import SAMPLE, available, load
from bitwright.data.known import KNOWN
from bitwright.errors import ConfigError, DataError, UnknownNameError

ROOT = Path(__file__).parents[2]


def fake_idx(folder: Path, images: bool = True) -> None:
    """Files with the shape and the labels of Fashion-MNIST's test set, all black."""
    folder.mkdir(parents=True, exist_ok=True)
    labels = np.repeat(np.arange(10, dtype=np.uint8), 1000)
    head = bytes.fromhex("00000801 00002710")
    (folder / "t10k-labels-idx1-ubyte").write_bytes(head + labels.tobytes())
    if images:
        head = bytes.fromhex("00000803 00002710 0000001c 0000001c")
        packed = gzip.compress(head + bytes(7_840_000), 1)
        (folder / "t10k-images-idx3-ubyte.gz").write_bytes(packed)


def test_the_registry_is_complete():
    for known in KNOWN.values():
        for split in ("train", "test"):
            assert len(known.counts[split]) == len(known.classes) == 10
            assert known.files[split]
            for download in known.downloads[split]:
                assert len(bytes.fromhex(download.sha256)) == 32
                assert download.address.startswith("http")


def test_an_unknown_name_gets_the_nearest():
    with pytest.raises(UnknownNameError, match=r"did you mean 'fashion-mnist'.*path of an .npz"):
        load("fashion-mnits")
    with pytest.raises(UnknownNameError, match="split"):
        load("mnist", "valid")


@pytest.mark.parametrize("path", ["no/where", "none.npz", Path("none")])
def test_a_path_that_is_not_there(path):
    with pytest.raises(DataError, match="no file or folder"):
        load(path)


def test_a_file_of_another_kind(tmp_path):
    (tmp_path / "x.bin").write_bytes(b"1")
    with pytest.raises(DataError, match=r"neither an .npz file nor a folder"):
        load(tmp_path / "x.bin")


@pytest.mark.parametrize("limit", [0, -3])
def test_limits_are_checked_before_anything_else(limit):
    with pytest.raises(ConfigError, match="at least 1"):
        load("mnist", limit=limit)


def test_not_found_says_where_and_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("BITWRIGHT_DATA", f"{tmp_path / 'one'}::{tmp_path / 'two'}")
    (tmp_path / "given").mkdir()
    fake_idx(tmp_path / "two" / "fashion-mnist", images=False)
    with pytest.raises(DataError) as caught:
        load("fashion-mnist", data_dir=tmp_path / "given", download=False)
    text = str(caught.value)
    places = ["given", "one", "two/fashion-mnist (without t10k-images-idx3-ubyte)", "bitwright"]
    positions = [text.index(place) for place in places]
    assert positions == sorted(positions)
    for help_ in ("--data-dir", "$BITWRIGHT_DATA", "dataset-fashion-mnist"):
        assert help_ in caught.value.way_out
    with pytest.raises(DataError, match="no folder"):
        load("mnist", data_dir=tmp_path / "missing")


def test_the_first_place_wins(tmp_path, monkeypatch):
    fake_idx(tmp_path / "one" / "FashionMNIST" / "raw")
    fake_idx(tmp_path / "two")
    fake_idx(tmp_path / "mnist")  # the name of another data set: passed over
    monkeypatch.setenv("BITWRIGHT_DATA", f"{tmp_path / 'mnist'}:{tmp_path / 'one'}")
    data = load("fashion-mnist", download=False)
    assert data.sources[0].parent == tmp_path / "one" / "FashionMNIST" / "raw"
    data = load("fashion-mnist", data_dir=tmp_path / "two", limit=3, download=False)
    assert data.sources[1] == tmp_path / "two" / "t10k-labels-idx1-ubyte"
    assert data.labels.tolist() == [0, 0, 0]
    places = dict(available(tmp_path / "two"))
    assert places["fashion-mnist"] == tmp_path / "two"
    assert places["cifar10"] is None
    assert places[SAMPLE].name == f"{SAMPLE}.npz"


def test_the_labels_tell_the_data_sets_apart(tmp_path):
    fake_idx(tmp_path)
    with pytest.raises(DataError, match=r"does not hold the test labels of 'mnist'.*1000, 1000"):
        load("mnist", data_dir=tmp_path, download=False, limit=1)


def test_fashion_mnist(debian):
    seen = []
    data = load(
        "fashion-mnist",
        data_dir=debian,
        download=False,
        progress=lambda *args: seen.append(args),
    )
    assert data.images.shape == (10000, 28, 28, 1)
    assert data.labels[:5].tolist() == [9, 2, 1, 1, 6]
    assert data.classes[9] == "Ankle boot"
    assert data.split == "test"
    assert len(data.sources) == 2
    assert seen[-1] == ("read fashion-mnist", 7_840_000, 7_840_000)
    both = load("fashion-mnist", "all", data_dir=debian, limit=60_001, download=False)
    assert np.array_equal(both.images[60_000], data.images[0])
    assert len(both.sources) == 4
    train = load("fashion-mnist", "all", data_dir=debian, limit=9, download=False)
    assert len(train.sources) == 2
    assert train.digest == both.head(9).digest


def test_the_sample_is_what_the_script_makes(debian, tmp_path):
    spec = importlib.util.spec_from_file_location("sample", ROOT / "scripts" / "make_sample.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    test = load("fashion-mnist", data_dir=debian, download=False)
    sample = load(SAMPLE)
    index = script.choose(test.labels, 10)
    assert np.array_equal(sample.images, test.images[index])
    assert np.array_equal(sample.labels, test.labels[index])
    with np.load(script.TARGET) as stored:
        assert np.array_equal(stored["index"], index)


def test_the_sample_needs_nothing():
    sample = load(SAMPLE)
    assert sample.images.shape == (1000, 28, 28, 1)
    assert np.bincount(sample.labels).tolist() == [100] * 10
    assert (sample.name, sample.split) == (SAMPLE, "test")
    assert sample.classes == KNOWN["fashion-mnist"].classes
    assert sample.digest == "95caf943b5667cf5c2db0ab57b9ac17d524b614613f3005aeffde56c4b508d9c"
    with pytest.raises(DataError, match="test images only"):
        load(SAMPLE, "train")


def test_mnist(shared):
    data = load("mnist", data_dir=shared)
    assert data.images.shape == (10000, 28, 28, 1)
    assert data.labels[:5].tolist() == [7, 2, 1, 0, 4]
    assert data.digest == load("mnist", data_dir=shared / "mnist").digest
    with pytest.raises(DataError, match=r"train split of 'mnist'"):
        load("mnist", "train", data_dir=shared, download=False)


def test_cifar10(shared, tmp_path):
    folder = shared / "cifar-10-batches-bin"
    data = load("cifar10", data_dir=shared, limit=600)
    assert data.sources == (folder / "test_batch.bin.xz",)
    assert data.images.shape == (600, 32, 32, 3)
    assert data.classes[:2] == ("airplane", "automobile")
    assert data.digest == load("cifar10", data_dir=folder, limit=600).digest
    assert len(load("cifar10", "train", data_dir=shared, limit=3).sources) == 1
    # Neighbouring pixels are alike only if the channels are where they belong.
    steps = np.abs(np.diff(data.images.astype(int), axis=2)).mean()
    assert steps < 15
    shutil.copy(folder / "test_batch.bin.xz", tmp_path)
    (tmp_path / "batches.meta.txt").write_text("\n".join(reversed(data.classes)))
    with pytest.raises(DataError, match="names the classes truck"):
        load("cifar10", data_dir=tmp_path, limit=1)


def test_the_memory_for_cifar10(shared):
    code = (
        "import re, sys; from pathlib import Path; from bitwright.data import load\n"
        "data = load('cifar10', data_dir=Path(sys.argv[1]))\n"
        "assert len(data) == 10000\n"
        "status = Path('/proc/self/status').read_text()\n"
        "print(re.search(r'VmHWM:\\s+(\\d+) kB', status)[1])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(shared)], check=True, capture_output=True, text=True
    )
    assert int(done.stdout) < 120 * 1024
