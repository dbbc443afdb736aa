from __future__ import annotations

import csv
import importlib.util
import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn

from bitwright.data import Dataset
from bitwright.errors import ConfigError, DataError, DependencyError
from bitwright.nn import MODELS, PixelLevels, Progress, Recipe, TrainedNetwork, build, train
from bitwright.nn.evaluate import accuracy, recalibrate
from bitwright.nn.fit import distance
from bitwright.nn.layers import latent_weights
from bitwright.nn.recipe import ModelChoice
from bitwright.nn.recipe_file import parse_recipe

RECIPE = parse_recipe(
    """
    data = "fashion-mnist"
    epochs = 4
    batch_size = 16
    threads = 1
    seed = 3
    recalibrate = 64
    [model]
    name = "cnn"
    params = {blocks = [[6], [8]], hidden = [16]}
    [optimizer]
    latent_clip = 0.5
    [augmentation]
    flip = true
    shift = 1
    """
)


def data_set(count: int, seed: int) -> Dataset:
    """Four kinds of noisy 8x8 pictures: the bright bar's row tells the class."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 4, count)
    images = random.integers(0, 100, (count, 8, 8, 1), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[2 * label : 2 * label + 2] += 120
    return Dataset("bars", "train", images, labels, ("a", "b", "c", "d"))


DATA = (data_set(192, seed=0), data_set(80, seed=1))


def run(out: Path, recipe: Recipe = RECIPE, **options: object) -> TrainedNetwork:
    return train(recipe, out, **({"datasets": DATA} | options))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> TrainedNetwork:
    return run(tmp_path_factory.mktemp("whole"))


def same(one: nn.Module, other: nn.Module) -> bool:
    mine, theirs = one.state_dict(), other.state_dict()
    return mine.keys() == theirs.keys() and all(torch.equal(mine[key], theirs[key]) for key in mine)


class Cut(Exception):  # noqa: N818  # it stands for a kill, not an error
    pass


def cut_at(epoch: int, step: int) -> object:
    def progress(now: Progress) -> None:
        if (now.epoch, now.step) == (epoch, step):
            raise Cut

    return progress


def test_training_learns(whole: TrainedNetwork) -> None:
    losses = [row.loss for row in whole.log]
    assert len(losses) == RECIPE.epochs
    assert losses[-1] < 0.7 * losses[0]
    assert whole.test_accuracy > 0.7
    assert whole.log[-1].accuracy > whole.log[0].accuracy
    assert not whole.network.training
    assert whole.params["input_shape"] == [8, 8, 1]
    assert (
        max(float(weight.detach().abs().max()) for weight in latent_weights(whole.network)) <= 0.5
    )


@pytest.mark.parametrize(("epoch", "step"), [(3, 10), (2, 12)])
def test_a_cut_run_resumes_to_the_same_network(
    whole: TrainedNetwork, tmp_path: Path, epoch: int, step: int
) -> None:
    # In the middle of the third epoch, or right after the second.
    with pytest.raises(Cut):
        run(tmp_path, progress=cut_at(epoch, step))
    with (tmp_path / "log.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 2
    epochs: list[int] = []
    resumed = run(tmp_path, progress=lambda now: epochs.append(now.epoch))
    assert epochs[0] == 3
    assert same(resumed.network, whole.network)
    assert resumed.test_accuracy == whole.test_accuracy
    assert [row.loss for row in resumed.log] == [row.loss for row in whole.log]
    assert [row.lr for row in resumed.log] == [row.lr for row in whole.log]


def test_a_killed_process_resumes_to_the_same_network(
    whole: TrainedNetwork, tmp_path: Path
) -> None:
    script = (
        "import os, sys; sys.path.insert(0, sys.argv[1]); import test_train as t, pathlib\n"
        "stop = lambda now: os._exit(9) if (now.epoch, now.step) == (4, 10) else None\n"
        "t.run(pathlib.Path(sys.argv[2]), progress=stop)"
    )
    here = str(Path(__file__).parent)
    killed = subprocess.run(
        [sys.executable, "-c", script, here, str(tmp_path)], check=False, capture_output=True
    )
    assert killed.returncode == 9, killed.stderr.decode()
    assert same(run(tmp_path).network, whole.network)


def test_a_finished_run_is_not_repeated(whole: TrainedNetwork) -> None:
    calls: list[Progress] = []
    again = run(whole.folder, progress=calls.append)
    assert calls == []
    assert same(again.network, whole.network)
    assert again.log == whole.log


def test_resume_false_starts_anew(tmp_path: Path) -> None:
    run(tmp_path, RECIPE.model_copy(update={"epochs": 1}))
    other = RECIPE.model_copy(update={"epochs": 1, "seed": 4})
    with pytest.raises(ConfigError, match="differs in: seed"):
        run(tmp_path, other)
    assert len(run(tmp_path, other, resume=False).log) == 1


def test_other_images_are_refused(whole: TrainedNetwork) -> None:
    with pytest.raises(ConfigError, match="differs in: training images"):
        run(whole.folder, datasets=(data_set(192, seed=9), DATA[1]))


def test_damaged_checkpoints_are_refused(tmp_path: Path) -> None:
    for damage in (b"", b"not a checkpoint", b"PK\x03\x04" + bytes(100)):
        (tmp_path / "checkpoint.pt").write_bytes(damage)
        with pytest.raises(ConfigError, match="cannot be read as a checkpoint"):
            run(tmp_path)
    torch.save({"identity": 3}, tmp_path / "checkpoint.pt")
    with pytest.raises(ConfigError, match="cannot be read as a checkpoint"):
        run(tmp_path)


def test_the_written_network_is_the_trained_one(whole: TrainedNetwork) -> None:
    loaded = build("cnn", **whole.params)
    loaded.load_state_dict(safetensors.torch.load_file(whole.folder / "network.safetensors"))
    assert same(loaded, whole.network)
    assert sorted(path.name for path in whole.folder.iterdir()) == [
        "checkpoint.pt",
        "log.csv",
        "network.safetensors",
    ]
    with (whole.folder / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2", "3", "4"]
    assert rows[0].keys() == {"epoch", "loss", "accuracy", "lr", "seconds"}


def test_training_is_silent_and_leaves_global_state_alone(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(11)
    before = torch.get_rng_state()
    threads = torch.get_num_threads()
    level = logging.getLogger("lightning.pytorch").level
    run(tmp_path, RECIPE.model_copy(update={"epochs": 1}), limit=32)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads
    assert logging.getLogger("lightning.pytorch").level == level
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "update",
    [
        {"precision": "32"},
        {"optimizer": {"name": "sgd", "lr": 0.1, "momentum": 0.8}},
        {"optimizer": {"name": "adamw", "weight_decay": 0.01, "latent_decay": 1e-4}},
        {"optimizer": {"schedule": "linear", "gradient_clip": 0.1}},
        {"optimizer": {"schedule": "step", "milestones": [1], "latent_clip": 0}},
        {"recalibrate": 0},
        {"label_smoothing": 0.1},
    ],
)
def test_other_recipes_train_too(tmp_path: Path, update: dict[str, object]) -> None:
    recipe = Recipe.model_validate(RECIPE.model_dump() | {"epochs": 2} | update)
    log = run(tmp_path, recipe).log
    assert log[1].loss < log[0].loss


RESIDUAL = Recipe.model_validate(
    RECIPE.model_dump()
    | {
        "epochs": 3,
        "model": {
            "name": "resnet20",
            "params": {
                "width": 0.25,
                "estimator": "tanh",
                "weight_estimator": "reste",
                "centred": True,
                "normalised": True,
                "scale": "channel",
            },
        },
        "optimizer": {"weight_decay": 1e-3, "gradient_clip": 1.0},
        "distillation": {"epochs": 2, "temperature": 2.0},
    }
)


def test_all_of_it_together_learns_and_resumes_to_the_same_network(tmp_path: Path) -> None:
    stages: list[tuple[str, int]] = []
    whole = run(
        tmp_path / "whole", RESIDUAL, progress=lambda now: stages.append((now.stage, now.epoch))
    )
    assert sorted(set(stages), reverse=True) == [
        ("teacher", 2),
        ("teacher", 1),
        ("network", 3),
        ("network", 2),
        ("network", 1),
    ]
    assert whole.log[-1].loss < 0.8 * whole.log[0].loss
    progresses = {layer.progress for layer in whole.network.modules() if hasattr(layer, "progress")}
    assert progresses == {2 / 3}
    for stage, epoch in (("teacher", 2), ("network", 2)):

        def cut(now: Progress, stage: str = stage, epoch: int = epoch) -> None:
            if (now.stage, now.epoch) == (stage, epoch):
                raise Cut

        with pytest.raises(Cut):
            run(tmp_path / "cut", RESIDUAL, progress=cut)
    assert same(run(tmp_path / "cut", RESIDUAL).network, whole.network)


def test_adabin_learns(tmp_path: Path) -> None:
    update = {"epochs": 8, "model": {"name": "adabin_resnet20", "params": {"width": 0.25}}}
    log = run(tmp_path, Recipe.model_validate(RECIPE.model_dump() | update)).log
    assert log[-1].loss < 0.9 * log[0].loss


def test_a_teacher_comes_from_another_runs_file(whole: TrainedNetwork, tmp_path: Path) -> None:
    def taught(by: Path | str, out: str = "out", **options: object) -> TrainedNetwork:
        update = {"epochs": 2, "distillation": {"teacher": str(by), "weight": 1.0}}
        recipe = Recipe.model_validate(RECIPE.model_dump() | update)
        return run(tmp_path / out, recipe, **options)

    made = taught(whole.folder / "network.safetensors")
    assert made.log[1].loss < made.log[0].loss
    assert not (made.folder / "teacher").exists()
    with pytest.raises(ConfigError, match=r"neither a float network nor a file.*cnn-float"):
        taught("resnet18-flaot", "typo")
    with pytest.raises(ConfigError, match="neither a float network nor a file"):
        taught("cnn", "binary")
    (tmp_path / "bad.safetensors").write_bytes(b"nothing")
    with pytest.raises(ConfigError, match="cannot be read as a trained network"):
        taught(tmp_path / "bad.safetensors", "bad")
    wide = Dataset(
        "wide", "train", np.zeros((32, 9, 9, 1), np.uint8), np.arange(32) % 4, ("a",) * 4
    )
    with pytest.raises(ConfigError, match=r"takes images of \[8, 8, 1\] in 4 classes"):
        taught(whole.folder / "network.safetensors", "other", datasets=(wide, wide))


def test_distance_to_the_teacher_is_the_divergence_of_softened_answers() -> None:
    mine, wanted = torch.randn(5, 3, dtype=torch.float64), torch.randn(5, 3, dtype=torch.float64)
    p, q = (torch.softmax(x / 3, dim=1) for x in (wanted, mine))
    divergence = (p * (p / q).log()).sum(dim=1).mean() * 9
    assert distance(mine, wanted, 3.0).item() == pytest.approx(divergence.item())
    assert distance(mine, mine, 3.0).item() == pytest.approx(0, abs=1e-12)


def test_runs_of_before_a_recipe_had_all_its_keys_go_on(
    whole: TrainedNetwork, tmp_path: Path
) -> None:
    with pytest.raises(Cut):
        run(tmp_path, progress=cut_at(3, 10))
    path = tmp_path / "checkpoint.pt"
    content = torch.load(path, weights_only=True)
    del content["identity"]["recipe"]["distillation"]
    del content["identity"]["recipe"]["optimizer"]["gradient_clip"]
    torch.save(content, path)
    assert same(run(tmp_path).network, whole.network)


def test_tensorboard_is_asked_for_where_it_is_missing(tmp_path: Path) -> None:
    recipe = RECIPE.model_copy(update={"log": "tensorboard", "epochs": 1})
    if importlib.util.find_spec("tensorboard") is None:
        with pytest.raises(DependencyError, match="needs the package 'tensorboard'"):
            run(tmp_path, recipe)
        return
    run(tmp_path, recipe)
    assert any((tmp_path / "tensorboard").iterdir())


def test_two_processes_share_the_batches_and_write_once(tmp_path: Path) -> None:
    script = tmp_path / "two.py"
    script.write_text(
        "import sys, pathlib; sys.path.insert(0, sys.argv[1]); import test_train as t\n"
        "from bitwright.nn import Recipe, leads\n"
        "update = {'devices': 2, 'epochs': 2, 'recalibrate': 0,"
        " 'distillation': {'epochs': 1}}\n"
        "recipe = Recipe.model_validate(t.RECIPE.model_dump() | update)\n"
        "made = t.run(pathlib.Path(sys.argv[2]), recipe)\n"
        "if leads(): print([row.loss for row in made.log], made.test_accuracy)\n"
    )
    out = tmp_path / "run"
    done = subprocess.run(
        [sys.executable, script, Path(__file__).parent, out],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1
    with (out / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2
    assert float(rows[1]["loss"]) < float(rows[0]["loss"])
    assert (out / "teacher" / "network.safetensors").is_file()


def test_interruption_is_a_keyboard_interrupt_and_keeps_finished_epochs(tmp_path: Path) -> None:
    def interrupt(now: Progress) -> None:
        if now.epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, progress=interrupt)
    with (tmp_path / "log.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 1


def test_impossible_runs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="fewer than a batch of 16"):
        run(tmp_path, limit=8)
    for params, said in [({"classes": 9}, "classes = 9"), ({"input_shape": [9, 9, 1]}, "9, 9, 1")]:
        model = {"name": "cnn", "params": params}
        recipe = Recipe.model_validate(RECIPE.model_dump() | {"model": model})
        with pytest.raises(ConfigError, match=said):
            run(tmp_path, recipe)


def test_a_diverging_loss_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(4))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.weight / 0.0 + x.float().mean(dim=(1, 2, 3))[:, None]

    monkeypatch.setitem(MODELS, "cnn", lambda **_: Broken())
    recipe = RECIPE.model_copy(update={"model": ModelChoice(name="cnn")})
    with pytest.raises(ConfigError, match="the loss became nan in epoch 1"):
        run(tmp_path, recipe)
    assert not (tmp_path / "checkpoint.pt").exists()


def test_recalibration_gives_the_plain_statistics_of_the_images() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(PixelLevels(), nn.BatchNorm2d(1)).eval()
    images = torch.from_numpy(DATA[0].images)
    recalibrate(network, images)
    norm = network[1]
    levels = images.float() * 2 - 255
    assert norm.running_mean.item() == pytest.approx(levels.mean().item(), rel=1e-5)
    assert norm.running_var.item() == pytest.approx(levels.var().item(), rel=1e-4)
    assert norm.momentum == 0.1
    assert not network.training


def test_accuracy_takes_the_first_of_equal_logits() -> None:
    class Equal(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.unused = nn.Parameter(torch.zeros(()))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.zeros(len(x), 4)

    _, test = DATA
    share = accuracy(Equal(), torch.from_numpy(test.images), torch.from_numpy(test.labels))
    assert share == np.mean(test.labels == 0)


def test_without_torch_the_error_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("raise ImportError('no torch here')")
    script = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from bitwright.errors import DependencyError\n"
        "try:\n    import bitwright.nn\n"
        "except DependencyError as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    )
    assert "pip install 'bitwright[train]'" in done.stdout
