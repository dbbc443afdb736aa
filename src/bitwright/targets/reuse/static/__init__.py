"""Share sums between the neurons of a layer before it runs: adder graphs of fewer operations.

Each method takes a layer's weights, (neurons, fan-in) of -1 and +1, and returns an `AdderGraph` of
the same dot products: `spanning_tree`, `steiner_tree` and `cluster_tree` make whole kernels from
one another, `shared_tiles` and `tables` patterns of tiles, `common_subexpressions` and
`share_pairs` sums of two. `similar_inputs` orders inputs for tiles, `count_operations` says what
is left.
"""

from bitwright.targets.reuse.static.clusters import cluster_tree
from bitwright.targets.reuse.static.cse import common_subexpressions, share_pairs
from bitwright.targets.reuse.static.operations import Operations, count_operations
from bitwright.targets.reuse.static.permutation import similar_inputs
from bitwright.targets.reuse.static.tiles import Order, shared_tiles, tables
from bitwright.targets.reuse.static.trees import spanning_tree, steiner_tree

__all__ = [
    "Operations",
    "Order",
    "cluster_tree",
    "common_subexpressions",
    "count_operations",
    "share_pairs",
    "shared_tiles",
    "similar_inputs",
    "spanning_tree",
    "steiner_tree",
    "tables",
]
