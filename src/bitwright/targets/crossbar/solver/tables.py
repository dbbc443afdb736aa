"""A cell's curves as piecewise polynomials: what the solver looks up instead of computing.

Requirements:

- A curve depends on one voltage alone, which a column bounds by the read voltage: a transistor's
  normalised current at one end, a memristor's current.
- A table is as good as the formula: its largest error is below `ERROR` of the curve's largest
  value, or there is none, and the formula is computed.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from numpy.polynomial import Chebyshev, Polynomial

from bitwright.native.doubles import PIECES

Array = npt.NDArray[np.float64]
Curve = Callable[[Array], Array]
TERMS = 10
"""Powers of a piece, the zeroth included."""

STEEP = 5
"""Powers whose derivatives count in full (`bitwright.native.doubles.look_up`): what Newton's method
converges to does not depend on derivatives; errors of 1e-5 do not slow it down."""

ERROR = 2e-11
_SLACK = 1e-9
"""Of a piece, at both ends: rounding leads nowhere else."""


def tabulate(curve: Curve, low: float, high: float) -> Array | None:
    """Return a curve's table, (1 + TERMS, 8), or None if it would not be right within `ERROR`."""
    width = (high - low) / PIECES
    half = 0.5 + _SLACK
    table = np.zeros((1 + TERMS, PIECES))
    table[0, :2] = (1 - _SLACK) / width, -0.5 * (1 - _SLACK) - low * (1 - _SLACK) / width
    rest = np.linspace(-half, half, 101)
    worst = largest = 0.0
    for piece in range(PIECES):

        def of_rest(t: Array, piece: int = piece) -> Array:
            return curve((t + piece - table[0, 1]) / table[0, 0])

        fit = Chebyshev.interpolate(of_rest, TERMS - 1, domain=[-half, half])
        polynomial = fit.convert(kind=Polynomial)
        table[1:, piece] = np.pad(polynomial.coef, (0, TERMS - len(polynomial.coef)))
        exact = of_rest(rest)
        worst = max(worst, float(np.abs(polynomial(rest) - exact).max()))
        largest = max(largest, float(np.abs(exact).max()))
    return table if worst <= ERROR * largest else None


def tables_of(kind: str, numbers: Array, read_volt: float) -> list[Array] | None:
    """Return the tables of a cell, in the order of its emitted code, or None if one is not had.

    Parameters
    ----------
    kind, numbers
        The cell's, and what its emitted code takes (`Cell.numbers`).
    """
    pinch_off, half_inverse = numbers[:2]
    tables = [
        tabulate(lambda v: np.logaddexp(0, (pinch_off - v) * half_inverse) ** 2, 0.0, read_volt)
    ]
    if kind == "reram1t1r":
        scale, inverse_volt = numbers[4:6]
        tables.append(tabulate(lambda v: scale * np.sinh(v * inverse_volt), -read_volt, read_volt))
    found = [table for table in tables if table is not None]
    return found if len(found) == len(tables) else None
