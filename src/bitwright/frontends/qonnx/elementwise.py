"""The layers of a QONNX graph that act on each element by itself, and the signs among them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from bitwright.frontends.lines import Lines, line
from bitwright.frontends.qonnx.file import Node
from bitwright.frontends.qonnx.ops import (
    BATCH_NORM,
    FUNCTIONS,
    REPAIR,
    Function,
    multi_threshold,
)
from bitwright.frontends.qonnx.tensors import Tensor, Tensors, value_name
from bitwright.frontends.values import Step

Array = npt.NDArray[Any]

SUPPORTED = "docs/importing.md lists the ops that can be imported"


class Elementwise(Tensors):
    """Lowers element-wise layers."""

    def add(self, node: Node) -> Tensor:
        """Add two activations."""
        a, b = (self.tensors[name] for name in node.inputs)
        if any(t.pad is not None for t in (a, b)) or a.last != b.last:
            raise node.refuse("adds maps of different layouts", "transpose both alike")
        a, b = (t if t.table is None else self.exact(node, t) for t in (a, b))
        name = value_name(node)
        left, right = (self.real(t, f"{name}.{s}") for t, s in ((a, "left"), (b, "right")))
        return Tensor(self.low.add(left, right, name), last=a.last)

    def _function(self, node: Node, x: Tensor) -> Function:
        channels, axes = self.low.channels(x.value), len(self.shape(x)) + 1
        constants = [self.constants[n] for n in node.inputs if n in self.constants]
        if node.op == "MultiThreshold":
            layout = str(node.get("data_layout", "")) or "NC"
            if axes == 4 and layout.endswith("C") != x.last and layout != "NC":
                raise node.refuse(f"has the layout {layout}", "use that of its input")
            if len(constants) != 1 or not np.isfinite(constants[0]).all():
                raise node.refuse("has thresholds that are NaN or infinite, or none", REPAIR)
            return multi_threshold(node, constants[0].astype(np.float32), channels)
        maker = FUNCTIONS.get(node.op)
        if maker is None:
            raise node.refuse("has no exact integer form here", SUPPORTED)
        if node.op == "BatchNormalization":
            for what, constant in zip(BATCH_NORM, constants, strict=False):
                if not np.isfinite(constant).all():
                    raise node.refuse(f"has a {what} that is NaN or infinite", REPAIR)
            if any(c.shape != (channels,) for c in constants):
                raise node.refuse(f"is not made for {channels} channels", "check the model")
            vectors = [c.astype(np.float32) for c in constants]
        else:
            vectors = self.vectors(node, constants, x, axes)
        place = next(k for k, name in enumerate(node.inputs) if name in self.tensors)
        try:
            return maker(node, vectors, place)
        except (IndexError, TypeError) as error:
            raise node.refuse("has the wrong number of inputs", "check the model") from error

    def elementwise(self, node: Node, x: Tensor) -> Tensor:
        """Apply an element-wise layer: to a table by running it, else as a step or a sign."""
        function = self._function(node, x)
        if x.table is not None:
            return replace(x, table=np.asarray(function.run(x.table), np.float32))
        name = value_name(node)
        value = x.value
        if node.op in ("BipolarQuant", "MultiThreshold"):
            level, shift = self._level(node, x)
            if not self.low.is_bits(value) or x.scale < 0 or shift is not None:
                value = self.real(x, name)
            if shift is not None:
                lines = line(np.ones(len(shift)), -shift.astype(np.float64))
                step = Step(f"{name}.shift", lambda numbers: numbers - shift, lines)
                value = self.low.elementwise(value, step)
            made = Tensor(self.low.sign(value, name), level, x.last)
            self.note(made, node.outputs[0], node.inputs[0], shift)
            self.note_input(node, node.inputs[0], shift)
            return made
        if function.lines is None:
            raise node.refuse(
                "quantises to more than one bit behind the input",
                "use BipolarQuant for activations; Quant can only quantise the input",
            )
        lines = _widened(function.lines, self.low.channels(value))
        behind = self.low.elementwise(self.real(x, name), Step(name, function.run, lines))
        return Tensor(behind, last=x.last)

    def _level(self, node: Node, x: Tensor) -> tuple[np.float32, Array | None]:
        """Return the scale of a sign's bits, and its thresholds if it has any."""
        channels = self.low.channels(x.value)
        constant = self.constants[node.inputs[1]]
        if node.op == "BipolarQuant":
            if not constant.size or (constant != constant.flat[0]).any() or constant.flat[0] <= 0:
                raise node.refuse("has no one positive scale", "use one scale for all channels")
            return np.float32(constant.flat[0]), None
        scale, bias = (np.float32(node.get(k, d)) for k, d in (("out_scale", 1), ("out_bias", 0)))
        if constant.shape[1] != 1 or bias + scale != -bias or bias == 0:
            raise node.refuse(
                f"gives {constant.shape[1] + 1} levels that are not -s and +s",
                "use one threshold with out_scale 2 and out_bias -1",
            )
        return np.float32(-bias), np.broadcast_to(constant[:, 0], (channels,)).astype(np.float32)


def _widened(lines: Lines, channels: int) -> Lines:
    """Repeat the function of one channel for all."""
    if lines.channels == channels:
        return lines
    parts = (lines.breakpoints, lines.slope, lines.intercept)
    return Lines(*(np.repeat(part, channels, axis=0) for part in parts))
