"""From a column's current to a count: what counts as one cell, and the converter."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bitwright.errors import ConfigError

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Sensing:
    """How currents become counts.

    Parameters
    ----------
    unit_amp
        The current that counts as one cell: of an ideal cell that is on, times the layer's gain.
    bits
        Of the converter; None for a step of one cell and any range.
    full_scale
        What the highest code stands for, in cells; the lowest stands for 0.
    offset, noise
        Added to what is converted, and the standard deviation of that, in cells.

    Raises
    ------
    ConfigError
        If a number is out of range.
    """

    unit_amp: float
    bits: int | None = None
    full_scale: float = 0.0
    offset: float = 0.0
    noise: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.unit_amp < np.inf:
            raise ConfigError(
                f"a cell's current is {self.unit_amp} A", "check read voltage, resistance and gain"
            )
        if self.bits is not None and self.bits < 1:
            raise ConfigError(f"the converter has {self.bits} bits", "give 1 or more")
        if self.bits is not None and not self.full_scale > 0:
            raise ConfigError("the converter's range is empty", "calibrate on images with signals")

    @property
    def step(self) -> float:
        """What one code is worth, in cells."""
        return 1.0 if self.bits is None else self.full_scale / (2**self.bits - 1)

    @property
    def plain(self) -> bool:
        """Whether a count is simply the nearest whole number of cells."""
        return self.bits is None and not self.offset and not self.noise

    def counts(self, currents: Array, rng: np.random.Generator) -> Array:
        """Return what is read, in cells.

        Parameters
        ----------
        currents
            In ampere.
        rng
            Draws the noise.
        """
        seen = currents / self.unit_amp + self.offset
        if self.noise:
            seen += rng.normal(0.0, self.noise, seen.shape)
        codes = np.rint(seen / self.step)
        if self.bits is not None:
            codes = np.clip(codes, 0, 2**self.bits - 1)
        return np.asarray(codes * self.step)
