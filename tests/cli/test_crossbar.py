"""``bitwright crossbar sweep`` as a user types it, and its page in a browser."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from tests.networks import classifier, labelled
from tests.report.browser import opened, points, width_on_a_phone
from tests.report.reader import Reader

from bitwright.cli import crossbar_page
from bitwright.explore.crossbar_grid import parse_axis
from bitwright.explore.crossbar_sweep import Found, Point, Sweep
from bitwright.ir import codec
from bitwright.records import DataInfo, Measurement

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def files(tmp_path):
    """A network, images to evaluate, others to calibrate, and settings, as files."""
    codec.save(classifier(shape=(4, 4, 1)), tmp_path / "net.safetensors")
    for seed, name in ((0, "test"), (1, "others")):
        images = labelled(seed, (4, 4, 1), count=24)
        np.savez(tmp_path / f"{name}.npz", x=images.images, y=images.labels)
    (tmp_path / "base.toml").write_text(
        f'technology = "linear"\nrows = 16\ncalibration = "{tmp_path}/others.npz"\n'
        "calibration_images = 8\n"
    )
    return tmp_path


@pytest.fixture
def sweep(bitwright, files):
    """Run a sweep of the files with further arguments."""

    def run(*arguments):
        return bitwright(
            "crossbar", "sweep", files / "net.safetensors", "--data", files / "test.npz",
            "--config", files / "base.toml", "--cache", files / "kept", *arguments,
        )  # fmt: skip

    return run


def test_a_sweep_is_printed_written_and_resumed(sweep, files):
    over = ("--over", "x=0,1", "--over", "flips=none,both", "--over", "calibrate=none,gain")
    outputs = ("--csv", files / "o.csv", "--report", files / "o.html")
    code, out, _ = sweep(*over, *outputs, "--json", files / "o.json")
    assert code == 0
    assert "(0 of 8 from before)" in out
    assert "exact network:" in out
    made = json.loads((files / "o.json").read_text())
    assert [p["at"]["calibrate"] for p in made["points"]] == ["none", "gain"] * 4
    assert all(p["correct"] == made["ideal"]["correct"] for p in made["points"][:1])
    with (files / "o.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["accuracy"]) for row in rows] == [p["accuracy"] for p in made["points"]]
    page = Reader((files / "o.html").read_text())
    assert len(page.all("figure")) == 2, "a chart for each calibration"
    code, out, err = sweep(*over, "--json", "-")
    assert json.loads(out) == made
    assert "(8 of 8 from before)" in err


def test_what_cannot_be_built_is_said(sweep):
    code, out, _ = sweep("--over", "technology=linear,ideal", "--over", "x=1")
    assert code == 0
    assert "flagged: technology = ideal, x = 1: ideal cells have no wires" in out


BAD = [
    (("--over", "rowz=3"), "did you mean 'rows'"),
    (("--over", "device.on_ohms=3"), "did you mean 'on_ohm'"),
    (("--over", "rows=0"), "greater than or equal to 1"),
    (("--over", "x=1", "--over", "x=2"), "swept twice"),
    (("--over", "rows"), "NAME=VALUE"),
    (("--over", "device.on_off_ratio=0.5"), "no point of the sweep can be built"),
    (("--over", "x=1", "--csv", "/nowhere/o.csv"), "cannot write"),
    (("--over", "x=1", "--report", "/nowhere/o.html"), "cannot write"),
    (("--over", "x=1", "--cache", "{files}/net.safetensors/below"), "cannot make the folder"),
    (("--over", "x=1", "--data", "nowhere.npz"), "nowhere.npz"),
]


@pytest.mark.parametrize(("arguments", "reason"), BAD)
def test_bad_input_is_one_line_and_exit_code_2(sweep, files, arguments, reason):
    given = [argument.format(files=files) for argument in arguments]
    code, out, err = sweep("--json", files / "o.json", *given)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert reason in err
    assert not (files / "o.json").exists()
    assert not list((files / "kept").glob("*")), "nothing was evaluated"


def made_up(*texts, flagged=()):
    """A sweep of numbers that are made up: point k has 100 - k images of 100 right."""
    axes = tuple(parse_axis(text) for text in texts)
    grid = [{}]
    for axis in axes:
        grid = [at | {axis.name: value} for at in grid for value in axis.values]
    saved = (Measurement("partial_sum_saved", 0.25, "share", "counted"),)
    found = Found(np.zeros(100, np.int64), 1.5, saved)
    every = tuple(
        Point(at, 100, reason=f"no {HOSTILE}")
        if k in flagged
        else Point(at, 100, 100 - k, 100 - k, found)
        for k, at in enumerate(grid)
    )
    program = classifier(name=HOSTILE)
    return Sweep(program, DataInfo("noise", "test", 100, "0" * 64), axes, {}, 99, every, 0)


def test_the_page_says_what_it_shows():
    made = made_up("flips=none,both", "x=0.05,1,4", "calibrate=none,gain", flagged=(3,))
    text = crossbar_page.render(made, f"bitwright {HOSTILE}")
    assert text == crossbar_page.render(made, f"bitwright {HOSTILE}"), "the same bytes"
    assert HOSTILE not in text, "a name is text"
    page = Reader(text)
    rows = page.table("All points")
    assert len(rows) == 1 + 12
    assert rows[1][:3] == ["none", "0.05", "none"]
    assert rows[1][3].startswith("100.0")
    assert rows[4][3] == "\N{EN DASH}"
    assert f"no {HOSTILE}" in page.table("Flagged")[1][1]
    assert {"Methods", "Axes", "Settings", "Digests", "Versions"} <= {
        e.attributes.get("aria-label") for e in page.all("div")
    }
    first, second = page.figures()
    assert first["layout"]["xaxis"]["type"] == "log", "0.05 to 4"
    exact, none, both = first["data"]
    assert (exact["x"], exact["y"]) == ([0.05, 4], [99, 99])
    assert (none["name"], none["y"]) == ("none", [100, 98, 96])
    assert (both["name"], both["x"]) == ("both", [0.05, 1, 4])
    assert second["data"][1]["y"] == [99, None, 95], "a gap where there are no numbers"
    low = none["y"][1] - none["error_y"]["arrayminus"][1]
    high = none["y"][1] + none["error_y"]["array"][1]
    assert low == pytest.approx(93.0, abs=0.05), "Wilson's interval of 98 of 100"
    assert high == pytest.approx(99.45, abs=0.05)


def test_what_has_no_numbers_is_drawn_by_name():
    made = made_up("technology=linear,sram8t")
    (figure,) = Reader(crossbar_page.render(made, "bitwright")).figures()
    assert figure["layout"]["xaxis"]["type"] == "category"
    assert figure["data"][1]["x"] == ["linear", "sram8t"]


@pytest.mark.parametrize(
    ("text", "scale"),
    [("rows=32,64,128", "linear"), ("x=0,1,100", "linear"), ("rows=16,512", "log")],
)
def test_an_axis_over_decades_is_logarithmic(text, scale):
    (figure,) = Reader(crossbar_page.render(made_up(text), "bitwright")).figures()
    assert figure["layout"]["xaxis"]["type"] == scale


@pytest.mark.tool("chromium")
def test_the_charts_are_drawn_and_nothing_is_loaded(tmp_path):
    path = tmp_path / "sweep.html"
    made = made_up("x=0.05,1,4", "flips=none,both", "calibrate=none,gain", flagged=(4,))
    path.write_text(crossbar_page.render(made, "bitwright crossbar sweep"))
    assert points(opened(path)) == [5, 6]


@pytest.mark.tool("chromium")
def test_a_phone_need_not_scroll_sideways(tmp_path):
    made = made_up("x=0.05,1,4", "flips=none,both", "calibrate=none,gain", flagged=(4,))
    (tmp_path / "sweep.html").write_text(crossbar_page.render(made, "bitwright crossbar sweep"))
    assert width_on_a_phone(tmp_path / "sweep.html") == 380
