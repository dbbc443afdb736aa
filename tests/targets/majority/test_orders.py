"""Orders of inputs that calibration images choose, in a design."""

import dataclasses
import importlib

import numpy as np
import pytest
from tests.native.sketch import random_batch
from tests.native.test_circuit_graph import residual
from tests.networks import labelled
from tests.targets.majority.test_majority import TARGET, lowered, padded_with, three_layers, windows

from bitwright.circuits import evaluate, make, parse, product_covariance
from bitwright.data import Dataset
from bitwright.errors import ConfigError
from bitwright.ir import ops as o
from bitwright.ir import reference
from bitwright.native.convolution import dot_of
from bitwright.targets.majority.orders import learn_orders

CALIBRATED = {"calibration": "noise", "calibration_images": 200, "held_out_images": 100}


@pytest.fixture
def training(monkeypatch):
    """Return what makes images the training images of a data set 'noise'."""

    def provide(images):
        def load(name, split, limit):
            assert (name, split) == ("noise", "train")
            taken = images[:limit]
            labels = np.zeros(len(taken), np.int64)
            return Dataset("noise", "all", taken, labels, ("none",), ())

        module = importlib.import_module("bitwright.targets.majority.lower")
        monkeypatch.setattr(module, "load", load)

    return provide


def alike():
    """Return a classifier whose channels behind the first layer are somewhat alike in fives."""
    program = padded_with(-1)
    tensors = dict(program.tensors)
    for name, axis in (("d1.weights", 0), ("d2.weights", 3)):
        tensors[name] = np.repeat(tensors[name].take(range(14), axis=axis), 5, axis=axis)
    rng = np.random.default_rng(0)
    tensors["b1.t"] = np.rint(rng.normal(0, 100, 70)).astype(np.int32)
    tensors["b1.r"] = np.ones(70, np.bool_)
    tensors["b2.t"] = np.rint(rng.normal(0, 20, 20)).astype(np.int32)
    return dataclasses.replace(program, tensors=tensors)


@pytest.mark.parametrize("make_program", [three_layers, residual, lambda: residual(2, 1, 2)])
@pytest.mark.parametrize("thresholds", ["unchanged", "mean"])
def test_exact_circuits_equal_the_reference(training, make_program, thresholds):
    program = make_program()
    images = random_batch(program, 330, np.random.default_rng(0)).astype(np.uint8)
    training(images[:300])
    design = lowered(program, circuit="exact", order="learned", thresholds=thresholds, **CALIBRATED)
    assert design.held_out.flip_rate == {"tuned": 0, "expected": 0, "unchanged": 0}
    found = TARGET.simulate(design, images[300:], 1).outputs
    for name, value in reference.run(program, images[300:]).items():
        np.testing.assert_array_equal(found[name], value)


@pytest.mark.parametrize("circuit", ["maj", "andor:L=2,keep=0.7"])
def test_it_computes_what_the_circuit_with_the_order_computes(training, circuit):
    program, images = padded_with(-1), labelled(count=9).images
    training(labelled(seed=5, count=300).images)
    design = lowered(program, circuit=circuit, order="learned", **CALIBRATED)
    made = design.circuits["d2"]
    natural = make(circuit, 630, (3, 3, 70))
    assert made.digest != natural.digest
    assert made.counts == natural.counts  # it is but a permutation of wires
    values = evaluate(made, windows(program, images))
    rising = program.tensor(program.definitions["b2"], "rising")
    limits = design.thresholds["d2"]
    bits = np.where(rising, values >= limits, values <= limits)
    cells = bits.reshape(9, 4, 2, 4, 2, 20)
    pooled = np.where(rising, cells.any(axis=(2, 4)), cells.all(axis=(2, 4)))
    weights = np.where(program.tensor(program.definitions["scores"], "weights"), 1, -1)
    expected = np.where(pooled.reshape(9, -1), 1, -1) @ weights.T
    found = TARGET.simulate(design, images, 1).outputs
    np.testing.assert_array_equal(found["scores"], expected)


