"""The majority target: which layers get circuits, and what makes up for their errors."""

import dataclasses
import importlib

import numpy as np
import pytest
from scipy.optimize import isotonic_regression
from tests.native.sketch import Sketch, random_batch
from tests.networks import classifier, labelled

from bitwright.circuits import error_statistics, evaluate, exact_joint, make, value_table
from bitwright.errors import ConfigError
from bitwright.ir import Int, reference
from bitwright.ir import ops as o
from bitwright.targets import get_target
from bitwright.targets.majority.calibrate import calibrate
from bitwright.targets.majority.networks import build

TARGET = get_target("majority")


def lowered(program, **settings):
    return TARGET.lower(program, TARGET.configure(settings))


def three_layers(seed=0):
    """Three layers of bits, of one fan-in, in a chain, and scores with a decision."""
    s = Sketch(Int((8, 7, 3), 0, 255), seed=seed)
    bits = s.threshold(s.conv("x", 40, padding=(1, 1, 1, 1)))
    bits = s.threshold(s.pool(s.conv(bits, 40, padding=(1, 1, 1, 1))))
    bits = s.threshold(s.conv(bits, 40, padding=(1, 1, 1, 1), pad_value=1))
    bits = s.threshold(s.conv(s.pool(bits), 40, padding=(1, 1, 1, 1), pad_value=-1))
    scores = s.dense(s.add(o.Flatten, bits), 10)
    return s.program(s.add(o.ArgMax, scores), scores)


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
@pytest.mark.parametrize("how", ["mean", "rate", "flips", "table", "affine"])
def test_calibrating_an_exact_circuit_changes_nothing(pad_value, how):
    program = padded_with(pad_value)
    images = labelled(seed=5, count=600).images
    network = build(program, {"d2": make("exact", 630)})
    chosen = calibrate(network, images, how)
    expected = reference.run(program, images[:20])
    found = network.run(images[:20], threads=1)
    assert chosen.keys() == {"d2"}
    for name in expected:
        np.testing.assert_array_equal(found[name], expected[name])


def seen(program, images, circuit="maj"):
    """Values, counts and true bits of layer d2 on images, (windows, neurons); and its rising."""
    matches = windows(program, images)
    values = evaluate(make(circuit, 630), matches).reshape(-1, 20)
    counts = matches.sum(axis=-1).reshape(-1, 20)
    limits = program.tensor(program.definitions["b2"], "thresholds")
    rising = program.tensor(program.definitions["b2"], "rising")
    dots = 2 * counts - 630
    return values, counts, np.where(rising, dots >= limits, dots <= limits), rising


def calibrated(how, circuit="maj"):
    """What is chosen for layer d2 on 40 images, and what was seen there."""
    program = padded_with(-1)
    images = labelled(seed=5, count=40).images
    network = build(program, {"d2": make(circuit, 630)})
    return calibrate(network, images, how)["d2"], seen(program, images, circuit)


def tried(values, rising, k):
    """Every threshold of a neuron, and its bits under each, (windows, thresholds)."""
    every = np.arange(values[:, k].min() - 2, values[:, k].max() + 3)
    own = values[:, k, None]
    return every, own >= every if rising[k] else own <= every


def decide(values, limits, rising):
    return np.where(rising, values >= limits, values <= limits)


def test_matched_rates_are_as_near_as_values_allow():
    chosen, (values, _, true, rising) = calibrated("rate")
    bits = decide(values, chosen, rising)
    for k in range(20):
        best = np.abs(tried(values, rising, k)[1].sum(axis=0) - true[:, k].sum()).min()
        assert abs(bits[:, k].sum() - true[:, k].sum()) == best


def test_flips_are_as_few_as_thresholds_allow():
    chosen, (values, _, true, rising) = calibrated("flips")
    bits = decide(values, chosen, rising)
    for k in range(20):
        best = (tried(values, rising, k)[1] != true[:, k, None]).sum(axis=0).min()
        assert (bits[:, k] != true[:, k]).sum() == best
    rate, _ = calibrated("rate")
    assert (bits != true).sum() < (decide(values, rate, rising) != true).sum()


