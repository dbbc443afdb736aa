"""``bitwright spice`` as a user types it."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from tests.networks import classifier, labelled

from bitwright.ir import codec
from bitwright.targets.crossbar.deck import run


@pytest.fixture
def files(tmp_path):
    """A network, images and settings, as files."""
    codec.save(classifier(shape=(4, 4, 1)), tmp_path / "net.safetensors")
    images = labelled(0, (4, 4, 1), count=3)
    np.savez(tmp_path / "test.npz", x=images.images, y=images.labels)
    (tmp_path / "base.toml").write_text(
        'technology = "reram1t1r"\nrows = 32\nflips = "both"\nword_lines = 20\nsigma = 0.1\n'
    )
    return tmp_path


@pytest.fixture
def spice(bitwright, files):
    """Write ``tile.cir`` of the files with further arguments."""

    def run(*arguments):
        return bitwright(
            "spice", files / "net.safetensors", "--data", files / "test.npz",
            "-o", files / "tile.cir", *arguments,
        )  # fmt: skip

    return run


def test_a_deck_is_written_and_described(spice, files):
    code, out, err = spice("--layer", "d2", "--tile", 1, "--position", 3, "--image", 2)
    assert (code, err) == (0, "")
    text = (files / "tile.cir").read_text()
    title = "small: d2, tile 1, read 0, window 3, image 2 of"
    assert text.startswith(f"* {title}")
    assert title in out
    assert "64 rows" in out
    assert "20 columns of sram8t" in out
    assert str(files / "tile.cir") in out
    assert len(re.findall(r"^print i\(vsense\d+\)$", text, re.MULTILINE)) == 20
    again = text
    spice("--layer", "d2", "--tile", 1, "--position", 3, "--image", 2)
    assert (files / "tile.cir").read_text() == again
    spice("--layer", "d2", "--tile", 1, "--position", 3, "--image", 1)
    assert (files / "tile.cir").read_text() != again


@pytest.mark.tool("ngspice")
def test_a_deck_of_a_design_is_checked(spice, files):
    code, out, _ = spice(
        "--layer", "scores", "--tile", 2, "--read", 0, "--columns", "3,0-1", "--check",
        "--config", files / "base.toml", "--json", files / "o.json",
    )  # fmt: skip
    assert code == 0
    made = json.loads((files / "o.json").read_text())
    assert made["largest_relative_difference"] < 1e-6
    assert made["rows"] == 32
    assert 0 < made["word_lines_on"] <= 20
    assert made["columns"] == len(made["currents_ampere"]) == 3
    assert f"ngspice {made['ngspice']}: currents are as solved" in out
    text = (files / "tile.cir").read_text()
    assert "vsense3" in text
    assert "vsense2" not in text
    assert np.array_equal(run(text)[0], made["currents_ampere"])


def test_json_alone_is_printed(spice):
    code, out, _ = spice("--layer", "d2", "--json", "-")
    assert code == 0
    assert json.loads(out)["columns"] == 20


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--layer", "d7"), "no layer on arrays named 'd7': did you mean 'd2'"),
        (("--layer", "d2", "--tile", 10), "no tile 10 of 'd2': give 0 to 9"),
        (("--layer", "d2", "--tile", -1), "no tile -1"),
        (("--layer", "d2", "--position", 16), "no window 16 of 'd2': give 0 to 15"),
        (("--layer", "d2", "--read", 1), "no read 1"),
        (("--layer", "d2", "--image", 3), "no image 3: give 0 to 2"),
        (("--layer", "d2", "--columns", "20"), "no column 20: give 0 to 19"),
        (("--layer", "d2", "--columns", "3-1"), "'3-1' is no range"),
        (("--layer", "d2", "--columns", "a"), "'a' lists no columns"),
        (("--layer", "d2", "--columns", ""), "'' lists no columns"),
        (("--layer", "d2", "--columns", "0-999999999"), "is no range"),
    ],
)
def test_what_does_not_exist_leaves_nothing_written(spice, files, arguments, named):
    (files / "tile.cir").write_text("of before")
    code, out, err = spice(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("bitwright: error: ")
    assert named in err
    assert err.count("\n") == 1
    assert (files / "tile.cir").read_text() == "of before"
    assert len(list(files.iterdir())) == 4


def test_a_place_that_cannot_be_written_is_refused(bitwright, files):
    code, _, err = bitwright(
        "spice", files / "net.safetensors", "--layer", "d2", "-o", files / "none" / "tile.cir"
    )
    assert code == 2
    assert "no folder" in err


def test_ideal_cells_have_no_deck(spice, files):
    (files / "ideal.toml").write_text('technology = "ideal"\n')
    code, _, err = spice("--layer", "d2", "--config", files / "ideal.toml")
    assert code == 2
    assert "no circuit" in err
    assert not (files / "tile.cir").exists()
