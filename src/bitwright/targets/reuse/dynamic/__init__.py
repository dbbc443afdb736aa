"""Skip redundant work in binary layers while they run; no output bit ever changes.

`skip_layers` finds the layers of a program that can skip, `Skips` says what they leave out,
`run_layer` runs one and counts what it did, `SkipNetwork` runs a whole program.
"""

from bitwright.targets.reuse.dynamic.channels import channel_orders
from bitwright.targets.reuse.dynamic.counters import LayerCounters
from bitwright.targets.reuse.dynamic.layer import SkipLayer, skip_layers
from bitwright.targets.reuse.dynamic.network import SkipNetwork, SkipRun
from bitwright.targets.reuse.dynamic.order import tile_orders
from bitwright.targets.reuse.dynamic.run import run_layer, tiles_used
from bitwright.targets.reuse.dynamic.schedule import Channels, Schedule, prepare
from bitwright.targets.reuse.dynamic.skips import NO_SKIPS, Skips

__all__ = [
    "NO_SKIPS",
    "Channels",
    "LayerCounters",
    "Schedule",
    "SkipLayer",
    "SkipNetwork",
    "SkipRun",
    "Skips",
    "channel_orders",
    "prepare",
    "run_layer",
    "skip_layers",
    "tile_orders",
    "tiles_used",
]
