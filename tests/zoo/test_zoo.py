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


@pytest.mark.parametrize("name", ["fmnist-cnn", "fmnist-cnn-aware", "fmnist-cnn-twin"])
def test_cards_can_be_reproduced(name):
    if dict(available())["fashion-mnist"] is None:
        pytest.skip("Fashion-MNIST is not on this machine (Debian: dataset-fashion-mnist)")
    card = zoo.card(name)
    images = data.load("fashion-mnist", download=False)
    assert images.digest == card.fields["record"]["data"]["digest"]
    target = card.fields["record"]["target"]
    settings = zoo.own_settings(name, target)
    record = flow.evaluate(codec.load(card.path), images, target=target, config=settings).record
    assert record["correct"].value == value(card, "correct")


def test_networks_know_the_settings_that_they_were_trained_for(tmp_path):
    assert zoo.own_settings("fmnist-cnn-aware", "majority")["circuit"] == "andor"
    assert zoo.own_settings("fmnist-cnn-aware", "crossbar") == {}
    assert zoo.own_settings("fmnist-cnn", "majority") == {}
    assert zoo.own_settings("fmnist-cnn", "exact") == {}
    copied = tmp_path / "other.safetensors"
    copied.write_bytes(zoo.locate("fmnist-cnn-aware").read_bytes())
    assert zoo.own_settings(copied, "majority") == {}
    (tmp_path / "other.json").write_text("[1, 2]")
    assert zoo.own_settings(copied, "majority") == {}


def test_they_are_evaluated_and_mapped_with_them(bitwright, tmp_path):
    found = tmp_path / "found.json"
    code, _, error = bitwright(
        "eval", "fmnist-cnn-aware", "--target", "majority", "--limit", 200, "--json", found
    )
    assert code == 0
    assert "majority as fmnist-cnn-aware was trained for" in error
    (record,) = json.loads(found.read_text())
    assert record["config"]["thresholds"] == "unchanged"
    right = next(m["value"] for m in record["measurements"] if m["metric"] == "accuracy")
    assert right > 0.8
    other = tmp_path / "maj.toml"
    other.write_text('circuit = "maj"\nthresholds = "unchanged"\n')
    bitwright(
        "eval", "fmnist-cnn-aware", "--target", "majority", "--limit", 200, "--json", found,
        "--config", other,
    )  # fmt: skip
    assert json.loads(found.read_text())[0]["config"]["circuit"] == "maj"


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
