"""Whole networks on arrays: counters, reproducibility, calibration, refused settings."""

from dataclasses import replace

import numpy as np
import pytest
from tests.networks import classifier, labelled

from bitwright.errors import ConfigError, UnknownNameError
from bitwright.ir import reference
from bitwright.targets import get_target
from bitwright.targets.crossbar.calibrate import calibrate
from bitwright.targets.crossbar.lower import circuit
from bitwright.targets.crossbar.mapping import windows_of
from bitwright.targets.crossbar.operating_point import operating_point
from bitwright.targets.crossbar.sensing import Sensing
from bitwright.targets.crossbar.surrogate import fit

TARGET = get_target("crossbar")
LOSSY = {
    "technology": "linear",
    "device": {"on_ohm": 10e3},
    "wires": {"source_ohm": 4.0, "bit_ohm": 4.0},
}
PROGRAM = classifier(1, (9, 7, 3))
IMAGES = labelled(1, (9, 7, 3), 30).images


def lowered(**settings):
    return TARGET.lower(PROGRAM, TARGET.configure(settings))


def error(design, images=IMAGES):
    """Return how far the scores are from the program's, on average."""
    found = TARGET.simulate(design, images, 1).outputs["scores"]
    return np.abs(found - reference.run(PROGRAM, images)["scores"]).mean()


