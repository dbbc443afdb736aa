"""What a design on crossbars is: tiles of stored bits for each binary layer, and their circuit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from bitwright.ir.program import Program
from bitwright.targets.crossbar.devices.cells import Cell
from bitwright.targets.crossbar.mapping import Layer
from bitwright.targets.crossbar.sensing import Sensing
from bitwright.targets.crossbar.solver.ladder import MAX_ROWS, Ladder

Technology = Literal["ideal", "linear", "sram8t", "reram1t1r"]
Flips = Literal["none", "static", "dynamic", "both", "random"]
Calibration = Literal["gain", "batchnorm", "thresholds"]
Share = Annotated[float, Field(ge=0, le=1)]
Gain = Annotated[float, Field(gt=0, le=1e3)]


@dataclass(frozen=True)
class Config:
    """Settings of the crossbar target.

    Parameters
    ----------
    layers
        The layers that are on arrays, by the names of their dot products; all layers of bits if
        none is named. The others are computed exactly, as digital logic does, and are in none of
        the costs.
    technology
        The cells: "ideal" ones count exactly; "linear", "sram8t" and "reram1t1r" are solved as
        circuits (`bitwright.targets.crossbar.devices.cells`).
    node
        The technology node that wires and devices are of, where `device` and `wires` set nothing.
    rows, columns
        Of an array. Layers are cut into tiles of so many rows; columns do not see each other, so
        their number decides cost alone.
    mapping
        "and": a cell for each weight, corrected digitally. "xnor": two complementary cells and word
        lines for each; half of all word lines are on.
    word_lines
        How many rows are on at once; 0 for all. The others of a tile follow one after another.
    row_order
        Which row an input of a tile goes to. "natural": in its order. "active": the more current an
        input brings on the calibration images, the nearer it is to the sense end.
    device, wires
        Settings of the cell, and of the ladder (``source_ohm``, ``bit_ohm``, ``driver_ohm``,
        ``sink_ohm``, ``read_volt``, ``feed``), other than the node's.
    sigma, stuck_on, stuck_off
        Spread of the logarithm of cells' conductances, and shares of cells that are stuck.
    flips
        Which vectors are stored or applied inverted so that they hold fewer ones (BinSparX).
        "static": columns of weights. "dynamic": word lines. "both". "random": both, at random: the
        control, which costs the same and saves nothing.
    flip_granularity
        What shares a flip, drawn ones too: the rows that are "read" at once, all rows of a "tile",
        or all tiles ("kernel").
    adc_bits
        Of the converters; by default one step is one cell's current, and the range is enough.
    adc_range
        What the highest code stands for: all "rows" that are read at once on, or the highest
        current on the calibration images ("data"), of each layer.
    adc_offset, adc_noise
        Offset and standard deviation of what is converted, in units of one cell's current.
    calibrate
        What is fitted on the calibration images. "gain": the current that counts as one cell, of
        each layer. "batchnorm": scale and shift of each neuron, so that mean and variance are those
        of the exact network. "thresholds": shift of each neuron, so that its bit is 1 as often.
    gains
        Of layers whose gain is known: the current that counts as one cell, as a share of an ideal
        cell's that is on. It is not fitted; the measurements ``gain/LAYER`` say what was. Those of
        layers that `layers` leaves out are ignored.
    calibration, calibration_images
        The data set whose training images calibrate, and how many of them.
    cost
        Settings of the cost models (`bitwright.targets.crossbar.cost.Settings`).
    seed
        Of all that is drawn.
    sample
        How many images of each batch are looked at for distributions of partial sums.
    """

    layers: tuple[str, ...] = ()
    technology: Technology = "sram8t"
    node: str = "7nm"
    rows: Annotated[int, Field(ge=1, le=MAX_ROWS)] = 64
    columns: Annotated[int, Field(ge=1, le=65536)] = 64
    mapping: Literal["and", "xnor"] = "and"
    word_lines: Annotated[int, Field(ge=0, le=MAX_ROWS)] = 0
    row_order: Literal["natural", "active"] = "natural"
    device: Mapping[str, float] = field(default_factory=dict)
    wires: Mapping[str, float | Literal["far", "near"]] = field(default_factory=dict)
    sigma: Annotated[float, Field(ge=0, le=10)] = 0.0
    stuck_on: Share = 0.0
    stuck_off: Share = 0.0
    flips: Flips = "none"
    flip_granularity: Literal["read", "tile", "kernel"] = "read"
    adc_bits: Annotated[int, Field(ge=1, le=24)] | None = None
    adc_range: Literal["rows", "data"] = "rows"
    adc_offset: Annotated[float, Field(ge=-4096, le=4096)] = 0.0
    adc_noise: Annotated[float, Field(ge=0, le=4096)] = 0.0
    calibrate: tuple[Calibration, ...] = ()
    gains: Mapping[str, Gain] = field(default_factory=dict)
    calibration: str = ""
    calibration_images: Annotated[int, Field(ge=1, le=100_000)] = 100
    cost: Mapping[str, str | int | bool] = field(default_factory=dict)
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    sample: Annotated[int, Field(ge=0, le=10_000)] = 1


@dataclass(frozen=True, eq=False)
class Correction:
    """What is done to a layer's dot products: ``round(scale * d + shift)`` for each neuron."""

    scale: npt.NDArray[np.float64]
    shift: npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Design:
    """A program with its binary layers on crossbars.

    Parameters
    ----------
    program, config
        What it was made of.
    layers
        The layers on arrays, by the names of their dot products.
    cell, ladder
        The circuit of every column; None if it is ideal.
    sensing
        How each layer's currents become counts.
    corrections
        Of the layers that have one.
    """

    program: Program
    config: Config
    layers: Mapping[str, Layer]
    cell: Cell | None
    ladder: Ladder | None
    sensing: Mapping[str, Sensing]
    corrections: Mapping[str, Correction] = field(default_factory=dict)

    def gain(self, layer: str) -> float:
        """The current that counts as one cell in a layer, as a share of an ideal cell's."""
        return self.sensing[layer].unit_amp / ideal_amp(self.cell, self.ladder)


def ideal_amp(cell: Cell | None, ladder: Ladder | None) -> float:
    """Return the current of an ideal cell that is on; 1 without a circuit."""
    return 1.0 if cell is None or ladder is None else ladder.read_volt / cell.on_ohm
