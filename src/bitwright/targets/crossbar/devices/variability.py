"""Cells as they come out of programming: spread, and some stuck.

Requirements:

- Randomness comes from the `rng` alone, and a call takes the same draws whatever the settings, so
  that arrays that differ in one setting differ in nothing else.
- A cell's conductance is lognormal around the nominal one of its bit; stuck cells spread as well.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bitwright.errors import ConfigError
from bitwright.targets.crossbar.devices.cells import Cell

Array = npt.NDArray[np.float64]


def program(
    bits: npt.NDArray[np.bool_],
    cell: Cell,
    rng: np.random.Generator,
    sigma: float = 0.0,
    stuck_on: float = 0.0,
    stuck_off: float = 0.0,
) -> Array:
    """Return what multiplies the storing elements of cells that are programmed.

    Parameters
    ----------
    bits
        (rows, columns): what is to be stored.
    cell
        Whose ``1 / on_off_ratio`` is the nominal multiplier of a stored 0; a stored 1 has 1.
    rng
        Where the draws come from.
    sigma
        Standard deviation of the conductance's natural logarithm, 0 or more.
    stuck_on, stuck_off
        The shares of cells that hold a 1 or a 0 whatever they are given; together at most 1.

    Returns
    -------
    Array
        (rows, columns), 0 or more.

    Raises
    ------
    ConfigError
        If a number is out of range.
    """
    check(sigma, stuck_on, stuck_off)
    fate, spread = rng.random(bits.shape), rng.standard_normal(bits.shape)
    stored = np.where(fate < stuck_on, True, bits & (fate >= stuck_on + stuck_off))
    return np.where(stored, 1.0, 1 / cell.on_off_ratio) * np.exp(sigma * spread)


def check(sigma: float, stuck_on: float, stuck_off: float) -> None:
    """Refuse numbers that `program` cannot work with; see there."""
    if not 0 <= sigma < np.inf:
        raise ConfigError(f"sigma is {sigma}", "give a finite spread of 0 or more")
    for name, share in (("stuck_on", stuck_on), ("stuck_off", stuck_off)):
        if not 0 <= share <= 1:
            raise ConfigError(f"{name} is {share}", "give a share in [0, 1]")
    if stuck_on + stuck_off > 1:
        raise ConfigError(
            f"{stuck_on} of the cells are stuck on and {stuck_off} stuck off",
            "give shares that add up to at most 1",
        )
