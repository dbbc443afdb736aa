"""Thresholds that follow a gradient: the network with circuits learns the exact network's scores.

The loss is the Kullback-Leibler divergence of the softmax of its scores from that of the exact
network's (G. Hinton et al., Distilling the knowledge in a neural network, 2015); only thresholds
are learned, so nothing is added to the hardware. The forward pass is bit-exact: the circuits' own
values. Backwards a bit passes the gradient on near its threshold (the straight-through estimator
of Y. Bengio et al., 2013), and a circuit's value counts as a count.

Requirements:

- A margin is how far a value lies on the bit's side of its threshold, in standard deviations of the
  neuron's values; a pool's margin is the largest of its window's, or for the AND of falling neurons
  the smallest, as its bit is.
- The scores are a dense layer of the last bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from bitwright.errors import ConfigError
from bitwright.ir import ops as o
from bitwright.native import NativeProgram
from bitwright.native.sliced_network import CircuitNetwork
from bitwright.native.sliced_stage import Stage
from bitwright.targets.majority.calibrate import calibrate

Array = npt.NDArray[Any]
Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]

BATCH = 128
RATE = 0.03
"""Learning rate at the start, in standard deviations of a neuron's values; falls to 0 by a cosine.
"""
MOMENTS = (0.9, 0.99)
"""Of Adam (D. P. Kingma and J. Ba, 2015)."""
TEMPERATURE = 1.4
"""What scores are divided by before the softmax, in standard deviations of the exact network's."""
WINDOW = 0.5
"""Margins up to this pass the gradient on, in standard deviations."""
DEVIATION_OF_NONE = 1.0
"""Added to a neuron's standard deviation: one that never changes still has a unit."""


