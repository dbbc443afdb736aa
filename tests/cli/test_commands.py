"""The commands as a user types them; each in a process of its own where imports matter."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from tests.networks import classifier, labelled

from bitwright import __version__, diff
from bitwright.ir import codec, reference


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "small.safetensors"
    codec.save(classifier(), path)
    return path


@pytest.fixture
def data(tmp_path):
    path = tmp_path / "noise.npz"
    noise = labelled()
    np.savez(path, x=noise.images, y=noise.labels)
    return path


def test_show_lists_every_op_and_the_totals(bitwright, model):
    code, out, _ = bitwright("show", model, "--json", "-")
    shown = json.loads(out)
    assert code == 0
    assert [row["op"] for row in shown["ops"]] == [op.output for op in classifier().ops]
    assert shown["total"]["weight_bits"] == 70 * 9 + 20 * 9 * 70 + 4 * 320
    code, out, _ = bitwright("show", model)
    assert "scores" in out
    assert "total" in out


def test_eval_writes_the_published_layout(bitwright, model, data, tmp_path):
    file = tmp_path / "out.json"
    code, out, _ = bitwright("eval", model, "--data", data, "--limit", 50, "--json", file)
    assert code == 0
    assert str(data) in out
    (record,) = json.loads(file.read_text())
    assert list(record) == [
        "program", "model", "target", "config", "data", "measurements", "versions",
    ]  # fmt: skip
    assert record["program"] == classifier().digest
    assert record["data"]["count"] == 50
    assert set(record["data"]) == {"name", "split", "count", "digest"}
    metrics = {m["metric"]: m for m in record["measurements"]}
    assert metrics["images"]["value"] == 50
    assert {"metric", "value", "unit", "method"} <= set(metrics["accuracy"])
    assert {"accuracy", "correct", "binary_operations", "weight_bits", "images_per_second"} <= set(
        metrics
    )


def test_eval_writes_a_report(bitwright, model, data, tmp_path):
    page = tmp_path / "page.html"
    code, out, _ = bitwright("eval", model, "--data", data, "--report", page)
    assert code == 0
    assert str(page) in out
    assert "<html" in page.read_text()[:1000]


def test_eval_prints_layers_if_asked_and_numbers_to_read(bitwright, tmp_path):
    arguments = ("eval", "fmnist-mlp", "--limit", 4, "--target", "crossbar")
    code, short, _ = bitwright(*arguments)
    assert code == 0
    assert "/fc2" not in short
    (energy,) = (line for line in short.splitlines() if "energy/network" in line)
    assert 1e-12 < float(energy.split()[2]) < 1e-6
    (left_out,) = (line for line in short.splitlines() if line.startswith("of single layers"))
    code, long, _ = bitwright(*arguments, "--layers")
    assert code == 0
    of_layers = [line for line in long.splitlines() if "/fc" in line]
    assert len(of_layers) == int(left_out.split()[3])
    assert "of single layers" not in long


def test_eval_takes_a_config(bitwright, model, data, tmp_path):
    config = tmp_path / "config.toml"
    config.write_text('engine = "reference"\n')
    code, out, _ = bitwright("eval", model, "--data", data, "--config", config, "--json", "-")
    assert code == 0
    assert json.loads(out)[0]["config"] == {"engine": "reference"}
    config.write_text('[exact]\nengine = "native"\n')
    code, out, _ = bitwright("eval", model, "--data", data, "--config", config, "--json", "-")
    assert json.loads(out)[0]["config"] == {"engine": "native"}


def test_diff_says_identical(bitwright, model, data):
    code, out, _ = bitwright("diff", model, "--data", data)
    assert code == 0
    assert out.startswith("identical: ")


def test_diff_names_the_first_difference(bitwright, model, data, monkeypatch):
    def broken(program):
        def run(batch, keep):
            values = reference.run(program, batch, keep)
            values["b1"][3, 2, 1, 0] ^= True
            return values

        return tuple(program.types), run

    monkeypatch.setitem(diff.ENGINES, "broken", diff.Engine("broken", broken))
    code, out, _ = bitwright(
        "diff", model, "--data", data, "--engine", "reference", "--engine", "broken"
    )
    assert code == 1
    assert "'b1' (Threshold), image 3, position (2, 1, 0)" in out


def test_classify_states_the_preprocessing(bitwright, model, tmp_path):
    noise = labelled().images[0]
    right, wrong = tmp_path / "right.png", tmp_path / "wrong.png"
    Image.fromarray(noise[..., 0]).save(right)
    Image.fromarray(np.zeros((20, 10, 3), np.uint8)).save(wrong)
    code, out, _ = bitwright("classify", model, right, "--json", "-")
    (row,) = json.loads(out)
    assert code == 0
    assert row["preprocessing"] == "no"
    assert row["top"][0]["class"] == row["class"]
    code, out, err = bitwright("classify", model, wrong)
    assert code == 2
    assert "--fit" in err
    code, out, _ = bitwright("classify", model, wrong, "--fit")
    assert code == 0
    assert "from 20x10 RGB" in out


def test_doctor_lists_what_there_is(bitwright):
    code, out, _ = bitwright("doctor", "--json", "-")
    found = json.loads(out)
    assert code == 0
    assert found["processor"]["vectors"] in ("avx512", "avx2", "portable")
    assert "fashion-mnist-sample" in found["data"]


def test_zoo_lists_cards(bitwright):
    code, out, _ = bitwright("zoo", "--json", "-")
    assert code == 0
    assert "fmnist-cnn" in [card["name"] for card in json.loads(out)]
    code, out, _ = bitwright("zoo", "card", "fmnist-cnn")
    assert json.loads(out)["recipe"]["data"] == "fashion-mnist"


def test_version(bitwright):
    assert bitwright("--version")[1].strip() == f"bitwright {__version__}"


BAD = [
    (("show", "fmnist-cn"), "did you mean 'fmnist-cnn'"),
    (("eval", "{model}", "--data", "cifar1"), "did you mean 'cifar10'"),
    (("eval", "{model}", "--data", "{nox}"), "'x'"),
    (("eval", "{model}", "--data", "{wide}"), "takes images of shape (8, 8, 1)"),
    (("eval", "{model}", "--data", "{labels}"), "label"),
    (("eval", "{model}", "--data", "{data}", "--target", "exakt"), "did you mean 'exact'"),
    (("eval", "{model}", "--data", "{data}", "--config", "{toml}"), "no setting"),
    (("eval", "{model}", "--data", "{data}", "--config", "nowhere.toml"), "cannot be read"),
    (("eval", "{model}", "--data", "{data}", "--limit", "0"), "limit"),
    (("eval", "{model}", "--data", "{data}", "--json", "/nowhere/x.json"), "cannot write"),
    (("eval", "{model}", "--data", "{data}", "--report", "/nowhere/x.html"), "cannot"),
    (("show", "{half}"), "damaged"),
    (("show", "{flipped}"), "damaged"),
    (("diff", "{model}", "--data", "{data}", "--engine", "native"), "twice"),
    (("diff", "{model}", "--data", "{data}", "--engine", "native", "--engine", "x"), "no engine"),
    (("classify", "{model}", "{toml}"), "cannot be read"),
    (("import", "finn", "{folder}", "--topology", "cnw", "-o", "{out}"), "did you mean 'cnv'"),
    (("import", "finn", "{folder}", "-o", "{out}"), "classes.txt"),
    (("train", "fmnist-cn"), "fmnist-cnn"),
    (("zoo", "card", "x"), "no network in the zoo"),
]


@pytest.mark.parametrize(("arguments", "reason"), BAD)
def test_bad_input_is_one_line_and_exit_code_2(bitwright, model, data, tmp_path, arguments, reason):
    noise, whole = labelled(), model.read_bytes()
    np.savez(tmp_path / "nox.npz", images=noise.images, y=noise.labels)
    np.savez(tmp_path / "wide.npz", x=np.zeros((4, 9, 9, 1), np.uint8), y=np.zeros(4, int))
    np.savez(tmp_path / "labels.npz", x=noise.images, y=np.full(len(noise), 9))
    (tmp_path / "bad.toml").write_text("speed = 3\n")
    (tmp_path / "half.safetensors").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "flipped.safetensors").write_bytes(whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:])
    (tmp_path / "empty").mkdir()
    names = {
        "model": model,
        "data": data,
        "nox": tmp_path / "nox.npz",
        "wide": tmp_path / "wide.npz",
        "labels": tmp_path / "labels.npz",
        "toml": tmp_path / "bad.toml",
        "half": tmp_path / "half.safetensors",
        "flipped": tmp_path / "flipped.safetensors",
        "folder": tmp_path / "empty",
        "out": tmp_path / "out.safetensors",
    }
    before = sorted(tmp_path.iterdir())
    code, out, err = bitwright(*(str(a).format(**names) for a in arguments))
    assert code == 2
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith("bitwright: error: ")
    assert reason in err
    assert sorted(tmp_path.iterdir()) == before


def test_debug_shows_the_traceback(model):
    done = subprocess.run(
        [sys.executable, "-m", "bitwright.cli.main", "show", "nothing", "--debug"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" in done.stderr
    assert "UnknownNameError" in done.stderr


@pytest.mark.parametrize("command", ["show", "zoo"])
def test_quick_commands_load_neither_torch_nor_numba(command, model):
    arguments = [command, str(model)] if command == "show" else [command]
    code = (
        "import sys; from bitwright.cli.main import main\n"
        f"sys.argv = {['bitwright', *arguments]!r}\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print([m for m in ('torch', 'numba', 'plotly') if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


def test_certify_says_whether_it_holds(bitwright, tmp_path):
    import torch  # noqa: PLC0415 - only here
    from torch import nn  # noqa: PLC0415

    from bitwright.frontends.torch_lower import lower  # noqa: PLC0415
    from bitwright.nn import build  # noqa: PLC0415
    from bitwright.nn.run_folder import save_network  # noqa: PLC0415

    params = {"input_shape": [8, 8, 1], "widths": [16], "classes": 4}
    torch.manual_seed(0)
    network = build("mlp", **params)
    for norm in (layer for layer in network.modules() if isinstance(layer, nn.BatchNorm1d)):
        norm.running_mean.uniform_(-9, 9)
    save_network(tmp_path, network.state_dict(), {"model": "mlp", "params": params})
    program, noise = lower(network, (8, 8, 1), name="mine"), labelled()
    codec.save(program, tmp_path / "mine.safetensors")
    np.savez(tmp_path / "noise.npz", x=noise.images, y=noise.labels)
    arguments = (tmp_path, tmp_path / "mine.safetensors", "--data", tmp_path / "noise.npz")
    file, page = tmp_path / "certificate.json", tmp_path / "page.html"
    code, out, _ = bitwright("certify", *arguments, "--json", file, "--report", page)
    assert code == 0
    assert "the certificate holds" in out
    assert json.loads(file.read_text())["holds"] is True
    assert "The certificate holds." in page.read_text()

    name = next(op.output for op in program.ops if op.kind == "Threshold")
    key = program.definitions[name].thresholds
    tensors = {**program.tensors, key: program.tensors[key] + np.int32(400)}
    codec.save(replace(program, tensors=tensors), tmp_path / "mine.safetensors")
    code, out, _ = bitwright("certify", *arguments, "--limit", 40)
    assert code == 1
    assert f"layer '{name}'" in out
    assert "does NOT hold" in out
    code, _, err = bitwright("certify", tmp_path / "nowhere", *arguments[1:])
    assert code == 2
    assert "nowhere" in err
