"""What every target owes, discovered, not listed."""

import dataclasses

import numpy as np
import pytest
from tests.networks import classifier, labelled

from bitwright import flow
from bitwright.errors import ConfigError, UnknownNameError
from bitwright.ir import reference
from bitwright.records import Measurement
from bitwright.targets import get_target, target_names

ALL = target_names()
IDEALS = [(name, ideal) for name in ALL for ideal in get_target(name).ideals]


@pytest.fixture(params=ALL)
def target(request):
    return get_target(request.param)


def test_exact_is_discovered():
    assert "exact" in ALL


def test_an_unknown_target_is_refused_with_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean 'exact'"):
        get_target("exac")


def test_it_has_the_name_of_its_folder(target):
    assert target.name in ALL
    assert target.summary


def test_configs_are_frozen_and_have_defaults(target):
    config = target.config()
    assert target.config.__dataclass_params__.frozen
    assert target.configure(target.settings(config)) == config
    assert target.configure({}) == config


def test_unknown_settings_are_refused_by_name(target):
    with pytest.raises(ConfigError, match="no_such_setting"):
        target.configure({"no_such_setting": 1})


def test_settings_of_a_wrong_type_are_refused(target):
    for field in dataclasses.fields(target.config):
        with pytest.raises(ConfigError, match=field.name):
            target.configure({field.name: object()})


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("shape", [(8, 8, 1), (9, 7, 3)])
def test_at_its_ideal_setting_it_equals_the_reference(target, seed, shape):
    equals_the_reference(target, target.ideal(), seed, shape)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize(("name", "ideal"), IDEALS, ids=[": ".join(pair) for pair in IDEALS])
def test_at_its_other_ideal_settings_it_equals_the_reference(name, ideal, seed):
    target = get_target(name)
    equals_the_reference(target, target.configure(target.ideals[ideal]), seed, (9, 7, 3))


def equals_the_reference(target, config, seed, shape):
    program = classifier(seed, shape)
    images = labelled(seed, shape, 40).images
    found = target.simulate(target.lower(program, config), images, 2).outputs
    expected = reference.run(program, images)
    assert found.keys() == expected.keys()
    for name in expected:
        assert np.array_equal(found[name], expected[name]), name


def test_results_do_not_depend_on_the_number_of_threads(target):
    program, images = classifier(1), labelled(1, count=70).images
    design = target.lower(program, target.config())
    one, three = (target.simulate(design, images, n).outputs for n in (1, 3))
    for name in one:
        assert np.array_equal(one[name], three[name])


def test_every_measurement_says_how_it_was_got(target):
    program, data = classifier(2), labelled(2)
    record = flow.evaluate(program, data, target=target.name).record
    metrics = [m.metric for m in record.measurements]
    assert len(set(metrics)) == len(metrics)
    assert {
        "accuracy", "correct", "images", "binary_operations", "weight_bits", "images_per_second",
    } <= set(metrics)  # fmt: skip
    for m in record.measurements:
        assert isinstance(m, Measurement)
        assert m.method in ("counted", "simulated", "synthesised", "estimated")
        assert m.unit
        assert m.method != "estimated" or m.source


def test_the_record_counts_what_the_reference_decides(target):
    program, data = classifier(3), labelled(3)
    settings = target.settings(target.ideal())
    result = flow.evaluate(program, data, target=target.name, config=settings)
    decided = reference.run(program, data.images)[program.decision]
    correct = int((decided == data.labels).sum())
    assert result.record["correct"].value == correct
    assert result.record["accuracy"].value == pytest.approx(correct / len(data))
    assert np.array_equal(result.predicted, decided)