def distil(network: CircuitNetwork, images: Array, epochs: int) -> dict[str, Integers]:
    """Learn the thresholds of all layers, beginning with those that match firing rates.

    Parameters
    ----------
    network
        The network with circuits; what is learned is set in it.
    images
        Calibration images (N, *input shape); no labels are used.
    epochs
        How often each is seen.

    Returns
    -------
    dict
        Thresholds (neurons,) by the names of the dot products, as `Design` holds them.

    Raises
    ------
    ConfigError
        If the network's scores are no dense layer of the last bits of the layers with circuits.
    """
    program = network.program
    scores = _scores(network)
    teacher = NativeProgram(program, [scores.output]).run(images)[scores.output]
    start = calibrate(network, images, "rate")
    learner = _Learner(
        network, program.tensor(scores, "weights"), TEMPERATURE * float(teacher.std())
    )
    moved = {name: np.zeros(len(limits)) for name, limits in start.items()}
    first = {name: np.zeros(len(limits)) for name, limits in start.items()}
    second = {name: np.zeros(len(limits)) for name, limits in start.items()}
    rng = np.random.default_rng(0)
    size = min(BATCH, len(images))
    steps, step = epochs * (len(images) // size), 0
    chosen = start
    for _ in range(epochs):
        order = rng.permutation(len(images))
        for begin in range(0, len(images) - size + 1, size):
            part = order[begin : begin + size]
            step += 1
            rate = RATE * 0.5 * (1 + np.cos(np.pi * step / steps))
            for name, gradient in learner.gradients(images[part], teacher[part]).items():
                first[name] += (1 - MOMENTS[0]) * (gradient - first[name])
                second[name] += (1 - MOMENTS[1]) * (gradient**2 - second[name])
                mean = first[name] / (1 - MOMENTS[0] ** step)
                square = second[name] / (1 - MOMENTS[1] ** step)
                moved[name] -= rate * mean / (np.sqrt(square) + 1e-12)
            chosen = {
                name: start[name] + np.rint(moved[name] * learner.units[name]).astype(np.int64)
                for name in start
            }
            for name, limits in chosen.items():
                network.decide_by(name, limits)
    return chosen


def _scores(network: CircuitNetwork) -> o.Dense:
    """Return the dense layer that makes the scores of the last bits."""
    program = network.program
    op = None if program.logits is None else program.definitions[program.logits]
    source = op.input if isinstance(op, o.Dense) else ""
    before = program.definitions.get(source)
    if isinstance(before, o.Flatten):
        source = before.input
    if not isinstance(op, o.Dense) or source != network.exit:
        raise ConfigError(
            f"thresholds = 'distilled' needs scores that are a dense layer of '{network.exit}', "
            "the last bits of the layers with circuits",
            "take 'rate'",
        )
    return op


class _Learner:
    """The gradient of the loss by the thresholds.

    Parameters
    ----------
    network
        The network.
    weights
        Of the scores, (classes, bits).
    temperature
        What scores are divided by before the softmax.
    """

    def __init__(self, network: CircuitNetwork, weights: Array, temperature: float) -> None:
        self.network = network
        self.weights = _signs(weights) if weights.dtype == np.bool_ else weights.astype(np.float32)
        self.temperature = max(temperature, 1.0)
        self.kernels = {s.name: _signs(s.layer.weights) for s in network.layers}
        self.units: dict[str, Floats] = {}
        """The standard deviation of each neuron's values on the first batch, (neurons,)."""

    def gradients(self, images: Array, teacher: Array) -> dict[str, Floats]:
        """Return the gradient of each layer's thresholds, in units of their deviations."""
        margins, last = self._forward(images)
        gradient = self._loss(np.where(last, np.float32(1), np.float32(-1)), teacher)
        found: dict[str, Floats] = {}
        shapes = self.network.shapes
        for stage in reversed(self.network.stages):
            name = stage.bits if isinstance(stage, Stage) else stage.output
            gradient = gradient.reshape(len(images), *shapes[name].shape)
            if isinstance(stage, o.MaxPool2d):
                gradient = _unpool(gradient, margins[stage.input], stage, np.float32(1))
                continue
            margin = margins[stage.name]
            sign = _signs(stage.rising)
            if stage.pool is not None:
                gradient = _unpool(gradient, margin, stage.pool, sign)
            passed = gradient * (np.abs(margin) < WINDOW) * (sign / WINDOW)
            found[stage.name] = -passed.sum(axis=(0, 1, 2))
            if stage is self.network.stages[0]:
                break
            # A value counts as the count (d + n) / 2.
            passed *= np.float32(0.5) / self.units[stage.name]
            gradient = _unconvolve(passed, self.kernels[stage.name], stage, shapes[stage.source])
        return found

    def _forward(self, images: Array) -> tuple[dict[str, Floats], Array]:
        """Return the margins of all layers and pools, and the last bits."""
        network, margins = self.network, dict[str, Floats]()
        maps = network.enter(images)
        for stage in network.stages:
            if isinstance(stage, Stage):
                values = stage.layer.counts(maps[stage.source], len(images)).astype(np.float32)
                if stage.name not in self.units:
                    self.units[stage.name] = values.std(axis=(0, 1, 2)) + DEVIATION_OF_NONE
                limits = stage.thresholds[stage.classes].reshape(*values.shape[1:])
                sign = _signs(stage.rising)
                # Half a unit beyond the threshold lies the border between 0 and 1.
                values -= limits.astype(np.float32)
                margin = (values * sign + np.float32(0.5)) / self.units[stage.name]
                margins[stage.name] = margins[stage.bits] = margin
                if stage.pool is not None:
                    margins[stage.bits] = _pooled(margin, stage.pool, sign)
            else:
                margins[stage.output] = _pooled(margins[stage.input], stage, np.float32(1))
            network.step(stage, maps)
        return margins, margins[network.exit].reshape(len(images), -1) > 0

    def _loss(self, bits: Floats, teacher: Array) -> Floats:
        """Return the gradient of the loss by the last bits."""
        scores, wanted = (
            _softmax(given / self.temperature) for given in (bits @ self.weights.T, teacher)
        )
        by_scores = (scores - wanted) / (self.temperature * len(bits))
        return np.asarray(by_scores.astype(np.float32) @ self.weights)


def _signs(bits: Array) -> Floats:
    return np.where(bits, np.float32(1), np.float32(-1))


def _softmax(scores: Array) -> Array:
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def _taps(array: Array, op: o.MaxPool2d, shape: tuple[int, ...]) -> list[Array]:
    """Return views of a padded map, one a tap of the windows, of the pooled shape."""
    rows, columns = (n * stride for n, stride in zip(shape[1:3], op.stride, strict=True))
    return [
        array[:, i : i + rows : op.stride[0], j : j + columns : op.stride[1]]
        for i in range(op.kernel[0])
        for j in range(op.kernel[1])
    ]


def _padded(array: Floats, op: o.MaxPool2d, value: float) -> Floats:
    # Taps are cut by their stride, so that the last window may need some more.
    top, bottom, left, right = op.padding
    more = ((0, 0), (top, bottom + op.stride[0]), (left, right + op.stride[1]), (0, 0))
    return np.pad(array, more, constant_values=value)


def _pooled(margin: Floats, op: o.MaxPool2d, sign: Any) -> Floats:
    """Return the margin of each window: the largest of its own, the smallest where sign is -1."""
    size = [margin.shape[axis + 1] + sum(op.padding[2 * axis : 2 * axis + 2]) for axis in (0, 1)]
    counts = [(n - k) // s + 1 for n, k, s in zip(size, op.kernel, op.stride, strict=True)]
    shape = (len(margin), *counts, margin.shape[3])
    padded = _padded(margin * sign, op, -np.inf)
    return np.asarray(np.max(_taps(padded, op, shape), axis=0) * sign)


def _unpool(gradient: Floats, margin: Floats, op: o.MaxPool2d, sign: Any) -> Floats:
    """Return the gradient by what a pool read: it goes to the tap that decided."""
    padded = _padded(margin * sign, op, -np.inf)
    taps = _taps(padded, op, gradient.shape)
    decided = np.argmax(taps, axis=0)
    out = np.zeros_like(padded)
    for k, tap in enumerate(_taps(out, op, gradient.shape)):
        np.add(tap, gradient * (decided == k), out=tap)
    top, _, left, _ = op.padding
    return out[:, top : top + margin.shape[1], left : left + margin.shape[2]]


def _unconvolve(gradient: Floats, kernels: Floats, stage: Stage, shape: Any) -> Floats:
    """Return the gradient by the bits that a layer read, (images, rows, columns, channels)."""
    windows = stage.layer.windows
    top, bottom, left, right = windows.padding
    rows, columns, channels = shape.shape
    images, height, width, neurons = gradient.shape
    down, across = windows.stride
    size = (images, rows + top + bottom + down, columns + left + right + across, channels)
    out = np.zeros(size, np.float32)
    flat = gradient.reshape(-1, neurons)
    for i in range(windows.kernel[0]):
        for j in range(windows.kernel[1]):
            part = (flat @ kernels[:, i, j]).reshape(images, height, width, channels)
            out[:, i : i + height * down : down, j : j + width * across : across] += part
    return out[:, top : top + rows, left : left + columns]
