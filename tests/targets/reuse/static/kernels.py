"""Kernels for tests of static reuse, and what holds for every graph that computes them."""

import numpy as np
from hypothesis import strategies as st


def random_kernels(seed, neurons, fan_in, alike=0.5, noise=0.1):
    """Return kernels of which some are nearly, or exactly, the first or its complement."""
    rng = np.random.default_rng(seed)
    rows = rng.choice([-1, 1], (neurons, fan_in))
    near = rng.random(neurons) < alike
    rows[near] = rows[0] * np.where(rng.random((int(near.sum()), fan_in)) < noise, -1, 1)
    return rows * rng.choice([-1, 1], (neurons, 1))


@st.composite
def kernels(draw, most_neurons=14, most_inputs=40):
    """Draw kernels: of one neuron, one input, all equal up to complement, and any others."""
    shape = draw(st.integers(1, most_neurons)), draw(st.integers(1, most_inputs))
    alike, noise = draw(st.sampled_from([(0, 0), (0.5, 0.1), (1, 0), (1, 0.2)]))
    return random_kernels(draw(st.integers(0, 10_000)), *shape, alike, noise)


def noisy_copies(seed, centres, copies, fan_in, flips):
    """Return kernels that differ from one of some centres in so many bits, and the centres."""
    rng = np.random.default_rng(seed)
    middle = rng.choice([-1, 1], (centres, fan_in))
    rows = np.repeat(middle, copies, axis=0)
    for row in rows:
        row[rng.permutation(fan_in)[:flips]] *= -1
    return rows * rng.choice([-1, 1], (len(rows), 1)), middle


def check(graph, weights):
    """Check a graph against a product of matrices, on integers of any size."""
    inputs = np.random.default_rng(0).integers(-100, 101, (weights.shape[1], 5))
    np.testing.assert_array_equal(graph.values(inputs), weights @ inputs)


def apart(rows):
    """Return the bits in which each two rows, or one and the other's complement, differ."""
    differ = (rows[:, None] != rows).sum(2)
    return np.minimum(differ, rows.shape[1] - differ)
