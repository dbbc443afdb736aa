"""Costs of a design's popcounts: counted without a tool, mapped with a library."""

from __future__ import annotations

import json

import pytest
from tests.eda.tiny import TINY
from tests.explore.chain import chain, write_chain
from tests.native.sketch import Sketch

from bitwright.circuits import make
from bitwright.eda import circuit_costs, pdk
from bitwright.eda.circuit_costs import count_gates, kept, map_to_cells
from bitwright.errors import ConfigError, LibertyError, ToolError
from bitwright.ir import Int
from bitwright.ir import ops as o
from bitwright.targets import get_target

TARGET = get_target("majority")
FAN_IN = {"d2": 108, "d3": 160, "d4": 30}
POPCOUNTS = {"d2": 16 * 10, "d3": 30, "d4": 24}


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with the chain, its images and a library; the user's cache is there, too."""
    write_chain(tmp_path)
    (tmp_path / "tiny.lib").write_text(TINY)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def lowered(**settings):
    return TARGET.lower(chain(), TARGET.configure(settings))


def measured(design):
    return {m.metric: m for m in TARGET.measure(design, {})}


def test_without_a_library_gates_are_counted():
    found = measured(lowered(layers=["d2", "d4"], circuits={"d4": "maj:L=2"}))
    costs = {
        "d2": (count_gates(make("maj", 108, (3, 3, 12))), count_gates(make("exact", 108))),
        "d4": (count_gates(make("maj:L=2", 30)), count_gates(make("exact", 30))),
    }
    for name, (ours, theirs) in costs.items():
        for metric in ("area", "delay"):
            pair = found[f"popcount_{metric}/{name}"], found[f"exact_popcount_{metric}/{name}"]
            assert [m.value for m in pair] == [getattr(c, metric).value for c in (ours, theirs)]
            assert {m.method for m in pair} == {"estimated"}
    saved = found["popcount_area_saved"]
    areas = [sum(pair[k].area.value for pair in costs.values()) for k in (0, 1)]
    assert saved.value == pytest.approx(1 - areas[0] / areas[1])
    assert saved.value > 0.4
    assert (saved.unit, saved.method) == ("share", "estimated")
    assert not [metric for metric in found if "energy" in metric or metric.endswith("/d3")]


def test_exact_circuits_save_nothing_and_one_input_costs_nothing():
    found = measured(lowered(circuit="exact", thresholds="unchanged"))
    assert found["popcount_area_saved"].value == 0
    s = Sketch(Int((3,), 0, 255))
    bits = s.threshold(s.dense("x", 1))
    scores = s.dense(s.threshold(s.dense(bits, 4)), 3)
    program = s.program(s.add(o.ArgMax, scores), scores)
    design = TARGET.lower(program, TARGET.configure({"circuit": "exact"}))
    (name,) = design.circuits
    found = measured(design)
    assert found[f"popcount_area/{name}"].value == found[f"exact_popcount_area/{name}"].value == 0
    assert "popcount_area_saved" not in found


@pytest.mark.tool("yosys")
def test_with_a_library_they_are_of_its_cells(place, monkeypatch):
    steps = []
    settings = {"circuit": "exact", "circuits": {"d2": "maj", "d3": "maj:L=2"}, "layers": ["d4"]}
    config = TARGET.configure({**settings, "liberty": "tiny.lib"})
    design = TARGET.lower(chain(), config, lambda done, total: steps.append((done, total)))
    assert steps == [(k, 5) for k in range(1, 6)]  # d4's circuit is its exact one
    found = measured(design)
    specs = {"d2": "maj", "d3": "maj:L=2", "d4": "exact"}
    ours, theirs = (
        {
            name: make(spec, FAN_IN[name], (3, 3, 12) if name == "d2" else None)
            for name, spec in given.items()
        }
        for given in (specs, dict.fromkeys(specs, "exact"))
    )
    monkeypatch.setattr(circuit_costs, "implement", None)  # all are in the folder
    circuits = [*ours.values(), *theirs.values()]
    costs = map_to_cells(circuits, pdk.choose(["tiny.lib"]), kept())
    for metric, unit, weights in (
        ("area", "library unit", dict.fromkeys(specs, 1)),
        ("delay", "ps", None),
        ("energy", "fJ/op", POPCOUNTS),
    ):
        totals = []
        for start, given in (("popcount", ours), ("exact_popcount", theirs)):
            values = {n: getattr(costs[c.digest], metric).value for n, c in given.items()}
            for name, value in values.items():
                m = found[f"{start}_{metric}/{name}"]
                assert (m.value, m.unit) == (value, unit)
                assert "tiny" in m.source
            if weights:
                totals.append(sum(weights[name] * value for name, value in values.items()))
        if weights:
            saved = found[f"popcount_{metric}_saved"]
            assert saved.value == pytest.approx(1 - totals[0] / totals[1])
            assert saved.method == ("synthesised" if metric == "area" else "simulated")
    again = measured(TARGET.lower(chain(), config))
    assert again == found


