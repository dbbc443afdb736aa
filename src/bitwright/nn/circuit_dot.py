"""Dot products of bits as a circuit counts them, bit for bit, for torch's tensors.

Requirements:

- The circuit's input i is product i of a window in (row, column, channel) order, as everywhere in
  Bitwright; torch's own order is (channel, row, column).
- The integer that a circuit's value stands for is ``floor(value / divisor)``, a count of matches m
  out of n products; the dot product is ``2 m - n``.
- A padding of 0 is counted as -1 and put right afterwards, by adding the weights there.
- A circuit that only adds, such as an exact count of some of the inputs, is a convolution of
  weighted weights, which torch computes; no gate is simulated.
- Counts are exact whatever autocast does to the layers around.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import gcd
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812  # torch's own name for it
from torch import Tensor

from bitwright.circuits import Circuit
from bitwright.circuits.jit import SAMPLES, Compiled
from bitwright.circuits.linear import linear_form
from bitwright.native.geometry import Windows
from bitwright.native.sliced import SlicedLayer, SlicedShape
from bitwright.nn.binary_layers import BinaryConv2d, BinaryLinear

_BFLOAT16, _FLOAT32 = 1 << 8, 1 << 23
"""bfloat16 and float16 hold all whole numbers up to the first, float32 all halves to the second."""


@lru_cache(maxsize=256)
def _compiled(_digest: str, circuit: Circuit) -> Compiled:
    return Compiled(circuit)


@dataclass(frozen=True, eq=False)
class _Sum:
    """A circuit that only adds: ``offset + unit * sum(weights * inputs)``.

    Attributes
    ----------
    weights
        (inputs,) whole numbers in float32.
    """

    offset: int
    unit: int
    weights: npt.NDArray[np.float32]

    @cached_property
    def reach(self) -> int:
        """No sum of weights with any signs is larger."""
        return int(np.abs(self.weights).sum(dtype=np.float64))


@lru_cache(maxsize=256)
def _sum(_digest: str, circuit: Circuit) -> _Sum | None:
    """Return what a circuit adds; None if it does more, or float32 cannot hold it."""
    form = linear_form(circuit)
    if not form.terms or any(wire >= circuit.inputs for wire in form.terms):
        return None
    unit = gcd(*form.terms.values())
    weights = np.zeros(circuit.inputs, np.float32)
    weights[list(form.terms)] = [weight // unit for weight in form.terms.values()]
    added = _Sum(form.offset, unit, weights)
    return added if abs(form.offset) + unit * added.reach < _FLOAT32 else None


@torch.no_grad()
def circuit_dot(
    layer: BinaryConv2d | BinaryLinear,
    circuit: Circuit,
    x: Tensor,
    kernel: tuple[int, int, int],
) -> Tensor:
    """Return a layer's dot product, scales left out, as a circuit counts it.

    Parameters
    ----------
    layer
        The layer; its weights are taken as they are now. A convolution has one group.
    circuit
        With as many inputs as the layer's fan-in.
    x
        +1 and -1, shaped as the layer takes it.
    kernel
        (rows, columns, channels) of a window; of a fully connected layer, the map that its input
        was before it was flattened.

    Returns
    -------
    Tensor
        Integers in float32, shaped as the layer's output.
    """
    weight = layer.binary_weight()
    if isinstance(layer, BinaryLinear):
        rows, columns, channels = kernel
        weight = weight.reshape(-1, channels, rows, columns)
        dot = _convolve(weight, circuit, x.reshape(-1, channels, rows, columns), 1, 0, ones=False)
        return dot.flatten(1)
    dot = _convolve(weight, circuit, x, layer.stride, layer.padding, ones=layer.pad_value > 0)
    if layer.padding and not layer.pad_value:
        border = F.pad(torch.zeros_like(x[:1]), (layer.padding,) * 4, value=1.0)
        dot += _exact_conv2d(border, weight, layer.stride, layer.fan_in)
    return dot


def _exact_conv2d(x: Tensor, weight: Tensor, stride: int, reach: int) -> Tensor:
    """Convolve whole numbers exactly, in float32; no sum is larger than `reach`."""
    kind = x.device.type
    if torch.is_autocast_enabled(kind) and reach <= _BFLOAT16:
        return F.conv2d(x, weight, None, stride).float()
    with torch.autocast(kind, enabled=False):
        return F.conv2d(x.float(), weight.float(), None, stride)


def _convolve(
    weight: Tensor, circuit: Circuit, x: Tensor, stride: int, padding: int, *, ones: bool
) -> Tensor:
    added = _sum(circuit.digest, circuit)
    if added is None:
        return _count(weight, circuit, x, stride, padding, ones=ones)
    channels, rows, columns = weight.shape[1:]
    each = torch.from_numpy(added.weights).to(weight).reshape(rows, columns, channels)
    padded = F.pad(x, (padding,) * 4, value=1.0 if ones else -1.0)
    sums = _exact_conv2d(padded, weight * each.permute(2, 0, 1), stride, added.reach)
    # sums are of w x = 2 match - 1; the value is of matches
    sums.mul_(added.unit / 2).add_(added.unit * float(added.weights.sum()) / 2 + added.offset)
    return sums.div_(circuit.divisor).floor_().mul_(2).sub_(channels * rows * columns)


def _count(
    weight: Tensor, circuit: Circuit, x: Tensor, stride: int, padding: int, *, ones: bool
) -> Tensor:
    channels, height, width = x.shape[1:]
    rows, columns = weight.shape[2:]
    halo = (padding,) * 4
    counts = (
        (height + 2 * padding - rows) // stride + 1,
        (width + 2 * padding - columns) // stride + 1,
    )
    windows = Windows((height, width), (rows, columns), (stride, stride), halo, counts)
    source = SlicedShape((height, width, channels), halo, ones)
    signs = (weight > 0).permute(0, 2, 3, 1).contiguous().cpu().numpy()
    one = SlicedLayer(_compiled(circuit.digest, circuit), signs, windows, source)
    values = [one.counts(_sliced(source, part), len(part)) for part in torch.split(x, SAMPLES)]
    known = np.arange(one.code.least, one.code.least + (1 << one.code.planes))
    dots = 2 * (known // circuit.divisor) - channels * rows * columns
    found = np.concatenate([dots.astype(np.float32).take(v - one.code.least) for v in values])
    return torch.from_numpy(found).to(x.device).permute(0, 3, 1, 2)


def _sliced(shape: SlicedShape, x: Tensor) -> npt.NDArray[Any]:
    """Return at most 512 images of +1 and -1 as a sliced map."""
    bits = (x > 0).permute(2, 3, 1, 0).contiguous().cpu().numpy()
    packed = np.packbits(bits, axis=-1, bitorder="little")
    array = shape.allocate()
    shape.interior(array).view(np.uint8)[..., : packed.shape[-1]] = packed
    return array
