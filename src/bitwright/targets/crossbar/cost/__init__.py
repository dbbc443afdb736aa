"""What networks on arrays take: energy, latency and area, with flips and without.

`Activity` says what a layer's arrays do for an image, `Technology` what they are made of,
`Settings` how they are read; `layer_cost` gives a `LayerCost`, and `compare` a cure's cost next to
the plain array's. Formulas are in `analog` and `digital`, converters in `adc`, and what digital
pieces cost in a table that ``bitwright study crossbar-pieces`` makes by synthesis.
"""

from bitwright.targets.crossbar.cost import adc, technology
from bitwright.targets.crossbar.cost.activity import Activity, activities, full_range_bits
from bitwright.targets.crossbar.cost.layer import (
    PUBLISHED,
    Change,
    Comparison,
    LayerCost,
    compare,
    cost_measurements,
    design_costs,
    layer_cost,
    network_cost,
)
from bitwright.targets.crossbar.cost.settings import Settings, settings_of
from bitwright.targets.crossbar.cost.technology import Coefficients, Technology, technology_of

PARAMETERS = adc.PARAMETERS | technology.PARAMETERS
"""Every number of the cost models and where it comes from."""

__all__ = [
    "PARAMETERS",
    "PUBLISHED",
    "Activity",
    "Change",
    "Coefficients",
    "Comparison",
    "LayerCost",
    "Settings",
    "Technology",
    "activities",
    "compare",
    "cost_measurements",
    "design_costs",
    "full_range_bits",
    "layer_cost",
    "network_cost",
    "settings_of",
    "technology_of",
]
