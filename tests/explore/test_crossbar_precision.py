"""The study of precisions: a tiny one from end to end, that it resumes, and what it says."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tests.nn.test_train import data_set

from bitwright.data import Dataset
from bitwright.errors import ConfigError, DataError
from bitwright.explore import crossbar_precision as study
from bitwright.explore.integer_network import IntegerNetwork
from bitwright.explore.sliced_network import Point, Way, circuit_of
from bitwright.records import wilson

TINY = study.Settings(
    bits=(1, 3), x=(0.01, 3.0), rows=16, widths=(32, 24), epochs=5, calibration_images=20
)
TRAIN, TEST = data_set(256, 0), data_set(80, 1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("study") / "kept"


@pytest.fixture(scope="module")
def found(folder):
    return study.run(TINY, TRAIN, TEST, folder, threads=1)


def test_a_study_says_what_wires_do(found):
    assert found.reused == 0
    assert len(found.points) == 2 * 2 * 2 * 2 * 2
    for way in found.ways:
        mild, hard = found.line(way)
        assert mild.dot_error < hard.dot_error
        assert abs(mild.correct - found.exact[way.bits]) <= 4
        assert (mild.gains == (1.0, 1.0)) is not way.gain
    raw = found.line(Way(1, "offset", False, False))[1]
    assert raw.accuracy < found.exact[1] / 80 - 0.1
    shares = found.conducting
    assert shares[1, "offset", True] < shares[1, "offset", False] < 0.6


def test_a_study_is_resumed_and_a_damaged_file_is_made_anew(found, folder):
    again = study.run(TINY, TRAIN, TEST, folder, threads=1)
    assert again.reused == 2 + len(found.points)
    assert [p.correct for p in again.points] == [p.correct for p in found.points]
    for kind in ("*.json", "*.safetensors"):
        next(folder.glob(kind)).write_bytes(b"{")
    told = []
    third = study.run(
        TINY, TRAIN, TEST, folder, threads=1, progress=lambda what, _done, _of: told.append(what)
    )
    assert third.reused == len(found.points)
    assert [p.correct for p in third.points] == [p.correct for p in found.points]
    assert any(what.startswith("training with") for what in told)


def test_the_json_has_every_number(found):
    made = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert [one["bits"] for one in made["exact"]] == [1, 3]
    point = made["points"][0]
    assert point["interval_95"] == list(wilson(point["correct"], 80))
    assert point["accuracy"] == point["correct"] / 80
    assert {one["bits"] for one in made["conducting"]} == {1, 3}
    assert all(one["bound"] in "<=>" for one in made["tolerated"])
    assert sorted(made["first_to_fail"][0]["bits"]) == [1, 3]


def made_up(accuracies, exact=100):
    way = Way(1, "offset", False, False)
    points = tuple(
        Point(way, x, 100, round(100 * a), 0.0, ())
        for x, a in zip((0.1, 1.0, 10.0), accuracies, strict=True)
    )
    info = data_set(100, 0).info()
    return study.Study(study.Settings(bits=(1,)), info, info, {1: exact}, {}, points, 0), way


@pytest.mark.parametrize(
    ("accuracies", "wanted"),
    [
        ((1.0, 0.96, 0.95), (">", 10.0)),
        ((0.94, 0.96, 0.9), ("<", 0.1)),
        ((1.0, 1.0, 0.9), ("=", 10**0.5)),
    ],
)
def test_what_is_tolerated_is_interpolated(accuracies, wanted):
    made, way = made_up(accuracies)
    sign, x = made.tolerated(way)
    assert sign == wanted[0]
    assert x == pytest.approx(wanted[1])


def test_wires_are_those_of_x():
    cell, ladder = circuit_of(32, 0.5)
    assert ladder.source_ohm == ladder.bit_ohm
    assert ladder.source_ohm / cell.on_ohm * 32**2 == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"bits": (0, 1)}, "1 to 8 bits"),
        ({"bits": ()}, "1 to 8 bits"),
        ({"codings": ("sign",)}, "use offset or differential"),
        ({"x": (0.0,)}, "above 0"),
        ({"rows": 0}, "0 rows"),
        ({"widths": ()}, "at least one layer"),
        ({"epochs": 0}, "no epochs"),
    ],
)
def test_settings_out_of_range_are_refused(settings, reason):
    with pytest.raises(ConfigError) as error:
        study.Settings(**settings)
    assert reason in str(error.value)


def test_images_of_two_shapes_are_refused(tmp_path):
    images = np.zeros((4, 5, 5, 1), np.uint8)
    other = Dataset("other", "test", images, np.zeros(4, np.int64), ("a", "b"))
    with pytest.raises(DataError, match="to train"):
        study.run(TINY, TRAIN, other, tmp_path)


def test_arrays_that_are_no_network_are_refused():
    with pytest.raises(ValueError, match="do not fit"):
        IntegerNetwork.of(1, {})
    with pytest.raises(ValueError, match="scale1"):
        IntegerNetwork.of(1, {f"weights{k}": np.ones((3, 3)) for k in (1, 2)})
