"""Training runs with approximate popcounts, other losses, and weights from other runs."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tests.nn.test_train import RECIPE, run

from bitwright.errors import CircuitError, ConfigError
from bitwright.nn import Progress, Recipe, with_options
from bitwright.nn.fit import modified_hinge
from bitwright.nn.recipe import ModelChoice, Optimizer

AWARE = with_options(RECIPE, method="circuit", circuit="maj", start=None)


def weights(folder: Path, recipe: Recipe) -> dict[str, torch.Tensor]:
    return run(folder, recipe).network.state_dict()


@pytest.mark.parametrize("method", ["uniform", "margin", "table", "circuit"])
def test_a_cut_run_resumes_to_the_same_network(tmp_path: Path, method: str) -> None:
    recipe = with_options(AWARE, method=method, circuit=None, start=None)
    whole = weights(tmp_path / "whole", recipe)

    def cut(now: Progress) -> None:
        if now.epoch == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut", recipe, progress=cut)
    resumed = weights(tmp_path / "cut", recipe)
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_methods_differ_and_none_is_the_exact_training(tmp_path: Path) -> None:
    latent = {}
    for method in ("none", "margin", "circuit"):
        recipe = with_options(AWARE, method=method, circuit=None, start=None)
        latent[method] = weights(tmp_path / method, recipe)["conv2.weight"]
    exact = weights(tmp_path / "exact", RECIPE)["conv2.weight"]
    assert torch.equal(latent["none"], exact)
    assert not torch.equal(latent["margin"], exact)
    assert not torch.equal(latent["circuit"], latent["margin"])


def test_training_with_the_circuit_learns_what_it_gets_wrong(tmp_path: Path) -> None:
    def accuracy(method: str) -> float:
        """Return the accuracy with circuits after a training by a method, mean of three seeds."""
        recipe = with_options(RECIPE, method=method, circuit="maj:L=2", start=None)
        recipes = [recipe.model_copy(update={"epochs": 8, "seed": seed}) for seed in (3, 4, 5)]
        found = [run(tmp_path / f"{method}{one.seed}", one).test_accuracy for one in recipes]
        return sum(found) / len(found)

    assert accuracy("circuit") > accuracy("none") + 0.05


def test_a_run_starts_with_anothers_weights(tmp_path: Path) -> None:
    first = run(tmp_path / "first")
    still = Optimizer(lr=1e-12, latent_clip=0)
    recipe = with_options(RECIPE, method=None, circuit=None, start=str(tmp_path / "first"))
    recipe = recipe.model_copy(update={"epochs": 1, "optimizer": still})
    second = run(tmp_path / "second", recipe)
    for one, other in zip(first.network.parameters(), second.network.parameters(), strict=True):
        assert torch.allclose(one, other, atol=1e-6)

    for model, message in (
        (ModelChoice(name="mlp"), "is a 'cnn', the recipe's network a 'mlp'"),
        (ModelChoice(name="cnn", params={"hidden": [8]}), "do not fit the recipe's network"),
    ):
        with pytest.raises(ConfigError, match=message):
            run(tmp_path / "third", recipe.model_copy(update={"model": model}))
    with pytest.raises(ConfigError, match="cannot be read as a trained network"):
        run(tmp_path / "fourth", recipe.model_copy(update={"start": str(tmp_path)}))


@pytest.mark.parametrize("method", ["none", "circuit"])
def test_a_circuit_that_cannot_be_is_refused_before_the_training(tmp_path: Path, method) -> None:
    recipe = with_options(RECIPE, method=method, circuit="maj:L=99", start=None)
    with pytest.raises((CircuitError, ConfigError), match="99"):
        run(tmp_path / "run", recipe)
    assert not (tmp_path / "run").exists()


def test_what_cannot_be_trained_is_said_before_anything_is_written(tmp_path: Path) -> None:
    bad = {"method": None, "start": None}
    with pytest.raises(ConfigError, match="no popcount named 'majj'"):
        run(tmp_path / "a", with_options(AWARE, circuit="majj", **bad))
    with pytest.raises(CircuitError):
        run(tmp_path / "b", with_options(AWARE, circuit="netlist:path=/nowhere.v", **bad))
    with pytest.raises(ConfigError, match=r"approximate\.method.*guess"):
        with_options(RECIPE, method="guess", circuit=None, start=None)
    assert not any((tmp_path / name / "network.safetensors").exists() for name in "ab")


def test_the_hinge_loss_is_how_far_logits_fall_short(tmp_path: Path) -> None:
    logits = torch.tensor([[9.0, -8.0, 3.0], [-1.0, -20.0, 0.0]])
    labels = torch.tensor([0, 1])
    wanted = (0 + 0 + 11 + 7 + 28 + 8) / 6
    assert modified_hinge(logits, labels, 8.0).item() == pytest.approx(wanted)
    learned = run(tmp_path, RECIPE.model_copy(update={"loss": "hinge", "hinge_margin": 4.0}))
    assert learned.test_accuracy > 0.5
