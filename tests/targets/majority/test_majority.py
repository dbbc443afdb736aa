"""The majority target: which layers get circuits, and thresholds that make up for their errors."""

import dataclasses

import numpy as np
import pytest
from tests.networks import classifier, labelled

from bitwright.circuits import error_statistics, evaluate, exact_joint, make
from bitwright.errors import ConfigError
from bitwright.ir import reference
from bitwright.targets import get_target
from bitwright.targets.majority.calibrate import match_thresholds
from bitwright.targets.majority.lower import exact

TARGET = get_target("majority")


def lowered(program, **settings):
    return TARGET.lower(program, TARGET.configure(settings))


def windows(program, images):
    """The matches of layer d2, (images, rows, columns, neurons, fan-in), of -1-padded maps."""
    bits = reference.run(program, images, ["b1"])["b1"]
    padded = np.pad(bits, ((0, 0), (1, 1), (1, 1), (0, 0)))
    view = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    view = view.transpose(0, 1, 2, 4, 5, 3)[:, :, :, None]
    matches = view == program.tensor(program.definitions["d2"], "weights")
    return matches.reshape(*matches.shape[:4], -1)


def padded_with(value, seed=0):
    """A classifier whose second layer pads with `value`."""
    program = classifier(seed)
    ops = [
        dataclasses.replace(op, pad_value=value) if op.output == "d2" else op for op in program.ops
    ]
    return dataclasses.replace(program, ops=tuple(ops))


@pytest.mark.parametrize("circuit", ["maj", "maj:L=2,keep=0.6", "lta", "exact:truncate=2"])
def test_it_computes_what_its_circuits_compute(circuit):
    program, images = padded_with(-1), labelled(count=9).images
    design = lowered(program, circuit=circuit)
    values = evaluate(make(circuit, 630, (3, 3, 70)), windows(program, images))
    rising = program.tensor(program.definitions["b2"], "rising")
    limits = design.thresholds["d2"]
    bits = np.where(rising, values >= limits, values <= limits)
    # max(d) >= t is the OR of d >= t, max(d) <= t the AND of d <= t
    cells = bits.reshape(9, 4, 2, 4, 2, 20)
    pooled = np.where(rising, cells.any(axis=(2, 4)), cells.all(axis=(2, 4)))
    weights = np.where(program.tensor(program.definitions["scores"], "weights"), 1, -1)
    expected = np.where(pooled.reshape(9, -1), 1, -1) @ weights.T
    found = TARGET.simulate(design, images, 1).outputs
    np.testing.assert_array_equal(found["scores"], expected)


def test_expected_thresholds_move_by_the_mean_error():
    program = padded_with(-1)
    plain = lowered(program, thresholds="unchanged").thresholds["d2"]
    moved = lowered(program).thresholds["d2"]
    bias = error_statistics(exact_joint(make("maj", 630))).bias
    assert (moved - plain == round(bias)).all()


@pytest.mark.parametrize("pad_value", [-1, 0, 1])
@pytest.mark.parametrize("how", ["mean", "rate"])
def test_matching_an_exact_circuit_changes_nothing(pad_value, how):
    program = padded_with(pad_value)
    images = labelled(seed=5, count=600).images
    design = lowered(program, circuit="exact", thresholds="unchanged")
    network = _network(program, design)
    chosen = match_thresholds(network, program, images, how, exact)
    expected = reference.run(program, images[:20])
    found = network.run(images[:20], threads=1)
    assert chosen.keys() == {"d2"}
    for name in expected:
        np.testing.assert_array_equal(found[name], expected[name])


def test_matched_rates_are_as_near_as_values_allow():
    program = padded_with(-1)
    images = labelled(seed=5, count=40).images
    network = _network(program, lowered(program, thresholds="unchanged"))
    chosen = match_thresholds(network, program, images, "rate", exact)["d2"]
    matches = windows(program, images)
    values = evaluate(make("maj", 630), matches).reshape(-1, 20)
    counts = matches.sum(axis=-1).reshape(-1, 20)
    limits = program.tensor(program.definitions["b2"], "thresholds")
    rising = program.tensor(program.definitions["b2"], "rising")
    dots = 2 * counts - 630
    wanted = np.where(rising, dots >= limits, dots <= limits).sum(axis=0)
    for o in range(20):
        every = np.arange(values[:, o].min() - 2, values[:, o].max() + 3)
        fired = values[:, o, None] >= every if rising[o] else values[:, o, None] <= every
        best = np.abs(fired.sum(axis=0) - wanted[o]).min()
        own = values[:, o] >= chosen[o] if rising[o] else values[:, o] <= chosen[o]
        assert abs(own.sum() - wanted[o]) == best


def _network(program, design):
    from bitwright.native.sliced_network import CircuitNetwork  # noqa: PLC0415

    return CircuitNetwork(program, design.circuits, exact, design.thresholds)


def test_calibration_takes_training_images_by_name(tmp_path, monkeypatch):
    asked = {}

    def load(name, split, limit):
        asked.update(name=name, split=split, limit=limit)
        return labelled(count=30)

    import importlib  # noqa: PLC0415 - the module, which the package hides behind its function

    monkeypatch.setattr(importlib.import_module("bitwright.targets.majority.lower"), "load", load)
    design = lowered(classifier(), thresholds="mean", calibration="noise", calibration_images=30)
    assert asked == {"name": "noise", "split": "train", "limit": 30}
    assert design.thresholds["d2"].shape == (20,)


def test_cells_are_counted_a_layer():
    design = lowered(classifier())
    found = {m.metric: m.value for m in TARGET.measure(design, {})}
    counts = make("maj", 630).counts
    assert found["popcount_gates"] == counts["MAJ3"] == 210
    assert found["popcount_full_adders"] == counts["FA"]
    assert found["exact_popcount_full_adders"] == 630 - 10


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"layers": ["d9"]}, "'d9' is no layer"),
        ({"layers": ["scores"]}, "'scores' is no layer"),
        ({"circuit": "majority"}, "majority"),
        ({"thresholds": "rate"}, "needs calibration images"),
        ({"thresholds": "sometimes"}, "thresholds"),
        ({"calibration_images": 0}, "calibration_images"),
    ],
)
def test_what_cannot_be_is_refused(settings, words):
    with pytest.raises(ConfigError, match=words):
        lowered(classifier(), **settings)
