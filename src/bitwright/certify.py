"""The certificate: a framework's own model and its program side by side, layer by layer.

Requirements:

- Every bit that differs is accounted for once: as a consequence of a difference upstream in the
  same image, as a tie (the framework's input is exactly 0, and the program says +1, as programs
  do), as rounding (the input is as good as 0), or as unexplained.
- A program without stored real values is held against float32, which its thresholds were found by:
  no bit may differ but at ties. One with stored real values is held against float64: float32
  itself departs from float64 where a bit near its threshold flips and others follow, so
  agreement with float32 would measure float32. Both agreements are told, and that between the two.
- The certificate says what it could not compare.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from bitwright.certificate import (
    Agreement,
    Certificate,
    Divergence,
    LayerComparison,
    Layers,
)
from bitwright.data import Dataset
from bitwright.errors import DataError, ProgramError
from bitwright.flow import versions
from bitwright.frontends.source import Array, Precision, Source, SourceValue
from bitwright.ir.ops import Flatten, Threshold
from bitwright.ir.program import Program
from bitwright.ir.types import Bits
from bitwright.native import NativeProgram

__all__ = ["Certificate", "Source", "certify"]

Bools = npt.NDArray[np.bool_]
BATCH = 32
ROUNDING = 2.0**-16
"""A sign's input counts as rounded away from 0 if its magnitude is at most so many times the
largest input of that layer in the image: 256 times float32's unit roundoff."""
TIE, FLOAT32 = "tie", "float32 rounding"
FIXED = "fixed-point rounding upstream"
BUG = "padding, polarity, threshold or weights: a bug"
_STORED = re.compile(r"(?P<base>.+\.in|logits)(\.(term|sum)\d+|\.offset)?(\.pool)?")


