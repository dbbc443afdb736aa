"""Shared sums against matrix products, the engine and the reference."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.native.sketch import Sketch, random_batch, same
from tests.native.test_levels import requires

from bitwright.errors import ConfigError
from bitwright.ir import Bits, Int, reference
from bitwright.ir import ops as o
from bitwright.native import NativeProgram, planes, shared_kernel, shared_network, simd
from bitwright.native.shared_network import SharedProgram, Timing, random_images, time_layers
from bitwright.native.shared_sums import SharedSums

WINDOWS = 512
INT32 = np.iinfo(np.int32)


@dataclass(frozen=True)
class Graph:
    """What `SharedSums` reads, with the dot products worked out term by term."""

    inputs: int
    starts: Any
    sources: Any
    coefficients: Any
    outputs: Any
    signs: Any

    def values(self, inputs: Any) -> Any:
        wires = list(inputs)
        for start, stop in zip(self.starts[:-1], self.starts[1:], strict=True):
            terms = zip(self.sources[start:stop], self.coefficients[start:stop], strict=True)
            wires.append(sum((c * wires[s] for s, c in terms), np.zeros(inputs.shape[1], int)))
        return self.signs[:, None] * np.array(wires)[self.outputs]


def graph(inputs: int, terms: list[list[tuple[int, int]]], outputs: Any, signs: Any) -> Graph:
    flat = [term for node in terms for term in node]
    pairs = np.array(flat, np.int64).reshape(-1, 2)
    starts = np.cumsum([0, *map(len, terms)])
    return Graph(inputs, starts, pairs[:, 0], pairs[:, 1], np.array(outputs), np.array(signs))


def tree(weights: Any, rng: np.random.Generator) -> Graph:
    """Each kernel from an earlier one or its complement; some neurons read complements."""
    inputs = weights.shape[1]
    signs = rng.choice([-1, 1], len(weights))
    kernels = weights * signs[:, None]
    terms: list[list[tuple[int, int]]] = [list(enumerate(kernels[0]))]
    for node in range(1, len(kernels)):
        parent = int(rng.integers(node))
        sign = 1 if kernels[parent] @ kernels[node] >= 0 else -1
        differ = np.flatnonzero(kernels[node] != sign * kernels[parent])
        terms.append([(inputs + parent, sign), *((i, 2 * kernels[node, i]) for i in differ)])
    return graph(inputs, terms, inputs + np.arange(len(kernels)), signs)


def decided(sums: SharedSums, bits: Any, limits: Any) -> Any:
    """The kernel's bits of 512 windows."""
    array = sums.allocate()
    packed = np.packbits(bits, axis=1, bitorder="little")
    array[sums.places] = packed.view(np.uint64)
    out = simd.aligned((sums.neurons, simd.LANES), np.uint64)
    sums.decide(array, limits, out)
    return np.unpackbits(out.view(np.uint8), axis=1, bitorder="little").view(np.bool_)


def compared(dots: Any, thresholds: Any, rising: Any) -> Any:
    limits = thresholds[:, None]
    return np.where(rising[:, None], dots >= limits, dots <= limits)


