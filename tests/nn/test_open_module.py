"""Modules as recipes describe them and as training runs leave them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from bitwright.errors import ConfigError, DataError, UnknownNameError
from bitwright.nn import build, quantise, summary
from bitwright.nn.open_module import open_module
from bitwright.nn.run_folder import save_network

PARAMS = {"width": 0.1, "input_shape": [12, 12, 1], "classes": 3}


def recipe(folder: Path, text: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(text)
    return path


def counts(module: torch.nn.Module, shape: tuple[int, int, int]) -> list[tuple[int, ...]]:
    rows = summary(module, shape)
    return [(r.binary_weights, r.byte_weights, r.other_weights, r.binary_macs) for r in rows]


def test_a_shipped_recipe_is_built_without_its_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bitwright.nn.open_module.load", None)
    before = torch.get_rng_state()
    opened = open_module("cifar10-cnv")
    assert torch.equal(torch.get_rng_state(), before)
    assert (opened.model, opened.input_shape, opened.trained) == ("cnv", (32, 32, 3), False)
    assert opened.params == {"input_shape": [32, 32, 3], "classes": 10}
    expected = build("cnv").state_dict()
    assert {k: v.shape for k, v in opened.module.state_dict().items()} == {
        k: v.shape for k, v in expected.items()
    }


def test_a_recipe_of_one_s_own_data_has_its_shape(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros((4, 9, 7, 3), np.uint8), y=np.array([0, 1, 2, 3]))
    text = f'data = "{tmp_path / "a.npz"}"\nepochs = 1\nmodel = {{name = "mlp"}}'
    opened = open_module(recipe(tmp_path, text))
    assert opened.input_shape == (9, 7, 3)
    assert opened.params["classes"] == 4
    missing = 'data = "nowhere.npz"\nepochs = 1\n[model]\nname = "mlp"\n'
    with pytest.raises(DataError, match=r"nowhere\.npz"):
        open_module(recipe(tmp_path, missing))
    broken = missing + "[model.params]\ninput_shape = 5\nclasses = 2"
    with pytest.raises(ConfigError, match="input_shape"):
        open_module(recipe(tmp_path, broken))
    given = missing + "[model.params]\ninput_shape = [8, 8, 1]\nclasses = 2"
    assert open_module(recipe(tmp_path, given)).input_shape == (8, 8, 1)


def test_a_run_is_opened_with_its_weights(tmp_path: Path) -> None:
    network = build("cnn", **PARAMS)
    save_network(tmp_path, network.state_dict(), {"model": "cnn", "params": PARAMS})
    for path in (tmp_path, tmp_path / "network.safetensors"):
        opened = open_module(path)
        assert (opened.model, opened.trained) == ("cnn", True)
        assert opened.input_shape == (12, 12, 1)
        state = opened.module.state_dict()
        assert all(torch.equal(state[k], v) for k, v in network.state_dict().items())


def test_what_a_recipe_quantises_is_quantised(tmp_path: Path) -> None:
    params = {**PARAMS, "input_shape": [12, 12, 3]}
    text = (
        'data = "none"\nepochs = 1\nquantise = 9\n[model]\nname = "resnet20"\n'
        "[model.params]\nwidth = 0.1\ninput_shape = [12, 12, 3]\nclasses = 3\n"
    )
    described = open_module(recipe(tmp_path, text))
    images = torch.randint(0, 256, (4, 12, 12, 3), dtype=torch.uint8)
    made = quantise(build("resnet20", **params), images)
    about = {"model": "resnet20", "params": params, "recipe": {"quantise": 9}}
    save_network(tmp_path, made.state_dict(), about)
    trained = open_module(tmp_path)
    assert trained.trained
    found = counts(trained.module, (12, 12, 3))
    assert found == counts(described.module, (12, 12, 3))
    assert found == counts(made, (12, 12, 3))
    assert sum(row[1] for row in found) > 0


def test_what_is_no_module_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'fmnist-cnn'"):
        open_module("fmnist-cn")
    with pytest.raises(ConfigError, match=r"holds no network\.safetensors"):
        open_module(tmp_path)
    (tmp_path / "network.safetensors").write_bytes(b"nothing")
    with pytest.raises(ConfigError, match="cannot be read as a trained network"):
        open_module(tmp_path)
    save_network(tmp_path, {}, {"model": "cnn", "params": PARAMS})
    with pytest.raises(ConfigError, match="does not hold the cnn"):
        open_module(tmp_path)
    save_network(tmp_path, build("mlp").state_dict(), {"model": "mlp", "params": {}})
    with pytest.raises(ConfigError, match="does not say the shape of its images"):
        open_module(tmp_path)
