"""`SkipLayer`: a binary dot product whose bits are all that is ever read of it.

Requirements:

- A threshold follows, with a max-pool before it or behind it if there is one; nothing else reads
  what lies between, so no count need be exact. A dot product that feeds arithmetic, as in residual
  networks, is not skippable; nor is a grouped one, which the native engine counts as integers.
- All that is done with a count m of matches is ``m >= limit``: a falling neuron (d <= t) is the
  opposite of ``d >= t + 1``. With r taps that exist, d = 2 m - r.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bitwright.ir import ops as o
from bitwright.ir.program import Program
from bitwright.ir.rules import window_shape
from bitwright.native.convolution import Dot, dot_of
from bitwright.native.fusion import find_fused, only_reader
from bitwright.targets.reuse.dynamic.constants import constant_bits


@dataclass(frozen=True, eq=False)
class SkipLayer:
    """A skippable layer.

    Parameters
    ----------
    name
        The dot product's name.
    bits
        The value that it makes: bits, after the pool if there is one.
    dot
        The dot product: weights, geometry and the value that it reads.
    thresholds, rising
        A bit is ``d >= threshold`` where rising, else ``d <= threshold``; (neurons,).
    pool
        A max-pool between the dot product and the bits, or behind them.
    pool_first
        Whether the pool takes the maximum of dot products, before the threshold.
    known
        What is known of the source, one of -1 (unknown), 0, 1 a channel.
    """

    name: str
    bits: str
    dot: Dot
    thresholds: npt.NDArray[np.int64]
    rising: npt.NDArray[np.bool_]
    pool: o.MaxPool2d | None
    pool_first: bool
    known: npt.NDArray[np.int8]

    @property
    def neurons(self) -> int:
        """The number of kernels."""
        return len(self.dot.weights)

    @property
    def fan_in(self) -> int:
        """The number of taps of a kernel."""
        return int(self.dot.weights[0].size)

    @property
    def kernels(self) -> npt.NDArray[np.bool_]:
        """The kernels, True for +1; (neurons, taps)."""
        return self.dot.weights.reshape(self.neurons, -1)

    @property
    def windows(self) -> int:
        """The number of windows in an image."""
        return self.dot.windows.number

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape of its bits: rows, columns, neurons; 1, 1, neurons for a dense layer."""
        rows, columns = self.dot.windows.counts
        if self.pool is not None:
            size = (rows, columns, self.neurons)
            pool = self.pool
            rows, columns = window_shape(size, pool.kernel, pool.stride, pool.padding)
        return rows, columns, self.neurons

    @property
    def stops(self) -> npt.NDArray[np.bool_]:
        """The outcome of ``m >= limit`` that decides a pool, (neurons,).

        An OR of bits is decided by a 1, which for falling neurons is an ``m`` below the limit. A
        maximum of dot products is decided by an ``m`` that reaches it.
        """
        return np.ones(self.neurons, np.bool_) if self.pool_first else self.rising

    def limits(self, real: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the counts of matches that decide, (classes, neurons), for r taps that exist."""
        reached = self.thresholds + ~self.rising
        return np.asarray(-((-real[:, None] - reached) // 2), np.int64)

    def members(self) -> npt.NDArray[np.int64]:
        """Return the windows of each pool, (pools, windows of a pool), in order; -1 for none.

        Without a pool each window is alone.
        """
        rows, columns = self.dot.windows.counts
        if self.pool is None:
            return np.arange(self.windows)[:, None]
        kernel, stride, (top, _, left, _) = self.pool.kernel, self.pool.stride, self.pool.padding
        y = np.arange(self.shape[0])[:, None] * stride[0] - top + np.arange(kernel[0])
        x = np.arange(self.shape[1])[:, None] * stride[1] - left + np.arange(kernel[1])
        outside_y, outside_x = (y < 0) | (y >= rows), (x < 0) | (x >= columns)
        places = y[:, None, :, None] * columns + x[None, :, None, :]
        outside = outside_y[:, None, :, None] | outside_x[None, :, None, :]
        found = np.where(outside, -1, places).reshape(-1, kernel[0] * kernel[1])
        return np.ascontiguousarray(found, np.int64)


def skip_layers(program: Program) -> dict[str, SkipLayer]:
    """Return a program's skippable layers by the names of their dot products, in order."""
    dots = {
        op.output: dot_of(program, op) for op in program.ops if isinstance(op, o.Conv2d | o.Dense)
    }
    known = constant_bits(program)
    found = {}
    for name, fused in find_fused(program, program.outputs, dots).items():
        dot = fused.dot
        if dot.method != "binary":
            continue
        threshold = program.definitions[name]
        behind = only_reader(program, program.outputs, name)
        pool, bits = fused.pool, name
        if pool is None and isinstance(behind, o.MaxPool2d):
            pool, bits = behind, behind.output
        found[dot.op.output] = SkipLayer(
            name=dot.op.output,
            bits=bits,
            dot=dot,
            thresholds=program.tensor(threshold, "thresholds").astype(np.int64),
            rising=program.tensor(threshold, "rising"),
            pool=pool,
            pool_first=fused.pool is not None,
            known=known[dot.source],
        )
    return found