def check(made: Graph, rng: np.random.Generator, *, kernel: bool = True) -> SharedSums:
    """Compare the twin, and the kernel, with the graph's dot products."""
    neurons = len(made.outputs)
    bits = rng.random((made.inputs, WINDOWS)) < rng.random()
    dots = made.values(2 * bits.astype(np.int64) - 1)
    sums = SharedSums(made)
    some = dots[np.arange(neurons), rng.integers(0, WINDOWS, neurons)]
    ends = rng.choice([INT32.min, INT32.max, -made.inputs, made.inputs + 1], neurons)
    thresholds = np.where(rng.random(neurons) < 0.3, ends, some + rng.integers(-1, 2, neurons))
    rising = rng.random(neurons) < 0.5
    limits = sums.limits(thresholds, rising)
    expected = compared(dots, thresholds, rising)
    np.testing.assert_array_equal(sums.decide_plainly(bits, limits), expected)
    if kernel:
        np.testing.assert_array_equal(decided(sums, bits, limits), expected)
    return sums


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Any graphs: terms twice, nodes without terms, neurons that are inputs or share a node."""
    inputs = draw(st.integers(1, 12))
    nodes = draw(st.integers(0, 6))
    coefficients = st.sampled_from([-2, -1, 1, 2])
    terms = [
        draw(st.lists(st.tuples(st.integers(0, inputs + k - 1), coefficients), max_size=20))
        for k in range(nodes)
    ]
    neurons = draw(st.integers(1, 5))
    wires = st.lists(st.integers(0, inputs + nodes - 1), min_size=neurons, max_size=neurons)
    signs = st.lists(st.sampled_from([-1, 1]), min_size=neurons, max_size=neurons)
    return graph(inputs, terms, draw(wires), draw(signs))


@settings(deadline=None, max_examples=100)
@given(graphs(), st.integers(0, 2**32))
def test_tables_of_any_graph(made: Graph, seed: int) -> None:
    check(made, np.random.default_rng(seed), kernel=False)


@settings(deadline=None, max_examples=40)
@given(st.sampled_from([1, 9, 50]), st.integers(1, 12), st.integers(0, 2**32))
def test_trees(inputs: int, neurons: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    weights = rng.choice([-1, 1], (neurons, inputs), p=[0.3, 0.7])
    # Kernels that are the same, or complements.
    again = rng.random(neurons) < 0.3
    weights[again] = weights[0] * rng.choice([-1, 1], (int(again.sum()), 1))
    made = tree(weights, rng)
    check(made, rng)
    bits = rng.integers(0, 2, (inputs, 10)) * 2 - 1
    np.testing.assert_array_equal(made.values(bits), weights @ bits)


def test_every_kind_of_term_and_group() -> None:
    """Lists long enough for all loops, signs in all numbers, and sums that are taken away."""
    rng = np.random.default_rng(0)
    inputs = 200
    for positive, negative in ((0, 1), (8, 0), (9, 8), (40, 9), (100, 100), (17, 64)):
        chosen = rng.permutation(inputs)[: positive + negative]
        signs = np.repeat([1, -1], [positive, negative])
        first = [(i, s) for i, s in zip(chosen, signs, strict=True)]
        second = [(i, 2 * s) for i, s in zip(chosen[::-1], signs, strict=True)]
        nodes = [first, [*second, (inputs, 1)], [(inputs + 1, 2), (inputs, -1), *first[:3]]]
        nodes.append([(inputs + 2, -1), (inputs + 1, 1), (0, 1)])
        check(graph(inputs, nodes, inputs + np.array([3, 2, 1, 0, 3]), [1, -1, 1, -1, -1]), rng)


def test_one_neuron() -> None:
    rng = np.random.default_rng(1)
    sums = check(tree(rng.choice([-1, 1], (1, 50)), rng), rng)
    assert sums.width == 6
    assert len(sums.nodes) == 1


def test_a_tree_takes_no_sum_away_and_keeps_few() -> None:
    rng = np.random.default_rng(2)
    inputs, depth = 50, 30
    rows = np.cumprod(np.where(rng.random((depth, inputs)) < 0.7, -1, 1), axis=0)
    terms = [list(enumerate(rows[0]))]
    for k in range(1, depth):  # a chain: each from the complement of the one before
        differ = np.flatnonzero(rows[k] == rows[k - 1])
        terms.append([(inputs + k - 1, -1), *((i, 2 * rows[k, i]) for i in differ)])
    made = graph(inputs, terms, inputs + np.arange(depth), np.ones(depth, int))
    sums = check(made, rng)
    assert not sums.nodes[:, shared_kernel.TAKEN].any()
    assert sums.size <= inputs + 2 + inputs // 8 + 8 + 2 * sums.width


@pytest.mark.parametrize("images", [1, 63, 64])
@pytest.mark.parametrize("words", [1, 7, 8, 21])
def test_planes_and_back(images: int, words: int) -> None:
    rng = np.random.default_rng(words)
    packed = rng.integers(0, 2**64, (images, words), np.uint64)
    room = simd.aligned((planes.ROOM, 64), np.uint64)
    room[:] = 5
    sliced = simd.aligned((words, 64), np.uint64)
    planes.to_planes(packed, room, sliced)
    bits = np.unpackbits(packed.view(np.uint8), axis=1, bitorder="little")
    found = np.unpackbits(sliced.view(np.uint8).reshape(-1, 8), axis=1, bitorder="little")
    np.testing.assert_array_equal(found[:, :images].T, bits)
    assert not found[:, images:].any()
    places = np.cumsum(rng.integers(1, 3, words)) if words < 21 else np.arange(words) + 2
    wide = np.zeros((images, places[-1] + 2), np.uint64)
    planes.from_planes(sliced, places, room, wide)
    np.testing.assert_array_equal(wide[:, places], packed)
    wide[:, places] = 0
    assert not wide.any()


def network(c: int, pad_value: int = -1) -> tuple[Sketch, list[str]]:
    """Bits from pixels, then layers that shared sums can do, and one that they cannot."""
    s = Sketch(Int((9, 8, 3), 0, 255), seed=c)
    first = s.threshold(s.conv("x", c, padding=(1, 1, 1, 1)))
    second = s.conv(first, c + 3, padding=(1, 1, 1, 1), pad_value=pad_value)
    pooled = s.threshold(s.pool(second))
    third = s.conv(pooled, 20, stride=(1, 2), padding=(0, 1, 1, 0), pad_value=pad_value)
    dense = s.dense(s.add(o.Flatten, s.threshold(third)), 70)
    last = s.dense(s.threshold(dense), 10)
    return s, [second, third, dense, last]


def graphs_of(s: Sketch, names: list[str], rng: np.random.Generator) -> dict[str, Graph]:
    weights = {name: s.tensors[f"{name}.weights"] for name in names}
    return {name: tree(np.where(w.reshape(len(w), -1), 1, -1), rng) for name, w in weights.items()}


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shared sums win, whatever the clock says."""

    def timed(*arguments: Any) -> dict[str, Timing]:
        return {name: Timing(1.0, 0.0) for name in time_layers(*arguments)}

    monkeypatch.setattr(shared_network, "time_layers", timed)


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize(("c", "pad_value"), [(1, 0), (40, -1), (40, 0), (70, 1)])
def test_networks(c: int, pad_value: int) -> None:
    s, (*layers, last) = network(c, pad_value)
    program = s.program(last, layers[-1])
    rng = np.random.default_rng(c)
    made = graphs_of(s, layers[:-1], rng)
    shared = SharedProgram(program, made, images=130, rng=rng)
    assert shared.shared == tuple(layers[:-1])
    batch = random_batch(program, 201, rng)
    expected = NativeProgram(program).run(batch)
    for threads in (1, 2):
        same(shared.run(batch, threads=threads), expected)
    same(shared.run(batch[:3]), reference.run(program, batch[:3]))


