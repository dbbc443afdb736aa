"""What arrays sense of partial sums, fitted: against the arrays themselves, counted another way."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tests.networks import classifier, labelled

from bitwright.errors import ConfigError
from bitwright.ir import codec, reference
from bitwright.targets import get_target
from bitwright.targets.crossbar.arrays import Arrays
from bitwright.targets.crossbar.mapping import windows_of
from bitwright.targets.crossbar.surrogate import fit

TARGET = get_target("crossbar")
PROGRAM = classifier(3, (9, 7, 3))
IMAGES = labelled(3, (9, 7, 3), 20).images
LOSSY = {
    "technology": "linear",
    "rows": 50,
    "device": {"on_ohm": 10e3},
    "wires": {"source_ohm": 4.0, "bit_ohm": 4.0, "driver_ohm": 20.0, "sink_ohm": 0.0},
    "adc_bits": 12,
}


def fitted(**settings):
    design = TARGET.lower(PROGRAM, TARGET.configure(settings))
    return design, fit(design, IMAGES, settings, threads=2)


def counts_of(layer, value):
    """Return of each of a layer's reads (inputs sorted) how many cells conduct."""
    bits, _ = windows_of(layer.dot, value)
    weights = layer.dot.weights.reshape(len(layer.dot.weights), -1).T
    return lambda start, stop: bits[:, start:stop].astype(int) @ weights[start:stop].astype(int)


@pytest.mark.parametrize("settings", [{}, {"word_lines": 16}, {"row_order": "active"}])
def test_the_mean_is_that_of_the_arrays(settings, tmp_path):
    np.savez(tmp_path / "some.npz", x=IMAGES, y=np.zeros(len(IMAGES), np.int64))
    design, response = fitted(**LOSSY, **settings, calibration=str(tmp_path / "some.npz"))
    values = reference.run(PROGRAM, IMAGES, ["b1", "flat", "d2", "scores"])
    for index, (name, source) in enumerate((("d2", "b1"), ("scores", "flat"))):
        layer, found = design.layers[name], response.layers[name]
        arrays = Arrays(layer, index, design.config, design.cell, design.ladder)
        sensed, _ = arrays.dots(values[source], design.sensing[name])
        count, predicted = counts_of(layer, values[source]), 0.0
        for start, stop, curve in found.reads:
            ones = count(start, stop)
            predicted += 4 * (found.curves[curve].mean[ones] - ones).mean()
        # Dot products are rounded, what is predicted is not.
        error = sensed.mean() - values[name].mean()
        assert predicted == pytest.approx(error, abs=1 / np.sqrt(sensed.size))
        assert predicted < -1
        assert found.reads[0][0] == 0
        assert found.reads[-1][1] == found.inputs == layer.fan_in


def test_more_cells_bring_more_and_ever_less_for_each():
    _, response = fitted(**LOSSY)
    layer = response.layers["d2"]
    full = layer.curves[layer.reads[0][2]]
    often = np.flatnonzero(full.number >= 100)
    assert len(often) > 5
    assert (np.diff(full.mean) > 0).all(), "beyond what was seen too"
    share = full.mean[often] / often
    assert share[-1] < share[0] - 0.05 < 0.95


def test_reads_of_other_rows_have_other_curves():
    _, response = fitted(**LOSSY, word_lines=25)
    first, second = response.layers["d2"].reads[:2]
    assert (first[2], second[2]) == (0, 1)
    far, near = (response.layers["d2"].curves[k] for k in (0, 1))
    assert near.number.sum() == far.number.sum()
    often = np.flatnonzero((near.number > 100) & (far.number > 100))
    assert (np.abs(near.mean - far.mean)[often] > 1e-3).any()


def test_ideal_cells_respond_as_they_should():
    _, response = fitted(technology="ideal", rows=50)
    for layer in response.layers.values():
        for curve in layer.curves:
            assert curve.mean == pytest.approx(np.arange(len(curve.mean)))
            assert not curve.deviation.any()
        ideal, sensed, residual = layer.seen
        assert (sensed, residual) == (pytest.approx(ideal), 0)


def test_noise_of_the_converter_is_deviation():
    settings = {"technology": "ideal", "rows": 50, "adc_bits": 16}
    _, response = fitted(**settings, adc_noise=0.7)
    _, _, residual = response.layers["d2"].seen
    assert residual == pytest.approx(0.7, rel=0.02)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"flips": "both"}, "without flips"),
        ({"mapping": "xnor"}, "without complementary cells"),
        ({"calibrate": ["gain"]}, "what is calibrated"),
        ({"adc_bits": 6, "adc_range": "data"}, "what is calibrated"),
        ({"row_order": "active", "word_lines": 10}, "do not follow one another"),
    ],
)
def test_what_is_no_response_of_arrays_alone_is_refused(settings, message, tmp_path):
    np.savez(tmp_path / "some.npz", x=IMAGES, y=np.zeros(len(IMAGES), np.int64))
    with pytest.raises(ConfigError, match=message):
        fitted(technology="ideal", rows=50, calibration=str(tmp_path / "some.npz"), **settings)


def test_the_command_writes_it(bitwright, tmp_path):
    codec.save(PROGRAM, tmp_path / "net.safetensors")
    np.savez(tmp_path / "some.npz", x=IMAGES, y=np.zeros(len(IMAGES), np.int64))
    (tmp_path / "d.toml").write_text('technology = "linear"\nrows = 50\n')
    arguments = (
        "crossbar", "surrogate", tmp_path / "net.safetensors", "--config", tmp_path / "d.toml",
        "--calibration", tmp_path / "some.npz", "--images", 5, "-o", tmp_path / "r.json",
    )  # fmt: skip
    code, out, _ = bitwright(*arguments)
    assert code == 0
    assert "on 5 images" in out
    made = json.loads((tmp_path / "r.json").read_text())
    assert made["layers"].keys() == {"d2", "scores"}
    assert sum(made["layers"]["scores"]["curves"][0]["number"]) % 5 == 0
    (tmp_path / "d.toml").write_text('technology = "linear"\nflips = "both"\n')
    code, _, err = bitwright(*arguments)
    assert code == 2
    assert "without flips" in err
