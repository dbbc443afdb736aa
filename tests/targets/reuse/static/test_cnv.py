"""Static reuse on a published network: known shares of operations, and those asked for."""

import numpy as np
import pytest

from bitwright.explore.layers import popcount_layers
from bitwright.frontends.finn import import_finn
from bitwright.frontends.topology import load_topology
from bitwright.targets.reuse.static.clusters import cluster_tree
from bitwright.targets.reuse.static.cse import common_subexpressions
from bitwright.targets.reuse.static.operations import count_operations
from bitwright.targets.reuse.static.permutation import similar_inputs
from bitwright.targets.reuse.static.tiles import shared_tiles, tables
from bitwright.targets.reuse.static.trees import spanning_tree, steiner_tree

SPANNING = (0.333, 0.374, 0.416, 0.420, 0.392, 0.255, 0.252)
"""Known parts of the XNORs left in dot1 .. dot7, of trees over whole kernels."""
TILES = (0.108, 0.072, 0.077, 0.065, 0.064)
"""The same of 9-bit tiles, in the convolutions."""


@pytest.fixture(scope="module")
def layers(shared):
    path = shared / "models" / "bnn-pynq" / "cifar10" / "cnvW1A1"
    if not path.is_dir():
        pytest.skip(f"no {path}")
    program = import_finn(path, load_topology("cnv"))
    found = {layer.name: layer for layer in popcount_layers(program)}
    return [found[f"dot{number}"] for number in range(1, 8)]


def kernels_of(layer):
    return np.where(layer.dot.weights.reshape(layer.neurons, -1), 1, -1)


def left(layers, method):
    return [count_operations(method(kernels_of(layer), layer.shape)).xnors_left for layer in layers]


def overall(layers, shares):
    work = [layer.windows * layer.neurons * layer.inputs for layer in layers]
    return np.average(shares, weights=work)


def test_whole_kernels(layers):
    spanning = left(layers, lambda weights, _: spanning_tree(weights))
    assert spanning == pytest.approx(SPANNING, abs=0.005)
    steiner = left(layers, lambda weights, _: steiner_tree(weights))
    assert all(np.array(steiner) < 0.75 * np.array(spanning))
    assert overall(layers, steiner) < 0.265
    shallow = left(layers[:5], lambda weights, _: cluster_tree(weights, 3))
    assert overall(layers[:5], shallow) < 0.30


def test_tiles(layers):
    tiles = left(layers, lambda weights, shape: shared_tiles(weights, shape, 9))
    assert tiles[:5] == pytest.approx(TILES, abs=0.005)
    assert overall(layers, tiles) < 0.10
    narrow = left(layers, lambda weights, shape: tables(weights, shape, 6))
    assert overall(layers, narrow) < 0.08


def test_inputs_that_are_alike_share_tiles(layers):
    for layer in layers[:3]:
        weights = kernels_of(layer)
        natural = count_operations(shared_tiles(weights, layer.shape, 9))
        order = similar_inputs(weights, 9)
        found = count_operations(shared_tiles(weights, layer.shape, 9, order=order))
        assert found.xnors < 0.96 * natural.xnors
        assert found.bits_left < natural.bits_left


def test_trained_kernels_share_more_than_random_ones(layers):
    for layer in layers[:2]:
        weights = kernels_of(layer)
        noise = np.random.default_rng(0).choice([-1, 1], weights.shape)
        for method in (spanning_tree, steiner_tree, cluster_tree, common_subexpressions):
            trained, random = (count_operations(method(w)).adds for w in (weights, noise))
            assert trained < 0.95 * random
