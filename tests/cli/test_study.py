"""``bitwright study popcount-scaling`` as a user types it, and its page in a browser."""

from __future__ import annotations

import json

import pytest
from tests.eda.tiny import TINY
from tests.report.browser import opened, points, width_on_a_phone
from tests.report.reader import Reader

from bitwright.cli import study_page
from bitwright.eda import pdk
from bitwright.eda.timing import Boundary
from bitwright.explore import popcount_scaling as study

HOSTILE = "netlist:path=<script>alert(1)</script>"


@pytest.fixture
def tiny(tmp_path):
    path = tmp_path / "tiny.lib"
    path.write_text(TINY)
    return path


@pytest.fixture
def made(tiny):
    """A study of numbers that are made up: area n, energy 2 n, delay 10."""
    settings = study.Settings(sides=(1, 3, 5), channels=(4, 8), specs=("exact", HOSTILE))
    sources = {metric: ["synthesised", "a <tool>"] for metric in study.METRICS}
    points = tuple(
        study.Point(k, c, spec, k * k * c, k * k * c, 5, 10.0, 2.0 * k * k * c, k, 10_000, sources)
        for spec in settings.specs
        for c in settings.channels
        for k in settings.sides
    )
    return study.Study(settings, pdk.choose([str(tiny)]), Boundary(1e-11, 1e-15), points, 0)


@pytest.mark.tool("yosys")
def test_a_study_is_resumed(bitwright, tiny, tmp_path):
    page = tmp_path / "page.html"
    command = (
        "study", "popcount-scaling", "--sides", "1,2", "--channels", "3", "--circuit", "maj",
        "--liberty", tiny, "--vectors", 10, "--folder", tmp_path / "points",
    )  # fmt: skip
    code, out, _ = bitwright(*command, "-o", page, "--json", tmp_path / "o.json")
    assert code == 0
    assert "(0 of 4 from before)" in out
    assert "exact: area ~ n^" in out
    first = json.loads((tmp_path / "o.json").read_text())
    assert [p["inputs"] for p in first["points"]] == [3, 12, 3, 12]
    assert "k the kernel's side" in first["axis"]
    assert page.read_text().startswith("<!DOCTYPE html>")
    code, out, err = bitwright(*command, "--json", "-")
    assert json.loads(out) == first
    assert "(4 of 4 from before)" in err


def test_without_yosys_no_folder_is_left(bitwright, tiny, tmp_path, monkeypatch):
    monkeypatch.setattr("bitwright.eda.tools.scripts", lambda: "")
    monkeypatch.setenv("PATH", "")
    folder = tmp_path / "new" / "points"
    code, out, err = bitwright(
        "study",
        "popcount-scaling",
        "--liberty",
        tiny,
        "--folder",
        folder,
        "-o",
        tmp_path / "p.html",
    )
    assert (code, out) == (2, "")
    assert "yosys is missing" in err
    assert "apt install yosys" in err
    assert [file.name for file in tmp_path.iterdir()] == [tiny.name]


BAD = [
    (("--sides", "0"), "at least 1"),
    (("--sides", "a"), "list of kernel sides"),
    (("--circuit", "max"), "did you mean 'maj'"),
    (("--liberty", "nowhere.lib"), "no Liberty file"),
    (("--folder", "{tiny}/below"), "(Not a directory): give another as --folder"),
    (("-o", "/nowhere/page.html"), "cannot write"),
]


@pytest.mark.tool("yosys")
@pytest.mark.parametrize(("arguments", "reason"), BAD)
def test_bad_input_is_one_line_and_exit_code_2(bitwright, tiny, tmp_path, arguments, reason):
    given = [argument.format(tiny=tiny) for argument in arguments]
    given += [] if "--folder" in given else ["--folder", tmp_path / "points"]
    given += [] if "--liberty" in given else ["--liberty", tiny]
    code, out, err = bitwright("study", "popcount-scaling", "--json", tmp_path / "o.json", *given)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert reason in err
    assert not (tmp_path / "o.json").exists()


def test_the_page_says_what_it_shows(made):
    text = study_page.render(made, "bitwright study <x>")
    assert text == study_page.render(made, "bitwright study <x>"), "the same bytes"
    page = Reader(text)
    assert HOSTILE not in text, "a name is text"
    tables = {e.attributes["aria-label"]: e.text for e in page.all("div") if "scroll" in str(
        e.attributes.get("class"))}  # fmt: skip
    assert set(tables) == {"Growth", "All points", "Origin"}
    assert "2.00" in tables["Growth"], "area grows with the square of k"
    assert "10,000 random vectors" in tables["All points"]
    assert len(page.all("figure")) == 6
    assert "proportion to k" in text
    assert made.chosen.library.digest in tables["Origin"]


@pytest.mark.tool("chromium")
def test_the_charts_are_drawn_and_nothing_is_loaded(made, tmp_path):
    path = tmp_path / "study.html"
    path.write_text(study_page.render(made, "bitwright study"))
    # Against k: two circuits at 8 channels. Against n: all points.
    assert points(opened(path)) == [6, 12] * 3


@pytest.mark.tool("chromium")
def test_a_phone_need_not_scroll_sideways(made, tmp_path):
    (tmp_path / "study.html").write_text(study_page.render(made, "bitwright study"))
    assert width_on_a_phone(tmp_path / "study.html") == 380
