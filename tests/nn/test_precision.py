"""Training with few bits, and the whole numbers that come of it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.nn.test_train import data_set
from torch import nn

from bitwright.explore.integer_network import IntegerNetwork
from bitwright.nn.precision import (
    QuantisedLinear,
    best_step,
    export,
    network,
    quantised,
    train_precision,
    weight_range,
)

BITS = (1, 2, 4, 8)


@pytest.mark.parametrize("bits", BITS)
def test_whole_numbers_compute_what_the_module_does(bits):
    torch.manual_seed(bits)
    made = network(bits, (24, 16), (6, 5, 2), 4)
    for layer in made:
        if isinstance(layer, nn.BatchNorm1d):
            nn.init.normal_(layer.weight)
            nn.init.normal_(layer.bias)
    images = np.random.default_rng(0).integers(0, 256, (300, 6, 5, 2), dtype=np.uint8)
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2)
    made(pixels)  # gives the BatchNorms their statistics
    with torch.no_grad():
        wanted = made.eval()(pixels).numpy().astype(np.float64)
    whole = IntegerNetwork.of(bits, export(made))
    codes = whole.first(images)
    assert 0 <= codes.min() < codes.max() == 2**bits - 1
    assert max(int(np.abs(w).max()) for w in whole.weights) == weight_range(bits)
    logits = []

    def multiply(layer, taken):
        logits.append(whole.exact(layer, taken))
        return logits[-1]

    whole.decide(codes, multiply)
    scale = np.nanmedian(wanted / np.where(logits[-1] == 0, np.nan, logits[-1]))
    same = np.isclose(scale * logits[-1], wanted, rtol=1e-3, atol=1e-3 * np.abs(wanted).max())
    # float32 may fall to the other side of a step.
    assert same.all(axis=1).mean() > 0.98


@pytest.mark.parametrize("bits", [1, 2])
def test_training_learns(bits):
    data, test = data_set(256, 0), data_set(80, 1)
    told = []
    arrays = train_precision(data, bits, (32,), 20, 0, told.append, 1)
    whole = IntegerNetwork.of(bits, arrays)
    right = (whole.decide(whole.first(test.images)) == test.labels).mean()
    assert right > 0.6, "of four classes"
    assert told[-1].epoch == 20
    again = train_precision(data, bits, (32,), 20, 0, None, 1)
    assert all(np.array_equal(arrays[name], again[name]) for name in arrays)


def test_the_gradient_passes_inside_the_range_and_moves_the_step():
    values = torch.tensor([-9.0, -1.2, 0.4, 1.3, 9.0], requires_grad=True)
    log_step = torch.zeros(1, requires_grad=True)
    out = quantised(values, log_step.exp(), -3, 3)
    assert out.tolist() == [-3.0, -1.0, 0.0, 1.0, 3.0]
    out.sum().backward()
    assert values.grad.tolist() == [0.0, 1.0, 1.0, 1.0, 0.0]
    # Rounding errors of the middle ones, and the ends themselves.
    assert log_step.grad.item() == pytest.approx(0.2 - 0.4 - 0.3, abs=1e-6)


def test_the_best_step_is_no_worse_than_its_neighbours():
    values = torch.randn(4096, generator=torch.Generator().manual_seed(0))

    def error(step):
        return float(((values / step).round().clamp(-7, 7) * step - values).square().mean())

    step = best_step(values, -7, 7)
    assert error(step) <= min(error(0.8 * step), error(1.25 * step))
    assert 7 * step < float(values.abs().max()), "4 bits clip a normal distribution"


def test_weights_use_all_their_bits():
    torch.manual_seed(0)
    whole = QuantisedLinear(64, 64, 8).whole()
    assert whole.abs().max() == 127
    assert whole.std() > 25
