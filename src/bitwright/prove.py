"""`prove`: whether a design that leaves work out still computes its program, bit for bit.

Three arguments, of which only the first needs images:

- the design's own execution is compared with the native engine's, on every image;
- each layer's plan is worked out symbolically and compared with the layer's weights;
- slices of what is emitted are compared by a SAT solver with slices that share nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bitwright.data import Dataset
from bitwright.ir.program import Program
from bitwright.native import NativeProgram
from bitwright.records import DataInfo
from bitwright.targets import get_target
from bitwright.targets.base import Counters
from bitwright.targets.reuse.design import Design
from bitwright.targets.reuse.equality import SLICE, LayerProof
from bitwright.targets.reuse.equality import prove as prove_layers
from bitwright.targets.reuse.simulate import simulate

BATCH = 100
"""Images between two reports of progress."""
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Proof:
    """What was found.

    Parameters
    ----------
    program
        The program's digest.
    config
        The target's settings.
    data
        The images.
    outputs
        How many numbers the outputs of all images have.
    differing
        How many of them differ from the program's.
    layers
        The proofs of the layers.
    seconds
        How long it took.
    """

    program: str
    config: Mapping[str, Any]
    data: DataInfo
    outputs: int
    differing: int
    layers: tuple[LayerProof, ...]
    seconds: float

    @property
    def holds(self) -> bool:
        """Whether nothing differs anywhere."""
        return not self.differing and all(layer.holds for layer in self.layers)

    def to_json(self) -> dict[str, Any]:
        """Return the proof as JSON-ready data."""
        return asdict(self) | {"data": self.data.to_json(), "holds": self.holds}


def prove(
    program: Program,
    data: Dataset,
    *,
    config: Mapping[str, Any] | None = None,
    slices: int = 0,
    width: int = SLICE,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Proof:
    """Prove that the target ``reuse`` computes a program.

    Parameters
    ----------
    config
        Settings of the target; the engine is the reference, which executes every plan.
    slices, width
        How many slices of each layer the solver compares, and how many inputs one has.

    Raises
    ------
    ConfigError
        If a setting is wrong, or no layer has weights of one bit.
    CircuitError
        If the solver finds an input for which a slice differs.
    ToolError
        If slices are asked for and yosys is missing, or does not decide in time.
    """
    began = time.monotonic()
    report = progress or (lambda _what, _done, _of: None)
    target = get_target("reuse")
    settings = target.configure({**(config or {}), "engine": "reference"})
    design = target.lower(program, settings, lambda done, of: report("planning", done, of))
    layers = prove_layers(
        design, slices=slices, width=width,
        progress=lambda name, done, of: report(f"layer {name}", done, of),
    )  # fmt: skip
    found = compare(design, data.images, threads=threads, progress=report)
    return Proof(
        program.digest, target.settings(settings), data.info(), found.outputs, found.differing,
        layers, time.monotonic() - began,
    )  # fmt: skip


@dataclass(frozen=True)
class Comparison:
    """What a design made of images, beside its program.

    Parameters
    ----------
    outputs, differing
        How many numbers the outputs have, and how many of them differ.
    counters
        What the simulation counted.
    """

    outputs: int
    differing: int
    counters: Counters


def compare(
    design: Design,
    images: npt.NDArray[Any],
    *,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Comparison:
    """Run a design, and the native engine on its program, and compare all outputs."""
    exact = NativeProgram(design.program)
    outputs = differing = 0
    counters: Counters = {}
    for start in range(0, len(images), BATCH):
        batch = images[start : start + BATCH]
        found = simulate(design, batch, threads)
        wanted = exact.run(batch, threads=threads)
        for name in design.program.outputs:
            outputs += wanted[name].size
            differing += int(np.count_nonzero(found.outputs[name] != wanted[name]))
        for name, value in found.counters.items():
            counters[name] = counters.get(name, 0) + value
        if progress is not None:
            progress("images", min(start + BATCH, len(images)), len(images))
    return Comparison(outputs, differing, counters)