def test_counters_are_what_a_direct_count_says():
    design = lowered(technology="ideal", rows=50, flips="both")
    counters = TARGET.simulate(design, IMAGES, 2).counters
    values = reference.run(PROGRAM, IMAGES, ["b1"])
    layer = design.layers["d2"]
    bits, valid = windows_of(layer.dot, values["b1"])
    valid = np.ones((1, bits.shape[1]), bool) if valid is None else valid
    valid = np.tile(valid, (len(bits) // len(valid), 1))
    weights = layer.dot.weights.reshape(20, -1).T
    assert counters["plain_on_cells/d2"] == int((bits.astype(int) @ weights).sum())
    assert counters["conversions/d2"] == len(bits) * 20 * len(layer.tiles)
    on = lines = 0
    for start in range(0, len(weights), 50):
        part, known, stored = (
            bits[:, start : start + 50],
            valid[:, start : start + 50],
            (weights[start : start + 50].copy()),
        )
        stored[:, 2 * stored.sum(axis=0) > len(stored)] ^= True
        flip = 2 * part.sum(axis=1) > known.sum(axis=1)
        applied = (part ^ flip[:, None]) & known
        lines += int(applied.sum())
        on += int((applied.astype(int) @ stored).sum())
    assert counters["on_cells/d2"] == on
    assert counters["word_lines/d2"] == lines
    assert counters["current/d2"] == pytest.approx(on)


@pytest.mark.parametrize(
    "settings", [{}, {"flips": "random"}, {"adc_noise": 0.4}, {"sigma": 0.2, "stuck_on": 0.01}]
)
def test_results_do_not_depend_on_batches_or_threads(settings):
    design = lowered(**LOSSY, **settings)
    whole = TARGET.simulate(design, IMAGES, 2).outputs["scores"]
    parts = [TARGET.simulate(design, IMAGES[k : k + 7], 1).outputs for k in range(0, 30, 7)]
    assert np.array_equal(whole, np.concatenate([part["scores"] for part in parts]))


def test_another_seed_draws_other_flips_and_cells():
    one, other = (lowered(**LOSSY, sigma=0.3, flips="random", seed=seed) for seed in (0, 1))
    first, second = (TARGET.simulate(d, IMAGES, 1).outputs["scores"] for d in (one, other))
    assert not np.array_equal(first, second)


def test_wires_make_partial_sums_too_small():
    counters = TARGET.simulate(lowered(**LOSSY), IMAGES, 1).counters
    assert counters["current/d2"] < 0.9 * counters["on_cells/d2"]


def test_a_gain_brings_scores_nearer():
    design = lowered(**LOSSY)
    fitted = calibrate(
        TARGET.lower(PROGRAM, TARGET.configure(LOSSY | {"calibrate": (), "flips": "none"})),
        IMAGES[:10],
    )
    assert error(fitted) == error(design)  # nothing was asked for
    asked = TARGET.configure(LOSSY | {"calibrate": ("gain",), "calibration": "none"})
    changed = calibrate(_with(design, asked), IMAGES[:10])
    assert changed.sensing["d2"].unit_amp < design.sensing["d2"].unit_amp
    assert error(changed, IMAGES[10:]) < error(design, IMAGES[10:])


def test_a_fitted_gain_can_be_given():
    fitted = calibrate(
        _with(lowered(**LOSSY), TARGET.configure(LOSSY | {"calibrate": ("gain",)})), IMAGES[:10]
    )
    counters = TARGET.simulate(fitted, IMAGES, 1).counters
    found = {m.metric: m.value for m in TARGET.measure(fitted, counters)}
    gains = {name: found[f"gain/{name}"] for name in fitted.layers}
    assert 0 < gains["d2"] < 1

    given = lowered(**LOSSY, gains=gains)
    for design in (
        given,
        calibrate(_with(given, replace(given.config, calibrate=("gain",))), IMAGES),
    ):
        assert error(design) == error(fitted)
        assert not any(m.metric.startswith("gain/") for m in TARGET.measure(design, counters))
    alone = lowered(**LOSSY, gains={"d2": gains["d2"]})
    assert alone.gain("scores") == 1
    both = calibrate(_with(alone, replace(alone.config, calibrate=("gain",))), IMAGES[:10])
    assert both.gain("d2") == alone.gain("d2")
    assert 0 < both.gain("scores") < 1


def test_gains_are_of_layers_on_arrays_and_positive():
    with pytest.raises(ConfigError, match=r"'d9' of \[gains\] is no layer that arrays") as found:
        lowered(**LOSSY, gains={"d9": 0.5})
    assert "d2, scores" in found.value.way_out
    with pytest.raises(ConfigError, match="greater than 0"):
        lowered(**LOSSY, gains={"d2": 0.0})


@pytest.mark.parametrize("alone", ["d2", "scores"])
def test_layers_that_are_not_on_arrays_are_exact(alone):
    design = _keeping(_keeping(lowered(**LOSSY, layers=(alone,)), "d2"), "flat")
    assert list(design.layers) == [alone]
    found = TARGET.simulate(design, IMAGES, 2)
    exact = reference.run(PROGRAM, IMAGES, ["d2", "scores"])
    weights = np.where(PROGRAM.tensors["scores.weights"], 1, -1).reshape(4, -1)
    of_its_inputs = np.where(found.outputs["flat"], 1, -1) @ weights.T
    if alone == "d2":
        whole = TARGET.simulate(_keeping(lowered(**LOSSY), "d2"), IMAGES, 2).outputs["d2"]
        assert np.array_equal(found.outputs["d2"], whole)
        assert (whole != exact["d2"]).any()
        assert np.array_equal(found.outputs["scores"], of_its_inputs)
        assert (found.outputs["scores"] != exact["scores"]).any()
    else:
        assert np.array_equal(found.outputs["d2"], exact["d2"])
        assert (found.outputs["scores"] != of_its_inputs).any()
    of = {m.metric.partition("/")[2] for m in TARGET.measure(design, found.counters)}
    assert of & {"d2", "scores"} == {alone}


def test_costs_of_some_layers_are_those_of_all():
    every, one, other = (
        {
            m.metric: m.value
            for m in TARGET.measure(design, TARGET.simulate(design, IMAGES[:5], 1).counters)
        }
        for design in (lowered(rows=50, layers=names) for names in ((), ("d2",), ("scores",)))
    )
    assert one["energy/d2"] == one["energy/network"] == every["energy/d2"]
    assert every["area/network"] == pytest.approx(one["area/network"] + other["area/network"])
    assert one["partial_sum_error:0..1/d2"] == every["partial_sum_error:0..1/d2"]
    assert not any(name.endswith("/scores") for name in one)


def test_the_order_and_number_of_names_of_layers_do_not_matter():
    assert list(lowered(layers=("scores", "d2", "d2")).layers) == list(lowered().layers)


def test_a_layer_s_random_columns_do_not_depend_on_which_others_are_on_arrays():
    every, one = (
        lowered(flips="random", seed=3, layers=names).layers["scores"].tiles
        for names in ((), ("scores",))
    )
    assert all(np.array_equal(a.flipped, b.flipped) for a, b in zip(every, one, strict=True))


def test_some_layers_are_calibrated_alone():
    settings = LOSSY | {"layers": ("d2",), "gains": {"scores": 0.5}}
    asked = TARGET.configure(settings | {"calibrate": ("gain", "batchnorm")})
    fitted = calibrate(_with(lowered(**settings), asked), IMAGES)
    assert list(fitted.sensing) == list(fitted.corrections) == ["d2"]
    assert 0 < fitted.gain("d2") < 1
    assert error(fitted) < error(lowered(**settings))


def test_some_layers_have_a_response_and_a_deck():
    design = lowered(**LOSSY, layers=("scores",))
    response = fit(design, IMAGES, {}, threads=1)
    assert list(response.layers) == ["scores"]
    whole = operating_point(lowered(**LOSSY), "scores", 1, IMAGES[0], exact=True)
    alone = operating_point(design, "scores", 1, IMAGES[0])  # what is before it is exact
    assert np.array_equal(alone.active, whole.active)
    assert np.array_equal(alone.weights, whole.weights)
    with pytest.raises(UnknownNameError, match="scores"):
        operating_point(design, "d2", 0, IMAGES[0])


def test_names_of_no_layer_are_refused_with_those_there_are():
    with pytest.raises(ConfigError, match="'d1' of layers is no layer that arrays") as found:
        lowered(layers=("d2", "d1"))
    assert found.value.way_out == "those are d2, scores"


@pytest.mark.parametrize("how", ["batchnorm", "thresholds"])
def test_recalibration_matches_the_exact_network(how):
    design = lowered(**LOSSY)
    asked = TARGET.configure(LOSSY | {"calibrate": (how,), "calibration": "none"})
    changed = calibrate(_with(design, asked), IMAGES)
    exact = reference.run(PROGRAM, IMAGES, ["d2"])["d2"].reshape(-1, 20)
    found = TARGET.simulate(_keeping(changed, "d2"), IMAGES, 1).outputs["d2"].reshape(-1, 20)
    assert np.abs(found.mean(axis=0) - exact.mean(axis=0)).max() <= 0.6
    if how == "batchnorm":
        assert np.abs(found.std(axis=0) / exact.std(axis=0) - 1).max() < 0.1


def _with(design, config):
    return replace(design, config=config)


def _keeping(design, name):
    program = replace(design.program, outputs=(*design.program.outputs, name))
    return replace(design, program=program)


def test_a_converter_rounds_clips_and_shifts():
    rng = np.random.default_rng(0)
    sensing = Sensing(unit_amp=2.0, bits=2, full_scale=6.0, offset=0.5)
    assert sensing.step == 2.0
    assert sensing.counts(np.array([0.0, 2.0, 5.0, 100.0]), rng).tolist() == [0, 2, 4, 6]
    noisy = Sensing(unit_amp=1.0, noise=0.5).counts(np.full(10_000, 7.0), rng)
    assert noisy.mean() == pytest.approx(7.0, abs=0.03)
    assert noisy.std() == pytest.approx(np.sqrt(0.25 + 1 / 12), rel=0.05)


@pytest.mark.parametrize(
    ("settings", "rows"),
    [
        ({"rows": 50}, 50),
        ({"rows": 50, "word_lines": 15}, 15),
        ({"rows": 50, "word_lines": 80}, 50),
        ({"rows": 50, "mapping": "xnor"}, 25),
        ({"rows": 50, "mapping": "xnor", "word_lines": 7}, 7),
        ({"rows": 50, "mapping": "xnor", "word_lines": 31}, 25),
    ],
)
def test_a_converter_s_range_is_the_rows_that_are_read_at_once(settings, rows):
    design = lowered(technology="ideal", adc_bits=4, **settings)
    assert {sensing.full_scale for sensing in design.sensing.values()} == {rows}


@pytest.mark.parametrize("mapping", ["and", "xnor"])
def test_a_code_for_each_row_that_is_read_at_once_is_exact(mapping):
    images = IMAGES[:5]
    settings = {"technology": "ideal", "mapping": mapping, "word_lines": 15}
    assert error(lowered(adc_bits=4, **settings), images) == 0
    assert error(lowered(adc_bits=3, **settings), images) > 0


@pytest.mark.parametrize("bits", [0, -1])
def test_a_converter_without_bits_is_refused(bits):
    with pytest.raises(ConfigError, match="bits"):
        Sensing(unit_amp=1.0, bits=bits, full_scale=4.0)
    with pytest.raises(ConfigError, match="adc_bits"):
        TARGET.configure({"adc_bits": bits})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"device": {"on_ohm": 0}}, "on_ohm is 0"),
        ({"device": {"on_ohm": -5.0}}, "on_ohm"),
        ({"device": {"on_off_ratio": 0.5}}, "on_off_ratio"),
        ({"device": {"on_of_ratio": 5}}, "did you mean 'on_off_ratio'"),
        ({"wires": {"source_ohm": -1.0}}, "source_ohm"),
        ({"wires": {"rows": 3}}, "rows"),
        ({"wires": {"read_volt": 0.0}}, "read_volt"),
        ({"calibrate": ("gain",)}, "calibration images"),
        ({"adc_range": "data"}, "adc_bits"),
        ({"adc_range": "data", "adc_bits": 4}, "calibration images"),
        ({"row_order": "active"}, "calibration images"),
        ({"mapping": "xnor", "rows": 1}, "one row"),
        ({"cost": {"adcs": "sar"}}, "did you mean 'adc'"),
        ({"cost": {"adc": "best"}}, "sar, walden, survey"),
        ({"cost": {"columns_per_adc": 0}}, "columns"),
        ({"cost": {"columns_per_adc": "8"}}, "type int"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        lowered(**settings)


def test_too_many_rows_and_unknown_nodes_are_refused():
    with pytest.raises(ConfigError, match="rows"):
        TARGET.configure({"rows": 4097})
    with pytest.raises(UnknownNameError, match="7nm"):
        circuit(TARGET.configure({"node": "7n"}))


def test_wires_are_as_warm_as_the_cells():
    cold, warm = (
        circuit(TARGET.configure({"device": {"temperature_kelvin": kelvin}}))[1]
        for kelvin in (300.0, 400.0)
    )
    assert warm.source_ohm == pytest.approx(cold.source_ohm * (1 + 0.0039 * 100), rel=0.02)


def test_a_sum_of_inputs_takes_no_array():
    ones = np.ones_like(PROGRAM.tensors["d2.weights"])
    program = replace(PROGRAM, tensors=PROGRAM.tensors | {"d2.weights": ones})
    design = TARGET.lower(program, TARGET.configure({"technology": "ideal"}))
    assert "d2" not in design.layers
    found = TARGET.simulate(design, IMAGES, 1).outputs["scores"]
    assert np.array_equal(found, reference.run(program, IMAGES)["scores"])


def test_complementary_cells_conduct_where_bits_agree():
    settings = {"mapping": "xnor", "rows": 40}
    counters = TARGET.simulate(lowered(**LOSSY | settings), IMAGES, 1).counters
    ideal = TARGET.simulate(lowered(technology="ideal", **settings), IMAGES, 1).counters
    # What the first array layer sees does not depend on what arrays lose.
    assert counters["on_cells/d2"] == ideal["on_cells/d2"] == pytest.approx(ideal["current/d2"])
    assert counters["plain_on_cells/d2"] == counters["on_cells/d2"]
    assert counters["current/d2"] < 0.95 * counters["on_cells/d2"]
