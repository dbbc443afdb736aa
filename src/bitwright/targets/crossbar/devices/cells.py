"""Cells of a crossbar: what flows from source line to bit line, and how it depends on both.

Requirements:

- Every number has its unit in its name; where it comes from is in `...devices.presets`.
- A cell's current at full voltage is ``read_volt / on_ohm`` by definition: the transistors' or the
  memristor's scale is derived from that, so that sweeps over ``on_ohm`` change nothing else.
- A weight of 1 multiplies the storing element by 1, a weight of 0 by ``1 / on_off_ratio``;
  variability multiplies it further. A cell whose word line is off conducts ``unselected``, a linear
  conductance.
- ``current`` is the definition, in NumPy; `...solver.elements` has the same as vector code.
- Every number is in a range (`CELL`, `TRANSISTORS`, `MEMRISTOR`) in which the equations can be
  computed; in which of them columns converge for certain is another matter (`...solver.tested`).

A transistor is EKV's: ``I = I_spec (F(v_low) - F(v_high)) (1 + modulation |v_high - v_low|)`` with
``F(v) = ln(1 + exp((v_p - v) / (2 v_T)))^2``, ``v_p = (v_gate - threshold) / slope_factor`` and
voltages against the bulk (Enz, Krummenacher, Vittoz, "An analytical MOS transistor model valid in
all regions of operation", 1995). A memristor is ``I = scale sinh(v / sinh_volt)``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from bitwright.errors import ConfigError
from bitwright.targets.crossbar.devices.ranges import Range, check

Array = npt.NDArray[np.float64]
BOLTZMANN_VOLT_PER_KELVIN = 1.380649e-23 / 1.602176634e-19
MOST_VOLT = 10.0
"""At a transistor, or across a column."""

CELL = {
    "on_ohm": Range(1e-3, 1e12, "ohm"),
    "on_off_ratio": Range(1, 1e30, infinite=True),
    "unselected_share": Range(0, 1),
}
"""What the numbers of any cell may be."""

TRANSISTORS = {
    "supply_volt": Range(0, MOST_VOLT, "V"),
    "threshold_volt": Range(-MOST_VOLT, MOST_VOLT, "V"),
    "slope_factor": Range(1, 10),
    "modulation_per_volt": Range(0, 10, "1/V"),
    "temperature_kelvin": Range(1, 1000, "K"),
}
"""The same of transistors; the supply is above the threshold."""

MEMRISTOR = {"sinh_volt": Range(1e-3, 1e3, "V"), "access_share": Range(1e-6, 1 - 1e-6)}
"""The same of a memristor and its transistor."""

MOST_SINH_VOLTS = 80.0
"""Read voltage in units of `Reram1T1R.sinh_volt`: floats can hold the hyperbolic sine of that."""


class Cell(Protocol):
    """One kind of cell."""

    kind: ClassVar[str]

    @property
    def on_ohm(self) -> float:
        """Read voltage by current of a cell that is on."""

    @property
    def on_off_ratio(self) -> float:
        """What a weight of 1 conducts by what one of 0 does."""

    @property
    def unselected_share(self) -> float:
        """Conductance of a cell whose word line is off, in units of ``1 / on_ohm``."""

    def __hash__(self) -> int:
        """Cells are frozen."""

    def numbers(self, read_volt: float) -> Array:
        """Return what the emitted code takes, in its order."""

    def elements(self, s: Array, x: Array, b: Array, weight: Array, read_volt: float) -> Elements:
        """Return what flows through both elements, x being the voltage between them."""


@dataclass(frozen=True)
class Elements:
    """Currents of a cell's two elements, and how they change: each array of one shape.

    ``d upper = upper_by_s ds - upper_by_x dx``, ``d lower = lower_by_x dx - lower_by_b db``.
    """

    upper: Array
    upper_by_s: Array
    upper_by_x: Array
    lower: Array
    lower_by_x: Array
    lower_by_b: Array


@dataclass(frozen=True)
class Tangent:
    """A cell's current, the voltage between its elements, and how both change: of one shape.

    ``d current = by_s ds - by_b db``, ``d middle = middle_by_s ds + middle_by_b db``.
    """

    current: Array
    by_s: Array
    by_b: Array
    middle: Array
    middle_by_s: Array
    middle_by_b: Array


@dataclass(frozen=True, kw_only=True)
class Linear:
    """A resistor.

    Parameters
    ----------
    on_ohm
        Resistance of a weight of 1.
    on_off_ratio
        Resistance of a weight of 0 in units of that; infinite is allowed.
    unselected_share
        Conductance of a cell whose word line is off, in units of ``1 / on_ohm``.

    Raises
    ------
    ConfigError
        If a number is not in its range: `CELL`.
    """

    kind: ClassVar[str] = "linear"
    on_ohm: float = 25e3
    on_off_ratio: float = float("inf")
    unselected_share: float = 0.0

    def __post_init__(self) -> None:
        check(self, CELL)

    def numbers(self, read_volt: float) -> Array:  # noqa: D102 - as in `Cell`
        return np.zeros(0)

    def elements(  # noqa: D102 - as in `Cell`
        self,
        s: Array,
        x: Array,
        b: Array,
        weight: Array,
        read_volt: float,
    ) -> Elements:
        half = 2 * weight / self.on_ohm
        return Elements(half * (s - x), half, half, half * (x - b), half, half)


@dataclass(frozen=True, kw_only=True)
class Transistors:
    """What cells with transistors have in common.

    Parameters
    ----------
    supply_volt, threshold_volt, slope_factor, modulation_per_volt
        Of the transistors; the supply is their gates' voltage.
    temperature_kelvin
        Sets the thermal voltage.
    """

    supply_volt: float = 0.7
    threshold_volt: float = 0.366
    slope_factor: float = 1.2
    modulation_per_volt: float = 0.1
    temperature_kelvin: float = 300.0

    def __post_init__(self) -> None:
        if not self.supply_volt > self.threshold_volt:
            raise ConfigError(
                f"the threshold of {self.threshold_volt} V is not below the supply of "
                f"{self.supply_volt} V",
                "transistors that are on need a supply above their threshold",
            )
        check(self, TRANSISTORS)


@dataclass(frozen=True, kw_only=True)
class Sram8T(Transistors):
    """The read port of an 8T-SRAM cell: two equal transistors in series.

    The word line is the upper one's gate, the stored bit the lower one's; both are at the supply
    when they are 1.

    Parameters
    ----------
    on_ohm
        Read voltage by current of a cell that is on, without drops in the wires.
    on_off_ratio
        That current by the one of a stored 0 or of a word line that is off.
    unselected_share
        Conductance of a cell whose word line is off, in units of ``1 / on_ohm``.
    supply_volt, threshold_volt, slope_factor, modulation_per_volt, temperature_kelvin
        As `Transistors` has them.

    Raises
    ------
    ConfigError
        If a number is not in its range: `CELL`, `TRANSISTORS`.
    """

    kind: ClassVar[str] = "sram8t"
    on_ohm: float = 12.3e3
    on_off_ratio: float = 1.8e6
    unselected_share: float = 0.0

    def __post_init__(self) -> None:
        check(self, CELL)
        super().__post_init__()

    def numbers(self, read_volt: float) -> Array:  # noqa: D102 - as in `Cell`
        fet = _Transistor.of(self)
        return np.array(
            [fet.pinch_off, fet.half_inverse, _specific_ampere(self, read_volt), fet.modulation]
        )

    def elements(  # noqa: D102 - as in `Cell`
        self, s: Array, x: Array, b: Array, weight: Array, read_volt: float
    ) -> Elements:
        fet = _Transistor.of(self)
        scale = _specific_ampere(self, read_volt) * weight
        return Elements(*fet.flow(s, x, scale), *fet.flow(x, b, scale))


@dataclass(frozen=True, kw_only=True)
class Reram1T1R(Transistors):
    """A memristor on the source line, in series with an access transistor to the bit line.

    Parameters
    ----------
    on_ohm
        Read voltage by current of a selected cell with weight 1, without drops in the wires.
    on_off_ratio
        The memristor's conductance with weight 1 by that with weight 0.
    unselected_share
        Conductance of a cell whose word line is off, in units of ``1 / on_ohm``.
    sinh_volt
        Above about this voltage the memristor's current rises exponentially.
    access_share
        The share of the read voltage that is left to the transistor, of a cell that is on.
    supply_volt, threshold_volt, slope_factor, modulation_per_volt, temperature_kelvin
        As `Transistors` has them.

    Raises
    ------
    ConfigError
        If a number is not in its range: `CELL`, `TRANSISTORS`, `MEMRISTOR`; from what takes a read
        voltage, if that is more than `MOST_SINH_VOLTS` times ``sinh_volt``.
    """

    kind: ClassVar[str] = "reram1t1r"
    on_ohm: float = 25e3
    on_off_ratio: float = 40.0
    unselected_share: float = 0.0
    sinh_volt: float = 0.25
    access_share: float = 0.2

    def __post_init__(self) -> None:
        check(self, CELL)
        super().__post_init__()
        check(self, MEMRISTOR)

    def numbers(self, read_volt: float) -> Array:  # noqa: D102 - as in `Cell`
        fet = _Transistor.of(self)
        specific, scale = self._scales(read_volt)
        return np.array(
            [
                fet.pinch_off,
                fet.half_inverse,
                specific,
                fet.modulation,
                scale,
                1 / self.sinh_volt,
            ]
        )

    def elements(  # noqa: D102 - as in `Cell`
        self, s: Array, x: Array, b: Array, weight: Array, read_volt: float
    ) -> Elements:
        specific, scale = self._scales(read_volt)
        upper = scale * weight * np.sinh((s - x) / self.sinh_volt)
        slope = scale * weight / self.sinh_volt * np.cosh((s - x) / self.sinh_volt)
        return Elements(upper, slope, slope, *_Transistor.of(self).flow(x, b, specific))

    def _scales(self, read_volt: float) -> tuple[float, float]:
        if not read_volt <= MOST_SINH_VOLTS * self.sinh_volt:
            raise ConfigError(
                f"read_volt of {read_volt} V is {read_volt / self.sinh_volt:.3g} times sinh_volt",
                f"give at most {MOST_SINH_VOLTS:g} times: memristors are too far from Ohm's law",
            )
        across = read_volt * self.access_share
        current = read_volt / self.on_ohm
        specific = current / _Transistor.of(self).flow(across, 0.0, 1.0)[0]
        return float(specific), float(current / np.sinh((read_volt - across) / self.sinh_volt))


@dataclass(frozen=True)
class _Transistor:
    """EKV's equations; arguments broadcast."""

    pinch_off: float
    half_inverse: float
    modulation: float

    @classmethod
    def of(cls, cell: Transistors) -> _Transistor:
        thermal = BOLTZMANN_VOLT_PER_KELVIN * cell.temperature_kelvin
        pinch_off = (cell.supply_volt - cell.threshold_volt) / cell.slope_factor
        return cls(pinch_off, 1 / (2 * thermal), cell.modulation_per_volt)

    def flow(self, high: Array | float, low: Array | float, scale: Array | float) -> list[Array]:
        """Return the current and its derivatives by ``high`` and, negative, by ``low``."""
        high, low = np.asarray(high), np.asarray(low)
        modulated = 1 + self.modulation * np.abs(high - low)
        (f_high, d_high), (f_low, d_low) = self._charge(high), self._charge(low)
        plain = f_low - f_high
        lengthened = self.modulation * np.abs(plain)
        return [
            scale * plain * modulated,
            scale * (d_high * modulated + lengthened),
            scale * (d_low * modulated + lengthened),
        ]

    def _charge(self, voltage: Array) -> tuple[Array, Array]:
        z = (self.pinch_off - voltage) * self.half_inverse
        log = np.logaddexp(0, z)
        with np.errstate(over="ignore"):  # far above the pinch-off nothing is left
            return log**2, 2 * log * self.half_inverse / (1 + np.exp(-z))


