"""From a trained torch module to an exact integer program.

Requirements:

- The module is traced with `torch.fx`; the layers of `bitwright.nn` are leaves. What each layer
  means is told here; what becomes of it, in `bitwright.frontends.lowering`.
- Element-wise layers are *run* by torch, in float32, where a threshold is decided.
- What cannot be expressed is refused by the name of its layer, with a way out.

torch has maps as (channels, rows, columns); a program has them as (rows, columns, channels).
"""

from __future__ import annotations

import copy
import operator
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from bitwright.errors import FrontendError, ProgramError
from bitwright.frontends.fixed import Form
from bitwright.frontends.lines import line
from bitwright.frontends.lowering import Lowering
from bitwright.frontends.torch_layers import (
    ChannelScale,
    check_batch_norm,
    check_image_shape,
    check_numbers,
    lines_of,
    reach_of,
)
from bitwright.frontends.values import Step, Value, Window
from bitwright.ir import ops as o
from bitwright.ir.program import Program
from bitwright.ir.types import Int
from bitwright.nn.layers import (
    LEAVES,
    AdaBinConv2d,
    BinaryConv2d,
    BinaryLinear,
    ChannelShortcut,
    Normalise,
    PixelLevels,
    PixelOffset,
    Quantise,
    Sign,
)
from bitwright.nn.quantised import PIXEL_BITS

TIE_RULE = "sign(0) = +1, as in torch: a bit is set where the float32 expression is >= 0"
FRACTION_BITS = 24
"""Of real values that are stored: about as exact as float32 for numbers below 1."""


def lower(
    module: nn.Module,
    input_shape: tuple[int, int, int],
    *,
    name: str = "",
    classes: tuple[str, ...] = (),
    fraction_bits: int = FRACTION_BITS,
) -> Program:
    """Return a trained module as an exact integer program.

    Parameters
    ----------
    module
        Takes pixels 0..255 (batch, channels, rows, columns), returns logits (batch, classes). It
        is left as it is.
    input_shape
        (rows, columns, channels) of an image.
    name, classes
        The program's name and the names of its classes.
    fraction_bits
        Fraction bits of real values that are stored; fewer where sums would pass 32 bits. Networks
        without real-valued paths have none.

    Raises
    ------
    FrontendError
        If a layer cannot be expressed, which the message names, or the shape is not fixed.
    """
    check_image_shape(input_shape)
    network = copy.deepcopy(module).eval().float().cpu()
    tracer = _Tracer()
    try:
        graph = tracer.trace(network)
    except Exception as error:  # torch.fx raises whatever the traced code raises
        reason = " ".join(str(error).split())[:160]
        raise FrontendError(
            f"the module cannot be traced ({reason})",
            "build it of bitwright.nn and torch.nn layers without data-dependent control flow",
        ) from error
    name = name or type(module).__name__
    try:
        return _Walk(network, input_shape, fraction_bits).program(graph, name, classes)
    except ProgramError as error:
        raise FrontendError(
            f"the module has no legal program ({error.cause})",
            "keep windows within their maps, padding below the kernel, and sums within 32 bits",
        ) from error


class _Tracer(torch.fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, LEAVES) or super().is_leaf_module(m, module_qualified_name)


