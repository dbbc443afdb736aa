"""The search: what it evaluates, what it predicts, and that nothing is evaluated twice."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from tests.explore.chain import chain, images
from tests.networks import labelled

from bitwright import circuits, flow
from bitwright.eda.circuit_costs import count_gates
from bitwright.errors import CircuitError, ConfigError
from bitwright.explore.evaluations import Decisions, Evaluations
from bitwright.explore.layer_choice import Settings, search
from bitwright.explore.layer_designs import design_settings, find_layers

NAMES = ("d2", "d3", "d4")
BASE = {"thresholds": "unchanged", "calibration": "", "held_out_images": 1}


def with_costs(layers):
    return tuple(
        replace(layer, costs={spec: count_gates(c) for spec, c in layer.circuits.items()})
        for layer in layers
    )


def layers(specs=("maj", "maj:L=2")):
    return with_costs(find_layers(chain(), (), specs))


class Scripted:
    """Evaluations in which each layer's circuit turns a known number of decisions."""

    def __init__(self, count, lost):
        self.count, self.lost, self.settings = count, lost, []

    def exact(self, data):
        return self.decisions({})

    def design(self, data, settings, given):
        self.settings.append(settings)
        return self.decisions(settings["circuits"])

    def decisions(self, given):
        lost = sum(self.lost.get(item, 0) for item in given.items())
        right = self.count * 9 // 10
        predicted = np.zeros(self.count, np.int64)
        predicted[: max(lost, 0)] = 1  # of the first images, which the exact network has right
        predicted[right : right - min(lost, 0)] = 1  # a gain: other decisions where it is wrong
        return Decisions(predicted, right - lost)


@pytest.fixture
def data():
    return labelled(count=200)


def test_layers_have_the_circuits_that_they_can_have(tmp_path):
    netlist = tmp_path / "own.v"
    netlist.write_text(circuits.write_verilog(circuits.make("maj", 30)))
    own = f"netlist:path={netlist}"
    found = find_layers(chain(), (), ["maj", own, "maj"])
    assert [(one.name, one.shape, one.popcounts) for one in found] == [
        ("d2", (3, 3, 12), 160), ("d3", (4, 4, 10), 30), ("d4", (1, 1, 30), 24),
    ]  # fmt: skip
    assert [list(one.circuits) for one in found] == [["exact", "maj"]] * 2 + [["exact", "maj", own]]
    assert [one.name for one in find_layers(chain(), ("d4", "d2"), ["maj"])] == ["d2", "d4"]
    with pytest.raises(CircuitError, match="30 inputs"):
        find_layers(chain(), ("d2",), [own])
    with pytest.raises(ConfigError, match="d9"):
        find_layers(chain(), ("d9",), ["maj"])
    with pytest.raises(ConfigError, match="did you mean 'maj'"):
        find_layers(chain(), (), ["max"])


def test_predictions_add_up_and_the_front_is_marked(data):
    found = layers()
    lost = {("d2", "maj"): 6, ("d2", "maj:L=2"): 30, ("d3", "maj"): 2, ("d3", "maj:L=2"): 9,
            ("d4", "maj"): -3, ("d4", "maj:L=2"): 1}  # fmt: skip
    scripted = Scripted(200, lost)
    reports = []
    made = search(
        found, Settings(candidates=30, max_loss=1.0), BASE, scripted, data, data,
        lambda *report: reports.append(report),
    )  # fmt: skip
    assert {(s.layer, s.circuit): s.lost for s in made.sensitivities} == lost
    assert reports[0] == ("sensitivities", 0, 6)
    assert reports[6] == ("sensitivities", 6, 6)
    assert reports[-1] == ("candidates", len(made.points), len(made.points))
    assert (made.designs, made.exact.accuracy, made.exact.energy) == (
        27, 0.9, pytest.approx(sum(one.energy("exact") for one in found)),
    )  # fmt: skip
    for point in made.points:
        choice = dict(zip(NAMES, point.choice, strict=True))
        clipped = sum(max(0, lost.get(item, 0)) for item in choice.items())
        assert point.predicted_loss == clipped / 200
        assert point.loss == sum(lost.get(item, 0) for item in choice.items()) / 200
        assert point.energy == sum(a.energy(s) for a, s in zip(found, point.choice, strict=True))
        worse = [p for p in made.points if p.energy <= point.energy and p.correct > point.correct]
        worse += [p for p in made.points if p.energy < point.energy and p.correct >= point.correct]
        assert point.on_front == (not worse)
    assert [point.kind for point in made.points].count("exact") == 1
    assert made.points[0].kind == "exact"
    predicted = {choice for choice, _, _ in made.predicted}
    assert ("exact", "exact", "exact") not in predicted, "a gain counts as no loss: d4 is free"
    assert ("exact", "exact", "maj") in predicted
    evaluated = {point.choice for point in made.points}
    assert predicted | {(spec,) * 3 for spec in ("exact", "maj", "maj:L=2")} == evaluated
    for settings in scripted.settings:
        assert settings["held_out_images"] == 1
        assert settings["layers"] == list(settings["circuits"])
    json.dumps(made.to_json())


