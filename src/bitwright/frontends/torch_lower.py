"""From a trained torch module to an exact integer program.

Requirements:

- The module is traced with `torch.fx`; binary layers are leaves. What stands between two binary
  values (BatchNorm, scales, hardtanh) is never rewritten as a formula: it is *run*, in float32, on
  every integer that the dot product can reach, and the bits that come out are the threshold. So
  float32 rounding at the boundary decides as it does in torch.
- sign(0) is +1, in torch and here; `count_ties` tells how often that matters.
- Max-pooling commutes with any rising function and with the sign itself; where it would not, the
  module is refused.
- What cannot be expressed exactly is refused by the name of its layer, with a way out.

torch has maps as (channels, rows, columns); a program has them as (rows, columns, channels).
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from bitwright.errors import FrontendError
from bitwright.ir import ops as o
from bitwright.ir.program import Program
from bitwright.ir.types import Bits, Int, ValueType
from bitwright.ir.verify import infer_types
from bitwright.nn.layers import (
    LEAVES,
    BinaryConv2d,
    BinaryLinear,
    LogitScale,
    PixelLevels,
    Sign,
)

ELEMENTWISE = (nn.BatchNorm1d, nn.BatchNorm2d, nn.Hardtanh, nn.ReLU, LogitScale)
"""Modules that act on each element by itself, with constants that depend on the channel only."""

TIE_RULE = "sign(0) = +1, as in torch: a bit is set where the float32 expression is >= 0"
_CHUNK = 2**22


def lower(
    module: nn.Module,
    input_shape: tuple[int, int, int],
    *,
    name: str = "",
    classes: tuple[str, ...] = (),
) -> Program:
    """Return a trained module as an exact integer program.

    Parameters
    ----------
    module
        Takes pixels 0..255 (batch, channels, rows, columns), returns integer logits, perhaps
        scaled by a positive constant. It is left as it is.
    input_shape
        (rows, columns, channels) of an image.
    name, classes
        The program's name and the names of its classes.

    Raises
    ------
    FrontendError
        If a layer cannot be expressed exactly; the message names it.
    """
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
    return _Lowering(network, input_shape).program(graph, name or type(module).__name__, classes)


def count_ties(module: nn.Module, images: npt.NDArray[np.uint8]) -> dict[str, int]:
    """Count the exact zeros that reach each sign of a module.

    Parameters
    ----------
    module
        As for `lower`.
    images
        uint8 (images, rows, columns, channels).

    Returns
    -------
    dict
        For each `Sign` layer by name, how many of its inputs are 0.0 on these images.
    """
    network = copy.deepcopy(module).eval().float().cpu()
    ties: dict[str, int] = {}

    def hook(name: str) -> Callable[..., None]:
        def count(layer: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
            ties[name] = ties.get(name, 0) + int((inputs[0] == 0).sum())

        return count

    for name, layer in network.named_modules():
        if isinstance(layer, Sign):
            layer.register_forward_hook(hook(name))
    with torch.inference_mode():
        for start in range(0, len(images), 256):
            batch = torch.from_numpy(np.ascontiguousarray(images[start : start + 256]))
            network(batch.permute(0, 3, 1, 2).float())
    return ties


class _Tracer(torch.fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, LEAVES) or super().is_leaf_module(m, module_qualified_name)


@dataclass(frozen=True, eq=False)
class _Value:
    """What a torch value is: a value of the program, seen through float steps.

    `order` holds for each element of a flattened program value its index in torch's order. `pool`
    is a max-pooling that comes after the steps and has not been done.
    """

    name: str
    steps: tuple[nn.Module, ...] = ()
    order: npt.NDArray[np.intp] | None = None
    pool: o.MaxPool2d | None = None

    @property
    def exact(self) -> bool:
        """Whether torch's value is the program's, without steps in between."""
        return not self.steps and self.pool is None


class _Lowering:
    def __init__(self, network: nn.Module, input_shape: tuple[int, int, int]) -> None:
        self.modules = dict(network.named_modules())
        self.input_type = Int(input_shape, 0, 255)
        self.types: dict[str, ValueType] = {"image": self.input_type}
        self.ops: list[o.Op] = []
        self.tensors: dict[str, npt.NDArray[Any]] = {}

    def program(self, graph: torch.fx.Graph, name: str, classes: tuple[str, ...]) -> Program:
        values: dict[torch.fx.Node, _Value] = {}
        logits = None
        for node in graph.nodes:
            if node.op == "placeholder":
                if values:
                    raise FrontendError("the module takes several inputs", "give it one image")
                values[node] = _Value("image")
            elif node.op == "output":
                logits = self._logits(values.get(node.args[0]))
            else:
                values[node] = self._node(node, values)
        if logits is None:
            raise FrontendError("the module returns no logits", "return one tensor of logits")
        self._emit(o.ArgMax(output=self._fresh("class"), inputs=(logits,)))
        return Program(
            input_name="image",
            input_type=self.input_type,
            ops=tuple(self.ops),
            tensors=self.tensors,
            outputs=(logits, self.ops[-1].output),
            name=name,
            classes=classes,
            metadata={
                "source": "bitwright.nn",
                "preprocessing": "8-bit pixels as they are",
                "tie_rule": TIE_RULE,
            },
        )

    # One node of the graph.

    def _node(self, node: torch.fx.Node, values: dict[torch.fx.Node, _Value]) -> _Value:
        inputs = [values[a] for a in node.args if isinstance(a, torch.fx.Node) and a in values]
        if node.op == "call_function" and node.target is torch.flatten and inputs:
            return self._flatten(node, inputs[0])
        if node.op != "call_module" or len(inputs) != 1:
            raise FrontendError(
                f"'{node.name}' ({node.op} {node.target}) has no exact integer form",
                "use layers of bitwright.nn and torch.nn, one after the other",
            )
        layer, value = self.modules[str(node.target)], inputs[0]
        match layer:
            case PixelLevels():
                return self._pixels(node, layer, value)
            case BinaryConv2d():
                return self._conv(node, layer, value)
            case BinaryLinear():
                return self._linear(node, layer, value)
            case Sign():
                return self._sign(node, value)
            case nn.MaxPool2d():
                return self._pool(node, layer, value)
            case nn.Flatten():
                return self._flatten(node, value)
            case nn.Identity() | nn.Dropout():
                return value
        if isinstance(layer, ELEMENTWISE):
            return self._elementwise(node, layer, value)
        raise FrontendError(
            f"layer '{node.target}' ({type(layer).__name__}) has no exact integer form here",
            "use BinaryConv2d, BinaryLinear, BatchNorm, MaxPool2d, Sign, Flatten",
        )

    def _pixels(self, node: torch.fx.Node, layer: PixelLevels, value: _Value) -> _Value:
        if value.name != "image":
            raise FrontendError(f"layer '{node.target}' is not the first", "put it at the input")
        name = self._fresh(_name(node))
        self.tensors[f"{name}.table"] = np.array(layer.table, np.int32)
        self._emit(o.Lookup(output=name, inputs=(value.name,), table=f"{name}.table"))
        return _Value(name)

    def _conv(self, node: torch.fx.Node, layer: BinaryConv2d, value: _Value) -> _Value:
        self._check_exact(node, value)
        self._check_channels(node, value, layer.in_channels)
        name = self._fresh(_name(node))
        weights = _binary(layer.binary_weight()).transpose(0, 2, 3, 1)
        self.tensors[f"{name}.weights"] = weights
        side = layer.padding
        self._emit(
            o.Conv2d(
                output=name,
                inputs=(value.name,),
                weights=f"{name}.weights",
                stride=(layer.stride, layer.stride),
                padding=(side, side, side, side),
                pad_value=layer.pad_value,
                groups=layer.groups,
            )
        )
        return _Value(name)

    def _linear(self, node: torch.fx.Node, layer: BinaryLinear, value: _Value) -> _Value:
        self._check_exact(node, value)
        self._check_channels(node, value, layer.in_features)
        name = self._fresh(_name(node))
        weights = _binary(layer.binary_weight())
        self.tensors[f"{name}.weights"] = (
            weights if value.order is None else weights[:, value.order]
        )
        self._emit(o.Dense(output=name, inputs=(value.name,), weights=f"{name}.weights"))
        return _Value(name)

    def _sign(self, node: torch.fx.Node, value: _Value) -> _Value:
        if isinstance(self.types[value.name], Bits):
            return value
        name = self._fresh(_name(node))
        thresholds, rising = self._thresholds(node, value)
        self.tensors[f"{name}.thresholds"] = thresholds
        self.tensors[f"{name}.rising"] = rising
        bits = name if value.pool is None else self._fresh(f"{name}.unpooled")
        self._emit(
            o.Threshold(
                output=bits,
                inputs=(value.name,),
                thresholds=f"{name}.thresholds",
                rising=f"{name}.rising",
            )
        )
        if value.pool is not None:
            # sign(max(x)) = max(sign(x)): the sign rises.
            self._emit(replace(value.pool, output=name, inputs=(bits,)))
        return _Value(name, order=value.order)

    def _pool(self, node: torch.fx.Node, layer: nn.MaxPool2d, value: _Value) -> _Value:
        if layer.ceil_mode or _pair(layer.dilation) != (1, 1) or layer.return_indices:
            raise FrontendError(
                f"layer '{node.target}' uses ceil_mode, dilation or return_indices",
                "use a plain MaxPool2d",
            )
        if value.pool is not None:
            raise FrontendError(
                f"layer '{node.target}' pools a second time after a falling BatchNorm",
                "put a Sign between the two poolings",
            )
        name = self._fresh(_name(node))
        rows, columns = _pair(layer.padding)
        pool = o.MaxPool2d(
            output=name,
            inputs=(value.name,),
            kernel=_pair(layer.kernel_size),
            stride=_pair(layer.stride),
            padding=(rows, rows, columns, columns),
        )
        if value.steps and not self._rises(node, value):
            return replace(value, pool=pool)
        self._emit(pool)
        return replace(value, name=name)

    def _flatten(self, node: torch.fx.Node, value: _Value) -> _Value:
        self._check_exact(node, value)
        shape = self.types[value.name].shape
        if len(shape) == 1:
            return value
        name = self._fresh(_name(node))
        self._emit(o.Flatten(output=name, inputs=(value.name,)))
        rows, columns, channels = shape
        torch_index = np.arange(rows * columns * channels).reshape(channels, rows, columns)
        return _Value(name, order=torch_index.transpose(1, 2, 0).reshape(-1))

    def _elementwise(self, node: torch.fx.Node, layer: nn.Module, value: _Value) -> _Value:
        if isinstance(self.types[value.name], Bits):
            raise FrontendError(
                f"layer '{node.target}' ({type(layer).__name__}) acts on bits",
                "put it before the Sign",
            )
        if value.pool is not None:
            raise FrontendError(
                f"layer '{node.target}' comes after a MaxPool2d of a falling BatchNorm",
                "pool before the first BatchNorm, or after the Sign",
            )
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            self._check_batch_norm(node, layer, value)
        return replace(value, steps=(*value.steps, layer))

    def _logits(self, value: _Value | None) -> str:
        if value is None:
            raise FrontendError("the module returns no single tensor", "return the logits alone")
        scaled = all(isinstance(step, LogitScale) for step in value.steps)
        if not scaled or value.pool is not None or isinstance(self.types[value.name], Bits):
            raise FrontendError(
                "the module's logits are not integers times one positive constant",
                "end it with BinaryLinear, and LogitScale if a scale is wanted",
            )
        if len(self.types[value.name].shape) != 1:
            raise FrontendError("the module returns a map, not a vector of logits", "flatten it")
        return value.name

    # What the float steps do.

    def _evaluate(
        self, node: torch.fx.Node, value: _Value, select: Callable[[torch.Tensor], torch.Tensor]
    ) -> npt.NDArray[Any]:
        """Run the steps on every integer in the value's bounds: (channels, integers)."""
        source = self.types[value.name]
        integers = torch.arange(source.lo, source.hi + 1, dtype=torch.float32)
        if max(-source.lo, source.hi) >= 2**24:
            raise FrontendError(
                f"the sums before '{node.target}' reach {source.hi}, where float32 is not exact",
                "use fewer inputs or smaller weights",
            )
        channels = source.shape[-1]
        maps = len(source.shape) == 3
        size = max(1, _CHUNK // channels)
        parts = []
        for first in range(0, len(integers), size):
            x = integers[first : first + size, None].expand(-1, channels)
            x = x.T.reshape(1, channels, 1, -1).contiguous() if maps else x.contiguous()
            with torch.inference_mode():
                for step in value.steps:
                    x = step(x)
                y = select(x)
            parts.append(y[0, :, 0].numpy() if maps else y.T.numpy())
        return np.concatenate(parts, axis=1)

    def _rises(self, node: torch.fx.Node, value: _Value) -> bool:
        results = self._evaluate(node, value, lambda y: y)
        return bool(np.all(np.diff(results, axis=1) >= 0))

    def _thresholds(
        self, node: torch.fx.Node, value: _Value
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.bool_]]:
        """Thresholds and polarities of the sign of the steps, in the program's order."""
        fires = self._evaluate(node, value, lambda y: y >= 0)
        lo = self.types[value.name].lo
        changes = (fires[:, 1:] != fires[:, :-1]).sum(axis=1)
        if (changes > 1).any():
            channel = int(np.argmax(changes))
            raise FrontendError(
                f"the bit of '{node.target}' is no threshold of the sum (channel {channel})",
                "use only steps that rise or fall, such as BatchNorm, before a Sign",
            )
        first, last = fires[:, 0], fires[:, -1]
        rising = ~first | last
        count = fires.sum(axis=1)
        # Rising: the top `count` integers fire. Falling: the lowest `count` do.
        thresholds = np.where(rising, lo + fires.shape[1] - count, lo + count - 1)
        if value.order is not None and len(self.types[value.name].shape) == 1:
            thresholds, rising = thresholds[value.order], rising[value.order]
        return thresholds.astype(np.int32), rising

    # Checks.

    def _check_exact(self, node: torch.fx.Node, value: _Value) -> None:
        if not value.exact or value.name == "image":
            raise FrontendError(
                f"layer '{node.target}' takes real numbers where bits or integers are expected",
                "put a Sign (or, for pixels, PixelLevels) before it",
            )

    def _check_channels(self, node: torch.fx.Node, value: _Value, channels: int) -> None:
        shape = self.types[value.name].shape
        if shape[-1] != channels:
            raise FrontendError(
                f"layer '{node.target}' takes {channels} channels and gets {shape[-1]}",
                "correct the module, or the input shape",
            )

    def _check_batch_norm(
        self, node: torch.fx.Node, layer: nn.BatchNorm1d | nn.BatchNorm2d, value: _Value
    ) -> None:
        self._check_channels(node, value, layer.num_features)
        if layer.running_mean is None or layer.running_var is None:
            raise FrontendError(
                f"layer '{node.target}' has no running statistics",
                "train with track_running_stats=True",
            )
        named = {
            "gamma": layer.weight,
            "beta": layer.bias,
            "mean": layer.running_mean,
            "variance": layer.running_var,
        }
        for what, tensor in named.items():
            if tensor is not None and not bool(torch.isfinite(tensor).all()):
                raise FrontendError(
                    f"layer '{node.target}' has a {what} that is NaN or infinite",
                    "train again with a lower learning rate, or repair the checkpoint",
                )
        if bool((layer.running_var < 0).any()):
            raise FrontendError(
                f"layer '{node.target}' has a variance below zero", "repair the checkpoint"
            )

    # Building.

    def _fresh(self, name: str) -> str:
        candidate, number = name, 1
        while candidate in self.types:
            number += 1
            candidate = f"{name}_{number}"
        return candidate

    def _emit(self, op: o.Op) -> None:
        inputs = {name: self.types[name] for name in op.inputs}
        (name, kind), *others = inputs.items()
        if others:
            raise TypeError("plain networks have ops of one input")
        self.types[op.output] = infer_types(name, kind, [op], self.tensors, [op.output])[op.output]
        self.ops.append(op)


def _name(node: torch.fx.Node) -> str:
    """A layer's own name, as a value's name in a program."""
    name = str(node.target) if node.op == "call_module" else node.name
    return name if name[0].isalpha() else f"layer{name}"


def _binary(weight: torch.Tensor) -> npt.NDArray[np.bool_]:
    return np.asarray(weight.detach().numpy() > 0)


def _pair(value: Any) -> tuple[int, int]:
    first, second = value if isinstance(value, tuple) else (value, value)
    return int(first), int(second)
