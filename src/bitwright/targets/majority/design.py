"""What a design with approximate popcounts is: a circuit and thresholds for each layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from bitwright.circuits import Circuit
from bitwright.eda.circuit_costs import PopcountCost
from bitwright.ir.program import Program

Mitigation = Literal[
    "unchanged",
    "expected",
    "expected_table",
    "mean",
    "rate",
    "flips",
    "affine",
    "table",
    "distilled",
]
Order = Literal["natural", "learned"]
CALIBRATED = ("mean", "rate", "flips", "affine", "table", "distilled")
"""The mitigations that take calibration images."""

THRESHOLDS_ONLY = ("rate", "flips", "distilled")
"""The mitigations that need a threshold right behind each circuit."""


@dataclass(frozen=True)
class Config:
    """Settings of the majority target.

    Parameters
    ----------
    circuit
        Which popcount, as `bitwright.circuits.parse` reads it: "maj:L=2,keep=0.6".
    circuits
        The popcounts of layers that have another one, by the names of their dot products.
    layers
        The layers that have `circuit`, by the names of their dot products; all that can have it if
        none is named. Those named neither here nor in `circuits` count exactly.
    thresholds
        How the circuits' errors are made up for, in thresholds where one follows the circuit, else
        in the dot product that the circuit's value stands for.
        "unchanged": not at all. "expected": shifted by the circuit's mean error on random bits.
        "expected_table": a table of values, the mean count that goes with each on random bits.
        All others take calibration images. "mean": each neuron's mean is that of the exact network.
        "rate": each neuron's bit is 1 as often as the exact network's. "flips": as few bits of each
        neuron as can be differ from the exact network's. "affine": count = a * value + b by least
        squares, of each layer. "table": a table of values, the mean count that goes with each, of
        each layer, made monotone. "distilled": from "rate" on, each neuron's threshold follows
        the gradient of the scores' distance from the exact network's.
    order
        Which inputs of a layer meet in a gate. "natural": as the circuit says, neighbours if it
        says nothing. "learned": those that are least alike on the calibration images
        (`bitwright.circuits.learned_grouping`), with thresholds as `thresholds` says behind that.
    calibration
        The data set whose training images calibrate.
    calibration_images
        How many of them.
    held_out_images
        How many further ones check the result.
    epochs
        How often "distilled" sees each image.
    liberty
        The library of cells that popcounts are mapped to, for their area, delay and energy: a
        Liberty file, a folder of such, or a name, as ``--liberty`` takes it. None by default:
        gates are counted.
    """

    circuit: str = "maj"
    circuits: Mapping[str, str] = field(default_factory=dict)
    layers: tuple[str, ...] = ()
    thresholds: Mitigation = "expected"
    order: Order = "natural"
    calibration: str = ""
    calibration_images: Annotated[int, Field(ge=1, le=1_000_000)] = 1000
    held_out_images: Annotated[int, Field(ge=1, le=1_000_000)] = 500
    epochs: Annotated[int, Field(ge=1, le=1000)] = 16
    liberty: str = ""


@dataclass(frozen=True)
class HeldOut:
    """How near to the exact network a design is on images that it was not calibrated on.

    Parameters
    ----------
    images
        How many there were.
    agreement
        Share of them with the exact network's decision: of the design, and with the "expected"
        and the "unchanged" correction in its place. Empty for networks without a decision.
    flip_rate
        Share of all bits that circuits decide, or that depend on circuits, that are not the exact
        network's; of the same three.
    """

    images: int
    agreement: Mapping[str, float]
    flip_rate: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class Design:
    """A program with circuits in place of its popcounts.

    Parameters
    ----------
    program, config
        What it was made of.
    circuits
        The circuit of each layer that has one, by the name of its dot product.
    thresholds
        What the circuits' values are compared with, (neurons,) or (classes of windows, neurons)
        each; see `bitwright.native.sliced_stage.Stage`. Empty in networks with shortcuts.
    tables
        In networks with shortcuts the dot products that values stand for, (1 or neurons, values);
        see `bitwright.native.circuit_graph.CircuitDot`.
    calibration_images
        How many images chose them, or the order of inputs; 0 for none.
    held_out
        The check of that choice.
    warnings
        What a reader of the numbers should know.
    costs
        Of the circuits, and of exact ones in their place, by the circuits' digests; none if no
        library of cells was named.
    """

    program: Program
    config: Config
    circuits: Mapping[str, Circuit]
    thresholds: Mapping[str, npt.NDArray[np.int64]]
    tables: Mapping[str, npt.NDArray[np.int64]] = field(default_factory=dict)
    calibration_images: int = 0
    held_out: HeldOut | None = None
    warnings: tuple[str, ...] = ()
    costs: Mapping[str, PopcountCost] = field(default_factory=dict)
