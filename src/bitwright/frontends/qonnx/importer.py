"""From a QONNX graph to an exact integer program.

Requirements:

- Nothing in the file is executed: constants are folded, and thresholds found, by the NumPy
  functions of `bitwright.frontends.qonnx.ops`.
- Convolutions and products take bits or integers times one scale; a real-valued activation there
  is refused, as is every layer that has no exact form, by its name and with a way out.
- A scale is multiplied once, behind the integer sum. That is the graph's own float32 number where
  the scale is a power of two; else the graph's depends on the order of its sum.

ONNX has maps as (channels, rows, columns); a program has them as (rows, columns, channels).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bitwright.errors import FrontendError, ProgramError
from bitwright.frontends.lines import line
from bitwright.frontends.lowering import Lowering
from bitwright.frontends.qonnx import windows
from bitwright.frontends.qonnx.elementwise import SUPPORTED, Elementwise
from bitwright.frontends.qonnx.file import Graph, Node, read
from bitwright.frontends.qonnx.ops import REPAIR, fold, reshaped
from bitwright.frontends.qonnx.tensors import Origin, Tensor, value_name
from bitwright.frontends.values import Step, Value
from bitwright.ir import ops as o
from bitwright.ir.program import Program
from bitwright.ir.types import Int

Array = npt.NDArray[Any]

PIXEL_SCALE = 255.0
PIXELS_KEY = "bitwright.pixel_scale"
SCALE_KEY = "input_scale"
"""Under which a program says what its graph divides pixels by."""
TIE_RULE = "BipolarQuant(0) = +1: a bit is set where the float32 expression is >= 0"
FRACTION_BITS = 24


def import_qonnx(
    path: str | os.PathLike[str], *, input_scale: float | None = None, name: str = ""
) -> Program:
    """Read a QONNX file as an exact integer program.

    Parameters
    ----------
    path
        The file.
    input_scale
        The graph's input is ``pixel / input_scale`` in float32. None is 255, as of torchvision's
        ``ToTensor``, unless the file was exported by Bitwright and says otherwise.
    name
        The program's name; by default the file's.

    Raises
    ------
    DependencyError
        If the package `onnx` is not installed.
    FrontendError
        If the file is damaged or cannot be expressed; the message names the layer.
    """
    graph = read(path)
    return lower_graph(graph, pixel_scale(graph, input_scale), name or Path(path).stem)[0]


def pixel_scale(graph: Graph, given: float | None) -> float:
    """Return what pixels are divided by: the given number, else the file's own, else 255.

    Raises
    ------
    FrontendError
        If it is not positive.
    """
    scale = given
    if scale is None:
        try:
            scale = float(graph.metadata.get(PIXELS_KEY, PIXEL_SCALE))
        except ValueError:
            scale = PIXEL_SCALE
    if not (np.isfinite(scale) and scale > 0):
        raise FrontendError(f"the input scale is {scale}", "give a positive number")
    return scale


def lower_graph(graph: Graph, scale: float, name: str) -> tuple[Program, Mapping[str, Origin]]:
    """Return a graph's program, and where its bits and integers come from; see `import_qonnx`."""
    walk = _Walk(graph, scale)
    with np.errstate(all="ignore"):
        return walk.program(name), walk.origins


