"""A certificate finds what was put in: nothing, a tie, a threshold that is off, other numbers."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from bitwright.certificate import Agreement
from bitwright.certify import certify
from bitwright.errors import DataError, ProgramError
from bitwright.frontends.source import SourceValues
from bitwright.frontends.torch_lower import lower
from bitwright.frontends.torch_source import TorchSource
from bitwright.nn import BinaryConv2d, BinaryLinear, LogitScale, PixelLevels, Sign, build
from bitwright.report import render
from tests.networks import classifier, labelled

SHAPE = (8, 8, 1)


class Down(Sign):
    """A sign whose tie goes the other way."""

    def forward(self, x):
        return torch.where(x > 0, 1.0, -1.0).to(x.dtype)


def plain(sign=Sign):
    torch.manual_seed(5)
    network = nn.Sequential()
    for name, layer in {
        "input": PixelLevels(),
        "conv1": BinaryConv2d(1, 8, 3, padding=1),
        "bn1": nn.BatchNorm2d(8),
        "sign1": Sign(),
        "conv2": BinaryConv2d(8, 12, 3, padding=1, pad_value=-1),
        "pool": nn.MaxPool2d(2),
        "sign2": sign(),
        "flatten": nn.Flatten(),
        "fc1": BinaryLinear(192, 20),
        "bn2": nn.BatchNorm1d(20),
        "sign3": Sign(),
        "fc2": BinaryLinear(20, 4),
        "scale": LogitScale(20),
    }.items():
        network.add_module(name, layer)
    network.bn1.running_var.fill_(9e4)
    network.bn1.weight.data[:3] = -0.7
    network.bn2.running_mean.fill_(3.0)
    return network.eval()


def residual(**params):
    torch.manual_seed(2)
    network = build("resnet20", width=0.25, input_shape=(16, 16, 3), classes=4, **params)
    with torch.no_grad():
        network.train()
        for seed in range(3):  # statistics like those of training
            images = labelled(seed=seed, shape=(16, 16, 3), count=64).images
            network(torch.from_numpy(images).permute(0, 3, 1, 2).float())
    return network.eval()


def moved(program, name, by):
    """The program with the thresholds of one op moved."""
    key = program.definitions[name].thresholds
    tensors = {**program.tensors, key: program.tensors[key] + np.int32(by)}
    return replace(program, tensors=tensors)


def layer(certificate, name):
    return next(found for found in certificate.layers if found.name == name)


@pytest.fixture(scope="module")
def program():
    return lower(plain(), SHAPE, name="plain")


def test_plain_networks_agree_in_every_bit(program):
    seen = []
    found = certify(TorchSource(plain()), program, labelled(), progress=lambda *at: seen.append(at))
    assert found.holds
    assert found.exact
    assert found.reference == "float32"
    assert sum(each.differing for each in found.layers) == 0
    assert [each.name for each in found.layers] == [
        "input", "conv1", "sign1", "conv2", "sign2", "fc1", "sign3", "fc2",
    ]  # fmt: skip
    assert layer(found, "sign1").elements == 60 * 64 * 8
    assert found.agreement["float32"] == Agreement(60, 60)
    assert found.accuracy["program"] == found.accuracy["float32"]
    assert found.first_divergence is None
    assert found.not_compared == ()
    assert seen == [(32, 60), (60, 60)]


@pytest.mark.parametrize("params", [{"shortcut": "conv"}, {"activation": "hardtanh"}])
def test_residual_networks_agree_with_float64(params):
    module = residual(**params)
    program = lower(module, (16, 16, 3))
    found = certify(TorchSource(module), program, labelled(shape=(16, 16, 3)))
    assert found.holds, found.objections
    assert not found.exact
    assert found.reference == "float64"
    assert found.agreement["float64"].share == 1.0
    stored = [each for each in found.layers if each.kind == "stored"]
    assert stored[-1].name.startswith("logits")
    assert all(each.largest_error < 0.01 for each in stored)
    assert max(each.largest_error for each in stored) > 0
    assert found.not_compared == ()


def test_a_threshold_that_is_off_is_named(program):
    found = certify(TorchSource(plain()), moved(program, "sign2", 2), labelled())
    assert not found.holds
    assert found.first_unexplained.layer == "sign2"
    assert "a bug" in found.first_unexplained.cause
    assert found.first_divergence == found.first_unexplained
    assert layer(found, "sign1").differing == 0
    assert layer(found, "sign2").unexplained > 0
    below = layer(found, "fc1")
    assert below.differing == below.following > 0
    assert "sign2" in found.objections[0]


def test_a_threshold_that_is_off_in_fixed_point_is_named():
    module = residual(activation="hardtanh")
    program = lower(module, (16, 16, 3))
    names = [op.output for op in program.ops if op.kind == "Threshold"]
    wrong = moved(program, names[4], 1 << 22)
    found = certify(TorchSource(module), wrong, labelled(shape=(16, 16, 3)))
    assert not found.holds
    assert found.first_unexplained.layer == names[4]
    for name in names[:4]:
        assert layer(found, name).unexplained == 0


def test_ties_are_declared(program):
    found = certify(TorchSource(plain(Down)), program, labelled())
    assert layer(found, "sign2").ties > 0
    assert layer(found, "sign2").ties == layer(found, "sign2").differing
    assert found.first_divergence.cause == "tie"
    assert found.first_divergence.source_input == 0
    assert (found.first_divergence.program, found.first_divergence.source) == (1, -1)
    assert layer(found, "fc1").following > 0
    assert found.holds


def test_what_the_source_does_not_show_is_told(program):
    class Silent(TorchSource):
        def run(self, images, precision, names):
            return SourceValues(super().run(images, precision, ()).logits, {})

    found = certify(Silent(plain()), program, labelled())
    assert found.not_compared == ("sign1", "sign2", "sign3")
    assert not found.holds
    assert "does not show" in found.objections[0]


def test_json_and_report(program):
    wrong = moved(program, "sign2", 2)
    found = certify(TorchSource(plain(), "<b>it</b>"), wrong, labelled())
    written = json.loads(json.dumps(found.to_json()))
    assert written["holds"] is False
    assert written["first_unexplained"]["layer"] == "sign2"
    assert written["agreement"]["float64"]["total"] == 60
    assert [each["name"] for each in written["layers"]] == [each.name for each in found.layers]
    assert {"torch", "bitwright"} <= set(written["versions"])
    from bitwright import flow  # noqa: PLC0415 - compiles kernels

    evaluation = flow.evaluate(wrong, labelled())
    page = render([evaluation], certificate=found)
    assert "The certificate does not hold." in page
    assert "&lt;b&gt;it&lt;/b&gt;" in page
    assert "<b>it</b>" not in page
    assert 'id="certificate"' not in render([evaluation])


def test_intervals_hold_the_share():
    low, high = Agreement(999, 1000).interval
    assert low < 0.999 < high <= 1
    assert Agreement(10, 10).interval[1] == pytest.approx(1.0)


def test_what_does_not_fit_is_refused(program):
    source = TorchSource(plain())
    with pytest.raises(DataError, match="takes"):
        certify(source, program, labelled(shape=(9, 8, 1)))
    with pytest.raises(ProgramError, match="no classifier"):
        certify(source, replace(program, outputs=("sign1",), classes=()), labelled())
    with pytest.raises(ProgramError, match="classes"):
        certify(source, classifier(classes=5), labelled())
    with pytest.raises(ProgramError, match="fraction bits"):
        certify(source, replace(program, metadata={"fraction_bits": "{"}), labelled())
