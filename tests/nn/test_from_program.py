"""Networks that take the weights of programs decide as the programs do, and can be trained."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.nn.test_train import DATA, RECIPE, run
from torch import nn

from bitwright import load
from bitwright.data import load as load_data
from bitwright.errors import ConfigError, ProgramError, UnknownNameError
from bitwright.frontends.finn import import_finn
from bitwright.frontends.topology import load_topology
from bitwright.frontends.torch_lower import lower
from bitwright.ir import Program, codec, reference
from bitwright.ir.ops import Conv2d, Lookup, MaxPool2d, Threshold
from bitwright.ir.types import Int
from bitwright.native import run as run_program
from bitwright.nn import build
from bitwright.nn.evaluate import accuracy
from bitwright.nn.from_program import take_program
from bitwright.nn.recipe import Optimizer, Recipe
from bitwright.training import make

SHAPE = (12, 12, 2)
STACKS: dict[str, dict[str, Any]] = {
    "mlp": {"widths": [11, 7]},
    "cnn": {"blocks": [[5, 6], [7]], "hidden": [9]},
    "cnn-zeros": {"blocks": [[5], [6]], "hidden": [], "pad_value": 0},
    "cnv": {"width": 0.05, "input_shape": [32, 32, 3]},
}
SIZES = {"classes": 4, "input_shape": list(SHAPE)}


def untrained(kind: str, seed: int) -> nn.Module:
    """A stack with drawn weights and BatchNorms of all gains, also of 0 and below."""
    torch.manual_seed(seed)
    network = build(kind.removesuffix("-zeros"), **(SIZES | STACKS[kind]))
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.normal_(norm.weight)
            norm.weight.data[0] = 0.0
            nn.init.normal_(norm.bias)
            nn.init.normal_(norm.running_mean, std=4.0)
    return network.eval()


def pictures(count: int, shape: tuple[int, ...] = SHAPE, seed: int = 0) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (count, *shape), dtype=np.uint8)


def logits(network: nn.Module, images: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
    with torch.no_grad():
        real = network(torch.from_numpy(images).permute(0, 3, 1, 2))
    return np.rint(real.numpy() / network.scale.scale).astype(np.int64)


def expected(program: Program, images: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
    return reference.run(program, images)[program.logits or ""]


@settings(max_examples=20, deadline=None)
@given(kind=st.sampled_from(sorted(STACKS)), seed=st.integers(0, 1 << 16))
def test_a_network_computes_what_its_program_does(kind: str, seed: int) -> None:
    shape = tuple(STACKS[kind].get("input_shape", SHAPE))
    program = lower(untrained(kind, seed), shape)
    network = untrained(kind, seed + 1)
    images = pictures(24, shape, seed)
    take_program(network, program, torch.from_numpy(images))
    assert np.array_equal(logits(network, images), expected(program, images))
    # The BatchNorms have the statistics of these very images, so a training step begins there.
    assert np.array_equal(logits(network.train(), images), expected(program, images))
    others = pictures(24, shape, seed + 1)
    again = lower(network.eval(), shape)
    assert np.array_equal(expected(again, others), expected(program, others))


def pooled_bits(program: Program) -> Program:
    """The program with each threshold in front of the pooling that it came after."""
    ops = list(program.ops)
    for at, (pool, threshold) in enumerate(zip(program.ops, program.ops[1:], strict=False)):
        if isinstance(pool, MaxPool2d) and isinstance(threshold, Threshold):
            early = replace(threshold, inputs=pool.inputs, output=f"early{at}")
            late = replace(pool, inputs=(early.output,), output=threshold.output)
            ops[at : at + 2] = [early, late]
    return replace(program, ops=tuple(ops))


@pytest.mark.parametrize("seed", range(4))
def test_pooling_may_come_behind_the_thresholds(seed: int) -> None:
    usual = lower(untrained("cnn", seed), SHAPE)
    program = pooled_bits(usual)
    images = pictures(32)
    assert not np.array_equal(expected(usual, images), expected(program, images)), "falling bits"
    network = untrained("cnn", 99)
    take_program(network, program, torch.from_numpy(images))
    assert np.array_equal(logits(network, images), expected(program, images))


def test_levels_of_pixels_on_another_line_are_taken() -> None:
    program = lower(untrained("cnn-zeros", 5), SHAPE)
    first = program.ops[0]
    assert isinstance(first, Lookup)
    second = next(op for op in program.ops if isinstance(op, Threshold))
    tensors = dict(program.tensors)
    tensors[first.table] = (3 * program.tensors[first.table]).astype(np.int32)
    tensors[second.thresholds] = program.tensors[second.thresholds] * np.int32(3)
    tripled = replace(program, tensors=tensors)
    images = pictures(24)
    assert np.array_equal(expected(tripled, images), expected(program, images))
    network = untrained("cnn-zeros", 6)
    take_program(network, tripled, torch.from_numpy(images))
    assert np.array_equal(logits(network, images), expected(program, images))

    tensors[first.table] = np.arange(256, dtype=np.int32)
    with pytest.raises(ConfigError, match="another grey in 'conv1'"):
        take_program(network, replace(program, tensors=tensors), torch.from_numpy(images))
    for table in (np.roll(tensors[first.table], 9), np.full(256, 7, np.int32)):
        tensors[first.table] = table
        with pytest.raises(ConfigError, match="no straight line"):
            take_program(network, replace(program, tensors=tensors), torch.from_numpy(images))


def test_the_published_network_is_taken_without_a_loss(shared: Path) -> None:
    folder = shared / "models" / "bnn-pynq" / "cifar10" / "cnvW1A1"
    program = import_finn(folder, load_topology("cnv"))
    data = load_data("cifar10", split="test", data_dir=shared / "datasets", limit=1000)
    network = build("cnv", input_shape=[32, 32, 3], classes=10)
    images, labels = torch.from_numpy(data.images), torch.from_numpy(data.labels)
    take_program(network, program, images[750:])
    published = (run_program(program, data.images[:750])["class"] == data.labels[:750]).mean()
    assert accuracy(network, images[:750], labels[:750]) == pytest.approx(published, abs=0.03)


def test_programs_of_other_networks_are_refused() -> None:
    network = untrained("cnn", 0)
    images = torch.from_numpy(pictures(8))

    def refused(program: Program, message: str) -> None:
        before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        with pytest.raises(ConfigError, match=message) as caught:
            take_program(network, program, images)
        assert "the folder of a training run" in str(caught.value)
        after = network.state_dict()
        assert all(torch.equal(before[name], after[name]) for name in before)

    refused(lower(untrained("mlp", 0), SHAPE), "has 3 layers with weights, the network 5")
    wide = build("cnn", **SIZES, blocks=[[5, 6], [8]], hidden=[9]).eval()
    refused(lower(wide, SHAPE), r"kernel of shape .* in 'conv3', the network's 'conv3' \(7, ")
    zeros = build("cnn", **SIZES, **STACKS["cnn"], pad_value=0).eval()
    refused(lower(zeros, SHAPE), "pad value 0 in 'conv2', the network's 'conv2' -1")
    flat = build("cnn", **SIZES, blocks=[[5], [6], [7]], hidden=[9]).eval()
    refused(lower(flat, SHAPE), "has pooling .* in 'conv1'")
    fine = lower(network, SHAPE)
    (first, *rest) = fine.ops
    half = Int(fine.input_type.shape, 0, 127)
    table = {first.table: fine.tensors[first.table][:128]}
    refused(
        replace(fine, input_type=half, tensors=dict(fine.tensors) | table),
        "takes other images than of 8 bits",
    )
    heavy = dict(fine.tensors)
    for conv in (op for op in rest if isinstance(op, Conv2d) and op.output == "conv3"):
        heavy[conv.weights] = np.where(fine.tensors[conv.weights], 3, -1).astype(np.int8)
    refused(replace(fine, tensors=heavy), r"weights other than \+1 and -1 in 'conv3'")
    with pytest.raises(ConfigError, match="'input', a Normalise, cannot take"):
        take_program(build("vgg_small", **SIZES, width=0.1), fine, images)


def test_a_training_starts_with_a_program_and_learns_from_one(tmp_path: Path) -> None:
    first = run(tmp_path / "first")
    program = lower(first.network, (8, 8, 1), name="bars")
    file = tmp_path / "bars.safetensors"
    codec.save(program, file)
    still = Optimizer(lr=1e-12, latent_clip=0)
    recipe = RECIPE.model_copy(
        update={"epochs": 1, "start": str(file), "optimizer": still, "recalibrate": 0}
    )
    second = run(tmp_path / "second", recipe)
    assert second.log[0].accuracy > first.log[0].accuracy + 0.1
    images, labels = DATA[1].images, torch.from_numpy(DATA[1].labels)
    right = (expected(program, images).argmax(1) == labels.numpy()).mean()
    assert accuracy(second.network, torch.from_numpy(images), labels) > right - 0.1

    def locate(name: str) -> Path:
        return file if name == "bars" else Path(name)

    for name, teacher in (("file", str(file)), ("name", "bars")):
        update = {"epochs": 2, "distillation": {"teacher": teacher, "weight": 1.0}}
        taught = Recipe.model_validate(RECIPE.model_dump() | update)
        made = run(tmp_path / name, taught, locate=locate)
        assert made.log[1].loss < made.log[0].loss
        assert not (made.folder / "teacher").exists()
    named = run(tmp_path / "named", recipe.model_copy(update={"start": "bars"}), locate=locate)
    assert named.test_accuracy == second.test_accuracy

    file.write_bytes(file.read_bytes()[:-40] + bytes(40))
    with pytest.raises(ProgramError):
        run(tmp_path / "damaged", recipe)


def test_names_of_the_zoo_are_known_to_the_command(tmp_path: Path) -> None:
    digits = load("fmnist-mlp")
    recipe = Recipe.model_validate(
        {"data": "fashion-mnist", "epochs": 1, "model": {"name": "mlp"}, "start": "fmnist-mlpp"}
    )
    with pytest.raises(UnknownNameError, match="fmnist-mlp"):
        make("x", recipe, tmp_path)
    network = build("mlp", input_shape=[28, 28, 1], classes=10)
    images = load_data("fashion-mnist", split="test", limit=100).images
    take_program(network.eval(), digits.program, torch.from_numpy(images))
    assert np.array_equal(logits(network, images), digits(images))
