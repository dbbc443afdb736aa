"""A multilayer perceptron with weights and activations of few bits: what BNNs are compared with.

Requirements:

- One architecture at every precision: pixel levels in, layers of the same widths, BatchNorm and a
  quantiser behind each but the last. With one bit it is `bitwright.nn.stacks.mlp` itself.
- With b > 1 bits weights are whole numbers from -(2**(b-1) - 1) to 2**(b-1) - 1 times a step of
  their layer, activations from 0 to 2**b - 1 times a step of theirs. Steps are learned.
- What is returned computes with whole numbers alone between the layers, and imports no torch.

Source: Esser et al., Learned Step Size Quantization (ICLR 2020), with two changes. A step starts
where the mean squared error is least: at their multiple of the mean magnitude, 8 bits leave the
high ones unused. Its logarithm is learned: Adam moves every parameter by about its learning rate,
whatever the scale of the gradient, and steps are small numbers.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812  # torch's own name for it
from torch import Tensor, nn

from bitwright.data import Dataset
from bitwright.nn.activations import Sign
from bitwright.nn.batches import derived_seed
from bitwright.nn.binary_layers import BinaryLinear
from bitwright.nn.evaluate import recalibrate
from bitwright.nn.fit import fit
from bitwright.nn.fixed import PixelLevels
from bitwright.nn.progress import Progress
from bitwright.nn.recipe import ModelChoice, Optimizer, Recipe
from bitwright.nn.stacks import mlp

Arrays = dict[str, npt.NDArray[Any]]
MOST_BITS = 8
RATES = {1: 1e-2}
"""The highest learning rate: latent weights of one bit need more than others."""
RATE = 2e-3
RECALIBRATED = 10_000
"""Training images that BatchNorms take their statistics from at the end."""
_CANDIDATES = 60
_SAMPLES = 4096


def weight_range(bits: int) -> int:
    """Return the largest weight of b bits, in steps; the smallest is its negative."""
    return 1 if bits == 1 else 2 ** (bits - 1) - 1


def best_step(values: Tensor, low: int, high: int) -> float:
    """Return the step of a grid from `low` to `high` steps whose mean squared error is least."""
    most = float(values.abs().max()) or 1.0
    steps = most * torch.linspace(1 / _CANDIDATES, 1, _CANDIDATES) / max(abs(low), high)
    errors = [
        float(((values / step).round().clamp(low, high) * step - values).square().mean())
        for step in steps
    ]
    return float(steps[int(np.argmin(errors))])


def quantised(values: Tensor, step: Tensor, low: int, high: int) -> Tensor:
    """Return values on a grid, with the gradients of learned step sizes.

    Parameters
    ----------
    values
        Of any shape.
    step
        (1,): the grid's.
    low, high
        The grid's ends, in steps.
    """
    inside = (values / step).clamp(low, high)
    return ((inside.round() - inside).detach() + inside) * step


class QuantisedLinear(nn.Module):
    """Fully connected layer with weights of few bits; no bias.

    Parameters
    ----------
    in_features, out_features
        Sizes of the input and output.
    bits
        At least 2.
    """

    def __init__(self, in_features: int, out_features: int, bits: int) -> None:
        super().__init__()
        self.high = weight_range(bits)
        self.weight = nn.Parameter(torch.empty(out_features, in_features))
        nn.init.xavier_normal_(self.weight)
        step = best_step(self.weight.detach().flatten()[:_SAMPLES], -self.high, self.high)
        self.log_step = nn.Parameter(torch.tensor([step]).log())

    def forward(self, x: Tensor) -> Tensor:
        """Multiply ``x``, shaped (batch, in)."""
        return F.linear(x, quantised(self.weight, self.log_step.exp(), -self.high, self.high))

    @torch.no_grad()
    def whole(self) -> Tensor:
        """Return the weights in steps, (out, in)."""
        return (self.weight / self.log_step.exp()).clamp(-self.high, self.high).round()


class QuantisedReLU(nn.Module):
    """Activations of few bits, none negative.

    Parameters
    ----------
    bits
        At least 2.
    """

    def __init__(self, bits: int) -> None:
        super().__init__()
        self.high = 2**bits - 1
        # BatchNorm is in front: what comes in starts as a normal distribution.
        normal = torch.special.ndtri((torch.arange(_SAMPLES) + 0.5) / _SAMPLES)
        step = best_step(normal.clamp_min(0), 0, self.high)
        self.log_step = nn.Parameter(torch.tensor([step]).log())

    def forward(self, x: Tensor) -> Tensor:
        """Quantise ``x``, of any shape."""
        return quantised(x, self.log_step.exp(), 0, self.high)


def network(
    bits: int, widths: Sequence[int], input_shape: tuple[int, int, int], classes: int
) -> nn.Sequential:
    """Return a network that is not trained.

    Parameters
    ----------
    bits
        Of weights and activations, 1 to `MOST_BITS`.
    widths
        Features of each hidden layer.
    input_shape
        (height, width, channels) of an image.
    classes
        Number of logits.
    """
    if bits == 1:
        return mlp(tuple(widths), input_shape, classes)
    layers: list[nn.Module] = [PixelLevels(), nn.Flatten()]
    features = int(np.prod(input_shape))
    for width in widths:
        layers += [
            QuantisedLinear(features, width, bits),
            nn.BatchNorm1d(width),
            QuantisedReLU(bits),
        ]
        features = width
    return nn.Sequential(*layers, QuantisedLinear(features, classes, bits))


def train_precision(
    data: Dataset,
    bits: int,
    widths: Sequence[int],
    epochs: int,
    seed: int,
    progress: Callable[[Progress], None] | None = None,
    threads: int | None = None,
) -> Arrays:
    """Train a network, and return it as whole numbers.

    Parameters
    ----------
    data
        Training images with labels.
    bits, widths
        As `network` takes them.
    epochs
        Passes over the images.
    seed
        Decides initial weights and the images' order.
    progress
        Called every few steps.
    threads
        CPU threads; without it, as many as torch takes.

    Returns
    -------
    dict
        As `export` does.

    Raises
    ------
    ConfigError
        If the training diverges.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    try:
        return _train(data, bits, widths, epochs, seed, progress)
    finally:
        torch.set_num_threads(before)