@pytest.mark.tool("yosys")
def test_circuits_in_a_learned_order_are_those_mapped(place):
    settings = {
        "circuit": "maj:L=2", "layers": ["d3"], "order": "learned", "calibration": "train.npz",
        "calibration_images": 40, "held_out_images": 20, "liberty": "tiny.lib",
    }  # fmt: skip
    design = lowered(**settings)
    circuit = design.circuits["d3"]
    assert circuit.digest != make("maj:L=2", 160).digest
    assert design.costs.keys() == {circuit.digest, make("exact", 160).digest}
    assert design.held_out is not None


def no_yosys(monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("bitwright.eda.tools.scripts", lambda: "")


def test_what_is_missing_is_told_before_images_are_read(place, monkeypatch):
    settings = {"thresholds": "rate", "calibration": "nowhere.npz", "layers": ["d4"]}
    with pytest.raises(LibertyError, match=r"there is no Liberty file .none\.lib."):
        lowered(**settings, liberty="none.lib")
    (place / "file").touch()
    with monkeypatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(place / "file"))
        patch.setattr("bitwright.targets.majority.costs.require", lambda _: None)
        with pytest.raises(ConfigError, match=r"cannot make the folder.*XDG_CACHE_HOME"):
            lowered(**settings, liberty="tiny.lib")
    no_yosys(monkeypatch)
    with pytest.raises(ToolError, match="yosys is missing"):
        lowered(**settings, liberty="tiny.lib")
    assert not (place / "cache").exists()


@pytest.mark.parametrize(
    ("library", "reason"),
    [
        ("none.lib", "there is no Liberty file"),
        ("bad.lib", "bad.lib"),
        ("tiny.lib", "yosys is missing"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(
    bitwright, place, monkeypatch, library, reason
):
    (place / "bad.lib").write_text("library (bad) { cell (INV) {")
    (place / "c.toml").write_text(f'liberty = "{library}"\n')
    no_yosys(monkeypatch)
    code, out, err = bitwright(
        "eval", "chain.safetensors", "--data", "test.npz", "--target", "majority", "--config",
        "c.toml", "--json", "o.json", "--report", "r.html",
    )  # fmt: skip
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert reason in err
    assert not {"o.json", "r.html", "cache"} & {path.name for path in place.iterdir()}


@pytest.mark.tool("yosys")
def test_what_explore_mapped_is_not_mapped_again(bitwright, place, monkeypatch):
    code, _, _ = bitwright(
        "explore", "chain.safetensors", "--data", "test.npz", "--calibration", "train.npz",
        "--calibration-images", 20, "--held-out-images", 30, "--circuits", "maj", "--layers", "d4",
        "--liberty", "tiny.lib", "--json", "explored.json",
    )  # fmt: skip
    assert code == 0
    monkeypatch.setattr(circuit_costs, "implement", None)
    (place / "c.toml").write_text('layers = ["d4"]\nliberty = "tiny.lib"\n')
    code, out, _ = bitwright(
        "eval", "chain.safetensors", "--data", "test.npz", "--target", "majority", "--config",
        "c.toml", "--json", "-", "--report", "r.html",
    )  # fmt: skip
    assert code == 0
    found = {m["metric"]: m["value"] for m in json.loads(out)[0]["measurements"]}
    (layer,) = json.loads((place / "explored.json").read_text())["layers"]
    for metric in ("area", "delay", "energy"):
        assert found[f"popcount_{metric}/d4"] == layer["circuits"]["maj"][metric]["value"]
    assert "energy, fJ/op" in (place / "r.html").read_text()


def test_warnings_are_said_on_standard_error(bitwright, place):
    (place / "c.toml").write_text(
        'thresholds = "rate"\ncalibration = "train.npz"\ncalibration_images = 3\n'
        "held_out_images = 2\n"
    )
    code, out, err = bitwright(
        "eval", "chain.safetensors", "--data", "test.npz", "--target", "majority", "--config",
        "c.toml", "--json", "-",
    )  # fmt: skip
    assert code == 0
    (warnings,) = (m for m in json.loads(out)[0]["measurements"] if m["metric"] == "warnings")
    said = [line.removeprefix("bitwright: warning: ") for line in err.splitlines()]
    assert "; ".join(said) == warnings["source"]
    assert len(said) == warnings["value"] >= 2
    assert "only 3 calibration images" in said[0]
    assert "only 2 held-out images" in said[1]
