"""A recipe becomes a network file, a card and a certificate: the integers are the floats."""

import csv
import json
import tomllib

import numpy as np
import pytest

from bitwright import data as data_sets
from bitwright import flow, training
from bitwright.ir import codec
from bitwright.nn import load_recipe
from bitwright.training import make

RECIPE = """
data = "{data}"
epochs = 1
batch_size = 16
seed = 1

[model]
name = "mlp"

[model.params]
widths = [24]

[optimizer]
name = "adam"
lr = 1e-2
"""


def test_a_recipe_becomes_a_file_a_card_and_a_certificate(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "CERTIFIED_IMAGES", 50)
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 96)
    images = rng.integers(0, 90, (96, 6, 6), dtype=np.uint8) + (labels * 80)[:, None, None]
    np.savez(tmp_path / "blobs.npz", x=images.astype(np.uint8), y=labels)
    (tmp_path / "tiny.toml").write_text(RECIPE.format(data=tmp_path / "blobs.npz"))
    made = make("tiny", load_recipe(str(tmp_path / "tiny.toml")), tmp_path / "run")
    program = codec.load(tmp_path / "run" / "tiny.safetensors")
    card = json.loads((tmp_path / "run" / "tiny.json").read_text())
    assert program.digest == made.program.digest == card["digest"]
    metrics = {m["metric"]: m["value"] for m in card["record"]["measurements"]}
    assert metrics["accuracy"] == card["float_accuracy"]
    assert metrics["images"] == 96
    certificate = json.loads((tmp_path / "run" / "tiny.certificate.json").read_text())
    assert certificate == json.loads(json.dumps(made.certificate.to_json()))
    assert certificate["program"] == program.digest
    assert certificate["source"] == certificate["model"] == "tiny"
    assert certificate["holds"] is True
    assert certificate["data"]["count"] == certificate["agreement"]["float32"]["total"] == 50
    assert str(tmp_path) not in json.dumps(certificate)

    (tmp_path / "run" / "tiny.certificate.json").unlink()
    again = make("tiny", load_recipe(str(tmp_path / "tiny.toml")), tmp_path / "run")
    assert again.program.digest == program.digest  # resumed: nothing left to train
    assert json.loads((tmp_path / "run" / "tiny.certificate.json").read_text()) == certificate


def test_a_network_trained_with_circuits_is_what_the_target_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "CERTIFIED_IMAGES", 50)
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 96)
    images = rng.integers(0, 90, (96, 6, 6), dtype=np.uint8) + (labels * 80)[:, None, None]
    np.savez(tmp_path / "blobs.npz", x=images.astype(np.uint8), y=labels)
    text = RECIPE.format(data=tmp_path / "blobs.npz").replace("[24]", "[24, 20, 16]")
    (tmp_path / "tiny.toml").write_text(
        text + '[approximate]\ncircuit = "maj:L=2"\n[approximate.circuits]\nfc3 = "andor"\n'
    )
    made = make("tiny", load_recipe(str(tmp_path / "tiny.toml")), tmp_path / "run")
    assert made.certificate.holds
    record = made.card["record"]
    assert record["target"] == "majority"
    metrics = {m["metric"]: m["value"] for m in record["measurements"]}
    assert metrics["accuracy"] == made.card["float_accuracy"]
    settings = tomllib.loads((tmp_path / "run" / "tiny.majority.toml").read_text())
    assert settings == {
        "circuit": "maj:L=2", "thresholds": "unchanged", "circuits": {"fc3": "andor"}
    }  # fmt: skip
    test = data_sets.load(str(tmp_path / "blobs.npz"), split="test")
    again = flow.evaluate(made.program, test, target="majority", config=settings)
    assert again.record.to_json()["config"] == record["config"]
    assert (again.predicted == test.labels).mean() == made.card["float_accuracy"]
    exact = flow.evaluate(made.program, test)
    assert not np.array_equal(exact.scores, again.scores)


def test_a_network_changed_for_reuse_says_so(tmp_path, monkeypatch, bitwright):
    monkeypatch.setattr(training, "CERTIFIED_IMAGES", 50)
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 96)
    images = rng.integers(0, 90, (96, 6, 6), dtype=np.uint8) + (labels * 80)[:, None, None]
    np.savez(tmp_path / "blobs.npz", x=images.astype(np.uint8), y=labels)
    text = RECIPE.format(data=tmp_path / "blobs.npz")
    cards, said = {}, {}
    for weight in (0.0, 20.0):
        recipe, folder = tmp_path / f"w{weight:g}.toml", tmp_path / f"run{weight:g}"
        recipe.write_text(text + f"[reuse]\nweight = {weight}\n")
        code, said[weight], _ = bitwright("train", recipe, "-o", folder)
        assert code == 0
        cards[weight] = json.loads((folder / f"w{weight:g}.json").read_text())
        assert cards[weight]["recipe"]["reuse"] == {"weight": weight, "layers": []}
    assert "changed_by" not in cards[0]
    assert "changed by" not in said[0]
    label = cards[20]["changed_by"]
    assert "another network" in label["training"]
    assert (label["weight"], label["layers"]) == (20, "all with binary weights")
    with (tmp_path / "run20" / "log.csv").open() as file:
        (row,) = csv.DictReader(file)
    for key in ("nearest_kernel", "products_left"):
        assert label[key] == pytest.approx(float(row[key]), rel=1e-5)
    assert f"spanning trees leave {label['products_left']:.1%}" in said[20]