class _Walk:
    """One pass over the graph, with one number of fraction bits."""

    def __init__(self, network: nn.Module, input_shape: tuple[int, int, int], bits: int) -> None:
        self.modules = dict(network.named_modules())
        self.lowering = Lowering(Int(input_shape, 0, 255), bits)

    def program(self, graph: torch.fx.Graph, name: str, classes: tuple[str, ...]) -> Program:
        values: dict[torch.fx.Node, Value] = {}
        logits = None
        for node in graph.nodes:
            if node.op == "placeholder":
                if values:
                    raise FrontendError("the module takes several inputs", "give it one image")
                values[node] = self.lowering.integers("image")
            elif node.op == "output":
                returned = values.get(node.args[0])
                if returned is None:
                    raise FrontendError(
                        "the module returns no single tensor", "return the logits alone"
                    )
                logits = self.lowering.logits(returned)
            else:
                values[node] = self._node(node, values)
        emitter = self.lowering.emitter
        if logits is None:
            raise FrontendError("the module returns no logits", "return one tensor of logits")
        output = emitter.fresh("class")
        emitter.emit(o.ArgMax(output=output, inputs=(logits,)))
        about = {
            "source": "a torch module",
            "preprocessing": "8-bit pixels as they are",
            "tie_rule": TIE_RULE,
        }
        about |= self.lowering.fixed.metadata()
        return emitter.program((logits, output), name=name, classes=classes, metadata=about)

    def _node(self, node: torch.fx.Node, values: dict[torch.fx.Node, Value]) -> Value:
        inputs = [values[a] for a in node.args if isinstance(a, torch.fx.Node) and a in values]
        name = str(node.target) if node.op == "call_module" else node.name
        if node.op == "call_function" and node.target in (operator.add, torch.add):
            if len(inputs) == 2 and len(node.args) == 2 and not node.kwargs:
                return self.lowering.add(inputs[0], inputs[1], name)
        elif node.op == "call_function" and node.target is torch.flatten and inputs:
            return self.lowering.flatten(inputs[0], name)
        elif node.op == "call_module" and len(inputs) == 1:
            return self._layer(name, self.modules[name], inputs[0])
        raise FrontendError(
            f"'{node.name}' ({node.op} {node.target}) has no exact integer form",
            "use layers of bitwright.nn and torch.nn, and the addition of two maps",
        )

    def _layer(self, name: str, layer: nn.Module, value: Value) -> Value:
        low = self.lowering
        check_numbers(name, layer)
        match layer:
            case PixelLevels() | PixelOffset() | Normalise():
                return self._pixels(name, layer, value)
            case Quantise():
                clip = None if layer.bits is None else layer.bounds
                return low.quantise(value, name, int(layer.fraction_bits), clip)
            case BinaryConv2d() | BinaryLinear():
                return self._binary(name, layer, value)
            case AdaBinConv2d():
                return self._adabin(name, layer, value)
            case nn.Conv2d():
                return self._real_conv(name, layer, value)
            case nn.Linear():
                self._check_channels(name, value, layer.in_features)
                bias = None if layer.bias is None else _floats(layer.bias)
                return low.real_dense(value, name, _floats(layer.weight), bias)
            case Sign():
                return low.sign(value, name)
            case nn.MaxPool2d():
                return self._max_pool(name, layer, value)
            case nn.AvgPool2d() | nn.AdaptiveAvgPool2d():
                return self._average_pool(name, layer, value)
            case ChannelShortcut():
                return low.subsample(value, name, layer.stride, layer.before, layer.after)
            case nn.Flatten():
                return low.flatten(value, name)
            case nn.Identity() | nn.Dropout() | nn.Dropout2d():
                return value
        return self._elementwise(name, layer, value)

    # Layers.

    def _pixels(
        self, name: str, layer: PixelLevels | PixelOffset | Normalise, value: Value
    ) -> Value:
        if value.exact != "image":
            raise FrontendError(f"layer '{name}' is not the first", "put it at the input")
        if isinstance(layer, Normalise):
            mean, std = _floats(layer.mean).reshape(-1), _floats(layer.std).reshape(-1)
            self._check_channels(name, value, len(mean))
            form = Form((("image", 1 / (255 * std)),), (-mean / std)[None, None])
            return self.lowering.bounded(form)
        table = np.array(layer.table if isinstance(layer, PixelLevels) else range(256))
        if isinstance(layer, PixelOffset):
            self._check_channels(name, value, len(layer.zero))
            table = table - np.array(layer.zero)[:, None]
        output = self.lowering.emitter.fresh(name)
        op = o.Lookup(output=output, inputs=("image",), table=f"{output}.table")
        self.lowering.emitter.emit(op, table=table.astype(np.int32))
        if isinstance(layer, PixelOffset):
            return self.lowering.on_grid(output, name, PIXEL_BITS)
        return self.lowering.integers(output)

    def _check_not_pixels(self, name: str, value: Value) -> None:
        if value.source == "image":
            raise FrontendError(
                f"layer '{name}' takes real numbers: the pixels as they are",
                "put PixelLevels or Normalise before it",
            )

    def _binary(self, name: str, layer: BinaryConv2d | BinaryLinear, value: Value) -> Value:
        self._check_not_pixels(name, value)
        if value.exact is None and value.form.terms[0][0] != "image":
            raise FrontendError(
                f"layer '{name}' takes real numbers where bits are expected",
                "put a Sign before it",
            )
        bits = layer.binary_weight().detach().numpy() > 0
        if isinstance(layer, BinaryLinear):
            self._check_channels(name, value, layer.in_features)
            made = self.lowering.binary_dense(value, name, bits)
        else:
            self._check_channels(name, value, layer.in_channels)
            window = _window(layer.stride, layer.padding, layer.groups)
            kernels = bits.transpose(0, 2, 3, 1)
            made = self.lowering.binary_conv(value, name, kernels, window, layer.pad_value)
        scales = layer.scales()
        if scales is None:
            return made
        return self._elementwise(f"{name}.scale", ChannelScale(scales.detach()), made)

    def _adabin(self, name: str, layer: AdaBinConv2d, value: Value) -> Value:
        self._check_not_pixels(name, value)
        self._check_channels(name, value, layer.in_channels)
        scale, centre = float(layer.alpha_a.detach()), float(layer.beta_a.detach())
        if not np.isfinite([scale, centre]).all() or scale == 0:
            raise FrontendError(
                f"layer '{name}' has alpha_a = {scale}, beta_a = {centre}", "repair the checkpoint"
            )
        channels = layer.in_channels
        value = self.lowering.one_integer(value, f"{name}.in")
        shift = line(np.full(channels, 1 / scale), np.full(channels, -centre / scale))
        shifted = replace(value, form=value.form.through(shift), source=None, steps=(), reach=None)
        bits = self.lowering.sign(shifted, f"{name}.bits")
        weights = (layer.binary_weight() > 0).detach().numpy().transpose(0, 2, 3, 1)
        return self.lowering.two_level_conv(
            bits,
            name,
            weights,
            _window(layer.stride, layer.padding, 1),
            (scale, centre),
            (_floats(layer.std()), _floats(layer.mean())),
        )

    def _real_conv(self, name: str, layer: nn.Conv2d, value: Value) -> Value:
        self._check_not_pixels(name, value)
        self._check_channels(name, value, layer.in_channels)
        if layer.padding_mode != "zeros" or isinstance(layer.padding, str):
            raise FrontendError(
                f"layer '{name}' pads in a way other than zeros", "give padding as numbers"
            )
        if _pair(layer.dilation) != (1, 1):
            raise FrontendError(f"layer '{name}' is dilated", "use a plain Conv2d")
        window = _window(layer.stride, layer.padding, layer.groups)
        weights = _floats(layer.weight).transpose(0, 2, 3, 1)
        bias = None if layer.bias is None else _floats(layer.bias)
        return self.lowering.real_conv(value, name, weights, bias, window)

    def _max_pool(self, name: str, layer: nn.MaxPool2d, value: Value) -> Value:
        if layer.ceil_mode or _pair(layer.dilation) != (1, 1) or layer.return_indices:
            raise FrontendError(
                f"layer '{name}' uses ceil_mode, dilation or return_indices",
                "use a plain MaxPool2d",
            )
        window = _window(layer.stride, layer.padding, 1)
        pool = o.MaxPool2d(
            output=name,
            inputs=("image",),
            kernel=_pair(layer.kernel_size),
            stride=window.stride,
            padding=window.padding,
        )
        return self.lowering.max_pool(value, name, pool)

    def _average_pool(
        self, name: str, layer: nn.AvgPool2d | nn.AdaptiveAvgPool2d, value: Value
    ) -> Value:
        rows, columns = self.lowering.type_of(value).shape[:2]
        if isinstance(layer, nn.AdaptiveAvgPool2d):
            if _pair(layer.output_size) != (1, 1):
                raise FrontendError(
                    f"layer '{name}' averages to {layer.output_size}", "use AdaptiveAvgPool2d(1)"
                )
            return self.lowering.average_pool(value, name, (rows, columns), Window())
        window = _window(layer.stride, layer.padding, 1)
        uncounted = any(window.padding) and not layer.count_include_pad
        if layer.ceil_mode or layer.divisor_override or uncounted:
            raise FrontendError(
                f"layer '{name}' uses ceil_mode, a divisor, or padding that it does not count: "
                "windows do not all divide by their size",
                "use AvgPool2d(2) on even sides, and AvgPool2d(3, 2, padding=1) on odd ones",
            )
        return self.lowering.average_pool(value, name, _pair(layer.kernel_size), window)

    def _elementwise(self, name: str, layer: nn.Module, value: Value) -> Value:
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            check_batch_norm(name, layer)
            self._check_channels(name, value, layer.num_features)
        maps = len(self.lowering.type_of(value).shape) == 3
        channels = self.lowering.channels(value)
        lines = lines_of(layer, channels)
        if lines is None:
            raise FrontendError(
                f"layer '{name}' ({type(layer).__name__}) has no exact integer form here",
                "use the layers of bitwright.nn; docs/importing.md lists them",
            )

        def run(x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
            tensor = torch.from_numpy(np.ascontiguousarray(x))
            with torch.inference_mode():
                if maps:
                    spread = tensor.T.reshape(1, channels, 1, -1).contiguous()
                    return np.asarray(layer(spread)[0, :, 0].T.numpy())
                return np.asarray(layer(tensor).numpy())

        return self.lowering.elementwise(value, Step(name, run, lines, reach_of(layer)))

    def _check_channels(self, name: str, value: Value, channels: int) -> None:
        have = self.lowering.channels(value)
        if have != channels:
            raise FrontendError(
                f"layer '{name}' takes {channels} channels and gets {have}",
                "correct the module, or the input shape",
            )


def _floats(tensor: torch.Tensor) -> npt.NDArray[np.float64]:
    return np.asarray(tensor.detach().double().numpy())


def _window(stride: Any, padding: Any, groups: int) -> Window:
    rows, columns = _pair(padding)
    return Window(_pair(stride), (rows, rows, columns, columns), groups)


def _pair(value: Any) -> tuple[int, int]:
    first, second = value if isinstance(value, tuple | list) else (value, value)
    return int(first), int(second)