@pytest.mark.usefixtures("always")
def test_a_dense_layer_of_many_images() -> None:
    s = Sketch(Bits((40,)), seed=3)
    dense = s.dense("x", 65)
    program = s.program(s.threshold(dense))
    rng = np.random.default_rng(0)
    shared = SharedProgram(program, graphs_of(s, [dense], rng), images=1100, rng=rng)
    batch = random_batch(program, 1100, rng)
    same(shared.run(batch, threads=1), NativeProgram(program).run(batch))


def test_the_faster_kernel_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    s, (second, third, dense, last) = network(40)
    program = s.program(last)
    rng = np.random.default_rng(0)
    made = graphs_of(s, [second, third, dense], rng)

    def timed(*_: Any) -> dict[str, Timing]:
        return {second: Timing(2.0, 3.0), third: Timing(3.0, 2.0), dense: Timing(1.0, 1.0)}

    plain = SharedProgram(program, made, images=64, rng=rng)
    assert set(plain.timings) == set(made)
    assert all(timing.dense > 0 < timing.shared for timing in plain.timings.values())
    monkeypatch.setattr(shared_network, "time_layers", timed)
    shared = SharedProgram(program, made, images=64, rng=rng)
    assert shared.shared == (third,)
    before = NativeProgram(program).plan.steps
    kinds = [type(step.kernel).__name__ for step in shared.plan.steps]
    assert kinds.count("SharedLayer") == 1
    assert [step.op for step in shared.plan.steps] == [step.op for step in before]
    batch = random_batch(program, 70, rng)
    same(shared.run(batch), NativeProgram(program).run(batch))


def test_what_cannot_be_shared_is_refused() -> None:
    s, (second, *_, last) = network(40)
    program = s.program(last)
    rng = np.random.default_rng(0)
    made = graphs_of(s, [second, last], rng)
    with pytest.raises(ConfigError, match=f"'{last}' is no dot product of bits with a threshold"):
        SharedProgram(program, made, rng=rng)
    with pytest.raises(ConfigError, match="has 360 inputs and 10 neurons"):
        SharedProgram(program, {second: tree(rng.choice([-1, 1], (10, 360)), rng)}, rng=rng)
    with pytest.raises(ConfigError, match="makes other bits than the layer does"):
        SharedProgram(program, {second: tree(rng.choice([-1, 1], (43, 360)), rng)}, rng=rng)


def test_random_images_fit_their_program() -> None:
    s = Sketch(Int((2, 2, 1), -3, 4))
    images = random_images(s.program(s.threshold(s.conv("x", 1, 1))), 200, s.rng)
    assert set(images.ravel().tolist()) == set(range(-3, 5))


LEVEL = """
import numpy as np
from tests.native import test_shared_sums as t
t.test_every_kind_of_term_and_group()
t.test_planes_and_back(64, 21)
print(t.simd.level())
"""


@pytest.mark.parametrize(
    ("cpu", "level"),
    [
        pytest.param("haswell", "avx2", marks=requires("avx2", "fma", "bmi", "bmi2")),
        pytest.param("x86-64", "portable", marks=requires()),
    ],
)
def test_narrower_vectors(cpu: str, level: str, tmp_path: Path) -> None:
    environment = dict(os.environ) | {
        "NUMBA_CACHE_DIR": str(tmp_path),
        "NUMBA_CPU_NAME": cpu,
        "NUMBA_CPU_FEATURES": "",
    }
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", LEVEL],
        cwd=Path(__file__).parents[2],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    assert run.stdout.strip() == level
