"""What a simulation counts beside its outputs, against brute force and the reference."""

import numpy as np
import pytest
from tests.native.sketch import random_batch
from tests.native.test_circuit_graph import residual
from tests.networks import labelled
from tests.targets.majority.test_majority import lowered, padded_with, seen, three_layers

from bitwright import flow
from bitwright.ir import reference
from bitwright.targets import get_target
from bitwright.targets.majority import counters
from bitwright.targets.majority.counters import NEURONS, ROWS, bin_width

TARGET = get_target("majority")


def test_flips_and_errors_are_those_of_the_sample(monkeypatch):
    monkeypatch.setattr(counters, "WINDOWS", 8)  # 8 windows of 64
    program, images = padded_with(-1), labelled(seed=7, count=300).images
    design = lowered(program, thresholds="unchanged")
    found = TARGET.simulate(design, images, 1).counters
    assert found["statistics_images"] == 3
    values, counts, true, rising = seen(program, images[:3])
    limits = design.thresholds["d2"]
    flips = np.where(rising, values >= limits, values <= limits) != true
    windows, neurons = np.arange(4, 64, 8), slice(0, None, 2)
    assert len(range(20)[neurons]) <= NEURONS
    flips = flips.reshape(3, 64, 20)[:, windows, neurons]
    errors = (values - counts).reshape(3, 64, 20)[:, windows, neurons]
    assert found["counts/d2"] == flips.size == 3 * 8 * 10
    assert found["flips/d2"] == flips.sum() > 0
    assert found["error_sum/d2"] == errors.sum()
    assert found["square_sum/d2"] == (errors**2).sum()
    width = bin_width(630)
    assert width == 4
    bins = {f"error:{b}/d2": (errors // width == b).sum() for b in np.unique(errors // width)}
    assert {key: n for key, n in found.items() if key.startswith("error:")} == bins
    # Of the four rows after the pool, every other one.
    rows = slice((4 // ROWS - 1) // 2, None, 4 // ROWS)
    bits = values.reshape(3, 8, 8, 20) >= limits
    bits = np.where(rising, bits, values.reshape(3, 8, 8, 20) <= limits)
    cells = bits.reshape(3, 4, 2, 4, 2, 20)
    pooled = np.where(rising, cells.any(axis=(2, 4)), cells.all(axis=(2, 4)))
    exact = reference.run(program, images[:3], ["b2"])["b2"]
    assert found["propagated_flips/b2"] == (pooled != exact)[:, rows].sum() > 0
    assert found["propagated_bits/b2"] == exact[:, rows].size


@pytest.mark.parametrize("program", [three_layers(), residual(pad_value=1)])
def test_exact_circuits_make_no_errors(program):
    images = random_batch(program, 200, np.random.default_rng(0))
    design = lowered(program, circuit="exact", thresholds="unchanged")
    found = {
        m.metric: m for m in TARGET.measure(design, TARGET.simulate(design, images, 2).counters)
    }
    assert found["statistics_images"].value == 2
    for name in design.circuits:
        assert found[f"count_error_mean/{name}"].value == 0
        assert found[f"count_error_rms/{name}"].value == 0
        width = bin_width(design.circuits[name].inputs)
        assert found[f"count_error/{name}/0..{width}"].value == 1
    rates = [m.value for m in found.values() if "flip_rate/" in m.metric]
    assert rates
    assert not any(rates)


def test_counters_add_up_over_batches():
    program, data = padded_with(0), labelled(count=60)
    design = lowered(program)
    once = TARGET.simulate(design, data.images, 1).counters
    record = flow.evaluate(program, data, target="majority").record
    assert record["statistics_images"].value == 1
    assert record["flip_rate/d2"].value == once["flips/d2"] / once["counts/d2"]
    shares = [m.value for m in record.measurements if m.metric.startswith("count_error/d2/")]
    assert sum(shares) == pytest.approx(1)
    assert len(shares) > 3
    mean = record["count_error_mean/d2"].value
    assert mean == once["error_sum/d2"] / once["counts/d2"]
    # One majority of three in place of each third of the inputs: half a one too few each.
    assert mean == pytest.approx(-630 / 3 / 2, abs=10)


def test_results_are_the_same_without_a_sample():
    program = three_layers(4)
    images = random_batch(program, 130, np.random.default_rng(0))
    design = lowered(program)
    outputs = TARGET.simulate(design, images, 1).outputs
    parts = [TARGET.simulate(design, images[k : k + 1], 1).outputs for k in (0, 1, 128, 129)]
    for name, value in outputs.items():
        joined = np.concatenate([part[name] for part in parts])
        np.testing.assert_array_equal(value[[0, 1, 128, 129]], joined)
