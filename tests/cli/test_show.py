"""``bitwright show``: which network a name means, and the table of a torch module."""

import json
import subprocess
import sys

import numpy as np
import pytest
from tests.networks import classifier

from bitwright import zoo
from bitwright.cli.main import main
from bitwright.errors import DataError, UnknownNameError
from bitwright.ir import codec

PARAMS = {"input_shape": [6, 6, 1], "widths": [24], "classes": 3}
RECIPE = """
data = "{data}"
epochs = 1

[model]
name = "mlp"

[model.params]
widths = [24]
"""


@pytest.fixture
def show(monkeypatch, capsys):
    """Run ``bitwright show`` in this process: (exit code, standard output, standard error)."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["bitwright", "show", *map(str, arguments)])
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = stop.code or 0
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def recipe(tmp_path):
    images = np.zeros((3, 6, 6, 1), np.uint8)
    np.savez(tmp_path / "few.npz", x=images, y=np.array([0, 1, 2]))
    path = tmp_path / "mine.toml"
    path.write_text(RECIPE.format(data=tmp_path / "few.npz"))
    return path


def check_mlp(shown):
    layers = {row["name"]: row for row in shown["layers"]}
    assert list(layers) == ["input", "flatten", "fc1", "fc1_bn", "fc1_sign", "fc2", "scale"]
    assert [layers[name]["input_bits"] for name in ("fc1", "fc1_bn", "fc2")] == [8, None, 1]
    assert layers["fc1"]["output"] == [24]
    total = shown["total"]
    assert total["binary_weights"] == 36 * 24 + 24 * 3
    assert total["other_weights"] == 4 * 24
    assert total["binary_macs"] == 24 * 3
    assert total["other_macs"] == 36 * 24
    assert total["kilobytes"] == (936 / 8 + 96 * 4) / 1024
    assert shown["compression"] == pytest.approx((936 + 96) * 4 / (936 / 8 + 96 * 4))
    assert shown["binary_share"] == 72 / 936
    assert shown["params"] == PARAMS


def test_a_recipe_file_is_counted_before_it_is_trained(show, recipe, tmp_path):
    code, out, _ = show(recipe, "--json", "-")
    shown = json.loads(out)
    assert code == 0
    assert (shown["model"], shown["trained"]) == ("mlp", False)
    check_mlp(shown)
    file = tmp_path / "table.json"
    code, out, _ = show(recipe, "--json", file)
    assert code == 0
    assert json.loads(file.read_text()) == shown
    lines = [line.split() for line in out.splitlines()]
    assert ["fc1", "BinaryLinear", "24", "8", "864", "0.11", "864"] in lines
    assert ["fc2", "BinaryLinear", "3", "1", "72", "0.01", "72"] in lines
    assert ["total", "936", "96", "0.49", "72", "864"] in lines
    assert "memory: 0.5 kB, 8.2 times less than 4.0 kB with 32 bits a weight" in out
    assert "binary: 7.69% of the multiply-accumulates (MACs)" in out
    assert "8-bit weights" not in out


def test_a_training_run_is_counted(show, tmp_path):
    from bitwright.nn import build  # noqa: PLC0415 - torch only where it is needed
    from bitwright.nn.run_folder import save_network  # noqa: PLC0415

    network = build("mlp", **PARAMS)
    save_network(tmp_path, network.state_dict(), {"model": "mlp", "params": PARAMS})
    for arguments in ((tmp_path,), ("--module", tmp_path / "network.safetensors")):
        code, out, _ = show(*arguments, "--json", "-")
        shown = json.loads(out)
        assert code == 0
        assert shown["trained"]
        check_mlp(shown)


def test_a_program_wins_over_a_recipe_of_its_name(show):
    assert "ops" in json.loads(show("fmnist-mlp", "--json", "-")[1])
    shown = json.loads(show("fmnist-mlp", "--module", "--json", "-")[1])
    assert shown["total"]["binary_weights"] == 784 * 256 + 2 * 256 * 256 + 256 * 10


def test_a_recipe_that_is_no_program_is_a_module(show, monkeypatch, tmp_path):
    def locate(model, original=zoo.locate):
        if model == "cifar10-resnet18" and not (tmp_path / model).exists():
            raise UnknownNameError("model", model, zoo.names())
        return original(tmp_path / model if model == "cifar10-resnet18" else model)

    monkeypatch.setattr(zoo, "locate", locate)  # whatever the zoo will have
    code, out, _ = show("cifar10-resnet18")
    assert code == 0
    assert out.startswith("cifar10-resnet18  torch module resnet18, not trained\n")
    assert "stage4.1.conv2" in out
    monkeypatch.chdir(tmp_path)  # a folder of that name is not looked at, a file is a program
    (tmp_path / "cifar10-resnet18").mkdir()
    assert show("cifar10-resnet18")[1] == out
    (tmp_path / "cifar10-resnet18").rmdir()
    codec.save(classifier(), tmp_path / "cifar10-resnet18")
    assert show("cifar10-resnet18")[1].startswith("small  digest ")


def test_a_program_of_the_zoo_that_is_elsewhere_leads_to_its_module(show, monkeypatch):
    def absent(model):
        raise DataError(f"the network '{model}' is not on this machine", "get it")

    monkeypatch.setattr(zoo, "locate", absent)
    code, _, err = show("cifar10-resnet18")
    assert code == 2
    assert "get it, or see the module that trains it with --module" in err
    code, _, err = show("no-recipe")
    assert "--module" not in err
    assert show("cifar10-resnet18", "--module")[0] == 0


BAD = [
    (("fmnist-cn",), ("no model named", "did you mean 'fmnist-cnn'", "training run")),
    (("cifar10-resnet1",), ("no model named", "did you mean 'cifar10-resnet18'")),
    (("--module", "fmnist-cn"), ("no recipe named", "did you mean 'fmnist-cnn'", "fmnist-mlp")),
    (("nowhere.toml",), ("no such file",)),
    (("--module", "nowhere.toml"), ("no such file",)),
    (("runs/nowhere",), ("no model named 'runs/nowhere'",)),
    (("{folder}",), ("holds no network.safetensors",)),
    (("--module", "{program}"), ("cannot be read as a trained network",)),
    (("{keys}",), ("unknown key 'sead'", "did you mean 'seed'")),
    (("{model}",), ("no network named 'mpl'", "did you mean 'mlp'")),
    (("{data}",), ("nowhere.npz",)),
]


@pytest.mark.parametrize(("arguments", "reasons"), BAD)
def test_what_is_no_network_is_told_in_one_line(show, tmp_path, arguments, reasons):
    (tmp_path / "folder").mkdir()
    codec.save(classifier(), tmp_path / "program.safetensors")
    good = RECIPE.format(data="nowhere.npz")
    texts = {
        "keys": "sead = 1" + good,
        "model": good.replace("mlp", "mpl").replace("nowhere.npz", "mnist"),
        "data": good,
    }
    for name, text in texts.items():
        (tmp_path / f"{name}.toml").write_text(text)
    names = {name: tmp_path / f"{name}.toml" for name in texts}
    names |= {"folder": tmp_path / "folder", "program": tmp_path / "program.safetensors"}
    code, out, err = show(*(argument.format(**names) for argument in arguments))
    assert code == 2
    assert out == ""
    assert err.startswith("bitwright: error: ")
    assert err.count("\n") == 1
    for reason in reasons:
        assert reason in err


def test_without_torch_a_module_says_what_to_install(tmp_path):
    (tmp_path / "torch.py").write_text("raise ImportError('no torch here')")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from bitwright.cli.main import main\n"
        "sys.argv = ['bitwright', 'show', *sys.argv[1:]]\n"
        "main()"
    )
    for arguments, said in (
        (["--module", "cifar10-resnet18"], "pip install 'bitwright[train]'"),
        (["cifar10-resnet1"], "did you mean 'cifar10-resnet18'"),
    ):
        command = [sys.executable, "-c", code, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert said in done.stderr
