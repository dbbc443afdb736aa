"""What a tensor of a QONNX graph is while it is lowered: a scale times a value, or a table."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from bitwright.frontends.lines import line
from bitwright.frontends.lowering import Lowering
from bitwright.frontends.qonnx import pixels
from bitwright.frontends.qonnx.file import Node
from bitwright.frontends.qonnx.ops import REPAIR
from bitwright.frontends.source import Kind
from bitwright.frontends.values import Step, Value
from bitwright.ir import ops as o

Array = npt.NDArray[Any]
ONE = np.float32(1)


@dataclass(frozen=True, eq=False)
class Tensor:
    """A tensor of the graph: ``scale`` times a value.

    Parameters
    ----------
    value
        The value; the pixels themselves if there is a table.
    scale
        A scale of exact integers or bits that has not been multiplied yet.
    last
        Whether the graph has its channels last.
    table
        (256, channels), what single pixels became.
    pad
        Padding in front of a convolution: (top, bottom, left, right), and with what.
    """

    value: Value
    scale: np.float32 = ONE
    last: bool = False
    table: npt.NDArray[np.float32] | None = None
    pad: tuple[tuple[int, int, int, int], float] | None = None


@dataclass(frozen=True, eq=False)
class Origin:
    """Which tensor of the graph a value of the program is.

    Parameters
    ----------
    tensor
        Its name in the graph.
    kind
        What it is.
    scale
        What the graph has for 1.
    last
        Whether the graph has its channels last.
    order
        For each element of a flattened value its index in the graph's order.
    sign_of
        For bits, the tensor that the sign was taken of, if there is one.
    shift
        What the sign's layer takes off that tensor, one number a channel.
    """

    tensor: str
    kind: Kind
    scale: np.float32 = ONE
    last: bool = False
    order: npt.NDArray[np.intp] | None = None
    sign_of: str = ""
    shift: Array | None = None


class Tensors:
    """The constants and tensors of a graph by name, and the forms that layers ask for.

    Parameters
    ----------
    low
        Where ops go.
    constants
        The stored tensors by name.
    """

    def __init__(self, low: Lowering, constants: Mapping[str, Array]) -> None:
        self.low = low
        self.constants: dict[str, Array] = dict(constants)
        self.tensors: dict[str, Tensor] = {}
        self.origins: dict[str, Origin] = {}
        """Of values of the program. ``<layer>.in`` is what a layer takes, if that is stored."""

    def note(self, made: Tensor, name: str, sign_of: str = "", shift: Array | None = None) -> None:
        """Keep where bits or integers come from: the tensor `name` of the graph."""
        exact = made.value.exact
        if exact is None or made.table is not None or made.pad is not None:
            return
        kind: Kind = "bits" if self.low.is_bits(made.value) else "integers"
        origin = Origin(name, kind, made.scale, made.last, made.value.order, sign_of, shift)
        self.origins.setdefault(exact, origin)  # a layer that only moves them changes nothing

    def note_input(self, node: Node, name: str, shift: Array | None = None) -> None:
        """Keep what a layer takes: the tensor `name` of the graph, less `shift`."""
        x = self.tensors[name]
        origin = Origin(name, "stored", last=x.last, order=x.value.order, shift=shift)
        self.origins.setdefault(f"{value_name(node)}.in", origin)

    def shape(self, x: Tensor) -> tuple[int, ...]:
        """The shape as the graph has it, without the batch."""
        shape = self.low.type_of(x.value).shape
        return shape if x.last or len(shape) == 1 else (shape[2], *shape[:2])

    def exact(self, node: Node, x: Tensor) -> Tensor:
        """Return a tensor as bits or integers times a scale."""
        if x.table is not None:
            made = pixels.emit(self.low, x.value, x.table, f"{value_name(node)}.in")
            if made is None:
                raise node.refuse(
                    "takes pixels that are no integers times one scale",
                    "quantise the input to 8 bits, or choose another --input-scale",
                )
            found = replace(x, value=made[0], scale=made[1], table=None)
            self.note(found, next(name for name in node.inputs if self.tensors.get(name) is x))
            return found
        if x.value.exact is None:
            raise node.refuse(
                "takes real numbers where bits or integers are expected",
                "put a BipolarQuant before it",
            )
        return x

    def real(self, x: Tensor, name: str) -> Value:
        """Return a tensor as a value that includes its scale."""
        value = x.value
        if self.low.is_bits(value) and value.exact is not None:
            output = self.low.emitter.fresh(f"{name}.bits")
            op = o.Affine(
                output=output,
                inputs=(value.exact,),
                multiplier=f"{output}.multiplier",
                addend=f"{output}.addend",
            )
            count = self.low.channels(value)
            ones, zeros = np.ones(count, np.int32), np.zeros(count, np.int64)
            self.low.emitter.emit(op, multiplier=ones, addend=zeros)
            value = self.low.integers(output, value.order)
        if x.scale == 1:
            return value
        return self.scaled(value, np.full(self.low.channels(value), x.scale), name)

    def scaled(self, value: Value, scale: npt.NDArray[np.float32], name: str) -> Value:
        """Multiply a value by one number a channel."""
        lines = line(scale, np.zeros(len(scale)))
        return self.low.elementwise(value, Step(f"{name}.scale", lambda x: x * scale, lines))

    def vectors(self, node: Node, constants: list[Array], x: Tensor, axes: int) -> list[Array]:
        """Return constants as vectors, one number a channel."""
        channels = self.low.channels(x.value)
        axis = axes - 1 if x.last else 1
        vectors = []
        for constant in constants:
            padded = constant.reshape((1,) * (axes - constant.ndim) + constant.shape)
            allowed = [(1, channels) if k == axis else (1,) for k in range(axes)]
            if padded.ndim != axes or any(
                s not in a for s, a in zip(padded.shape, allowed, strict=True)
            ):
                raise node.refuse(
                    f"has a constant of the shape {constant.shape} for {channels} channels",
                    "give it one number, or one a channel",
                )
            vector = np.broadcast_to(padded.reshape(-1), (channels,)).astype(np.float32)
            if not np.isfinite(vector).all():
                raise node.refuse("has a constant that is NaN or infinite", REPAIR)
            vectors.append(vector)
        return vectors


def value_name(node: Node) -> str:
    """A name that the IR takes."""
    return re.sub(r"[^A-Za-z0-9_.-]+", ".", node.name).strip(".-")[-60:].lstrip(".-") or "layer"
