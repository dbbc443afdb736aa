"""Sweeps over crossbars: what a grid is, that points are kept, and what is flagged."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import numpy as np
import pytest
from tests.networks import classifier, labelled

from bitwright import flow
from bitwright.data import load
from bitwright.errors import ConfigError, ConvergenceError, DataError, ProgramError
from bitwright.explore.crossbar_grid import Axis, config_at, grid, parse_axis
from bitwright.explore.crossbar_sweep import run
from bitwright.ir import ArgMax, Dense, Int, Program
from bitwright.records import wilson
from bitwright.targets.crossbar.lower import circuit

LINEAR = {"technology": "linear", "rows": 16}


def axes(*texts):
    return [parse_axis(text) for text in texts]


@pytest.fixture
def program():
    return classifier(shape=(4, 4, 1))


@pytest.fixture
def data():
    return labelled(shape=(4, 4, 1), count=40)


def test_values_are_numbers_or_texts():
    assert parse_axis("rows=32, 64,32") == Axis("rows", (32, 64))
    assert parse_axis("x=0.1,1e-2").values == (0.1, 0.01)
    assert parse_axis("node=7nm,22nm").values == ("7nm", "22nm")
    assert parse_axis("rows=32").numeric
    assert not parse_axis("device.on_off_ratio=10,inf").numeric
    assert not parse_axis("flips=none").numeric


BAD_AXES = [
    ("rowz=3", "did you mean 'rows'"),
    ("device.on_ohms=3", "did you mean 'on_ohm'"),
    ("wires.rows=3", "no setting of [wires]"),
    ("wire.bit_ohm=3", "did you mean 'wires.bit_ohm'"),
    ("device=3", "no setting to sweep"),
    ("rows", "no setting with values"),
    ("rows=3,,4", "lacks a value"),
    ("rows=nan", "no number"),
    ("x=-1", "0 or more"),
    ("y=inf", "0 or more"),
    ("x=much", "0 or more"),
]


@pytest.mark.parametrize(("text", "reason"), BAD_AXES)
def test_a_bad_axis_says_why(text, reason):
    with pytest.raises(ConfigError) as caught:
        parse_axis(text)
    assert reason in str(caught.value)


BAD_GRIDS = [
    ((), {}, "nothing to sweep"),
    (("rows=8", "rows=16"), {}, "rows is swept twice"),
    (("x=1", "wires.bit_ohm=3"), LINEAR, "wires.bit_ohm is swept twice"),
    (("rows=8,0",), {}, "greater than or equal to 1"),
    (("flips=some",), {}, "'flips'"),
    (("calibrate=gain+luck",), {}, "'calibrate"),
    (("x=1",), {"rowz": 3}, "did you mean 'rows'"),
    (("x=1",), {"device": {"on_ohms": 3}}, "did you mean 'on_ohm'"),
    (("x=1", "rows=8,16"), {"technology": "ideal"}, "no point of the sweep can be built"),
    (("cost.adc=flash",), {"cost": {"adcs": 1}}, "did you mean 'adc'"),
    (("cost.columns_per_adc=0",), {}, "no point of the sweep can be built"),
    (("device.on_off_ratio=0.5",), {}, "no point of the sweep can be built"),
]


@pytest.mark.parametrize(("texts", "base", "reason"), BAD_GRIDS)
def test_a_bad_grid_says_why(texts, base, reason):
    with pytest.raises(ConfigError) as caught:
        grid(axes(*texts), base)
    assert reason in str(caught.value)


def test_x_and_y_are_resistances_of_the_points_own_rows_and_cell():
    points = grid(axes("rows=16,64", "x=0.5,2", "y=3", "device.on_ohm=1e4,2e4"), LINEAR)
    assert len(points) == 8
    for point in points:
        cell, ladder = circuit(point.config)
        rows, conductance = point.at["rows"], 1 / point.at["device.on_ohm"]
        assert cell.on_ohm == point.at["device.on_ohm"]
        assert (ladder.rows, ladder.source_ohm) == (rows, ladder.bit_ohm)
        assert ladder.source_ohm * conductance * rows**2 == pytest.approx(point.at["x"], rel=1e-12)
        ends = (ladder.driver_ohm + ladder.sink_ohm) * conductance * rows
        assert ends == pytest.approx(3, rel=1e-12)
        assert ladder.driver_ohm == ladder.sink_ohm


def test_x_takes_the_presets_resistance_and_leaves_the_ends():
    base = {"technology": "sram8t", "node": "22nm", "rows": 32, "wires": {"driver_ohm": 7.0}}
    cell, ladder = circuit(config_at({"x": 0.25}, base))
    assert ladder.bit_ohm == pytest.approx(0.25 * cell.on_ohm / 32**2)
    assert (ladder.driver_ohm, ladder.sink_ohm) == (7.0, 0.0)


def test_nothing_and_several_things_are_texts_in_a_sweep():
    base = {"technology": "ideal", "flips": "static"}
    points = grid(axes("calibrate=none,gain+thresholds", "adc_bits=none,5", "flips=none"), base)
    assert [(p.config.calibrate, p.config.adc_bits, p.config.flips) for p in points] == [
        ((), None, "none"),
        ((), 5, "none"),
        (("gain", "thresholds"), None, "none"),
        (("gain", "thresholds"), 5, "none"),
    ]


def test_layers_that_are_on_arrays_can_be_swept(program, data, tmp_path):
    swept = axes("layers=none,d2,scores,scores+d2,d3", "x=30")
    every, one, other, both, unknown = run(program, data, swept, LINEAR, tmp_path, threads=1).points
    have = [
        {m.metric: m.value for m in point.found.measurements} for point in (every, one, other, both)
    ]
    conversions = [found["conversions"] for found in have]
    assert conversions[0] == conversions[3] == conversions[1] + conversions[2]
    assert (every.correct, every.agreeing) == (both.correct, both.agreeing)
    assert "'d3' of layers is no layer that arrays can have: those are d2, scores" in unknown.reason


def test_a_sweep_says_what_flow_evaluate_does(program, data, tmp_path):
    swept = axes("x=0,30", "flips=none,both")
    found = run(program, data, swept, LINEAR, tmp_path, threads=1)
    exact = flow.evaluate(program, data)
    assert found.ideal == exact.record["correct"].value
    ideal, ideal_flipped, drops, drops_flipped = found.points
    for point in (ideal, ideal_flipped):
        assert (point.correct, point.agreeing) == (found.ideal, len(data)), "x = 0 is exact"
    assert drops.agreeing < len(data)
    config = {**LINEAR, "flips": "both", "wires": {"source_ohm": 0, "bit_ohm": 0}}
    alone = flow.evaluate(program, data, target="crossbar", config=config).record
    assert ideal_flipped.saved == alone["partial_sum_saved"].value > 0
    resistances = dict.fromkeys(("source_ohm", "bit_ohm"), 30 * 25e3 / 16**2)
    alone = flow.evaluate(program, data, target="crossbar", config={**LINEAR, "wires": resistances})
    assert drops.correct == alone.record["correct"].value
    assert drops.agreeing == (alone.predicted == exact.predicted).sum()
    assert drops.saved == 0
    assert drops_flipped.saved > 0
    made = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert [p["at"] for p in made["points"]] == [
        {"x": x, "flips": flips} for x in (0, 30) for flips in ("none", "both")
    ]
    last = made["points"][-1]
    assert last["accuracy"] == drops_flipped.correct / 40
    assert last["interval_95"] == list(wilson(drops_flipped.correct, 40))
    assert last["interval_95"][0] < last["accuracy"] < last["interval_95"][1]
    assert made["ideal"]["correct"] == found.ideal
    rows = list(csv.DictReader(io.StringIO(found.to_csv())))
    assert [row["flips"] for row in rows] == ["none", "both"] * 2
    assert [int(row["correct"]) for row in rows] == [p.correct for p in found.points]
    assert float(rows[1]["partial_sum_saved"]) == ideal_flipped.saved
    assert {row["images"] for row in rows} == {"40"}


def test_an_interrupted_sweep_goes_on_where_it_stopped(program, data, tmp_path):
    swept = axes("x=0.1,10,20", "flips=none,static")

    def killed(what, done, _total):
        if what == "point 4 of 6" and done > 0:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(program, data, swept, LINEAR, tmp_path, progress=killed)
    assert len(list(tmp_path.glob("*.json"))) == 3, "and nothing half written"
    told = []
    found = run(program, data, swept, LINEAR, tmp_path, progress=lambda *one: told.append(one))
    assert found.reused == 3
    assert {what for what, _, _ in told} == {f"point {k} of 6" for k in (4, 5, 6)}
    assert told[0] == ("point 4 of 6", 0, 40)
    assert told[-1] == ("point 6 of 6", 40, 40)
    again = run(program, data, swept, LINEAR, tmp_path)
    assert again.reused == 6
    assert again.to_json() == found.to_json(), "seconds are those of the evaluation"


def test_what_decides_a_point_decides_its_file(program, data, tmp_path):
    swept = axes("flips=none")
    run(program, data, swept, LINEAR, tmp_path)
    assert run(program, data, swept, LINEAR | {"flips": "both"}, tmp_path).reused == 1
    assert run(program, data, swept, LINEAR | {"rows": 8}, tmp_path).reused == 0
    other = labelled(seed=1, shape=(4, 4, 1), count=40)
    assert run(program, other, swept, LINEAR, tmp_path).reused == 0
    changed = classifier(seed=1, shape=(4, 4, 1))
    assert run(changed, data, swept, LINEAR, tmp_path).reused == 0


@pytest.mark.parametrize("damage", ["", "[]", "{}", '{"predicted": [1], "seconds": 1}'])
def test_a_damaged_file_is_as_if_it_were_not_there(program, data, tmp_path, damage):
    swept = axes("x=1")
    first = run(program, data, swept, LINEAR, tmp_path)
    (file,) = tmp_path.glob("*.json")
    file.write_text(damage)
    found = run(program, data, swept, LINEAR, tmp_path)
    assert (found.reused, found.points[0].correct) == (0, first.points[0].correct)


def test_what_cannot_be_built_is_flagged(program, data, tmp_path):
    swept = axes("technology=ideal,linear", "x=1", "mapping=and,xnor")
    found = run(program, data, swept, {"flips": "both", "rows": 16}, tmp_path)
    reasons = [point.reason for point in found.points]
    assert "ideal cells have no wires" in reasons[0]
    assert "complementary cells conduct as much" in reasons[3]
    assert reasons[2] == ""
    assert [p.accuracy is None for p in found.points] == [True, True, False, True]
    made = found.to_json()["points"]
    assert made[0]["flagged"] == reasons[0]
    assert "accuracy" not in made[0]
    rows = list(csv.reader(io.StringIO(found.to_csv())))
    assert {len(row) for row in rows} == {len(rows[0])}
    assert rows[1][-1] == reasons[0]
    assert rows[1][rows[0].index("accuracy")] == ""
    assert rows[1][rows[0].index("images")] == "40"


def test_a_diverging_design_is_flagged_and_kept(program, data, tmp_path, monkeypatch):
    target = flow.get_target("crossbar")

    class Diverging:
        def __getattr__(self, name):
            return getattr(target, name)

        def simulate(self, design, batch, threads):
            if design.ladder.bit_ohm > 100:
                raise ConvergenceError("no solution", "use less resistance")
            return target.simulate(design, batch, threads)

    find = flow.get_target
    monkeypatch.setattr(
        flow, "get_target", lambda name: Diverging() if name == "crossbar" else find(name)
    )
    swept = axes("wires.bit_ohm=1,1000")
    for reused in (0, 2):
        found = run(program, data, swept, LINEAR, tmp_path)
        assert [p.reason for p in found.points] == ["", "no solution: use less resistance"]
        assert (found.reused, len(found.flagged)) == (reused, 1)


def kept(path, data):
    np.savez(path, x=data.images, y=data.labels)
    return str(path)


def test_calibration_images_decide_too(program, data, tmp_path):
    swept = axes("calibrate=none,gain", "x=1")
    file = tmp_path / "calibrate.npz"
    base = LINEAR | {"calibration": kept(file, data), "calibration_images": 8}
    told = []
    found = run(program, data, swept, base, tmp_path / "c", progress=lambda *o: told.append(o[0]))
    assert found.points[0].agreeing < found.points[1].agreeing, "calibration helps"
    assert set(told) == {"point 1 of 2", "point 2 of 2", "point 2 of 2, planning"}
    kept(file, labelled(seed=2, shape=(4, 4, 1)))
    assert run(program, data, swept, base, tmp_path / "c").reused == 1, "what has no calibration"


def test_images_that_are_evaluated_calibrate_nothing(program, data, tmp_path):
    name = kept(tmp_path / "images.npz", data)
    base = LINEAR | {"calibration": name}
    with pytest.raises(DataError, match="no training images apart"):
        run(program, load(name), axes("calibrate=gain"), base, tmp_path / "c")


def test_networks_that_cannot_be_swept_are_refused_before_any_work(program, data, tmp_path):
    headless = replace(program, ops=program.ops[:-1], outputs=("scores",))
    with pytest.raises(ProgramError, match="no classifier"):
        run(headless, data, axes("x=1"), LINEAR, tmp_path / "kept")
    integers = Program(
        input_name="image",
        input_type=Int((4,), 0, 255),
        ops=(
            Dense(output="scores", inputs=("image",), weights="w"),
            ArgMax(output="class", inputs=("scores",)),
        ),
        tensors={"w": np.ones((4, 4), np.bool_)},
        outputs=("scores", "class"),
    )
    with pytest.raises(ConfigError, match="no layer of bits"):
        run(integers, data, axes("x=1"), LINEAR, tmp_path / "kept")
