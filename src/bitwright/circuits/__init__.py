"""Popcounts as gates: circuits, what makes and reads them, what they get wrong (NumPy only)."""

from bitwright.circuits.and_or import count_by_and_or
from bitwright.circuits.cells import KINDS, Kind
from bitwright.circuits.circuit import Cell, Circuit, Output
from bitwright.circuits.columns import count_by_columns
from bitwright.circuits.comparator import compare
from bitwright.circuits.counters import count_by_counters
from bitwright.circuits.evaluate import evaluate
from bitwright.circuits.exact_joint import exact_joint
from bitwright.circuits.learned_grouping import product_covariance, with_learned_order
from bitwright.circuits.linear import Range, linear_form, value_range
from bitwright.circuits.local_threshold import count_by_votes
from bitwright.circuits.majority import count_by_majority
from bitwright.circuits.netlist import read_netlist
from bitwright.circuits.nets import Interface
from bitwright.circuits.prune import prune
from bitwright.circuits.ripple import count_by_ripple_tree
from bitwright.circuits.sampling import data_joint, joint, sampled_joint
from bitwright.circuits.spec import FAMILIES, Spec, from_settings, make, parse
from bitwright.circuits.statistics import (
    ErrorStatistics,
    Flips,
    Joint,
    error_statistics,
    flip_given_count,
    flips,
    value_given_count,
    value_table,
    with_table,
)
from bitwright.circuits.truncation import truncate
from bitwright.circuits.verilog import write_verilog

__all__ = [
    "FAMILIES",
    "KINDS",
    "Cell",
    "Circuit",
    "ErrorStatistics",
    "Flips",
    "Interface",
    "Joint",
    "Kind",
    "Output",
    "Range",
    "Spec",
    "compare",
    "count_by_and_or",
    "count_by_columns",
    "count_by_counters",
    "count_by_majority",
    "count_by_ripple_tree",
    "count_by_votes",
    "data_joint",
    "error_statistics",
    "evaluate",
    "exact_joint",
    "flip_given_count",
    "flips",
    "from_settings",
    "joint",
    "linear_form",
    "make",
    "parse",
    "product_covariance",
    "prune",
    "read_netlist",
    "sampled_joint",
    "truncate",
    "value_given_count",
    "value_range",
    "value_table",
    "with_learned_order",
    "with_table",
    "write_verilog",
]
