"""A recipe becomes a network file and a card, and the integers are as good as the floats."""

import json

import numpy as np

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


def test_a_recipe_becomes_a_file_and_a_card(tmp_path):
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
