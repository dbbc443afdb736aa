"""`LayerLoad`: what one binary layer asks of an accelerator, for one image.

Requirements:

- A load is plain numbers: where they come from (a program, a plan of tiles, counters of real
  images) is nothing to the hardware model.
- What depends on data is one array, `used`; everything else follows from shapes and weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bitwright.errors import ConfigError

Integers = npt.NDArray[np.integer[Any]]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class LayerLoad:
    """One layer.

    Parameters
    ----------
    name
        The layer.
    windows
        Windows of one image; 1 for a dense layer.
    channels
        Kernels, each of which meets every window.
    fan_in
        Bits of a kernel.
    tile
        Bits of a tile, at most; the last tile may hold fewer.
    tiles
        How many tiles a kernel is cut into; 0 for as few as will do. Tiles that do not cross the
        rows of a kernel are more.
    distinct
        (tiles,) how many patterns the kernels have in each tile, up to complement
        (`distinct_patterns`); None where patterns are not shared.
    used
        (images, windows, channels) how many tiles it took to know each bit: 0 .. tiles, 0 for one
        that took no work at all. Windows lie in the order in which they are done: with a pool, each
        `pool` of them in a row make one output. None where all tiles are done. A sample may stop
        after fewer windows, then it stands for all.
    fires
        (images, windows, channels) where a bit decides its pool, so that the pool's later windows
        need no work; None where that is not known, or is in `used` already.
    pool
        Windows that make one output bit by OR.
    input_bits
        Bits of the map that it reads; 0 for what the layer before it writes.

    Raises
    ------
    ConfigError
        If a number is out of range, or an array does not fit.
    """

    name: str
    windows: int
    channels: int
    fan_in: int
    tile: int
    tiles: int = 0
    distinct: Integers | None = None
    used: Integers | None = None
    fires: Bools | None = None
    pool: int = 1
    input_bits: int = 0

    def __post_init__(self) -> None:
        for name in ("windows", "channels", "fan_in", "tile", "pool"):
            if getattr(self, name) < 1:
                self._refuse(f"{name} is {getattr(self, name)}", "give at least 1")
        if not self.tiles:
            object.__setattr__(self, "tiles", -(-self.fan_in // self.tile))
        if not -(-self.fan_in // self.tile) <= self.tiles <= self.fan_in:
            self._refuse(
                f"{self.tiles} tiles of {self.tile} bits do not make {self.fan_in}",
                f"give {-(-self.fan_in // self.tile)}..{self.fan_in}, or 0",
            )
        if self.windows % self.pool:
            self._refuse(
                f"{self.windows} windows are no whole number of pools of {self.pool}",
                "leave out the windows that no pool reads",
            )
        if self.distinct is not None and (
            self.distinct.shape != (self.tiles,)
            or self.distinct.min() < 1
            or self.distinct.max() > self.channels
        ):
            self._refuse(
                "distinct patterns do not fit",
                f"give {self.tiles} numbers of 1..{self.channels}",
            )
        self._check_sample()

    def _check_sample(self) -> None:
        used, fires = self.used, self.fires
        if used is None:
            if fires is not None:
                self._refuse("bits without tiles say nothing", "give used with fires")
            return
        if (
            used.ndim != 3
            or used.shape[2] != self.channels
            or not 1 <= used.shape[1] <= self.windows
            or used.shape[1] % self.pool
            or len(used) < 1
            or used.min() < 0
            or used.max() > self.tiles
        ):
            self._refuse(
                f"tiles used are of shape {used.shape}, or beyond 0..{self.tiles}",
                f"give (images, at most {self.windows} windows in whole pools of {self.pool}, "
                f"{self.channels} channels)",
            )
        if fires is not None and fires.shape != used.shape:
            self._refuse(f"fires is of shape {fires.shape}", f"give {used.shape}, as used")

    def _refuse(self, cause: str, way_out: str) -> None:
        raise ConfigError(f"the load of layer '{self.name}': {cause}", way_out)

    @property
    def operations(self) -> int:
        """XNORs of an image with nothing left out, as in `bitwright.ir.work` without zero taps."""
        return self.windows * self.channels * self.fan_in

    @property
    def output_bits(self) -> int:
        """Bits of the map that it writes."""
        return self.windows // self.pool * self.channels

    @property
    def whole(self) -> bool:
        """Whether its numbers are those of whole images, and not of some of their windows."""
        return self.used is None or self.used.shape[1] == self.windows

    def tiles_done(self, early: bool, pool: bool) -> Integers | None:
        """Return how many tiles are done, shaped as `used`; None where that is all of them.

        Parameters
        ----------
        early
            Whether work stops where the bit is known.
        pool
            Whether the later windows of a pool are left out where an earlier one has decided it.

        Raises
        ------
        ConfigError
            If that needs `used`, and there is none.
        """
        if early and self.used is None:
            self._refuse(
                "it does not say how many tiles decide a bit",
                "give used, as bitwright.targets.reuse.dynamic counts it, or switch early off",
            )
        if self.used is None or not (early or (pool and self.fires is not None)):
            return None
        done = self.used if early else np.full_like(self.used, self.tiles)
        if not pool or self.fires is None:
            return done
        pools = self.fires.reshape(len(self.used), -1, self.pool, self.channels)
        decided = np.zeros_like(pools)
        decided[:, :, 1:] = np.logical_or.accumulate(pools, axis=2)[:, :, :-1]
        return np.where(decided.reshape(self.used.shape), 0, done)


def distinct_patterns(kernels: Bools, tile: int) -> npt.NDArray[np.int64]:
    """Return how many different patterns kernels have in each tile, up to complement.

    Parameters
    ----------
    kernels
        (channels, fan-in), True for +1.
    tile
        Bits of a tile, at least 1; the last one may hold fewer.

    Returns
    -------
    array
        (tiles,), each 1 .. channels.
    """
    found = []
    for first in range(0, kernels.shape[1], tile):
        piece = kernels[:, first : first + tile]
        # of a pattern and its complement the one whose first bit is 0
        found.append(len(np.unique(piece ^ piece[:, :1], axis=0)))
    return np.asarray(found, np.int64)
