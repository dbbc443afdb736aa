"""Cells and wires: their equations, their presets, and where every number comes from."""

from bitwright.targets.crossbar.devices.cells import Cell, Linear, Reram1T1R, Sram8T
from bitwright.targets.crossbar.devices.presets import (
    PARAMETERS,
    TECHNOLOGIES,
    cell_preset,
    read_volt,
)
from bitwright.targets.crossbar.devices.provenance import Parameter
from bitwright.targets.crossbar.devices.variability import program
from bitwright.targets.crossbar.devices.wires import NODES, wire_ohm

__all__ = [
    "NODES",
    "PARAMETERS",
    "TECHNOLOGIES",
    "Cell",
    "Linear",
    "Parameter",
    "Reram1T1R",
    "Sram8T",
    "cell_preset",
    "program",
    "read_volt",
    "wire_ohm",
]
