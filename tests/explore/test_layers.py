"""What popcounts see: products whose sums are the dot products of the reference."""

from __future__ import annotations

import numpy as np
import pytest
from tests.networks import classifier

from bitwright.errors import BitwrightError, ConfigError, DataError
from bitwright.explore.layers import popcount_layers, products
from bitwright.explore.popcounts import popcount, popcounts_of, with_threshold
from bitwright.ir import Bits, Conv2d, Dense, Program, Threshold, reference


def one_layer(pad_value=0, stride=(1, 1), groups=1, padding=(1, 0, 1, 1)):
    """A program of one convolution of bits, 5 x 6 x 8."""
    rng = np.random.default_rng(groups)
    weights = rng.random((6, 3, 2, 8 // groups)) < 0.4
    return Program(
        input_name="x",
        input_type=Bits((5, 6, 8)),
        ops=(
            Conv2d(
                output="d", inputs=("x",), weights="w", stride=stride, padding=padding,
                pad_value=pad_value, groups=groups,
            ),
        ),
        tensors={"w": weights},
        outputs=("d",),
    )  # fmt: skip


def bits(count=4):
    return np.random.default_rng(9).random((count, 5, 6, 8)) < 0.3


@pytest.mark.parametrize("pad_value", [-1, 1])
@pytest.mark.parametrize("stride", [(1, 1), (2, 3)])
@pytest.mark.parametrize("groups", [1, 2])
def test_products_add_up_to_the_dot_product(pad_value, stride, groups):
    program = one_layer(pad_value, stride, groups)
    (layer,) = popcount_layers(program)
    assert layer.shape == (3, 2, 8 // groups)
    dots = reference.run(program, bits())["d"]
    for neuron in (0, 3, 5):
        found = products(program, layer, bits(), count=10_000, neuron=neuron)
        assert found.shape == (4 * layer.windows, layer.inputs)
        wanted = dots[..., neuron].ravel()
        assert np.array_equal(2 * found.sum(1) - layer.inputs, wanted), "in raster order"


def test_a_tap_in_padding_of_zeros_counts_as_minus_one():
    (layer,) = popcount_layers(one_layer(0))
    zeros = products(one_layer(0), layer, bits(), count=99)
    minus = products(one_layer(-1), layer, bits(), count=99)
    assert np.array_equal(zeros, minus)


def test_inputs_lie_as_weights_are_stored():
    program = one_layer(padding=(0, 0, 0, 0))
    (layer,) = popcount_layers(program)
    found = products(program, layer, bits(), count=1000)
    window = bits()[2, 1:4, 3:5]  # image 2, window (1, 3) of 3 x 5
    wanted = (window == program.tensors["w"][0]).ravel()
    assert np.array_equal(found[2 * 15 + 1 * 5 + 3], wanted)


def test_no_more_vectors_than_asked_for():
    (layer,) = popcount_layers(one_layer(-1))
    every = products(one_layer(-1), layer, bits(), count=1000)
    assert np.array_equal(products(one_layer(-1), layer, bits(), count=33), every[:33])


def test_layers_of_a_network():
    program = classifier()
    layers = popcount_layers(program)
    assert [(layer.name, layer.shape) for layer in layers] == [
        ("d2", (3, 3, 70)), ("scores", (4, 4, 20)),
    ]  # fmt: skip
    images = np.random.default_rng(0).integers(0, 256, (7, 8, 8, 1), dtype=np.uint8)
    dense = layers[1]
    found = products(program, dense, images, count=100, neuron=2)
    scores = reference.run(program, images)["scores"]
    assert np.array_equal(2 * found.sum(1) - dense.inputs, scores[:, 2])


def test_what_does_not_fit_is_refused():
    program = classifier()
    _, dense = popcount_layers(program)
    images = np.zeros((1, 8, 8, 1), np.uint8)
    with pytest.raises(DataError, match="use more images"):
        products(program, dense, images, count=100)
    with pytest.raises(ConfigError, match=r"no neuron 4.*0\.\.3"):
        products(program, dense, images, count=100, neuron=4)
    with pytest.raises(BitwrightError, match="shape"):
        products(program, dense, np.zeros((3, 9, 9, 1), np.uint8), count=100)
    real = Program(
        input_name="x",
        input_type=Bits((4,)),
        ops=(Dense(output="y", inputs=("x",), weights="w"),),
        tensors={"w": np.ones((2, 4), np.int8)},
        outputs=("y",),
    )
    with pytest.raises(ConfigError, match="no layer of bits with binary weights"):
        popcount_layers(real)


def test_layers_of_one_shape_share_a_popcount():
    weights = np.random.default_rng(1).random((4, 3, 3, 4)) < 0.5
    conv = {"weights": "w", "padding": (1, 1, 1, 1), "pad_value": -1}
    threshold = {"thresholds": "t", "rising": "r"}
    program = Program(
        input_name="x",
        input_type=Bits((4, 4, 4)),
        ops=(
            Conv2d(output="a", inputs=("x",), **conv),
            Threshold(output="b", inputs=("a",), **threshold),
            Conv2d(output="c", inputs=("b",), **conv),
        ),
        tensors={
            "w": weights, "t": np.zeros(4, np.int32), "r": np.ones(4, bool),
        },
        outputs=("c",),
    )  # fmt: skip
    images = np.random.default_rng(2).random((3, 4, 4, 4)) < 0.5
    (one,) = popcounts_of(program, ["maj"], images=images, count=20)
    assert one.layers == ("a", "c")
    assert {name: bits.shape for name, bits in one.real.items()} == {"a": (20, 36), "c": (20, 36)}
    assert list(one.circuits) == ["exact", "maj"]


def test_a_threshold_behind_a_popcount():
    one = popcount(["maj", "exact", "lta:size=9"], 27, threshold=True)
    assert list(one.circuits) == ["exact", "maj", "lta:size=9"]
    for circuit in one.circuits.values():
        assert circuit.is_bit
        assert with_threshold(circuit) is circuit
