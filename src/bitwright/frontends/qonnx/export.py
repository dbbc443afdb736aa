"""From an exact integer program to a QONNX file that gives equal numbers.

Requirements:

- The file computes in float32, which is exact for integers up to 2^24: a program whose values or
  partial sums can pass that is refused, and so is every op without an exact form.
- A `Threshold` is a MultiThreshold with one threshold a channel; a falling channel is negated
  before it. A `Lookup` that rises or falls is a MultiThreshold with as many thresholds as levels.
- The graph takes the pixels 0..255 themselves, as float32; the file says so in its metadata.

A program has maps as (rows, columns, channels); ONNX has them as (channels, rows, columns).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from bitwright.errors import FrontendError
from bitwright.files import write_atomically
from bitwright.frontends.qonnx.file import QONNX_DOMAINS, load_onnx
from bitwright.frontends.qonnx.importer import PIXELS_KEY
from bitwright.ir import ops as o
from bitwright.ir.program import Program
from bitwright.ir.types import Int, ValueType

Array = npt.NDArray[Any]

EXACT = 2**24
OPSET = 13
IR_VERSION = 8
MAX_LEVELS = 2**16
_DOMAIN = QONNX_DOMAINS[0]


def export_qonnx(program: Program, path: str | os.PathLike[str]) -> None:
    """Write a program as a QONNX file.

    The graph's input is float32 (1, channels, rows, columns), the pixels as they are. Its output
    are the logits; whoever runs it takes the first maximum. A program without a decision must have
    one output.

    Parameters
    ----------
    program
        The program.
    path
        The file to write.

    Raises
    ------
    DependencyError
        If the package `onnx` is not installed.
    FrontendError
        If an op has no exact form in QONNX; the message names its value.
    """
    write_atomically(path, to_model(program).SerializeToString())


def to_model(program: Program) -> Any:
    """Return the `onnx.ModelProto` that `export_qonnx` writes."""
    return _Export(program).model()


class _Export:
    def __init__(self, program: Program) -> None:
        self.program = program
        self.onnx = load_onnx()
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.types: dict[str, ValueType] = dict(program.types)

    def model(self) -> Any:
        program, helper = self.program, self.onnx.helper
        leave = self._output()
        if not isinstance(program.input_type, Int):
            raise FrontendError("the program takes bits", "export one that takes pixels")
        for name, kind in self.types.items():
            if max(-kind.lo, kind.hi) > EXACT:
                raise self._refuse(name, "has values beyond 2^24, which float32 does not hold")
        needed = {leave}
        for op in reversed(program.ops):
            if op.output in needed:
                needed.update(op.inputs)
        for op in program.ops:
            if op.output in needed:
                self._op(op)
        graph = helper.make_graph(
            self.nodes,
            program.name or "bitwright",
            [self._info(program.input_name)],
            [self._info(leave)],
            initializer=self.constants,
            value_info=[
                self._info(op.output)
                for op in program.ops
                if op.output in needed and op.output != leave
            ],
        )
        imports = [helper.make_opsetid("", OPSET), helper.make_opsetid(_DOMAIN, 1)]
        model = helper.make_model(graph, opset_imports=imports, producer_name="bitwright")
        model.ir_version = IR_VERSION
        helper.set_model_props(model, {PIXELS_KEY: "1", "bitwright.digest": program.digest})
        return model

    def _output(self) -> str:
        if self.program.logits is not None:
            return self.program.logits
        if len(self.program.outputs) != 1:
            raise FrontendError(
                f"the program has {len(self.program.outputs)} outputs and no decision",
                "export a classifier, or a program with one output",
            )
        return self.program.outputs[0]

    def _info(self, name: str) -> Any:
        shape = self.types[name].shape
        sizes = [1, shape[2], *shape[:2]] if len(shape) == 3 else [1, *shape]
        return self.onnx.helper.make_tensor_value_info(name, self.onnx.TensorProto.FLOAT, sizes)

    def _refuse(self, name: str, reason: str) -> FrontendError:
        return FrontendError(
            f"value '{name}' {reason}", "docs/importing.md lists what QONNX can express"
        )

    def _constant(self, name: str, array: npt.ArrayLike, kind: type = np.float32) -> str:
        self.constants.append(self.onnx.numpy_helper.from_array(np.asarray(array, kind), name))
        return name

    def _node(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        custom = kind in ("BipolarQuant", "MultiThreshold")
        domain = {"domain": _DOMAIN} if custom else {}
        self.nodes.append(
            self.onnx.helper.make_node(kind, inputs, [output], name=output, **domain, **attributes)
        )
        return output

    def _by_channel(self, name: str, vector: Array, like: str) -> str:
        """Store a vector so that it lies along the channels of a value."""
        maps = len(self.types[like].shape) == 3
        return self._constant(name, vector.reshape((1, -1, 1, 1) if maps else (1, -1)))

    # Ops.

    def _op(self, op: o.Op) -> None:
        known: dict[type, Callable[[Any], None]] = {
            o.Conv2d: self._conv2d,
            o.Dense: self._dense,
            o.Threshold: self._threshold,
            o.Lookup: self._lookup,
            o.MaxPool2d: self._max_pool,
            o.SumPool2d: self._sum_pool,
            o.Subsample: self._subsample,
            o.Add: self._add,
            o.Affine: self._affine,
            o.Flatten: self._flatten,
        }
        emit = known.get(type(op))
        if emit is None:
            raise self._refuse(
                op.output, f"comes of {type(op).__name__}, which QONNX does not have"
            )
        emit(op)

    def _weights(self, op: o.Conv2d | o.Dense, axes: tuple[int, ...]) -> str:
        stored = self.program.tensors[op.weights]
        bits = stored.dtype == np.bool_
        numbers = np.where(stored, 1, -1) if bits else stored.astype(np.int64)
        kind = self.types[op.inputs[0]]
        largest = max(-kind.lo, kind.hi)
        if np.abs(numbers).reshape(len(numbers), -1).sum(axis=1).max() * largest > EXACT:
            raise self._refuse(op.output, "has partial sums beyond 2^24, which float32 rounds")
        name = self._constant(f"{op.output}.weights", numbers.transpose(axes))
        if not bits:
            return name
        one = self._constant(f"{op.output}.scale", np.ones(1))
        return self._node("BipolarQuant", [name, one], f"{op.output}.signs")

    def _conv2d(self, op: o.Conv2d) -> None:
        source = op.inputs[0]
        top, bottom, left, right = op.padding
        pads = [top, left, bottom, right]
        if op.pad_value and any(pads):
            amounts = self._constant(
                f"{op.output}.pads", [0, 0, top, left, 0, 0, bottom, right], np.int64
            )
            number = self._constant(f"{op.output}.pad_value", np.float32(op.pad_value))
            source = self._node("Pad", [source, amounts, number], f"{op.output}.padded")
            pads = [0, 0, 0, 0]
        weights = self._weights(op, (0, 3, 1, 2))
        self._node(
            "Conv",
            [source, weights],
            op.output,
            kernel_shape=list(self.program.tensors[op.weights].shape[1:3]),
            strides=list(op.stride),
            pads=pads,
            group=op.groups,
        )

    def _dense(self, op: o.Dense) -> None:
        self._node("MatMul", [op.inputs[0], self._weights(op, (1, 0))], op.output)

    def _threshold(self, op: o.Threshold) -> None:
        kind = self.types[op.inputs[0]]
        rising = self.program.tensors[op.rising]
        # Thresholds out of reach make constant channels; one beyond the bounds does too.
        limits = self.program.tensors[op.thresholds].astype(np.int64)
        limits = np.where(
            rising, np.clip(limits, kind.lo, kind.hi + 1), np.clip(limits, kind.lo - 1, kind.hi)
        )
        self._steps(op, limits[:, None], ~rising, 2.0, -1.0, "BIPOLAR")

    def _steps(
        self, op: o.Op, limits: Array, falling: Array, scale: float, bias: float, kind: str
    ) -> None:
        """Emit bias + scale * how many limits (channels, steps) are passed from below, or above."""
        source = op.inputs[0]
        if falling.any():
            signs = self._by_channel(f"{op.output}.polarity", np.where(falling, -1, 1), source)
            source = self._node("Mul", [source, signs], f"{op.output}.turned")
            limits = np.where(falling[:, None], -limits, limits)
        table = self._constant(f"{op.output}.thresholds", np.sort(limits, axis=1))
        self._node(
            "MultiThreshold",
            [source, table],
            op.output,
            out_dtype=kind,
            out_scale=scale,
            out_bias=bias,
        )

    def _lookup(self, op: o.Lookup) -> None:
        kind = self.types[op.inputs[0]]
        table = np.atleast_2d(self.program.tensors[op.table]).astype(np.int64)
        jumps = np.diff(table, axis=1)
        falling = np.asarray((jumps <= 0).all(axis=1) & (jumps < 0).any(axis=1))
        if not (falling | (jumps >= 0).all(axis=1)).all() or not kind.shape:
            raise self._refuse(op.output, "is a Lookup that neither rises nor falls")
        least = int(table.min())
        unit = int(np.gcd.reduce((table - least).reshape(-1))) or 1
        count = int(table.max() - least) // unit
        if not 0 < count <= MAX_LEVELS // len(table):
            raise self._refuse(op.output, f"is a Lookup with {count + 1} levels")
        limits = np.empty((len(table), count), np.int64)
        for c, row in enumerate(table):
            # Level k is reached where the table is at least that: from an x on, or up to one.
            reached = row[None] >= (least + unit * np.arange(1, count + 1))[:, None]
            at = reached.shape[1] - reached.sum(axis=1)
            limits[c] = kind.lo + at if not falling[c] else kind.lo + reached.sum(axis=1) - 1
        channels = kind.shape[-1]
        if len(table) == 1:
            limits, falling = np.repeat(limits, channels, 0), np.repeat(falling, channels)
        self._steps(op, limits, falling, float(unit), float(least), "INT32")

    def _max_pool(self, op: o.MaxPool2d) -> None:
        top, bottom, left, right = op.padding
        self._node(
            "MaxPool",
            [op.inputs[0]],
            op.output,
            kernel_shape=list(op.kernel),
            strides=list(op.stride),
            pads=[top, left, bottom, right],
        )

    def _subsample(self, op: o.Subsample) -> None:
        self._node(
            "MaxPool", [op.inputs[0]], op.output, kernel_shape=[1, 1], strides=list(op.stride)
        )

    def _sum_pool(self, op: o.SumPool2d) -> None:
        # An average would be divided and rounded: a sum is a convolution with ones.
        channels = self.types[op.inputs[0]].shape[2]
        top, bottom, left, right = op.padding
        ones = self._constant(f"{op.output}.ones", np.ones((channels, 1, *op.kernel)))
        self._node(
            "Conv",
            [op.inputs[0], ones],
            op.output,
            kernel_shape=list(op.kernel),
            strides=list(op.stride),
            pads=[top, left, bottom, right],
            group=channels,
        )

    def _add(self, op: o.Add) -> None:
        self._node("Add", list(op.inputs), op.output)

    def _affine(self, op: o.Affine) -> None:
        multiplier = self.program.tensors[op.multiplier].astype(np.int64)
        addend = self.program.tensors[op.addend]
        kind = self.types[op.inputs[0]]
        largest = np.abs(multiplier).max() * max(-kind.lo, kind.hi)
        if op.shift or max(largest, np.abs(addend).max()) > EXACT:
            raise self._refuse(op.output, "is an Affine that shifts, or passes 2^24")
        factor = self._by_channel(f"{op.output}.multiplier", multiplier, op.inputs[0])
        product = self._node("Mul", [op.inputs[0], factor], f"{op.output}.product")
        offset = self._by_channel(f"{op.output}.addend", addend, op.inputs[0])
        self._node("Add", [product, offset], op.output)

    def _flatten(self, op: o.Flatten) -> None:
        last = self._node(
            "Transpose", [op.inputs[0]], f"{op.output}.channels_last", perm=[0, 2, 3, 1]
        )
        self._node("Flatten", [last], op.output, axis=1)
