"""`Program`: one binary network as one exact integer function.

A `Program` that exists is legal: building one runs `bitwright.ir.verify`, and its arrays are
read-only. Passes return a new one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np

from bitwright.errors import DataError, ProgramError, UnknownNameError
from bitwright.ir.ops import ArgMax, Op
from bitwright.ir.rules import Tensor, Tensors
from bitwright.ir.types import Bits, Int, ValueType
from bitwright.ir.verify import infer_types

FORMAT_VERSION = 1
"""The version of the IR that ``docs/ir.md`` specifies."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Program:
    """A verified program.

    Parameters
    ----------
    input_name, input_type
        The only input; 8-bit images are ``Int((height, width, channels), 0, 255)``.
    ops
        In SSA form: each op defines one value, from values defined earlier.
    tensors
        Constants by name: bool (True is +1), int8, int32 or int64.
    outputs
        The values that a run returns.
    name, classes, metadata
        What a reader wants to know; none of it changes an output or the `digest`.

    Raises
    ------
    ProgramError
        If a rule of ``docs/ir.md`` is broken.
    """

    input_name: str
    input_type: ValueType
    ops: tuple[Op, ...]
    tensors: Tensors
    outputs: tuple[str, ...]
    name: str = ""
    classes: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("ops", "outputs", "classes"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        used = {getattr(op, constant) for op in self.ops for constant in op.constants}
        frozen = {}
        for name, tensor in self.tensors.items():
            if name in used:
                frozen[name] = np.array(tensor, order="C")
                frozen[name].flags.writeable = False
        object.__setattr__(self, "tensors", MappingProxyType(frozen))
        object.__setattr__(self, "metadata", MappingProxyType(dict(self.metadata)))
        types = infer_types(self.input_name, self.input_type, self.ops, self.tensors, self.outputs)
        object.__setattr__(self, "_types", MappingProxyType(types))
        self._check_texts()
        self._check_classes()

    def _check_texts(self) -> None:
        for text in (self.name, *self.classes, *self.metadata, *self.metadata.values()):
            if not isinstance(text, str):
                raise ProgramError(
                    f"the program's name, classes or metadata hold {text!r:.40}, which is no text",
                    "give a str",
                )

    def _check_classes(self) -> None:
        logits = self.logits
        if self.classes and logits is not None:
            count = self.types[logits].size
            if count != len(self.classes):
                raise ProgramError(
                    f"the program has {len(self.classes)} class names for {count} outputs",
                    "give one name an output, or none",
                )

    @property
    def types(self) -> Mapping[str, ValueType]:
        """The type of every value, by name, in order of definition."""
        types: Mapping[str, ValueType] = self._types  # type: ignore[attr-defined]
        return types

    @cached_property
    def definitions(self) -> Mapping[str, Op]:
        """The op that defines each value other than the input."""
        return {op.output: op for op in self.ops}

    @cached_property
    def uses(self) -> Mapping[str, tuple[Op, ...]]:
        """The ops that read each value."""
        uses: dict[str, list[Op]] = {name: [] for name in self.types}
        for op in self.ops:
            for name in op.inputs:
                uses[name].append(op)
        return {name: tuple(ops) for name, ops in uses.items()}

    @property
    def decision(self) -> str | None:
        """The name of the class index that a classifier returns; None for other programs."""
        for name in self.outputs:
            if isinstance(self.definitions.get(name), ArgMax):
                return name
        return None

    @property
    def logits(self) -> str | None:
        """The name of the scores that `decision` is the first maximum of."""
        return None if self.decision is None else self.definitions[self.decision].input

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) of all that decides an output: input, ops, tensors and outputs."""
        return content_digest(structure(self), self.tensors)

    def tensor(self, op: Op, constant: str) -> Tensor:
        """Return the array that a field of an op names, as in ``tensor(op, "weights")``."""
        return self.tensors[getattr(op, constant)]

    def with_ops(self, ops: Iterable[Op], tensors: Tensors | None = None) -> Program:
        """Return this program with other ops and, if given, other tensors; verified again."""
        return replace(self, ops=tuple(ops), tensors=self.tensors if tensors is None else tensors)


def structure(program: Program) -> dict[str, Any]:
    """Return what decides an output, without the tensors' contents, as JSON-ready data."""
    value = program.input_type
    bounds = {"lo": value.lo, "hi": value.hi} if isinstance(value, Int) else {}
    return {
        "version": FORMAT_VERSION,
        "input": {
            "name": program.input_name,
            "type": type(value).__name__,
            "shape": list(value.shape),
            **bounds,
        },
        "ops": [{"op": op.kind, **asdict(op)} for op in program.ops],
        "outputs": list(program.outputs),
    }


def content_digest(header: Mapping[str, Any], tensors: Tensors) -> str:
    """Return the SHA-256 (hex) of a JSON header and of arrays, each with its type and shape."""
    sha = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        sha.update(f"\0{name} {tensor.dtype.str} {tensor.shape}\0".encode())
        sha.update(np.ascontiguousarray(tensor).data)
    return sha.hexdigest()


def check_names(program: Program, names: Collection[str]) -> tuple[str, ...]:
    """Return names of a program's values, once each.

    Raises
    ------
    UnknownNameError
        If the program has no value of that name.
    """
    for name in names:
        if name not in program.types:
            raise UnknownNameError(f"value of '{program.name}'", name, program.types)
    return tuple(dict.fromkeys(names))


def check_batch(program: Program, batch: Any) -> Tensor:
    """Return a batch as an array that fits the program's input.

    Parameters
    ----------
    program
        The program that is to run.
    batch
        Integers (N, *input shape) within the input's bounds, or bools for an input of bits.

    Raises
    ------
    DataError
        If the shape, the type or a value does not fit.
    """
    try:
        array = np.asarray(batch)
    except ValueError as error:
        raise DataError("the images are not all of one shape", "give one array") from error
    value = program.input_type
    if array.shape[1:] != value.shape or array.ndim != len(value.shape) + 1:
        raise DataError(
            f"the network takes images of shape {value.shape}, not {array.shape[1:]}",
            "give an array (images, height, width, channels) of that size",
        )
    if isinstance(value, Bits):
        if array.dtype != np.bool_:
            raise DataError(f"the network takes bits, not {array.dtype}", "give bools")
        return array
    if array.dtype.kind not in "iu":
        raise DataError(
            f"the network takes integers in {value.lo}..{value.hi}, not {array.dtype}",
            "give the pixels as uint8",
        )
    limits = np.iinfo(array.dtype)
    inside = limits.min >= value.lo and limits.max <= value.hi
    if array.size and not inside and (array.min() < value.lo or array.max() > value.hi):
        raise DataError(
            f"the network takes {value.lo}..{value.hi}; "
            f"the images hold {array.min()}..{array.max()}",
            "give the pixels as uint8",
        )
    return array
