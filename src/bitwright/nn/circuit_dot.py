"""Dot products of bits as a circuit counts them, bit for bit, for torch's tensors.

Requirements:

- The circuit's input i is product i of a window in (row, column, channel) order, as everywhere in
  Bitwright; torch's own order is (channel, row, column).
- The integer that a circuit's value stands for is ``floor(value / divisor)``, a count of matches m
  out of n products; the dot product is ``2 m - n``.
- A padding of 0 is counted as -1 and put right afterwards, by adding the weights there.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812  # torch's own name for it
from torch import Tensor

from bitwright.circuits import Circuit
from bitwright.circuits.jit import SAMPLES, Compiled
from bitwright.native.geometry import Windows
from bitwright.native.sliced import SlicedLayer, SlicedShape
from bitwright.nn.binary_layers import BinaryConv2d, BinaryLinear


@lru_cache(maxsize=256)
def _compiled(_digest: str, circuit: Circuit) -> Compiled:
    return Compiled(circuit)


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
        dot += F.conv2d(border.float(), weight.float(), None, layer.stride)
    return dot


def _convolve(
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