def test_candidates_are_few_and_within_the_limit(data):
    lost = {(name, spec): 5 * k for name in NAMES for k, spec in enumerate(("maj", "maj:L=2"), 1)}
    made = search(
        layers(), Settings(candidates=3, max_loss=0.05), BASE, Scripted(200, lost), data, data
    )
    chosen = [point for point in made.points if point.kind == "predicted"]
    assert 1 <= len(chosen) <= 3
    assert all(point.predicted_loss <= 0.05 for point in chosen)
    assert any(lost > 0.05 for *_, lost in made.predicted)


def test_agreement_has_no_gains(data):
    lost = {("d2", "maj"): 5, ("d3", "maj"): 5, ("d4", "maj"): -3}
    settings = Settings(loss="agreement", candidates=30)
    made = search(layers(("maj",)), settings, BASE, Scripted(200, lost), data, data)
    (one,) = (s for s in made.sensitivities if s.layer == "d4")
    assert (one.lost, one.agreeing, one.correct) == (3, 197, 183)
    assert made.exact.loss == 0
    assert made.exact.on_front


def test_the_area_can_be_the_cost(data):
    found = layers(("maj",))
    made = search(found, Settings(objective="area"), BASE, Scripted(200, {}), data, data)
    (best,) = made.predicted
    assert best[0] == ("maj",) * 3
    assert best[1] == sum(float(one.costs["maj"].area.value) for one in found)


def test_slower_circuits_can_be_left_out(data):
    first, *others = layers(("maj",))
    cost = first.costs["maj"]
    slow = replace(cost, delay=replace(cost.delay, value=1000))
    first = replace(first, costs={**first.costs, "maj": slow})
    made = search((first, *others), Settings(no_slower=True), BASE, Scripted(200, {}), data, data)
    assert {choice[0] for choice, _, _ in made.predicted} == {"exact"}
    (uniform,) = (point for point in made.points if point.kind == "uniform")
    assert (uniform.slower, uniform.delay) == (("d2",), 1000)


@pytest.mark.parametrize(
    "wrong", [{"candidates": 0}, {"max_loss": -0.1}, {"max_loss": 1.5}, {"max_loss": float("nan")}]
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ConfigError):
        Settings(**wrong)


def test_the_settings_of_a_design():
    found = layers()
    assert design_settings(BASE, found, ("exact", "maj", "exact")) == {
        **BASE, "circuit": "exact", "circuits": {"d3": "maj"}, "layers": ["d3"],
    }  # fmt: skip
    assert design_settings(BASE, found, ("exact",) * 3) == {
        "circuit": "exact", "thresholds": "unchanged",
    }  # fmt: skip


@pytest.fixture(scope="module")
def sets():
    return images(1, 40), images(2, 60)


def run(folder, sets, program=None, base=BASE):
    evaluations = Evaluations(program or chain(), folder, "calibration", threads=1)
    made = search(layers(("maj",)), Settings(max_loss=1), base, evaluations, *sets)
    return evaluations, made


def test_points_are_what_the_target_gives(sets, tmp_path):
    _, made = run(tmp_path, sets)
    for point in made.points:
        found = flow.evaluate(
            chain(), sets[1], target="majority", config=made.config(point.choice), threads=1
        )
        assert point.correct == found.record["correct"].value


def test_a_search_that_is_repeated_evaluates_nothing(sets, tmp_path, monkeypatch):
    first, made = run(tmp_path, sets)
    assert (first.reused, first.made) == (0, len(list(tmp_path.iterdir())))
    monkeypatch.setattr(flow, "evaluate", None)
    again, same = run(tmp_path, sets)
    assert (again.reused, again.made) == (first.made, 0)
    assert same.to_json() == made.to_json()
    other = replace(chain(), tensors={**chain().tensors, "d4.w": ~chain().tensors["d4.w"]})
    with pytest.raises(TypeError):
        run(tmp_path, sets, other)
    with pytest.raises(TypeError):
        run(tmp_path, sets, base={**BASE, "thresholds": "expected"})


def test_a_search_that_broke_off_goes_on(sets, tmp_path, monkeypatch):
    real, calls = flow.evaluate, []

    def breaking(*given, **named):
        calls.append(given)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(*given, **named)

    monkeypatch.setattr(flow, "evaluate", breaking)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, sets)
    assert len(list(tmp_path.iterdir())) == 2
    evaluations, _ = run(tmp_path, sets)
    assert evaluations.reused == 2
    assert len(calls) == 3 + evaluations.made


@pytest.mark.parametrize(
    "damage", ["", "[]", '{"predicted": 1}', '{"predicted": [1]}', '{"predicted": ["a"]}']
)
def test_a_damaged_file_is_as_if_it_were_not_there(sets, tmp_path, damage):
    evaluations = Evaluations(chain(), tmp_path, threads=1)
    found = evaluations.exact(sets[0])
    (file,) = tmp_path.iterdir()
    file.write_text(damage)
    again = evaluations.exact(sets[0])
    assert (evaluations.made, evaluations.reused) == (2, 0)
    np.testing.assert_array_equal(again.predicted, found.predicted)
    assert evaluations.exact(sets[0]).correct == found.correct
    assert evaluations.reused == 1