def test_means_move_thresholds_neuron_by_neuron():
    chosen, (values, counts, _, _) = calibrated("mean")
    plain = lowered(padded_with(-1), thresholds="unchanged").thresholds["d2"]
    moved = np.rint(values.mean(axis=0) - counts.mean(axis=0))
    np.testing.assert_array_equal(chosen - plain, moved)


def test_a_line_is_that_of_least_squares():
    chosen, (values, counts, _, rising) = calibrated("affine")
    design = np.stack([values.ravel(), np.ones(values.size)], axis=1)
    (slope, intercept), *_ = np.linalg.lstsq(design, counts.ravel(), rcond=None)
    exact = lowered(padded_with(-1), circuit="exact", thresholds="unchanged").thresholds["d2"]
    corrected = np.rint(slope * values + intercept)
    np.testing.assert_array_equal(
        decide(values, chosen[0], rising), decide(corrected, exact, rising)
    )


def test_a_table_holds_the_mean_count_of_each_value():
    chosen, (values, counts, _, rising) = calibrated("table")
    exact = lowered(padded_with(-1), circuit="exact", thresholds="unchanged").thresholds["d2"]
    mean = {v: counts[values == v].mean() for v in np.unique(values)}
    fitted = isotonic_regression(list(mean.values()), weights=[(values == v).sum() for v in mean]).x
    table = dict(zip(mean, np.rint(fitted), strict=True))
    corrected = np.vectorize(table.get)(values)
    assert (np.diff(fitted) == 0).any()  # else nothing shows that it is made monotone
    np.testing.assert_array_equal(
        decide(values, chosen[0], rising), decide(corrected, exact, rising)
    )


def test_an_expected_table_is_that_of_random_bits():
    program = padded_with(-1)
    design = lowered(program, thresholds="expected_table")
    joint = exact_joint(make("maj", 630))
    table = value_table(joint)
    assert (np.diff(table) >= 0).all()
    rising = program.tensor(program.definitions["b2"], "rising")
    exact = lowered(program, circuit="exact", thresholds="unchanged").thresholds["d2"]
    values = np.broadcast_to(joint.values[:, None], (len(joint.values), 20))
    np.testing.assert_array_equal(
        decide(values, design.thresholds["d2"][0], rising),
        decide(table[:, None], exact, rising),
    )


def provide(monkeypatch, **settings):
    """Lower `padded_with(-1)` with calibration images that are noise; returns what was asked."""
    asked = {}

    def load(name, split, limit):
        asked.update(name=name, split=split, limit=limit)
        return labelled(seed=5, count=min(limit, 800))

    # The module, which the package hides behind its function.
    module = importlib.import_module("bitwright.targets.majority.lower")
    monkeypatch.setattr(module, "load", load)
    return lowered(padded_with(-1), calibration="noise", **settings), asked


def test_training_images_are_split(monkeypatch):
    design, asked = provide(
        monkeypatch, thresholds="rate", calibration_images=30, held_out_images=20
    )
    assert asked == {"name": "noise", "split": "train", "limit": 50}
    assert design.calibration_images == 30
    assert design.held_out.images == 20
    images = labelled(seed=5, count=50).images
    network = build(padded_with(-1), design.circuits)
    np.testing.assert_array_equal(
        calibrate(network, images[:30], "rate")["d2"], design.thresholds["d2"]
    )
    network.decide_by("d2", design.thresholds["d2"])
    expected = reference.run(network.program, images[30:])
    found = network.run(images[30:])
    agreement = (found["class"] == expected["class"]).mean()
    assert design.held_out.agreement["tuned"] == agreement
    metrics = {m.metric: m for m in TARGET.measure(design, {})}
    assert metrics["held_out_agreement"].value == agreement
    assert metrics["held_out_agreement"].method == "simulated"
    assert metrics["calibration_images"].value == 30


def test_fewer_images_than_asked_for_are_shared_out(monkeypatch):
    design, _ = provide(
        monkeypatch, thresholds="mean", calibration_images=1500, held_out_images=500
    )
    assert (design.calibration_images, design.held_out.images) == (600, 200)


