"""The majority target on networks with shortcuts: circuits' values as dot products."""

import dataclasses
import importlib

import numpy as np
import pytest
from tests.native.random_programs import random_program
from tests.native.sketch import random_batch, same
from tests.native.test_circuit_graph import residual
from tests.targets.majority.test_majority import lowered

from bitwright.circuits import error_statistics, evaluate, exact_joint, make
from bitwright.data import Dataset
from bitwright.errors import ConfigError
from bitwright.ir import ops as o
from bitwright.ir import reference
from bitwright.native import NativeProgram
from bitwright.targets import get_target
from bitwright.targets.majority.calibrate import calibrate
from bitwright.targets.majority.networks import build

TARGET = get_target("majority")


def layers(program):
    return list(lowered(program, thresholds="unchanged").circuits)


def test_exact_circuits_equal_the_reference():
    for program in (residual(1), residual(2, pad_value=1, stride=2)):
        images = random_batch(program, 30, np.random.default_rng(0))
        design = TARGET.lower(program, TARGET.ideal())
        assert len(design.circuits) == 2
        found = TARGET.simulate(design, images, 2).outputs
        expected = reference.run(program, images)
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            np.testing.assert_array_equal(found[name], value)


def test_exact_circuits_equal_the_engine_in_any_program():
    checked = 0
    for seed in range(300, 460):
        program = random_program(seed, 6, 14)
        try:
            design = lowered(program, circuit="exact", thresholds="unchanged")
        except ConfigError:
            continue  # no layer of bits
        if max(c.inputs for c in design.circuits.values()) > 130:
            continue
        batch = random_batch(program, 3, np.random.default_rng(seed))
        same(dict(TARGET.simulate(design, batch, 1).outputs), NativeProgram(program).run(batch))
        checked += 1
    assert checked >= 4


def values_and_counts(program, images, circuit):
    """Of the first layer of `residual`: (windows, neurons) each."""
    name = layers(program)[0]
    op = program.definitions[name]
    bits = reference.run(program, images, [op.input])[op.input]
    padded = np.pad(bits, ((0, 0), (1, 1), (1, 1), (0, 0)))
    view = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    view = view.transpose(0, 1, 2, 4, 5, 3)[:, :, :, None]
    matches = view == program.tensor(op, "weights")
    matches = matches.reshape(-1, 32, 288)
    return evaluate(circuit, matches), matches.sum(axis=2)


@pytest.mark.parametrize("how", ["mean", "affine", "table"])
def test_tables_hold_what_calibration_says(how):
    program = residual(3, pad_value=-1)
    images = random_batch(program, 30, np.random.default_rng(1))
    circuit = make("maj", 288)
    first = layers(program)[0]
    network = build(program, {first: circuit})
    table = calibrate(network, images, how)[first]
    values, counts = values_and_counts(program, images, circuit)
    if how == "mean":
        moved = values.mean(axis=0) - counts.mean(axis=0)
        every = np.arange(table.shape[1])
        expected = np.rint(2 * (every - moved[:, None]) - 288)
        np.testing.assert_array_equal(table, expected)
        return
    assert len(table) == 1
    seen = np.unique(values)
    if how == "affine":
        slope, intercept = np.polyfit(values.ravel(), counts.ravel(), 1)
        expected = np.rint(2 * (slope * seen + intercept) - 288)
    else:
        mean = np.array([counts[values == v].mean() for v in seen])
        rises = np.diff(mean, prepend=mean[0] - 1, append=mean[-1] + 1) > 0
        alone = rises[:-1] & rises[1:]  # what isotonic regression leaves as it is, here
        inner = np.maximum.accumulate(mean)[alone] == mean[alone]
        rest = np.minimum.accumulate(mean[::-1])[::-1][alone] == mean[alone]
        seen, mean = seen[alone][inner & rest], mean[alone][inner & rest]
        assert len(seen) > 20
        expected = np.rint(2 * mean - 288)
    np.testing.assert_array_equal(table[0, seen], expected)


def test_expected_dot_products_move_by_twice_the_mean_error():
    program = residual()
    plain = lowered(program, thresholds="unchanged").tables
    moved = lowered(program, thresholds="expected").tables
    bias = error_statistics(exact_joint(make("maj", 288))).bias
    for name in plain:
        np.testing.assert_array_equal(plain[name] - moved[name], 2 * round(bias))
    assert (np.diff(lowered(program, thresholds="expected_table").tables[name]) >= 0).all()


def test_calibrated_designs_are_checked(monkeypatch):
    program = residual()
    images = random_batch(program, 60, np.random.default_rng(0)).astype(np.uint8)
    data = Dataset("noise", "all", images, np.zeros(60, np.int64), ("none",), ())
    module = importlib.import_module("bitwright.targets.majority.lower")
    monkeypatch.setattr(module, "load", lambda *_, **__: data)
    settings = {"calibration": "noise", "calibration_images": 40, "held_out_images": 20}
    design = lowered(program, thresholds="mean", **settings)
    assert design.thresholds == {}
    assert design.tables.keys() == design.circuits.keys()
    assert design.held_out.flip_rate["tuned"] < design.held_out.flip_rate["unchanged"]
    outputs = TARGET.simulate(design, images[40:], 1).outputs
    exact = reference.run(program, images[40:])
    agreement = (outputs[program.decision] == exact[program.decision]).mean()
    assert design.held_out.agreement["tuned"] == agreement
    for how in ("rate", "flips", "distilled"):
        with pytest.raises(ConfigError, match="feeds arithmetic"):
            lowered(program, thresholds=how, **settings)


def test_shortcuts_do_not_matter_where_circuits_are_behind_them():
    program = residual(5)
    last = layers(program)[1]
    assert lowered(program, layers=[last]).thresholds == {}  # the sum before it is an output too
    program = dataclasses.replace(program, outputs=program.outputs[:3])
    design = lowered(program, layers=[last])
    assert design.thresholds.keys() == {last}
    images = random_batch(program, 5, np.random.default_rng(0))
    assert isinstance(program.definitions[last], o.Conv2d)
    assert TARGET.simulate(design, images, 1).outputs.keys() == set(program.outputs)
