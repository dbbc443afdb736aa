"""``bitwright study crossbar-precision`` as a user types it, and its page in a browser."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image
from tests.nn.test_train import data_set
from tests.report.browser import opened, points, width_on_a_phone
from tests.report.reader import Reader

from bitwright.cli import precision_page
from bitwright.explore import crossbar_precision as study
from bitwright.explore.sliced_network import Point, Way


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A folder of pictures by class, to train and to test."""
    folder = tmp_path_factory.mktemp("bars")
    for split, count, seed in (("train", 128, 0), ("test", 40, 1)):
        data = data_set(count, seed)
        for k, (image, label) in enumerate(zip(data.images, data.labels, strict=True)):
            at = folder / split / "abcd"[label]
            at.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image[:, :, 0]).save(at / f"{k}.png")
    return folder


@pytest.fixture
def made():
    """A study of numbers that are made up: more bits, more right."""
    settings = study.Settings(bits=(1, 4), x=(0.1, 1.0, 10.0))
    points = tuple(
        Point(Way(bits, coding, flips, gain), x, 100, 50 + 10 * bits - k, 0.1 * k, (0.9, 0.8))
        for bits in settings.bits
        for coding in settings.codings
        for flips in (False, True)
        for gain in (False, True)
        for k, x in enumerate(settings.x)
    )
    info = data_set(100, 0).info()
    shares = {(p.way.bits, p.way.coding, p.way.flips): 0.25 for p in points}
    return study.Study(settings, info, info, {1: 61, 4: 91}, shares, points, 0)


def test_a_study_is_resumed(bitwright, pictures, tmp_path):
    page = tmp_path / "page.html"
    command = (
        "study", "crossbar-precision", "--data", pictures, "--bits", "1,2", "--x", "0.1,2",
        "--coding", "offset", "--epochs", 1, "--train-limit", 64, "--limit", 20,
        "--folder", tmp_path / "kept", "--threads", 1,
    )  # fmt: skip
    code, out, _ = bitwright(*command, "--report", page, "--json", tmp_path / "o.json")
    assert code == 0
    assert "(0 of 18 from before)" in out
    assert "offset, gain, no flips: the first to lose 5 points, in bits: " in out
    first = json.loads((tmp_path / "o.json").read_text())
    assert (first["trained"]["count"], first["data"]["count"]) == (64, 20)
    assert len(first["points"]) == 16
    assert page.read_text().startswith("<!DOCTYPE html>")
    code, out, err = bitwright(*command, "--json", "-")
    assert json.loads(out) == first
    assert "(18 of 18 from before)" in err


BAD = [
    (("--bits", "9"), "1 to 8 bits"),
    (("--bits", "one"), "list of precisions"),
    (("--x", "0"), "above 0"),
    (("--x", "a"), "list of wires"),
    (("--coding", "sign"), "use offset or differential"),
    (("--rows", "5000"), "5000 rows"),
    (("--data", "{flat}"), "no training images"),
    (("--report", "/nowhere/page.html"), "cannot write"),
    (("--folder", "{file}/below"), "give another as --folder"),
]


@pytest.mark.parametrize(("arguments", "reason"), BAD)
def test_bad_input_is_one_line_and_exit_code_2(bitwright, pictures, tmp_path, arguments, reason):
    (tmp_path / "file").touch()
    places = {"flat": pictures / "train", "file": tmp_path / "file"}
    given = [argument.format(**places) for argument in arguments]
    given += [] if "--data" in given else ["--data", pictures]
    given += [] if "--folder" in given else ["--folder", tmp_path]
    code, out, err = bitwright("study", "crossbar-precision", "--json", tmp_path / "o.json", *given)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert reason in err
    assert not (tmp_path / "o.json").exists()


def test_the_page_says_what_it_shows(made):
    text = precision_page.render(made, "bitwright study <x>")
    assert text == precision_page.render(made, "bitwright study <x>"), "the same bytes"
    assert "<x>" not in text, "a command is text"
    page = Reader(text)
    tables = {e.attributes["aria-label"]: e.text for e in page.all("div") if "scroll" in str(
        e.attributes.get("class"))}  # fmt: skip
    assert set(tables) == {"Tolerated", "All points", "Origin"}
    assert "16.0" in tables["Tolerated"], "a quarter of 64 rows"
    assert "90.0" in tables["All points"]
    assert len(page.all("figure")) == 4
    assert np.all([f"{p.gains[0]:.3f}" in tables["All points"] for p in made.points])


@pytest.mark.tool("chromium")
def test_the_charts_are_drawn_and_nothing_is_loaded(made, tmp_path):
    path = tmp_path / "study.html"
    path.write_text(precision_page.render(made, "bitwright study"))
    # Two precisions, with flips and without, three points each.
    assert points(opened(path)) == [12] * 4


@pytest.mark.tool("chromium")
def test_a_phone_need_not_scroll_sideways(made, tmp_path):
    (tmp_path / "study.html").write_text(precision_page.render(made, "bitwright study"))
    assert width_on_a_phone(tmp_path / "study.html") == 380
