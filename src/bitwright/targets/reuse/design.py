"""What a design that reuses sums is: for each layer a plan, and what it was chosen from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

from bitwright.ir.program import Program
from bitwright.native.convolution import Dot
from bitwright.targets.reuse.accelerated import Runs
from bitwright.targets.reuse.cost import Cost, LayerShape, Style
from bitwright.targets.reuse.dynamic.network import SkipNetwork
from bitwright.targets.reuse.dynamic.skips import Skips
from bitwright.targets.reuse.graph import AdderGraph
from bitwright.targets.reuse.prices import PieceTable

Method = Literal["dense", "spanning", "steiner", "clusters", "tiles", "tables", "subexpressions"]
Objective = Literal["energy", "area", "luts"]


@dataclass(frozen=True)
class Config:
    """Settings of the reuse target.

    Parameters
    ----------
    style
        ``hardwired``: the weights are wires, one datapath a layer. ``programmed``: they, or the
        indices of what is reused, are held in registers, and every term has to be selected.
    methods
        What the planner may choose from, layer by layer. "dense" is nothing reused, and always
        among them. "spanning": whole kernels from each other. "steiner": and from virtual kernels.
        "clusters": the same in a shallow tree. "tiles": patterns of tiles shared by neurons.
        "tables": all patterns of small tiles. "subexpressions": sums of two that occur often.
    widths
        Of tiles, in bits; 9 in kernels of 3 x 3 is one channel's kernel.
    input_order
        Which inputs a tile holds: "kernel", all places of a channel; "stored", all channels of a
        place; "similar", those on which kernels agree, which leaves the function unchanged.
    objective
        What is to be small: energy of an image, area, or LUTs of a 7-series FPGA.
    pieces
        The table of what pieces of a datapath cost: "asap7", or a file that ``bitwright study
        reuse-pieces`` wrote.
    engine
        ``reference`` executes every plan, in plain NumPy. ``native`` does so in the layers of bits
        in which shared sums are faster on this machine, by timing both. The results are the same.
    skips
        What a machine that works tile by tile would skip; counted on a sample of the images.
    sample
        Images of each batch on which skipping is counted.
    part
        An FPGA whose accelerator is modelled, such as "XC7Z100"; none if empty.
    calibration
        The data set whose training images choose the order of tiles and channels, and say how many
        tiles the accelerator has to do.
    calibration_images
        How many of them.
    """

    style: Style = "hardwired"
    methods: tuple[Method, ...] = ("spanning", "steiner", "clusters", "tiles")
    widths: tuple[Annotated[int, Field(ge=2, le=64)], ...] = (9,)
    input_order: Literal["kernel", "stored", "similar"] = "kernel"
    objective: Objective = "energy"
    pieces: str = "asap7"
    engine: Literal["native", "reference"] = "native"
    skips: Skips = field(default_factory=Skips)
    sample: Annotated[int, Field(ge=0, le=1_000_000)] = 10
    part: str = ""
    calibration: str = ""
    calibration_images: Annotated[int, Field(ge=1, le=10_000)] = 20


@dataclass(frozen=True, eq=False)
class Candidate:
    """One way to compute a layer.

    Parameters
    ----------
    method, width
        Which; the width of tiles, 0 for whole kernels.
    cut
        Where its register is (`bitwright.targets.reuse.datapath`); None for none.
    operations
        Bit operations left of one window: inputs that are read, of all neurons.
    cost
        All of it.
    """

    method: Method
    width: int
    cut: int | None
    operations: int
    cost: Cost


@dataclass(frozen=True, eq=False)
class LayerPlan:
    """The plan of a layer.

    Parameters
    ----------
    dot, shape
        The layer.
    graph
        The sums of the chosen candidate.
    chosen, dense
        What the planner chose, and where nothing is reused; the same if that was best.
    candidates
        All that it had to choose from.
    """

    dot: Dot
    shape: LayerShape
    graph: AdderGraph
    chosen: Candidate
    dense: Candidate
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True, eq=False)
class Design:
    """A program whose layers are computed from shared sums.

    Parameters
    ----------
    program, config
        What it was made of.
    plans
        By the names of the dot products, in the program's order.
    table
        The pieces that costs are made of.
    skipping
        The program on a machine that works tile by tile and skips what is decided.
    accelerated
        Its layers of bits on an accelerator, if a part is named.
    """

    program: Program
    config: Config
    plans: Mapping[str, LayerPlan]
    table: PieceTable
    skipping: SkipNetwork
    accelerated: Runs | None = None
