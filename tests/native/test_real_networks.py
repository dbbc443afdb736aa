"""Published networks on published images: known numbers of right answers, known values inside."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from tests.native.sketch import same

from bitwright.data import load
from bitwright.frontends.finn import import_finn
from bitwright.frontends.topology import load_topology
from bitwright.ir import Bits, Program, reference
from bitwright.native import NativeProgram

SHARED = Path(os.environ.get("BITWRIGHT_SHARED", Path(__file__).parents[3] / "shared"))
NETWORKS = {
    # network: folder, topology, data set, right answers of 10,000 (those of the boards' notebooks)
    "cnv": ("cifar10/cnvW1A1", "cnv", "cifar10", 7_922),
    "lfc": ("mnist/lfcW1A1", "lfc", "mnist", 9_840),
}
CHUNK = 50


def published(folder: str, topology: str) -> Program:
    path = SHARED / "models" / "bnn-pynq" / folder
    if not path.is_dir():
        pytest.skip(f"no {path}: set $BITWRIGHT_SHARED")
    return import_finn(path, load_topology(topology))


def images_of(data: str, limit: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    folder = SHARED / "datasets"
    if not folder.is_dir():
        pytest.skip(f"no {folder}: set $BITWRIGHT_SHARED")
    found = load(data, split="test", data_dir=folder, limit=limit, download=False)
    return found.images, found.labels


@pytest.mark.slow
@pytest.mark.parametrize("network", NETWORKS)
def test_right_answers(network: str) -> None:
    folder, topology, data, right = NETWORKS[network]
    program = published(folder, topology)
    images, labels = images_of(data)
    assert len(images) == 10_000
    decided = NativeProgram(program).run(images)["class"]
    assert int((decided == labels).sum()) == right


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("count", [50, pytest.param(1_000, marks=pytest.mark.slow)])
def test_every_value_equals_the_reference(network: str, count: int) -> None:
    folder, topology, data, _ = NETWORKS[network]
    program = published(folder, topology)
    images, _ = images_of(data, limit=count)
    every = tuple(program.types)
    bits = [name for name, value in program.types.items() if isinstance(value, Bits)]
    stored = [*bits, *program.outputs]
    plain, fused = NativeProgram(program, every), NativeProgram(program, stored)
    assert len(fused.plan.steps) < len(plain.plan.steps)
    default = NativeProgram(program)
    for start in range(0, count, CHUNK):
        part = images[start : start + CHUNK]
        expected = reference.run(program, part, every)
        same(plain.run(part), expected)
        same(fused.run(part), {name: expected[name] for name in stored})
        same(default.run(part), {name: expected[name] for name in program.outputs})


def test_street_view_numbers() -> None:
    program = published("streetview/cnvW1A1", "cnv")
    assert program.classes == (*map(str, range(1, 10)), "0")
    # L2 holds one dead neuron: its threshold lies beyond its 576 inputs.
    dead = program.tensors["bits2.thresholds"] > program.types["dot2"].hi
    assert dead.sum() == 1
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (3, 32, 32, 3)).astype(np.uint8)
    keep = ("bits2", *program.outputs)
    values = NativeProgram(program, keep).run(images)
    assert not values["bits2"][..., dead].any()
    same(values, reference.run(program, images, keep))
