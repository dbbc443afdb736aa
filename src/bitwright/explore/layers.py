"""The popcounts of a network's binary layers, and the bits that they count on real images.

Requirements:

- A popcount is known by its kernel's shape (rows, columns, channels): layers of one shape share it.
- Its input i is the product of weight i with the activation under it, where weights lie as they are
  stored: row by row, column by column, channel by channel.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from bitwright.errors import ConfigError, DataError
from bitwright.ir.ops import Conv2d, Dense
from bitwright.ir.program import Program
from bitwright.ir.types import Bits
from bitwright.native.convolution import Dot, dot_of, window_view
from bitwright.native.engine import NativeProgram

ORDER = (
    "windows of one neuron one after the other, row by row, image by image; in a window row by "
    "row, column by column, channel by channel"
)
"""In which order `products` returns what a popcount sees."""
BATCH = 100
"""Images that run through the network at a time."""


@dataclass(frozen=True, eq=False)
class PopcountLayer:
    """A layer whose dot products are popcounts: bits against binary weights.

    Parameters
    ----------
    name
        Of its dot product.
    dot
        The dot product.
    """

    name: str
    dot: Dot

    @property
    def shape(self) -> tuple[int, int, int]:
        """Its kernel: rows, columns, channels."""
        rows, columns, channels = self.dot.weights.shape[1:]
        return rows, columns, channels

    @property
    def neurons(self) -> int:
        """How many kernels it has."""
        return len(self.dot.weights)

    @property
    def windows(self) -> int:
        """How many windows of an image each of them sees."""
        return self.dot.windows.number

    @property
    def inputs(self) -> int:
        """The fan-in of the popcount."""
        rows, columns, channels = self.shape
        return rows * columns * channels


def popcount_layers(program: Program) -> tuple[PopcountLayer, ...]:
    """Return the layers of a program that count bits, in its order.

    Raises
    ------
    ConfigError
        If there are none.
    """
    layers = []
    for op in program.ops:
        if not isinstance(op, Conv2d | Dense):
            continue
        dot = dot_of(program, op)
        if isinstance(dot.value, Bits) and dot.weights.dtype == np.bool_:
            layers.append(PopcountLayer(op.output, dot))
    if not layers:
        raise ConfigError(
            f"the network '{program.name}' has no layer of bits with binary weights",
            "give a network with binary layers",
        )
    return tuple(layers)


def products(
    program: Program,
    layer: PopcountLayer,
    images: npt.NDArray[np.integer],
    *,
    count: int,
    neuron: int = 0,
    threads: int | None = None,
    run: Callable[[npt.NDArray[np.integer]], Mapping[str, npt.NDArray[np.bool_]]] | None = None,
) -> npt.NDArray[np.bool_]:
    """Return what the popcount of a neuron sees on real images.

    Parameters
    ----------
    images
        Of shape (images, *input shape); only as many are run as are needed.
    count
        How many vectors at most.
    neuron
        Whose weights.
    run
        What returns the bits of the layer's input for some images; by default the exact network.
        One that was trained for circuits is itself with circuits only.

    Returns
    -------
    array
        Whether weight and activation agree, of shape (vectors, fan-in), in the order of `ORDER`.
        A tap in padding of zeros counts as an activation of -1, as in the target ``majority``.

    Raises
    ------
    ConfigError
        If the layer has no such neuron.
    DataError
        If the images do not fit the program, or give fewer than two vectors.
    """
    if not 0 <= neuron < layer.neurons:
        raise ConfigError(
            f"layer '{layer.name}' has no neuron {neuron}", f"give one of 0..{layer.neurons - 1}"
        )
    needed = images[: -(-count // layer.windows)]
    if len(needed) * layer.windows < 2:
        raise DataError(
            f"{len(needed)} images give layer '{layer.name}' {len(needed) * layer.windows} vectors",
            "an operation is a change from one to the next: use more images",
        )
    if run is None:
        run = partial(NativeProgram(program, keep=[layer.dot.source]).run, threads=threads)
    parts = []
    for start in range(0, len(needed), BATCH):
        bits = run(needed[start : start + BATCH])[layer.dot.source]
        parts.append(_products(layer, bits, neuron))
    return np.concatenate(parts)[:count]


def _products(
    layer: PopcountLayer, bits: npt.NDArray[np.bool_], neuron: int
) -> npt.NDArray[np.bool_]:
    """Return the products of one neuron with maps of bits, of shape (images * windows, fan-in)."""
    dot, channels = layer.dot, layer.shape[2]
    first = neuron * dot.groups // layer.neurons * channels
    windows = window_view(dot, bits)[..., first : first + channels]
    return np.asarray(windows == dot.weights[neuron]).reshape(-1, layer.inputs)
