"""The study: what it computes, and that it computes nothing twice."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.eda.tiny import TINY

from bitwright.eda import pdk
from bitwright.eda.timing import Boundary
from bitwright.errors import ConfigError, ToolError
from bitwright.explore import popcount_scaling as study

yosys = pytest.mark.tool("yosys")
SMALL = study.Settings(sides=(1, 2), channels=(3,), specs=("exact", "maj"), vectors=20)


@pytest.fixture
def chosen(tmp_path):
    (tmp_path / "tiny.lib").write_text(TINY)
    return pdk.choose([str(tmp_path / "tiny.lib")])


def point(side, channels, area, circuit="exact"):
    sources = {metric: ["synthesised", "a tool"] for metric in study.METRICS}
    inputs = side * side * channels
    return study.Point(
        side, channels, circuit, inputs, area, 1, 10.0, 2 * area, area, 10_000, sources
    )


@yosys
def test_points_are_computed_once(chosen, tmp_path, monkeypatch):
    folder = tmp_path / "new" / "points"
    steps = []
    first = study.run(SMALL, chosen, folder, lambda *step: steps.append(step))
    assert [(p.circuit, p.side, p.inputs) for p in first.points] == [
        ("exact", 1, 3), ("exact", 2, 12), ("maj", 1, 3), ("maj", 2, 12),
    ]  # fmt: skip
    assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert first.reused == 0
    assert all(p.checked == 10_000 and p.area > 0 for p in first.points)
    assert first.points[3].area < first.points[1].area
    assert first.to_json()["points"][1]["inputs"] == 12

    monkeypatch.setattr(study, "implement", None)
    again = study.run(SMALL, chosen, folder)
    assert again.points == first.points
    assert again.reused == 4
    with pytest.raises(TypeError):
        study.run(replace(SMALL, seed=1), chosen, folder)


@yosys
def test_an_interrupted_study_goes_on(chosen, tmp_path, monkeypatch):
    whole, calls = study.implement, []

    def breaks(circuit, *args, **more):
        calls.append(circuit.inputs)
        if len(calls) == 3:
            raise ToolError("the lights went out", "wait")
        return whole(circuit, *args, **more)

    monkeypatch.setattr(study, "implement", breaks)
    with pytest.raises(ToolError):
        study.run(SMALL, chosen, tmp_path / "p")
    assert calls == [3, 3, 12], "the smallest first"
    kept = sorted((tmp_path / "p").iterdir())
    assert len(kept) == 2
    kept[0].write_text(kept[0].read_text()[:-9])
    found = study.run(SMALL, chosen, tmp_path / "p")
    assert found.reused == 1, "a damaged point is as if it were not there"
    assert len(calls) == 3 + 3


def test_growth_is_the_slope_of_logarithms(chosen):
    settings = study.Settings(sides=(1, 2, 4), channels=(3, 5), specs=("exact",))
    points = tuple(point(k, c, 7.0 * (k * k * c) ** 1.5) for c in (3, 5) for k in (1, 2, 4))
    made = study.Study(settings, chosen, Boundary(1e-11, 1e-15), points, 0)
    assert made.exponent("exact", "area", "n") == pytest.approx(1.5)
    assert made.exponent("exact", "area", "k") == pytest.approx(3.0)
    assert made.exponent("exact", "delay", "n") == pytest.approx(0.0, abs=1e-9)
    alone = study.Study(settings, chosen, made.boundary, points[:1], 0)
    assert alone.exponent("exact", "area", "n") is None
    assert [p.side for p in made.line("exact", 5)] == [1, 2, 4]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"sides": ()}, "no points"),
        ({"channels": (0,)}, "at least 1"),
        ({"specs": ()}, "no points"),
        ({"sides": (99,), "channels": (99,)}, "970,299 inputs is beyond"),
        ({"vectors": 0}, "at least one"),
    ],
)
def test_settings_that_make_no_study(changes, reason):
    with pytest.raises(ConfigError, match=reason):
        replace(SMALL, **changes)


def test_lists_of_numbers():
    assert study.parse_numbers("5,1, 3,3", "kernel sides") == (1, 3, 5)
    with pytest.raises(ConfigError, match="'1;3' is no list of kernel sides"):
        study.parse_numbers("1;3", "kernel sides")
