"""The networks of the package and of the folder ``zoo/`` are what their papers say."""

import json
import re

import pytest

from bitwright import data, flow, zoo
from bitwright.data import available
from bitwright.errors import UnknownNameError
from bitwright.ir import codec

NAMES = zoo.names()


def value(card, metric):
    measurements = card.fields["record"]["measurements"]
    return next(m["value"] for m in measurements if m["metric"] == metric)


def test_fmnist_cnn_is_there():
    assert "fmnist-cnn" in NAMES


@pytest.mark.parametrize("name", NAMES)
def test_the_card_describes_the_file(name):
    card = zoo.card(name)
    program = codec.load(card.path)
    assert program.digest == card.fields["digest"] == card.fields["record"]["program"]
    assert program.name == name
    assert {"recipe", "train_data", "training_seconds", "date"} <= set(card.fields)


@pytest.mark.parametrize("name", NAMES)
def test_the_certificate_speaks_of_the_file_and_holds(name):
    card = zoo.card(name)
    found = card.certificate
    assert found is not None, "bitwright certify makes one"
    assert found["program"] == codec.load(card.path).digest
    assert found["model"] == name
    assert found["holds"] is True
    assert found["objections"] == []
    assert found["layers"]
    evaluated = card.fields["record"]["data"]
    assert found["data"]["name"] == evaluated["name"]
    assert found["data"]["count"] >= 1000
    assert found["accuracy"]["program"]["total"] == found["data"]["count"]
    if found["data"]["count"] == evaluated["count"]:
        assert found["data"]["digest"] == evaluated["digest"]
        assert found["accuracy"]["program"]["count"] == value(card, "correct")


@pytest.mark.parametrize("name", NAMES)
def test_papers_are_short_and_name_no_place_on_a_machine(name):
    for suffix in (".json", ".certificate.json"):
        text = zoo.card(name).path.with_name(f"{name}{suffix}").read_text(encoding="utf-8")
        assert len(text) <= 40_000
        assert re.findall(r'(?<!\w)/[^"]*|[A-Z]:\\[^"]*', text) == []
        assert json.loads(text)


def test_fmnist_cnn_is_small_and_good():
    card = zoo.card("fmnist-cnn")
    assert card.path.stat().st_size < 300_000
    assert value(card, "images") == 10_000
    assert value(card, "accuracy") >= 0.905
    assert card.fields["training_seconds"] <= 20 * 60


def test_the_card_of_fmnist_cnn_can_be_reproduced():
    if dict(available())["fashion-mnist"] is None:
        pytest.skip("Fashion-MNIST is not on this machine (Debian: dataset-fashion-mnist)")
    card = zoo.card("fmnist-cnn")
    images = data.load("fashion-mnist", download=False)
    assert images.digest == card.fields["record"]["data"]["digest"]
    record = flow.evaluate(codec.load(card.path), images).record
    assert record["correct"].value == value(card, "correct")


def test_fmnist_cnn_on_the_shipped_sample():
    program = codec.load(zoo.locate("fmnist-cnn"))
    record = flow.evaluate(program, data.load(data.SAMPLE)).record
    assert record["correct"].value == 904


def test_unknown_names_are_refused():
    with pytest.raises(UnknownNameError, match="did you mean 'fmnist-cnn'"):
        zoo.card("fmnist-cn")
    with pytest.raises(UnknownNameError, match="did you mean 'fmnist-cnn'"):
        zoo.locate("fmnist-cn")


@pytest.mark.parametrize("name", NAMES)
def test_cards_are_plain_json(name):
    text = (zoo.card(name).path.parent / f"{name}.json").read_text(encoding="utf-8")
    assert json.loads(text)["name"] == name