def test_few_images_are_warned_of_and_the_result_is_sound(monkeypatch):
    for how in ("rate", "table", "affine", "flips", "mean", "distilled"):
        design, _ = provide(
            monkeypatch, thresholds=how, calibration_images=3, held_out_images=40, epochs=1
        )
        assert "only 3 calibration images" in design.warnings[0]
        (warning,) = (m for m in TARGET.measure(design, {}) if m.metric == "warnings")
        assert warning.value == len(design.warnings)
        assert "only 3 calibration images" in warning.source
        assert design.thresholds["d2"].dtype == np.int64
        assert TARGET.simulate(design, labelled().images, 1).outputs["class"].shape == (60,)


def test_few_held_out_images_are_warned_of(monkeypatch):
    for count, few in ((99, True), (100, False)):
        design, _ = provide(
            monkeypatch,
            circuit="exact",
            thresholds="rate",
            calibration_images=100,
            held_out_images=count,
        )
        assert [f"only {count} held-out images" in text for text in design.warnings] == [True] * few
        assert not any(";" in text for text in design.warnings)


def test_a_mitigation_that_makes_it_worse_is_warned_of(monkeypatch):
    # On exact circuits nothing is better than leaving thresholds as they are; moved ones are worse.
    module = importlib.import_module("bitwright.targets.majority.lower")
    wrong = {"d2": np.full(20, -(10**6))}
    monkeypatch.setattr(module, "calibrate", lambda *_: wrong)
    design, _ = provide(monkeypatch, circuit="exact", thresholds="rate", calibration_images=100)
    assert design.held_out.agreement["expected"] == 1
    assert design.held_out.flip_rate["expected"] == 0
    assert design.held_out.flip_rate["tuned"] > 0
    assert [w for w in design.warnings if "less often than 'unchanged'" in w]


def test_a_good_calibration_is_not_warned_of(monkeypatch):
    design, _ = provide(monkeypatch, circuit="exact", thresholds="rate")
    assert design.warnings == ()
    assert "warnings" not in {m.metric for m in TARGET.measure(design, {})}


def test_too_small_a_data_set_is_refused(monkeypatch):
    with pytest.raises(ConfigError, match="too few to calibrate"):
        provide(monkeypatch, thresholds="rate", calibration_images=1, held_out_images=900_000)


def second(program):
    """The second layer of bits of `three_layers`."""
    return [op.output for op in program.ops if isinstance(op, o.Conv2d)][2]


def test_layers_may_have_circuits_of_their_own():
    program = three_layers()
    design = lowered(program, circuit="maj", circuits={second(program): "maj:L=2"})
    names = list(design.circuits)
    assert [design.circuits[n].digest for n in names] == [
        make(text, 360).digest for text in ("maj", "maj:L=2", "maj")
    ]
    named = lowered(program, layers=names[:1], circuits={names[2]: "lta"})
    assert list(named.circuits) == [names[0], names[2]]
    images = random_batch(program, 20, np.random.default_rng(0))
    assert TARGET.simulate(named, images, 1).outputs.keys() == set(program.outputs)
    alone = lowered(program, circuit="exact", circuits={names[1]: "maj"}, thresholds="unchanged")
    other = lowered(program, layers=[names[1]], thresholds="unchanged")
    for name, value in TARGET.simulate(other, images, 1).outputs.items():
        np.testing.assert_array_equal(TARGET.simulate(alone, images, 1).outputs[name], value)


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
        ({"thresholds": "table"}, "needs calibration images"),
        ({"circuits": {"d9": "maj"}}, "'d9' is no layer"),
        ({"circuits": {"d2": "majority"}}, "majority"),
        ({"circuits": "maj"}, "circuits"),
        ({"epochs": 0}, "epochs"),
        ({"held_out_images": 0}, "held_out_images"),
        ({"thresholds": "sometimes"}, "thresholds"),
        ({"calibration_images": 0}, "calibration_images"),
    ],
)
def test_what_cannot_be_is_refused(settings, words):
    with pytest.raises(ConfigError, match=words):
        lowered(classifier(), **settings)