class _Walk(Elementwise):
    """One pass over the graph."""

    def __init__(self, graph: Graph, input_scale: float) -> None:
        self.graph = graph
        self.input_scale = input_scale
        shape = graph.shape
        low = Lowering(Int((*shape[1:], shape[0]), 0, 255), FRACTION_BITS)
        super().__init__(low, graph.constants)

    def program(self, name: str) -> Program:
        pixels = np.arange(256, dtype=np.float32) / np.float32(self.input_scale)
        table = np.repeat(pixels[:, None], self.graph.shape[0], axis=1)
        self.tensors[self.graph.entry] = Tensor(self.low.integers("image"), table=table)
        for node in self.graph.nodes:
            try:
                self._node(node)
            except ProgramError as error:
                raise node.refuse(f"is no legal op ({error.cause})", error.way_out) from error
        if self.graph.leave not in self.tensors:
            raise FrontendError("the output does not depend on the input", "check the model")
        return self._finish(self.tensors[self.graph.leave], name)

    def _finish(self, tensor: Tensor, name: str) -> Program:
        if tensor.table is not None or tensor.pad is not None:
            raise FrontendError("the network returns its pixels", "return logits")
        if len(self.shape(tensor)) != 1:
            raise FrontendError("the network returns a map, not a vector of logits", "flatten it")
        value = tensor.value if self.low.is_bits(tensor.value) else self.real(tensor, "logits")
        logits = self.low.logits(value)
        about = {
            "source": "a QONNX file",
            "preprocessing": f"graph input = pixel / {self.input_scale:g}",
            SCALE_KEY: repr(self.input_scale),
            "tie_rule": TIE_RULE,
            **self.low.fixed.metadata(),
        }
        form = value.form
        if form.single and form.lines is None and form.terms[0][0] == logits:
            # The graph's output is the logit times a scale plus an offset.
            about["output_scale"] = repr(float(form.terms[0][1][0]))
            about["output_offset"] = repr(float(form.offset[0, 0, 0]))
        emitter = self.low.emitter
        output = emitter.fresh("class")
        emitter.emit(o.ArgMax(output=output, inputs=(logits,)))
        return emitter.program((logits, output), name=name, classes=(), metadata=about)

    # Nodes.

    def _node(self, node: Node) -> None:
        given = [name for name in node.inputs if name]
        if all(name in self.constants for name in given):
            made = fold(node, [self.constants[name] for name in given])
            if made is None:
                raise node.refuse("has no exact integer form here", SUPPORTED)
            self.constants[node.outputs[0]] = made
            return
        for name in given:
            if name not in self.constants and name not in self.tensors:
                raise node.refuse(f"reads '{name}', a second output", SUPPORTED)
        tensor = self.tensors[node.outputs[0]] = self._layer(node)
        self.note(tensor, node.outputs[0])
        self.note_input(node, next(name for name in given if name in self.tensors))

    def _layer(self, node: Node) -> Tensor:
        x = next(self.tensors[name] for name in node.inputs if name in self.tensors)
        if x.pad is not None and node.op != "Conv":
            raise node.refuse("is behind a Pad", "pad in front of a Conv only")
        both = sum(name in self.tensors for name in node.inputs) > 1
        match node.op:
            case "Add" if both:
                return self.add(node)
            case _ if both:
                raise node.refuse("combines two activations", "only an Add can")
            case "Identity" | "Dropout":
                return x
            case "Conv":
                return self._conv(node, x)
            case "Gemm" | "MatMul":
                return self._dense(node, x)
            case "MaxPool" | "AveragePool" | "GlobalAveragePool":
                return self._pool(node, x)
            case "Transpose":
                return self._transpose(node, x)
            case "Flatten" | "Reshape":
                return self._reshape(node, x)
            case "Pad":
                if not all(n in self.constants for n in node.inputs[1:] if n):
                    raise node.refuse("pads by what is not constant", "use constant pads")
                constants = [self.constants[n] for n in node.inputs[1:] if n]
                return replace(self.exact(node, x), pad=windows.pad(node, constants))
        return self.elementwise(node, x)

    # Products.

    def _conv(self, node: Node, x: Tensor) -> Tensor:
        weights, bias = self._weights(node, 4)
        window = windows.window(node, self.shape(x), weights.shape[2:])
        x = self._channels_first(node, self.exact(node, x))
        pad_value = 0
        if x.pad is not None:
            pad, number = x.pad
            if any(window.padding) or number % float(x.scale):
                raise node.refuse(
                    f"is padded twice, or with {number:g}", "pad once, with a level of its input"
                )
            window, pad_value = replace(window, padding=pad), int(number / x.scale)
        whole, scale = windows.integers(node, weights)
        made = self.low.binary_conv(
            x.value, value_name(node), whole.transpose(0, 2, 3, 1), window, pad_value
        )
        return self._behind(node, made, x.scale * scale, bias)

    def _dense(self, node: Node, x: Tensor) -> Tensor:
        if node.inputs[0] not in self.tensors:
            raise node.refuse("multiplies from the left", "put the activation first")
        if len(self.shape(x)) != 1:
            raise node.refuse("takes a map", "flatten it before")
        weights, bias = self._weights(node, 2)
        factor = np.float32(1)
        if node.op == "Gemm":
            if node.get("transA", 0):
                raise node.refuse("transposes its input", "export it with transA = 0")
            weights = weights if node.get("transB", 0) else weights.T
            factor = np.float32(node.get("alpha", 1.0))
            bias = None if bias is None else bias * np.float32(node.get("beta", 1.0))
        else:
            weights = weights.T
        have = self.shape(x)[0]
        if weights.shape[1] != have:
            raise node.refuse(
                f"takes {weights.shape[1]} numbers and gets {have}", "check the model"
            )
        x = self.exact(node, x)
        whole, scale = windows.integers(node, weights)
        made = self.low.binary_dense(x.value, value_name(node), whole)
        return self._behind(node, made, x.scale * scale * factor, bias)

    def _weights(self, node: Node, axes: int) -> tuple[Array, Array | None]:
        """Return the weights and the bias of a product."""
        constants = [self.constants.get(name) for name in node.inputs[1:] if name]
        if any(c is None for c in constants) or not constants or constants[0] is None:
            raise node.refuse("has weights that are not constant", "store them in the file")
        weights = constants[0]
        if weights.ndim != axes or not weights.size:
            raise node.refuse(f"has weights of the shape {weights.shape}", "check the model")
        if not np.isfinite(weights).all():
            raise node.refuse("has weights that are NaN or infinite", REPAIR)
        return weights, constants[1] if len(constants) > 1 else None

    def _behind(self, node: Node, made: Value, scale: Array, bias: Array | None) -> Tensor:
        """Put scale and bias behind a sum."""
        scales = np.broadcast_to(np.asarray(scale, np.float32), (self.low.channels(made),))
        if (scales == 0).any() or not np.isfinite(scales).all():
            raise node.refuse("has a scale that is 0 or not finite", REPAIR)
        if bias is None and (scales == scales[0]).all():
            return Tensor(made, scales[0])
        name = value_name(node)
        value = made if (scales == 1).all() else self.scaled(made, scales, name)
        if bias is not None:
            (vector,) = self.vectors(node, [bias.reshape(1, -1)], Tensor(value), 2)
            lines = line(np.ones(len(vector)), vector)
            value = self.low.elementwise(value, Step(f"{name}.bias", lambda x: x + vector, lines))
        return Tensor(value)

    def _channels_first(self, node: Node, x: Tensor) -> Tensor:
        if x.last:
            raise node.refuse("takes channels last", "transpose to (N, channels, rows, columns)")
        return x

    # Pools and shapes.

    def _pool(self, node: Node, x: Tensor) -> Tensor:
        shape = self.shape(x)
        if len(shape) != 3:
            raise node.refuse("takes no map", "pool before flattening")
        x = self._channels_first(node, x if x.table is None else self.exact(node, x))
        everywhere = node.op == "GlobalAveragePool"
        kernel = shape[1:] if everywhere else tuple(node.get("kernel_shape", ()))
        window = windows.window(node, shape, kernel)
        name = value_name(node)
        exact = x.value.exact is not None and x.scale > 0
        value = x.value if exact else self.real(x, name)
        scale = x.scale if exact else np.float32(1)
        (rows, columns) = kernel
        if node.op == "MaxPool":
            pool = o.MaxPool2d(
                output=name,
                inputs=("image",),
                kernel=(rows, columns),
                stride=window.stride,
                padding=window.padding,
            )
            return Tensor(self.low.max_pool(value, name, pool), scale)
        if any(window.padding):
            raise node.refuse("averages over padding", "average without padding")
        if value.exact is None:
            return Tensor(self.low.average_pool(value, name, (rows, columns), window))
        output = self.low.emitter.fresh(name)
        sums = o.SumPool2d(
            output=output, inputs=(value.exact,), kernel=(rows, columns), stride=window.stride
        )
        self.low.emitter.emit(sums)
        return Tensor(self.low.integers(output), scale / np.float32(rows * columns))

    def _transpose(self, node: Node, x: Tensor) -> Tensor:
        axes = list(node.get("perm", ()))
        maps = len(self.shape(x)) == 3
        if axes == list(range(4 if maps else 2)):
            return x
        if axes == ([0, 3, 1, 2] if x.last else [0, 2, 3, 1]) and maps:
            return replace(x, last=not x.last)
        raise node.refuse(f"puts the axes in the order {axes}", "only move the channels")

    def _reshape(self, node: Node, x: Tensor) -> Tensor:
        shape = (1, *self.shape(x))
        flat = (1, int(np.prod(shape)))
        if node.op == "Flatten":
            made: tuple[int, ...] = flat if node.get("axis", 1) == 1 else ()
        else:
            try:
                target = self.constants[node.inputs[1]]
                made = reshaped(shape, target, bool(node.get("allowzero", 0)))
            except (KeyError, ValueError, IndexError) as error:
                raise node.refuse("has no constant shape that fits", "check the model") from error
        if made == shape:
            return x
        if made != flat:
            raise node.refuse(f"makes {made} of {shape}", "only flatten each image to a vector")
        exact = x.table is not None or x.value.exact is not None
        value = self.low.flatten(
            x.value if exact else self.real(x, value_name(node)), value_name(node)
        )
        if x.last:
            value = replace(value, order=None)
        table = x.table
        if table is not None:
            places = flat[1] // table.shape[1]
            table = np.tile(table, (1, places)) if x.last else np.repeat(table, places, axis=1)
        return Tensor(value, x.scale if exact else np.float32(1), table=table)
