"""Random layers and graphs of them, for tests of what is done with graphs."""

import numpy as np
from hypothesis import strategies as st

from bitwright.targets.reuse.planner import dense_graph
from bitwright.targets.reuse.static.clusters import cluster_tree
from bitwright.targets.reuse.static.cse import common_subexpressions
from bitwright.targets.reuse.static.tiles import shared_tiles, tables
from bitwright.targets.reuse.static.trees import spanning_tree, steiner_tree


def weights_of(seed, neurons, fan_in):
    """Kernels of -1 and +1, some of them alike, equal or opposite."""
    rng = np.random.default_rng(seed)
    rows = rng.choice([-1, 1], (neurons, fan_in))
    alike = rng.random(neurons) < 0.5
    rows[alike] = rows[0] * np.where(rng.random((int(alike.sum()), fan_in)) < 0.1, -1, 1)
    return rows * rng.choice([-1, 1], (neurons, 1))


GRAPHS = {
    "dense": dense_graph,
    "spanning": spanning_tree,
    "steiner": steiner_tree,
    "clusters": cluster_tree,
    "tiles": lambda w: shared_tiles(w, (1, 1, w.shape[1]), 4),
    "tables": lambda w: tables(w, (1, 1, w.shape[1]), 3),
    "subexpressions": common_subexpressions,
}
for _compile in GRAPHS.values():  # here, so that it is no example that takes seconds
    _compile(weights_of(0, 6, 9))


@st.composite
def layers(draw, most_neurons=12, most_inputs=24):
    """Weights and a graph that computes them."""
    neurons = draw(st.integers(1, most_neurons))
    fan_in = draw(st.integers(1, most_inputs))
    weights = weights_of(draw(st.integers(0, 1000)), neurons, fan_in)
    return weights, GRAPHS[draw(st.sampled_from(sorted(GRAPHS)))](weights)
