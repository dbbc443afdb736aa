"""``bitwright explore`` as a user types it, and its page in a browser."""

from __future__ import annotations

import json
import tomllib
from dataclasses import replace

import pytest
from tests.eda.tiny import TINY
from tests.explore.chain import chain, write_chain
from tests.report.browser import opened, points, width_on_a_phone
from tests.report.reader import Reader

from bitwright.cli import explore_page
from bitwright.eda.circuit_costs import count_gates
from bitwright.explore.layer_choice import Point, Search, Sensitivity, Settings
from bitwright.explore.layer_designs import find_layers

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with a network and its images; commands run in it."""
    write_chain(tmp_path)
    (tmp_path / "tiny.lib").write_text(TINY)
    monkeypatch.chdir(tmp_path)
    return tmp_path


COMMAND = (
    "explore", "chain.safetensors", "--data", "test.npz", "--calibration", "train.npz",
    "--calibration-images", 20, "--held-out-images", 30, "--cache", "kept",
)  # fmt: skip
FAST = (*COMMAND, "--cost", "cells", "--circuits", "maj", "--layers", "d3,d4", "--threads", 1)


def test_a_point_of_a_search_becomes_a_config(bitwright, place):
    code, out, _ = bitwright(*FAST, "--max-loss", 100, "-o", "page.html", "--json", "o.json")
    assert code == 0
    first = json.loads((place / "o.json").read_text())
    assert f"({0} of" in out
    assert "energy: of all popcounts of one image in these 2 layers" in out
    assert "thresholds = 'rate', calibrated on 20 training images of train.npz" in out
    assert [one["layer"] for one in first["layers"]] == ["d3", "d4"]
    assert first["held_out"]["count"] == first["held_out_images"]["count"] == 30
    assert first["units"] == {"energy": "MGE/image", "area": "GE", "delay": "level"}
    everywhere = next(p for p in first["points"] if set(p["circuits"].values()) == {"maj"})
    number = first["points"].index(everywhere)
    assert f"{everywhere['accuracy']:.2%}" in out
    assert everywhere["ratios_to_exact"]["area"] < 0.5
    low, high = everywhere["accuracy_interval"]
    assert low < everywhere["accuracy"] < high
    assert (place / "page.html").read_text().startswith("<!DOCTYPE html>")
    code, out, err = bitwright(
        *FAST, "--max-loss", 100, "--point", number, "--write-config", "p.toml", "--json", "-"
    )
    assert code == 0
    assert json.loads(out) == first
    assert "(0 of" not in err
    assert f"point {number}: " in err
    settings = tomllib.loads((place / "p.toml").read_text())
    assert settings == everywhere["config"]
    assert settings["circuits"] == {"d3": "maj", "d4": "maj"}
    code, out, _ = bitwright(
        "eval", "chain.safetensors", "--data", "test.npz", "--target", "majority", "--config",
        "p.toml", "--json", "-",
    )  # fmt: skip
    assert code == 0
    found = {m["metric"]: m["value"] for m in json.loads(out)[0]["measurements"]}
    assert found["accuracy"] == everywhere["accuracy"]


def test_a_base_config_is_what_designs_share(bitwright, place):
    (place / "base.toml").write_text(
        '[majority]\ncircuit = "maj:L=3"\nthresholds = "expected"\nlayers = ["d4"]\n'
        "held_out_images = 25\ncalibration_images = 10\n"
    )
    code, out, _ = bitwright(
        "explore", "chain.safetensors", "--data", "test.npz", "--calibration", "train.npz",
        "--cache", "kept", "--cost", "cells", "--circuits", "maj;", "--config", "base.toml",
        "--json", "-", "--objective", "area", "--loss", "agreement", "--limit", 30,
    )  # fmt: skip
    assert code == 0
    made = json.loads(out)
    assert [list(one["circuits"]) for one in made["layers"]] == [["exact", "maj"]]
    assert made["base"]["thresholds"] == "expected"
    assert (made["held_out"]["count"], made["data"]["count"]) == (25, 30)
    assert made["settings"]["objective"] == "area"
    assert "circuit" not in made["base"]


@pytest.mark.tool("yosys")
def test_costs_of_a_library(bitwright, place):
    code, out, _ = bitwright(
        *COMMAND, "--circuits", "maj", "--layers", "d4", "--liberty", "tiny.lib", "--vectors", 20
    )
    assert code == 0
    assert "energy nJ/image" in out
    assert "library: tiny (tiny.lib)" in out
    assert "synthesised" in out
    assert len(list((place / "kept" / "circuits").iterdir())) == 2


BAD = [
    (("--circuits", "max"), "did you mean 'maj'"),
    (("--circuits", "maj:L=99"), "levels"),
    (("--layers", "d9"), "'d9' is no layer"),
    (("--data", "nowhere.npz"), "there is no file or folder nowhere.npz"),
    (("--data", "train.npz"), "'train.npz' has no training images apart from those to evaluate"),
    (("--calibration", "fashion"), "did you mean 'fashion-mnist'"),
    (("--held-out-images", 500), "give fewer as --calibration-images"),
    (("--config", "none.toml"), "cannot be read"),
    (("--config", "bad.toml"), "setting 'thresholds'"),
    (("--cost", "money"), "give library or cells"),
    (("--cost", "cells", "--liberty", "tiny.lib"), "leave one of them out"),
    (("--objective", "speed"), "give one of: energy, area"),
    (("--loss", "much"), "give one of: accuracy, agreement"),
    (("--candidates", 0), "give at least one"),
    (("--max-loss", 200), "give one in [0, 1]"),
    (("--point", 3), "give both or neither"),
    (("-o", "/nowhere/page.html"), "cannot write"),
    (("--cache", "test.npz/below"), "cannot make the folder"),
]


@pytest.mark.parametrize(("arguments", "reason"), BAD)
def test_bad_input_is_one_line_and_exit_code_2(bitwright, place, arguments, reason):
    (place / "bad.toml").write_text('thresholds = "some"\n')
    code, out, err = bitwright(*FAST, *arguments, "--json", "o.json")
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert reason in err
    assert not (place / "o.json").exists()


def test_a_point_that_is_not_there(bitwright, place):
    code, _, err = bitwright(*FAST, "--point", 99, "--write-config", "p.toml")
    assert code == 2
    assert "there is no point 99" in err
    assert not (place / "p.toml").exists()


def test_without_tools_there_is_a_way_out(bitwright, place, monkeypatch):
    monkeypatch.setattr("bitwright.eda.tools.scripts", lambda: "")
    monkeypatch.setenv("PATH", "")
    code, _, err = bitwright(*COMMAND, "--circuits", "maj", "--liberty", "tiny.lib")
    assert code == 2
    assert "yosys is missing" in err
    assert "--cost cells" in err
    assert not (place / "kept").exists(), "nothing is made before it is known to be of use"
    monkeypatch.setattr("bitwright.eda.pdk.PDKS", {})
    code, _, err = bitwright(*COMMAND, "--circuits", "maj")
    assert code == 2
    assert "no cell library is given" in err
    assert "--cost cells" in err


@pytest.mark.tool("yosys")
def test_a_cache_that_cannot_be_made_is_named(bitwright, place):
    (place / "occupied").touch()
    code, _, err = bitwright(
        *COMMAND, "--circuits", "maj", "--liberty", "tiny.lib", "--cache", "occupied/below"
    )
    assert code == 2
    assert "cannot make the folder" in err
    assert "give another as --cache" in err


@pytest.fixture(scope="module")
def found():
    """A search whose numbers are made up."""
    specs = ("maj", "maj:L=2")
    layers = tuple(
        replace(
            layer,
            name=f"{layer.name} {HOSTILE}",
            costs={spec: count_gates(c) for spec, c in layer.circuits.items()},
        )
        for layer in find_layers(chain(), ("d3", "d4"), specs)
    )
    sensitivities = tuple(Sensitivity(a.name, s, 90, 95, 4) for a in layers for s in specs)
    choices = [("exact", "exact"), ("maj", "exact"), ("maj", "maj"), ("maj:L=2", "maj:L=2")]
    kinds = ("exact", "predicted", "predicted", "uniform")
    points = tuple(
        Point(
            choice, kind, 4.0 - k, 8.0 - k, 9.0 - k, (layers[0].name,) * (k == 1),
            0.04 * k, 0.05 * k, 95 - 5 * k, 100 - 5 * k, 100, k != 1,
        )
        for k, (choice, kind) in enumerate(zip(choices, kinds, strict=True))
    )  # fmt: skip
    predicted = tuple((c, 4.0 - k, 0.04 * k) for k, c in enumerate(choices))[::-1]
    base = {"thresholds": "rate", "calibration": HOSTILE}
    return Search(Settings(), layers, base, 100, 94, sensitivities, 9, predicted, points)


def rendered(found):
    info = {"name": HOSTILE, "split": "all", "count": 100, "digest": "0" * 64}
    made = {
        "program": "1" * 64, "model": HOSTILE, "data": info, "held_out": info,
        "settings": {"objective": "energy"}, "versions": {"bitwright": "1"},
    }  # fmt: skip
    return explore_page.render(found, made, f"bitwright explore {HOSTILE}")


def test_the_page_says_what_it_shows(found):
    text = rendered(found)
    assert text == rendered(found), "the same bytes"
    assert HOSTILE not in text, "a name is text"
    page = Reader(text)
    rows = page.table("Points")
    assert len(rows) == 5
    assert rows[1][:3] == ["0 front", "exact everywhere", "95.00\N{NO-BREAK SPACE}%"]
    assert rows[2][0] == "1 "
    assert rows[2][-1] == found.layers[0].name
    assert rows[3][4:6] == ["+10.00", "+8.00"], "the truth, and the prediction beside it"
    assert len(page.table("Sensitivities")) == 5
    front, alone, *costs = page.figures()
    traces = {trace["name"]: trace for trace in front["data"]}
    assert traces["evaluated"]["y"] == [90, 85]
    assert traces["predicted to true"]["y"] == [91, 90, None, 87, 85, None]
    assert traces["front"]["x"] == sorted(traces["front"]["x"])
    assert traces["exact"]["y"] == [95]
    hover = traces["evaluated"]["hovertext"][0]
    assert "point 1" in hover
    assert "maj" in hover
    assert "&lt;script" in hover
    assert [len(trace["x"]) for trace in alone["data"]] == [2, 2]
    assert len(costs) == 3


@pytest.mark.tool("chromium")
def test_the_charts_are_drawn_and_nothing_is_loaded(found, tmp_path):
    path = tmp_path / "page.html"
    path.write_text(rendered(found))
    # Designs: three predicted ones within the limit, four that were evaluated. Bars: two layers.
    assert points(opened(path)) == [7, 4, 6, 6, 6]


@pytest.mark.tool("chromium")
def test_a_phone_need_not_scroll_sideways(found, tmp_path):
    (tmp_path / "page.html").write_text(rendered(found))
    assert width_on_a_phone(tmp_path / "page.html") == 380


def test_eval_lists_no_histograms(bitwright, place):
    code, out, _ = bitwright(
        "eval",
        "chain.safetensors",
        "--data",
        "test.npz",
        "--target",
        "majority",
        "--layers",
        "--json",
        "o.json",
    )
    assert code == 0
    (record,) = json.loads((place / "o.json").read_text())
    assert [m for m in record["measurements"] if m["metric"].startswith("count_error/")]
    assert "count_error_mean/d2" in out
    assert "count_error/" not in out
