"""A cell's curves as piecewise polynomials: what the solver looks up instead of computing.

Requirements:

- A curve depends on one voltage alone, which a column bounds by the read voltage: a transistor's
  normalised current at one end, a memristor's current.
- A table is as good as its `Form` says, or there is none, and the formula is computed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numpy.polynomial import Chebyshev, Polynomial

from bitwright.native.reals import BYTES, VD, VF

Array = npt.NDArray[np.float64]
Curve = Callable[[Array], Array]


@dataclass(frozen=True)
class Form:
    """How a table is made.

    Parameters
    ----------
    pieces, dtype
        Of the vectors that look it up.
    terms
        Powers of a piece, the zeroth included.
    steep
        Powers whose derivatives count in full (`bitwright.native.reals.look_up`): what Newton's
        method converges to does not depend on derivatives; errors of 1e-5 do not slow it down.
    error
        Allowed, of the curve's largest value.
    """

    pieces: int
    dtype: type
    terms: int
    steep: int
    error: float


FORMS = {VD: Form(8, np.float64, 10, 5, 2e-11), VF: Form(16, np.float32, 5, 3, 1e-6)}
_SLACK = 1e-5
"""Of a piece, at both ends: rounding leads nowhere else."""


def tabulate(curve: Curve, low: float, high: float, form: Form) -> Array | None:
    """Return a curve's table as memory, or None if it would be wrong by more than allowed."""
    scale = (1 - _SLACK) * form.pieces / (high - low)
    shift = -0.5 * (1 - _SLACK) - low * scale
    table: npt.NDArray[np.floating] = np.zeros(
        (1 + form.terms, BYTES // np.dtype(form.dtype).itemsize), form.dtype
    )
    table[0].view(np.float64)[:2] = scale, shift
    half = 0.5 + _SLACK
    rest = np.linspace(-half, half, 101)
    worst = largest = 0.0
    for piece in range(form.pieces):

        def of_rest(t: Array, piece: int = piece) -> Array:
            return curve((t + piece - shift) / scale)

        fit = Chebyshev.interpolate(of_rest, form.terms - 1, domain=[-half, half])
        coefficients = fit.convert(kind=Polynomial).coef
        with np.errstate(over="ignore"):
            table[1 : 1 + len(coefficients), piece] = coefficients
        exact = of_rest(rest)
        worst = max(worst, float(np.abs(fit(rest) - exact).max()))
        largest = max(largest, float(np.abs(exact).max()))
    good = worst <= form.error * largest and np.isfinite(table).all()
    return table.view(np.float64).ravel() if good else None


def tables_of(kind: str, numbers: Array, read_volt: float, form: Form) -> list[Array] | None:
    """Return the tables of a cell, in the order of its emitted code, or None if one is not had.

    Currents are in units of the transistor's specific current.

    Parameters
    ----------
    kind, numbers
        The cell's, and what its emitted code takes (`Cell.numbers`).
    """
    pinch_off, half_inverse, specific = numbers[:3]
    curves: list[tuple[Curve, float]] = [
        (lambda v: np.logaddexp(0, (pinch_off - v) * half_inverse) ** 2, 0.0)
    ]
    if kind == "reram1t1r":
        scale, inverse_volt = numbers[4:6]
        curves.append((lambda v: scale / specific * np.sinh(v * inverse_volt), -read_volt))
    tables = [tabulate(curve, low, read_volt, form) for curve, low in curves]
    found = [table for table in tables if table is not None]
    return found if len(found) == len(tables) else None