def _train(
    data: Dataset,
    bits: int,
    widths: Sequence[int],
    epochs: int,
    seed: int,
    progress: Callable[[Progress], None] | None,
) -> Arrays:
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(derived_seed(seed, 0))
        made = network(bits, widths, data.images.shape[1:], len(data.classes))
        recipe = Recipe(
            data=data.name,
            model=ModelChoice(name="mlp", params={"widths": list(widths)}),
            epochs=epochs,
            batch_size=min(128, len(data)),
            optimizer=Optimizer(lr=RATES.get(bits, RATE)),
            precision="32",
            seed=seed,
        )
        images, labels = torch.from_numpy(data.images), torch.from_numpy(data.labels)
        with tempfile.TemporaryDirectory() as folder:
            fit(
                made, recipe, images, labels,
                first_epoch=0, optimizer_state=None, after_epoch=lambda _: None,
                progress=progress, accelerator="cpu", folder=Path(folder),
            )  # fmt: skip
        recalibrate(made, images[:RECALIBRATED])
    return export(made)


@torch.no_grad()
def export(made: nn.Sequential) -> Arrays:
    """Return a network of `network` as whole numbers.

    Returns
    -------
    dict
        For each layer k from 1 on ``weights{k}``, (inputs, outputs) int16, and for each but the
        last ``scale{k}`` and ``shift{k}``, (outputs,) doubles: what the next layer takes is
        ``clip(floor(scale dot + shift), 0, 2**bits - 1)``, with one bit -1 for 0 and +1 for 1. The
        decision is the largest dot product of the last layer, the first if several.
    """
    arrays: Arrays = {}
    number, step_in = 0, 1.0
    real = np.ones(1)
    norm: nn.BatchNorm1d | None = None
    for layer in made:
        if isinstance(layer, BinaryLinear | QuantisedLinear):
            number += 1
            if isinstance(layer, BinaryLinear):
                whole, real = layer.binary_weight(), np.ones(1)
            else:
                whole, real = layer.whole(), _doubles(layer.log_step.exp())
            arrays[f"weights{number}"] = whole.numpy().astype(np.int16).T.copy()
        elif isinstance(layer, nn.BatchNorm1d):
            norm = layer
        elif isinstance(layer, Sign | QuantisedReLU) and norm is not None:
            mean, variance = _doubles(norm.running_mean), _doubles(norm.running_var)
            gain = _doubles(norm.weight) / np.sqrt(variance + norm.eps)
            bias = _doubles(norm.bias) - gain * mean
            # floor(y + 1) is 1 from y = 0 on; floor(y / step + 1/2) rounds.
            step, rise = (
                (1.0, 1.0) if isinstance(layer, Sign) else (float(layer.log_step.exp()), 0.5)
            )
            arrays[f"scale{number}"] = gain * real * step_in / step
            arrays[f"shift{number}"] = bias / step + rise
            step_in = step
    return arrays


def _doubles(values: Tensor | None) -> npt.NDArray[np.float64]:
    return np.zeros(0) if values is None else values.detach().numpy().astype(np.float64)