@cache
def _specific_ampere(cell: Sram8T, read_volt: float) -> float:
    """Return the scale with which two transistors in series carry ``read_volt / on_ohm``."""
    fet = _Transistor.of(cell)
    x = balance(lambda x: fet.flow(read_volt, x, 1.0)[0] - fet.flow(x, 0.0, 1.0)[0], read_volt)
    return float(read_volt / cell.on_ohm / fet.flow(x, 0.0, 1.0)[0])


def balance(difference, highest: float) -> float:  # type: ignore[no-untyped-def]
    """Return the voltage in [0, highest] at which a falling difference is 0."""
    from scipy.optimize import (  # type: ignore[import-untyped]  # noqa: PLC0415 - takes long
        brentq,
    )

    return float(brentq(difference, 0.0, highest, xtol=1e-16, rtol=1e-15))


def middle(cell: Cell, s: Array, b: Array, weight: Array, read_volt: float) -> Array:
    """Return the voltage between a cell's elements, by bisection and Newton's method.

    Parameters
    ----------
    s, b, weight
        Arrays of one shape: the rails' voltages in volt, and the cell's weight above 0.
    """
    low, high = np.minimum(s, b).astype(np.float64), np.maximum(s, b).astype(np.float64)
    x = (low + high) / 2
    for _ in range(200):
        e = cell.elements(s, x, b, weight, read_volt)
        excess = e.upper - e.lower
        low, high = np.where(excess > 0, x, low), np.where(excess > 0, high, x)
        with np.errstate(divide="ignore", invalid="ignore"):  # far from there nothing changes
            step = x + excess / (e.upper_by_x + e.lower_by_x)
        new = np.where((step > low) & (step < high), step, (low + high) / 2)
        if np.all(np.abs(new - x) <= 1e-16 * read_volt):
            break
        x = new
    return x


def tangent(cell: Cell, s: Array, b: Array, weight: Array, read_volt: float) -> Tangent:
    """Return what flows through selected cells, and how it changes; see `middle`."""
    x = middle(cell, s, b, weight, read_volt)
    e = cell.elements(s, x, b, weight, read_volt)
    inverse = 1 / (e.upper_by_x + e.lower_by_x)
    by_s, by_b = e.upper_by_s * inverse, e.lower_by_b * inverse
    # With a last step of x: where one element takes little voltage, the other knows the current.
    balanced = e.lower + e.lower_by_x * inverse * (e.upper - e.lower)
    return Tangent(balanced, e.lower_by_x * by_s, e.upper_by_x * by_b, x, by_s, by_b)


def current(
    cell: Cell, s: Array | float, b: Array | float, weight: Array | float, read_volt: float
) -> Array:
    """Return what flows through selected cells, in ampere; arguments broadcast."""
    s, b, weight = np.broadcast_arrays(
        np.asarray(s, np.float64), np.asarray(b, np.float64), np.asarray(weight, np.float64)
    )
    x = middle(cell, s, b, np.maximum(weight, 1e-300), read_volt)
    return cell.elements(s, x, b, weight, read_volt).lower
