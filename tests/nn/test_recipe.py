from __future__ import annotations

from pathlib import Path

import pytest

from bitwright.errors import ConfigError, UnknownNameError
from bitwright.nn import build, load_recipe, shipped_recipes
from bitwright.nn.fit import learning_rate
from bitwright.nn.recipe import Optimizer, parse_recipe

GOOD = 'data = "fashion-mnist"\nepochs = 2\n[model]\nname = "mlp"\n'


def test_shipped_recipes_are_valid_and_build() -> None:
    assert "fmnist-cnn" in shipped_recipes()
    for name in shipped_recipes():
        recipe = load_recipe(name)
        build(recipe.model.name, **recipe.model.params)


def test_a_recipe_is_read_from_a_file_with_defaults(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(GOOD + "[model.params]\nwidths = [8]\n[augmentation]\nshift = 2\n")
    recipe = load_recipe(path)
    assert recipe == load_recipe(str(path))
    assert recipe.epochs == 2
    assert recipe.model.params == {"widths": [8]}
    assert recipe.augmentation.shift == 2
    assert not recipe.augmentation.flip
    assert recipe.optimizer.schedule == "cosine"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("epoch = 3\n" + GOOD, "unknown key 'epoch': did you mean 'epochs'"),
        (GOOD + "[optimizer]\nlearning = 1\n", "unknown key 'optimizer.learning'"),
        (GOOD + "[optimizer]\nlatent_clp = 1\n", "did you mean 'latent_clip'"),
        (GOOD + "[augmentation]\nflips = true\n", "did you mean 'flip'"),
        (GOOD + "nmae = 1\n", "unknown key 'model.nmae': did you mean 'name'"),
        (GOOD.replace("epochs = 2", "epochs = 0"), "epochs = 0 is not possible"),
        (GOOD + "[optimizer]\nlr = nan\n", "optimizer.lr = nan"),
        ('precision = "fp8"\n' + GOOD, "precision = 'fp8'.*bf16-mixed"),
        ("seed = -1\n" + GOOD, "seed = -1"),
        ("epochs = 2\n[model]\nname = 'mlp'\n", "key 'data' is missing"),
        ("epochs = ", "not TOML"),
        ("epochs = 0\nepohcs = 1\ndata = 'x'\n", "2 more after this"),
    ],
)
def test_mistakes_are_named(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parse_recipe(text)


def test_missing_recipes_say_where_to_look(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'fmnist-cnn'"):
        load_recipe("fmnist-cn")
    with pytest.raises(ConfigError, match="no such file"):
        load_recipe(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_recipe(tmp_path)


def test_learning_rate_rises_then_falls_to_nothing() -> None:
    settings = Optimizer(lr=1.0, warmup_epochs=0.5)
    rates = [learning_rate(settings, step, steps_per_epoch=20, epochs=5) for step in range(100)]
    assert rates[:3] == pytest.approx([0.1, 0.2, 0.3])
    assert rates[9] == 1.0
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert 0 < rates[99] < 0.001
    flat = Optimizer(lr=1.0, warmup_epochs=0, schedule="constant")
    assert {learning_rate(flat, step, 20, 5) for step in range(100)} == {1.0}
