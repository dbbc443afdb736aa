from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bitwright.data import load
from bitwright.errors import DataError

RNG = np.random.default_rng(5)


def pixels(height: int = 4, width: int = 6, channels: int = 3) -> np.ndarray:
    return RNG.integers(0, 256, (height, width, channels), dtype=np.uint8)


def save(path: Path, image: np.ndarray) -> np.ndarray:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image.squeeze()).save(path)
    return image


def test_classes_are_sorted_and_take_turns(tmp_path):
    cat = [save(tmp_path / "pets" / "cat" / f"{i}.png", pixels()) for i in range(3)]
    ant = [save(tmp_path / "pets" / "ant" / "only.PNG", pixels())]
    (tmp_path / "pets" / "ant" / "notes.txt").write_text("no image")
    (tmp_path / "pets" / "ant" / ".hidden.png").write_text("no image")
    (tmp_path / "pets" / ".git").mkdir()
    (tmp_path / "pets" / "README").write_text("no class")
    seen = []
    data = load(tmp_path / "pets", progress=lambda *args: seen.append(args))
    assert (data.name, data.split, data.classes) == ("pets", "all", ("ant", "cat"))
    assert data.labels.tolist() == [0, 1, 1, 1]
    assert np.array_equal(data.images, np.stack([ant[0], *cat]))
    assert [source.name for source in data.sources] == ["only.PNG", "0.png", "1.png", "2.png"]
    assert seen[-1] == ("read pets", 4 * 72, 4 * 72)
    part = load(str(tmp_path / "pets"), limit=2)
    assert np.array_equal(part.images, data.images[:2])
    assert part.classes == data.classes


def test_grey_and_jpeg(tmp_path):
    save(tmp_path / "a" / "1.jpg", pixels(8, 8, 1))
    save(tmp_path / "b" / "2.jpeg", pixels(8, 8, 1))
    assert load(tmp_path).images.shape == (2, 8, 8, 1)


def test_splits(tmp_path):
    for split, label in (("train", "x"), ("test", "x"), ("train", "y")):
        save(tmp_path / split / label / "1.png", pixels())
    assert len(load(tmp_path, "train")) == 2
    data = load(tmp_path)
    assert (len(data), data.split, data.name) == (1, "test", tmp_path.name)
    with pytest.raises(DataError, match=r"no split 'all'.*test, train"):
        load(tmp_path, "all")


def test_a_folder_without_classes_or_images(tmp_path):
    with pytest.raises(DataError, match="no classes"):
        load(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="empty has no PNG or JPEG"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("other", "match"),
    [
        (pixels(6, 4), "2.png is 4 x 6 RGB, but .*1.png is 6 x 4 RGB"),
        (pixels(4, 6, 1), "2.png is 6 x 4 grey"),
        (pixels(4, 6, 4), "2.png has the mode RGBA"),
    ],
)
def test_images_of_another_size_or_mode_are_named(tmp_path, other, match):
    save(tmp_path / "a" / "1.png", pixels())
    save(tmp_path / "a" / "2.png", other)
    with pytest.raises(DataError, match=match):
        load(tmp_path)
    assert len(load(tmp_path, limit=1)) == 1


def test_a_damaged_image_is_named(tmp_path):
    path = tmp_path / "a" / "1.png"
    save(path, pixels(40, 40))
    whole = path.read_bytes()
    rng = np.random.default_rng(6)
    refused = 0
    for position in rng.integers(0, len(whole), 60):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << int(rng.integers(8))
        for content in (damaged, whole[:position]):
            path.write_bytes(content)
            try:
                load(tmp_path)
            except DataError as error:
                refused += str(path) in str(error)
    assert refused > 60
    Image.fromarray(pixels()).save(path, format="GIF")
    with pytest.raises(DataError, match="cannot read the image"):
        load(tmp_path)


def test_huge_images_are_refused(tmp_path, monkeypatch):
    save(tmp_path / "a" / "1.png", pixels(40, 40))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(DataError, match="DecompressionBomb"):
        load(tmp_path)
    monkeypatch.undo()
    monkeypatch.setattr("bitwright.data.folder.MAX_BYTES", 1000)
    with pytest.raises(DataError, match="4,800 bytes of pixels"):
        load(tmp_path)
