from __future__ import annotations

from pathlib import Path

import pytest
import torch

from bitwright.errors import ConfigError, UnknownNameError
from bitwright.nn import build, load_recipe, shipped_recipes
from bitwright.nn.layers import latent_weights
from bitwright.nn.optimizers import learning_rate, make_optimizer
from bitwright.nn.recipe import Optimizer
from bitwright.nn.recipe_file import parse_recipe

GOOD = 'data = "fashion-mnist"\nepochs = 2\n[model]\nname = "mlp"\n'


def test_shipped_recipes_are_valid_and_build() -> None:
    assert set(shipped_recipes()) == {
        "cifar10-cnv",
        "cifar10-cnv-aware",
        "cifar10-cnv-twin",
        "cifar10-resnet18",
        "cifar10-resnet18-half",
        "cifar10-vgg-small",
        "cifar10-vgg-small-half",
        "fmnist-cnn",
        "fmnist-cnn-aware",
        "fmnist-cnn-reuse",
        "fmnist-cnn-twin",
        "fmnist-mlp",
    }
    for name in shipped_recipes():
        recipe = load_recipe(name)
        with torch.device("meta"):
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
        (GOOD + "[distillation]\ntemprature = 2\n", "did you mean 'temperature'"),
        (GOOD + "[distillation]\nweight = 0\n", "distillation.weight = 0"),
        (GOOD + "[distillation.optimizer]\nrl = 2\n", "did you mean 'lr'"),
        (GOOD + "[optimizer]\nschedule = 'step'\n", "give milestones with schedule"),
        (GOOD + "[optimizer]\nmilestones = [1]\n", "and only with it"),
        ("devices = 3\n" + GOOD, "3 devices cannot share batches of 128"),
        ('log = "html"\n' + GOOD, "log = 'html'"),
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


def test_learning_rate_falls_in_a_line_or_in_steps() -> None:
    line = Optimizer(lr=1.0, warmup_epochs=0, schedule="linear")
    assert [learning_rate(line, step, 5, 2) for step in range(10)] == pytest.approx(
        [1 - step / 10 for step in range(10)]
    )
    steps = Optimizer(lr=1.0, warmup_epochs=0.2, schedule="step", milestones=(1, 1.6), gamma=0.5)
    assert [learning_rate(steps, step, 5, 2) for step in range(10)] == pytest.approx(
        [1.0] * 5 + [0.5] * 3 + [0.25] * 2
    )


def test_latent_weights_decay_by_their_own_setting_and_vectors_not_at_all() -> None:
    network = build("resnet20", width=0.25, scale="channel")
    latent = {id(weight) for weight in latent_weights(network)}
    settings = Optimizer(name="adamw", weight_decay=0.25, latent_decay=0.0)
    groups = make_optimizer(network, settings).param_groups
    decays = {id(one): group["weight_decay"] for group in groups for one in group["params"]}
    assert len(decays) == len(list(network.parameters()))
    for parameter in network.parameters():
        real = parameter.dim() > 1 and id(parameter) not in latent
        assert decays[id(parameter)] == (0.25 if real else 0)
    both = Optimizer(name="sgd", weight_decay=0.5, latent_decay=0.125, momentum=0.5)
    optimizer = make_optimizer(network, both)
    assert {group["momentum"] for group in optimizer.param_groups} == {0.5}
    decays = {
        id(one): group["weight_decay"]
        for group in optimizer.param_groups
        for one in group["params"]
    }
    assert {decays[name] for name in latent} == {0.125}
    (alone,) = make_optimizer(network, Optimizer()).param_groups
    assert [id(one) for one in alone["params"]] == [id(one) for one in network.parameters()]