@pytest.mark.parametrize("circuit", ["maj:L=2", "andor"])
def test_fewer_bits_flip_where_neighbours_are_alike(training, circuit):
    training(labelled(seed=5, count=300).images)
    flips = {}
    for order in ("natural", "learned"):
        settings = {"circuit": circuit, "order": order, "thresholds": "rate", **CALIBRATED}
        design = lowered(alike(), **settings)
        assert design.calibration_images == 200
        flips[order] = design.held_out.flip_rate["tuned"]
    assert flips["learned"] < 0.8 * flips["natural"]


def second_layer(program):
    return {"d2": (dot_of(program, program.definitions["d2"]), parse("maj"))}


@pytest.mark.parametrize("pad_value", [-1, 0, 1])
def test_covariances_are_of_what_windows_hold(monkeypatch, pad_value):
    program, images = padded_with(pad_value), labelled(seed=5, count=20).images
    module = importlib.import_module("bitwright.targets.majority.orders")
    seen = []

    def note(activations, weights):
        seen.append((activations, weights))
        return product_covariance(activations, weights)

    monkeypatch.setattr(module, "product_covariance", note)
    learn_orders(program, second_layer(program), images)
    ((activations, weights),) = seen
    bits = reference.run(program, images, ["b1"])["b1"]
    padded = np.pad(bits, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=pad_value > 0)
    view = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    wanted = view.transpose(0, 1, 2, 4, 5, 3).reshape(-1, 630)
    # There are fewer windows than are wanted, so each is taken once.
    assert sorted(map(bytes, activations)) == sorted(map(bytes, wanted))
    kernels = program.tensor(program.definitions["d2"], "weights")
    np.testing.assert_array_equal(weights, kernels.reshape(20, 630))


def test_of_many_windows_some_of_each_image_are_taken(monkeypatch):
    module = importlib.import_module("bitwright.targets.majority.orders")
    monkeypatch.setattr(module, "WINDOWS", 100)
    seen = []

    def note(activations, weights):
        seen.append(activations)
        return product_covariance(activations, weights)

    monkeypatch.setattr(module, "product_covariance", note)
    program = padded_with(-1)
    images = labelled(seed=5, count=130).images  # more than a batch
    learn_orders(program, second_layer(program), images)
    assert len(seen[0]) == 130
    assert len({bytes(row) for row in seen[0]}) > 65


def test_circuits_without_groups_of_inputs_stay_as_they_are(training):
    program = three_layers()
    images = random_batch(program, 300, np.random.default_rng(0)).astype(np.uint8)
    training(images)
    names = [op.output for op in program.ops if isinstance(op, o.Conv2d)][1:]
    own = {names[0]: "lta:size=9,grouping=channel", names[1]: "counter63"}
    design = lowered(program, circuits=own, order="learned", **CALIBRATED)
    for name, text in own.items():
        assert design.circuits[name].digest == make(text, 360, (3, 3, 40)).digest
    others = [name for name in design.circuits if name not in own]
    assert others
    for name in others:
        assert design.circuits[name].digest != make("maj", design.circuits[name].inputs).digest


def test_an_order_is_the_same_each_time(training):
    training(labelled(seed=5, count=300).images)
    first, second = (lowered(padded_with(0), order="learned", **CALIBRATED) for _ in range(2))
    assert first.circuits["d2"].digest == second.circuits["d2"].digest


def test_records_show_the_order():
    assert TARGET.settings(TARGET.configure({}))["order"] == "natural"
    assert TARGET.settings(TARGET.configure({"order": "learned"}))["order"] == "learned"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"order": "learned"}, "order = 'learned' needs calibration images"),
        ({"order": "best"}, "order"),
        ({"order": "learned", "circuit": "maj:grouping=channel"}, "'d2' has an order of its own"),
        ({"order": "learned", "circuits": {"d2": "andor:grouping=random"}}, "an order of its own"),
    ],
)
def test_what_cannot_be_is_refused(settings, words):
    with pytest.raises(ConfigError, match=words):
        lowered(padded_with(0), **settings)
