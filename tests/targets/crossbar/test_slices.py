"""Whole numbers of any precision on arrays: ideal cells equal the integers, flipped or not."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.targets.crossbar.test_mapping import convolution

from bitwright.errors import ConfigError
from bitwright.targets import get_target
from bitwright.targets.crossbar.devices.cells import Linear
from bitwright.targets.crossbar.slices import SlicedArrays, activation_planes, weight_planes
from bitwright.targets.crossbar.solver.ladder import Ladder

TARGET = get_target("crossbar")
CODINGS = ("offset", "differential")


def wires(rows, ohm):
    return Ladder(rows=rows, source_ohm=ohm, bit_ohm=ohm, read_volt=0.5)


def numbers(seed, bits, inputs=70, outputs=11, images=5):
    """Weights (inputs, outputs) and activations (images, inputs), skewed by the seed."""
    rng = np.random.default_rng(seed)
    if bits == 1:
        weights = np.where(rng.random((inputs, outputs)) < rng.random(), -1, 1)
    else:
        most = 2 ** (bits - 1) - 1
        weights = rng.integers(rng.integers(-most, 1), most + 1, (inputs, outputs))
    codes = rng.integers(0, rng.integers(1, 2**bits, endpoint=True), (images, inputs))
    return weights.astype(np.int16), codes


def exact(weights, codes, bits):
    return (2 * codes - 1 if bits == 1 else codes) @ weights.astype(np.int64)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 999),
    bits=st.integers(1, 8),
    coding=st.sampled_from(CODINGS),
    rows=st.integers(1, 90),
    flips=st.booleans(),
    circuit=st.booleans(),
)
def test_ideal_arrays_equal_the_integers(seed, bits, coding, rows, flips, circuit):
    weights, codes = numbers(seed, bits)
    cell, ladder = (Linear(), wires(rows, 0.0)) if circuit else (None, None)
    arrays = SlicedArrays(weights, bits, coding, rows, cell, ladder, flips)
    assert np.array_equal(arrays.dots(codes, threads=1), exact(weights, codes, bits))
    assert arrays.gain(codes, 1) == pytest.approx(1)


@pytest.mark.parametrize("flips", [False, True])
@pytest.mark.parametrize("x", [0.3, 3.0])
def test_one_bit_is_what_the_target_computes(flips, x):
    program = convolution(7, shape=(3, 3, 8), kernel=3, padding=0)
    images = np.random.default_rng(1).random((6, 3, 3, 8)) < 0.6
    ohm = x * 25e3 / 32**2
    config = {
        "technology": "linear",
        "rows": 32,
        "flips": "both" if flips else "none",
        "device": {"on_ohm": 25e3},
        "wires": {"source_ohm": ohm, "bit_ohm": ohm, "read_volt": 0.5},
    }
    wanted = TARGET.simulate(TARGET.lower(program, TARGET.configure(config)), images, 1)
    weights = np.where(program.tensors["w"].reshape(12, -1).T, 1, -1)
    arrays = SlicedArrays(weights, 1, "offset", 32, Linear(on_ohm=25e3), wires(32, ohm), flips)
    found = arrays.dots(images.reshape(6, -1).astype(np.int64), threads=1)
    assert np.array_equal(found, wanted.outputs["dots"].reshape(6, 12))
    assert not np.array_equal(found, exact(weights, images.reshape(6, -1) * 1, 1)), "wires matter"


@pytest.mark.parametrize("bits", range(1, 9))
@pytest.mark.parametrize("coding", CODINGS)
def test_planes_stand_for_the_numbers(bits, coding):
    weights, codes = numbers(0, bits)
    assert np.array_equal(weight_planes(weights, bits, coding).numbers(), weights)
    activations = activation_planes(codes, bits)
    assert len(activations.bits) == bits
    assert np.array_equal(activations.numbers(), 2 * codes - 1 if bits == 1 else codes)


def test_columns_are_as_many_as_the_coding_needs():
    weights, _ = numbers(0, 4)
    assert len(weight_planes(weights, 4, "offset").bits) == 4
    assert len(weight_planes(weights, 4, "differential").bits) == 2 * 3


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("bits", [1, 3])
def test_conducting_cells_are_counted(bits, coding):
    weights, codes = numbers(3, bits)
    planes = weight_planes(weights, bits, coding).bits.astype(np.int64)
    lines = activation_planes(codes, bits).bits.astype(np.int64)
    arrays = SlicedArrays(weights, bits, coding, 32, None, None)
    on, cells = arrays.conducting(codes)
    assert on == sum((line @ plane).sum() for line in lines for plane in planes)
    assert cells == lines.size * planes.shape[0] * weights.shape[1]
    flipped, _ = SlicedArrays(weights, bits, coding, 32, None, None, True).conducting(codes)
    assert flipped < on


def test_wires_take_current_that_a_gain_gives_back():
    weights, codes = numbers(2, 4, inputs=64, images=40)
    arrays = SlicedArrays(weights, 4, "differential", 64, Linear(), wires(64, 3.0))
    gain = arrays.gain(codes, 1)
    assert 0.5 < gain < 0.99
    ideal = exact(weights, codes, 4)
    raw, fitted = (np.abs(arrays.dots(codes, g, 1) - ideal).mean() for g in (1.0, gain))
    assert fitted < raw


def test_images_without_any_current_have_a_gain():
    weights, codes = numbers(2, 4)
    arrays = SlicedArrays(weights, 4, "offset", 64, Linear(), wires(64, 3.0))
    assert arrays.gain(np.zeros_like(codes), 1) == 1.0


@pytest.mark.parametrize(
    ("weights", "bits", "coding", "reason"),
    [
        ([[8]], 4, "offset", "not of 4 bits"),
        ([[0]], 1, "offset", "not of 1 bits"),
        ([[1]], 2, "two's complement", "cannot be coded"),
    ],
)
def test_weights_beyond_their_bits_are_refused(weights, bits, coding, reason):
    with pytest.raises(ConfigError, match=reason):
        weight_planes(np.array(weights), bits, coding)
