"""Distilled thresholds: the gradient's parts against brute force, and that it helps."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.native.sketch import random_batch
from tests.targets.majority.test_majority import three_layers

from bitwright.circuits import make
from bitwright.errors import ConfigError
from bitwright.ir import ops as o
from bitwright.ir import reference
from bitwright.native import binary
from bitwright.targets.majority import distil as module
from bitwright.targets.majority.calibrate import calibrate
from bitwright.targets.majority.distil import distil
from bitwright.targets.majority.networks import build


def layers(program):
    convolutions = [op.output for op in program.ops if isinstance(op, o.Conv2d)][1:]
    return {name: make("maj", 360) for name in convolutions}


def divergence(network, images, teacher):
    """What distillation makes small, on some images."""
    scores = network.run(images)[network.program.logits]
    unit = teacher.std()
    q, p = (module._softmax(s / unit) for s in (scores, teacher))
    return float((p * np.log(p / q)).sum(axis=1).mean())


def test_it_makes_the_divergence_smaller_and_returns_what_it_set():
    program = three_layers(3)
    images = random_batch(program, 256, np.random.default_rng(0))
    teacher = reference.run(program, images)[program.logits]
    network = build(program, layers(program))
    start = calibrate(network, images, "rate")
    before = divergence(network, images, teacher)
    chosen = distil(network, images, 30)
    after = divergence(network, images, teacher)
    assert after < 0.9 * before
    assert chosen.keys() == start.keys()
    for stage in network.layers:
        assert chosen[stage.name].dtype == np.int64
        shifted = stage.decided_by(chosen[stage.name]).thresholds
        np.testing.assert_array_equal(stage.thresholds, shifted)


def test_margins_have_the_sign_of_the_bits():
    program = three_layers(1)
    network = build(program, layers(program))
    images = random_batch(program, 20, np.random.default_rng(1))
    learner = module._Learner(network, np.ones((10, 1), np.bool_), 1.0)
    margins, last = learner._forward(images)
    maps = network.enter(images)
    for stage in network.stages:
        network.step(stage, maps)
        name = stage.output if isinstance(stage, o.MaxPool2d) else stage.bits
        words = network.words(name, maps, len(images))
        bits = binary.unpack_channels(words, margins[name].shape[3])
        np.testing.assert_array_equal(margins[name] > 0, bits)
    np.testing.assert_array_equal(last, bits.reshape(20, -1))


def test_the_last_layers_gradient_is_that_of_the_loss():
    """Of the loss as a function of real bits, by numeric differences."""
    program = three_layers(2)
    network = build(program, layers(program))
    images = random_batch(program, 6, np.random.default_rng(2))
    teacher = reference.run(program, images)[program.logits].astype(np.float64)
    op = program.definitions[program.logits]
    learner = module._Learner(network, program.tensor(op, "weights"), float(teacher.std()))
    bits = np.where(learner._forward(images)[1], 1.0, -1.0)

    def loss(given):
        q, p = (
            module._softmax(s / learner.temperature) for s in (given @ learner.weights.T, teacher)
        )
        return (p * np.log(p / q)).sum() / len(images)

    gradient = learner._loss(bits.astype(np.float32), teacher)
    for image, k in ((0, 0), (3, 17), (5, 79)):
        near = [bits.copy(), bits.copy()]
        near[0][image, k] -= 1e-4
        near[1][image, k] += 1e-4
        slope = (loss(near[1]) - loss(near[0])) / 2e-4
        np.testing.assert_allclose(gradient[image, k], slope, rtol=1e-3, atol=1e-9)


POOLS = st.builds(
    lambda kernel, stride, padding: o.MaxPool2d(
        output="y", inputs=("x",), kernel=kernel, stride=stride, padding=padding
    ),
    st.tuples(st.integers(2, 3), st.integers(2, 3)),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.tuples(*[st.integers(0, 1)] * 4),
)


@settings(deadline=None)
@given(POOLS, st.integers(0, 2**32 - 1))
def test_a_pools_gradient_is_its_derivative(op, seed):
    rng = np.random.default_rng(seed)
    margin = rng.permutation(2 * 5 * 6 * 3).reshape(2, 5, 6, 3).astype(np.float32)
    sign = np.array([1, -1, 1], np.float32)
    pooled = module._pooled(margin, op, sign)
    gradient = rng.integers(-5, 6, pooled.shape).astype(np.float32)
    found = module._unpool(gradient, margin, op, sign)
    expected = np.zeros_like(margin)
    top, _, left, _ = op.padding
    for n, r, c, k in np.ndindex(pooled.shape):
        rows = slice(max(r * op.stride[0] - top, 0), r * op.stride[0] - top + op.kernel[0])
        columns = slice(max(c * op.stride[1] - left, 0), c * op.stride[1] - left + op.kernel[1])
        window = margin[n, rows, columns, k] * sign[k]
        assert pooled[n, r, c, k] == window.max() * sign[k]
        i, j = np.unravel_index(window.argmax(), window.shape)
        expected[n, rows.start + i, columns.start + j, k] += gradient[n, r, c, k]
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("stride", [(1, 1), (2, 1), (2, 3)])
@pytest.mark.parametrize("padding", [(0, 0, 0, 0), (1, 0, 1, 1)])
def test_a_convolutions_gradient_is_its_transpose(stride, padding):
    program = three_layers()
    network = build(program, layers(program))
    stage = network.layers[0]
    windows = stage.layer.windows
    rows, columns = windows.size
    counts = tuple(
        (n + sum(padding[2 * a : 2 * a + 2]) - 3) // stride[a] + 1
        for a, n in enumerate((rows, columns))
    )
    windows = dataclasses.replace(windows, stride=stride, padding=padding, counts=counts)
    stage = dataclasses.replace(stage, layer=dataclasses.replace(stage.layer, windows=windows))
    rng = np.random.default_rng(0)
    x = rng.integers(-3, 4, (2, rows, columns, 40)).astype(np.float32)
    kernels = rng.integers(-1, 2, (40, 3, 3, 40)).astype(np.float32)
    gradient = rng.integers(-3, 4, (2, *counts, 40)).astype(np.float32)
    back = module._unconvolve(gradient, kernels, stage, network.shapes[stage.source])
    top, bottom, left, right = padding
    padded = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)))
    view = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    view = view[:, :: stride[0], :: stride[1]][:, : counts[0], : counts[1]]
    forward = np.einsum("nrcxij,oijx->nrco", view, kernels)
    assert (forward * gradient).sum() == (x * back).sum()


def test_scores_that_are_no_dense_layer_of_the_last_bits_are_refused():
    program = three_layers()
    first = next(iter(layers(program)))
    ops = [op for op in program.ops if not isinstance(op, o.ArgMax)]
    headless = program.with_ops(ops) if program.outputs[0] in {p.output for p in ops} else None
    assert headless is None  # the decision is an output: take it out of those as well
    headless = dataclasses.replace(program, ops=tuple(ops), outputs=program.outputs[1:])
    network = build(headless, {first: make("maj", 360)})
    with pytest.raises(ConfigError, match="'distilled' needs scores"):
        distil(network, random_batch(headless, 8, np.random.default_rng(0)), 1)