def certify(
    source: Source,
    program: Program,
    dataset: Dataset,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> Certificate:
    """Compare a framework's model with the program that was made of it.

    Parameters
    ----------
    source
        The model.
    program
        The program, with a decision.
    dataset
        Images that both take, with labels.
    progress
        Called with (images done, images in all).

    Raises
    ------
    ProgramError
        If the program is no classifier, or not one of this model.
    DataError
        If the images do not fit it.
    """
    if program.logits is None or program.decision is None:
        raise ProgramError(f"'{program.name}' is no classifier", "give a program with ArgMax")
    if dataset.images.shape[1:] != program.input_type.shape:
        raise DataError(
            f"'{dataset.name}' has images {dataset.images.shape[1:]}; "
            f"the program takes {program.input_type.shape}",
            "certify on the data that the network was trained for",
        )
    run = _Run(source, program)
    for start in range(0, len(dataset), BATCH):
        stop = min(start + BATCH, len(dataset))
        run.batch(dataset.images[start:stop], dataset.labels[start:stop], start)
        if progress is not None:
            progress(stop, len(dataset))
    return run.certificate(dataset)


class _Run:
    """The comparison as it goes on."""

    def __init__(self, source: Source, program: Program) -> None:
        self.source, self.program = source, program
        self.fraction = _fraction_bits(program)
        self.reference: Precision = "float64" if self.fraction else "float32"
        self.other: Precision = "float32" if self.fraction else "float64"
        self.stored = _stored_values(program, self.fraction)
        self.wanted = {*program.types, *(name for name, _ in self.stored.values())}
        self.layers: dict[str, LayerComparison] = {}
        self.orders: dict[str, Array] = {}
        self.native: NativeProgram | None = None
        self.upstream: dict[str, frozenset[str]] = {}
        self.equal = dict.fromkeys(("float32", "float64", "between"), 0)
        self.correct = dict.fromkeys(("program", "float32", "float64"), 0)
        self.first: Divergence | None = None
        self.bug: Divergence | None = None

    def batch(self, images: Array, labels: Array, start: int) -> None:
        """Compare one batch; `start` is the number of its first image."""
        theirs = self.source.run(images, self.reference, self.wanted)
        beside = self.source.run(images, self.other, ())
        logits = self.program.logits or ""
        shown = {n: v for n, v in theirs.values.items() if v.kind != "stored"}
        for name, (base, _) in self.stored.items():
            if base in theirs.values:
                shown[name] = theirs.values[base]
            elif name == logits:
                shown[name] = SourceValue("stored", theirs.logits)
        if self.native is None:
            self._prepare(shown)
        ours = self.native.run(images) if self.native else {}
        size = self.program.types[logits].size
        if theirs.logits.shape != (len(images), size):
            raise ProgramError(
                f"the program has {size} classes, '{self.source.name}' {theirs.logits.shape[1]}",
                "certify a program against the model that it was made of",
            )
        decided = {
            "program": ours[self.program.decision or ""],
            self.reference: theirs.logits.argmax(axis=1),
            self.other: beside.logits.argmax(axis=1),
        }
        for name in self.correct:
            self.correct[name] += int((decided[name] == labels).sum())
        for name in ("float32", "float64"):
            self.equal[name] += int((decided[name] == decided["program"]).sum())
        self.equal["between"] += int((decided["float32"] == decided["float64"]).sum())
        self._compare(ours, shown, start)

    def _prepare(self, shown: Mapping[str, SourceValue]) -> None:
        names = [name for name in self.program.types if name in shown and self._fits(name, shown)]
        for name in names:
            self.layers[name] = LayerComparison(name, shown[name].kind)
            order = _order(self.program, name)
            if order is not None and self.source.channels_first:
                self.orders[name] = order
        outputs = (self.program.logits or "", self.program.decision or "")
        inputs = (self.program.definitions[name].inputs[0] for name in names)
        stored = (name for name in inputs if name in self.stored)
        self.native = NativeProgram(self.program, tuple({*names, *outputs, *stored}))
        exact = {name for name in names if shown[name].kind != "stored"}
        self.upstream[self.program.input_name] = frozenset()
        for op in self.program.ops:
            above = frozenset[str]().union(*(self.upstream[name] for name in op.inputs))
            self.upstream[op.output] = above | (exact & set(op.inputs))

    def _fits(self, name: str, shown: Mapping[str, SourceValue]) -> bool:
        value, kind = self.program.types[name], shown[name].kind
        if (kind == "bits") != isinstance(value, Bits):
            return False  # such as a pool that the frontend moved to the other side of a sign
        if shown[name].real.shape[1:] != value.shape:
            raise ProgramError(
                f"'{name}' has the shape {value.shape} in the program and "
                f"{shown[name].real.shape[1:]} in '{self.source.name}'",
                "certify a program against the model that it was made of",
            )
        return True

    def _compare(
        self, ours: Mapping[str, Array], shown: Mapping[str, SourceValue], start: int
    ) -> None:
        count = len(next(iter(ours.values())))
        flipped: dict[str, Bools] = {}
        firsts: list[tuple[int, int, Divergence]] = []
        for index, (name, layer) in enumerate(self.layers.items()):
            above = np.zeros(count, np.bool_)
            for other in self.upstream[name]:
                above |= flipped[other]
            mine, real = ours[name], self._arranged(name, shown[name].real)
            layer.elements += mine.size
            if layer.kind == "stored":
                self._stored(layer, mine, real, above)
                continue
            if layer.kind == "bits":
                bits = shown[name].bits
                theirs = real >= 0 if bits is None else self._arranged(name, bits)
                self._alone(layer, ours)
            else:
                theirs = real
            wrong = np.asarray(mine != theirs)
            flipped[name] = np.asarray(wrong.reshape(count, -1).any(axis=1))
            causes = self._causes(layer, wrong, mine, real, above)
            for cause in causes:
                places = causes[cause]
                if len(places):
                    place = tuple(int(i) for i in places[0])
                    found = Divergence(
                        image=start + place[0],
                        layer=name,
                        position=place[1:],
                        program=_number(mine[place]),
                        source=_number(theirs[place]),
                        source_input=float(real[place]) if layer.kind == "bits" else None,
                        cause=cause,
                    )
                    firsts.append((found.image, index, found))
        firsts.sort(key=lambda entry: entry[:2])
        for *_, found in firsts:
            self.first = self.first or found
            if found.cause == BUG:
                self.bug = self.bug or found

    def _causes(
        self, layer: LayerComparison, wrong: Bools, mine: Array, real: Array, above: Bools
    ) -> dict[str, Array]:
        """Count what differs by cause; return where, less what follows from differences above."""
        layer.differing += int(wrong.sum())
        layer.following += int(wrong[above].sum())
        origin = wrong.copy()
        origin[above] = False
        tie = near = np.zeros_like(origin)
        if layer.kind == "bits" and origin.any():
            size = np.abs(real)
            largest = size.max(axis=tuple(range(1, real.ndim)), keepdims=True)
            tie = origin & (real == 0) & mine
            near = origin & ~tie & (size <= ROUNDING * largest)
            if not self.fraction:
                near &= real != 0  # an exact program that says -1 at 0 breaks its own tie rule
        rest = origin & ~tie & ~near
        layer.ties += int(tie.sum())
        layer.rounding += int(near.sum())
        layer.unexplained += int(rest.sum())
        rounded = FIXED if self.fraction else FLOAT32
        return {
            cause: np.argwhere(mask) for cause, mask in ((TIE, tie), (rounded, near), (BUG, rest))
        }

    def _stored(self, layer: LayerComparison, mine: Array, real: Array, above: Bools) -> None:
        error = np.abs(mine * 2.0 ** -self.stored[layer.name][1] - real)
        if error[~above].size:
            layer.largest_error = max(layer.largest_error or 0.0, float(error[~above].max()))

    def _alone(self, layer: LayerComparison, ours: Mapping[str, Array]) -> None:
        """Let the framework's layer decide on the program's own numbers: nothing cascades then."""
        op = self.program.definitions[layer.name]
        given = op.inputs[0]
        if not isinstance(op, Threshold) or given not in self.stored:
            return
        base, fraction = self.stored[given]
        if base != f"{layer.name.removesuffix('.bits')}.in":
            return  # there are more layers in between
        real = ours[given] * 2.0**-fraction
        decided = self.source.decide(layer.name, real)
        if decided is not None:
            wrong = int((decided != ours[layer.name]).sum())
            layer.given_equal_inputs = (layer.given_equal_inputs or 0) + wrong

    def _arranged(self, name: str, array: Array) -> Array:
        return array[:, self.orders[name]] if name in self.orders else array

    def certificate(self, dataset: Dataset) -> Certificate:
        """Return what was found."""
        covered = {n for n, layer in self.layers.items() if layer.kind == "bits"}
        missing = tuple(
            op.output
            for op in self.program.ops
            if isinstance(op, Threshold) and op.output.removesuffix(".unpooled") not in covered
        )
        return Certificate(
            model=self.program.name,
            program=self.program.digest,
            source=self.source.name,
            exact=not self.fraction,
            reference=self.reference,
            data=dataset.info(),
            layers=Layers(self.layers.values()),
            agreement={n: Agreement(k, len(dataset)) for n, k in self.equal.items()},
            accuracy={n: Agreement(k, len(dataset)) for n, k in self.correct.items()},
            first_divergence=self.first,
            first_unexplained=self.bug,
            not_compared=missing,
            rounding_bound=ROUNDING,
            versions=versions() | dict(self.source.versions),
        )


def _fraction_bits(program: Program) -> dict[str, int]:
    text = program.metadata.get("fraction_bits")
    if text is None and "fixed_point" not in program.metadata:
        return {}
    try:
        read = json.loads(text or "")
        return {str(name): int(bits) for name, bits in read.items() if name in program.types}
    except (ValueError, TypeError, AttributeError) as error:
        raise ProgramError(
            f"'{program.name}' does not say how many fraction bits its values have",
            "lower the module again with this version",
        ) from error


def _stored_values(program: Program, fraction: Mapping[str, int]) -> dict[str, tuple[str, int]]:
    """What the program stores of real values: what the framework calls each, and fraction bits.

    Terms, sums and offsets on the way to a stored value carry its name with a suffix; the last of
    them is the value itself.
    """
    last: dict[str, str] = {}
    for name in program.types:
        match = _STORED.fullmatch(name)
        if match is not None:
            last[match["base"]] = name
    found = {}
    for base, name in last.items():
        bits = [b for n, b in fraction.items() if n == base or n.startswith(f"{base}.term")]
        if bits and f"{base.removesuffix('.in')}.unpooled" not in program.types:
            found[name] = (base, bits[-1])
    return found


def _order(program: Program, name: str) -> Array | None:
    """For a vector made of a flattened map: its elements' numbers with the channels first."""
    size = program.types[name].shape
    while len(size) == 1 and name in program.definitions:
        op = program.definitions[name]
        before = program.types[op.inputs[0]].shape
        if isinstance(op, Flatten) and len(before) == 3:
            rows, columns, channels = before
            index = np.arange(rows * columns * channels).reshape(channels, rows, columns)
            return np.asarray(index.transpose(1, 2, 0).reshape(-1))
        if before != size or len(op.inputs) != 1 or op.kind in ("Dense", "ArgMax"):
            return None
        name = op.inputs[0]
    return None


def _number(element: Any) -> float:
    return 2.0 * float(element) - 1 if isinstance(element, np.bool_) else float(element)
