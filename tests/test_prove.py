"""`prove` on the command line and in Python."""

import json

import numpy as np
import pytest

from bitwright.prove import compare, prove
from bitwright.targets import get_target
from bitwright.targets.reuse import execute
from tests.networks import classifier, labelled


def test_a_design_is_proved_on_images_and_in_symbols():
    program, data = classifier(3), labelled(3, count=130)
    found = prove(program, data)
    assert found.holds
    assert found.outputs == 130 * (len(program.classes) + 1)
    assert [layer.wrong for layer in found.layers] == [()] * len(found.layers)
    assert json.loads(json.dumps(found.to_json()))["holds"] is True


def test_outputs_that_differ_are_counted(monkeypatch):
    program, data = classifier(3), labelled(3, count=7)
    target = get_target("reuse")
    design = target.lower(program, target.configure({"engine": "reference"}))
    run = execute.run

    def broken(*arguments, **options):
        made = run(*arguments, **options)
        return {name: value + np.ones_like(value) for name, value in made.items()}

    monkeypatch.setattr(execute, "run", broken)
    found = compare(design, data.images)
    assert found.differing == found.outputs == 7 * (len(program.classes) + 1)


def test_the_command_proves_a_shipped_network(bitwright, tmp_path):
    file = tmp_path / "proof.json"
    code, out, _ = bitwright("prove", "fmnist-mlp", "--limit", 20, "--json", file)
    assert code == 0
    assert "0 of 220 outputs differ" in out
    assert json.loads(file.read_text())["holds"] is True


@pytest.mark.tool("yosys")
def test_the_command_proves_slices_by_sat(bitwright):
    options = ("--limit", 5, "--sat", 1, "--sat-inputs", 6)
    code, out, _ = bitwright("prove", "fmnist-mlp", *options)
    assert code == 0
    assert "proved" in out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--target", "exact"), "leaves no work out"),
        (("--json", "/no/such/folder/x.json"), "/no/such/folder"),
    ],
)
def test_bad_input_is_refused(bitwright, options, message):
    code, _, error = bitwright("prove", "fmnist-mlp", *options)
    assert code == 2
    assert message in error
