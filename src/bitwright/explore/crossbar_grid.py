"""The grid of a sweep over crossbars: which settings take which values.

Requirements:

- A name that no setting has is an error before any work; values that do not fit each other are not:
  the point is kept, with the reason.
- Beside the target's settings there are the two numbers that linear columns depend on alone
  (REFERENCES: circuit of BinSparX). With the conductance G_on of a cell that is on and n rows:

      x = r G_on n^2,  r the wire resistance of each rail between two rows;
      y = (Rd + Rk) G_on n,  Rd and Rk the resistances of driver and sink, here equal.

  They are turned into resistances with the point's own rows and cell.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

from bitwright.errors import ConfigError, UnknownNameError
from bitwright.targets.crossbar import TARGET, Config
from bitwright.targets.crossbar.cost import Settings as CostSettings
from bitwright.targets.crossbar.devices.cells import Linear, Reram1T1R, Sram8T
from bitwright.targets.crossbar.lower import circuit
from bitwright.targets.crossbar.solver.ladder import Ladder

Value = int | float | str
NUMBERS = {"x": ("source_ohm", "bit_ohm"), "y": ("driver_ohm", "sink_ohm")}
"""The dimensionless numbers, and the wires' settings that they stand for."""
TABLES = {
    "device": {f.name for cell in (Linear, Sram8T, Reram1T1R) for f in fields(cell)},
    "wires": {f.name for f in fields(Ladder)} - {"rows"},
    "cost": {f.name for f in fields(CostSettings)} - {"coefficients"},
}
"""The settings that are tables, and what any technology has in them."""
_HINTS = get_type_hints(Config)
_FIELDS = set(_HINTS) - set(TABLES)
MOST_POINTS = 100_000


@dataclass(frozen=True)
class Axis:
    """A setting and its values.

    Parameters
    ----------
    name
        A setting of the target, one of a table (``device.on_off_ratio``), or one of `NUMBERS`.
    values
        Numbers, or texts: several things are joined by ``+``, nothing is ``none``.
    """

    name: str
    values: tuple[Value, ...]

    @property
    def numeric(self) -> bool:
        """Whether all values are finite numbers."""
        return all(not isinstance(v, str) and math.isfinite(v) for v in self.values)


@dataclass(frozen=True)
class Design:
    """A point of the grid.

    Parameters
    ----------
    at
        The value on each axis.
    config
        The target's settings there; None if they do not fit each other.
    reason
        Why there is none.
    """

    at: Mapping[str, Value]
    config: Config | None
    reason: str = ""


def parse_axis(text: str) -> Axis:
    """Return the axis of a text such as ``rows=32,64``.

    Raises
    ------
    ConfigError
        If there is no such setting, or a value is missing or not a number.
    """
    name, sign, listed = text.partition("=")
    name = name.strip()
    if not sign:
        raise ConfigError(f"'{text}' is no setting with values", "give NAME=VALUE,VALUE,...")
    check_name(name)
    values = tuple(dict.fromkeys(_value(part.strip(), text) for part in listed.split(",")))
    for value in values if name in NUMBERS else ():
        if isinstance(value, str) or not 0 <= value < math.inf:
            raise ConfigError(f"{name} is {value}", "give numbers of 0 or more")
    return Axis(name, values)


def check_name(name: str) -> None:
    """Refuse the name of a setting that there is not.

    Raises
    ------
    ConfigError
        Naming near ones.
    """
    table, dot, field = name.partition(".")
    if dot and table in TABLES:
        kind, name, known = f"setting of [{table}]", field, TABLES[table]
    else:
        listed = {f"{table}.{field}" for table, fields in TABLES.items() for field in fields}
        kind, known = "setting to sweep", _FIELDS | set(NUMBERS) | listed
    if name not in known:
        unknown = UnknownNameError(kind, name, known)
        raise ConfigError(unknown.cause, unknown.way_out)


def _value(text: str, where: str) -> Value:
    if not text:
        raise ConfigError(f"'{where}' lacks a value", "give NAME=VALUE,VALUE,...")
    for kind in (int, float):
        try:
            value = kind(text)
        except ValueError:
            continue
        if math.isnan(value):
            raise ConfigError(f"'{where}' has a value that is no number", "leave it out")
        return value
    return text


def grid(axes: Sequence[Axis], base: Mapping[str, Any]) -> list[Design]:
    """Return all points, the last axis varying fastest.

    Parameters
    ----------
    axes
        At least one.
    base
        The settings that are not swept; `axes` go before them.

    Raises
    ------
    ConfigError
        If axes stand for the same settings, a value alone is out of range, or no point can be
        built.
    """
    names = [axis.name for axis in axes]
    if not names:
        raise ConfigError("there is nothing to sweep", "give at least one setting and its values")
    covered = [setting for name in names for setting in _covered(name)]
    for setting in covered:
        if covered.count(setting) > 1:
            raise ConfigError(
                f"{setting} is swept twice", "leave out one of: " + ", ".join(sorted(set(names)))
            )
    if math.prod(len(axis.values) for axis in axes) > MOST_POINTS:
        raise ConfigError("the grid is too large", f"give at most {MOST_POINTS:,} points")
    _check_base(base)
    for axis in axes:
        for value in () if axis.name in NUMBERS else axis.values:
            TARGET.configure(_set(base, axis.name, value))
    designs = list(_designs(axes, base))
    if all(design.config is None for design in designs):
        raise ConfigError(
            f"no point of the sweep can be built; the first: {designs[0].reason}",
            "change what is swept, or the settings that all points share",
        )
    return designs


def _covered(name: str) -> tuple[str, ...]:
    return tuple(f"wires.{field}" for field in NUMBERS[name]) if name in NUMBERS else (name,)


def _check_base(base: Mapping[str, Any]) -> None:
    TARGET.configure(base)
    for table in TABLES:
        for field in base.get(table, {}):
            check_name(f"{table}.{field}")


def _designs(axes: Sequence[Axis], base: Mapping[str, Any]) -> Iterator[Design]:
    for values in itertools.product(*(axis.values for axis in axes)):
        at = dict(zip((axis.name for axis in axes), values, strict=True))
        try:
            yield Design(at, config_at(at, base))
        except (ConfigError, UnknownNameError) as error:
            yield Design(at, None, str(error))


def config_at(at: Mapping[str, Value], base: Mapping[str, Any]) -> Config:
    """Return the target's settings at a point.

    Parameters
    ----------
    at
        Settings by name, and `NUMBERS`.
    base
        The other settings.

    Raises
    ------
    ConfigError, UnknownNameError
        If a value is out of range, or a setting of the device is not one of this technology's.
    """
    settings = dict(base)
    for name, value in at.items():
        if name not in NUMBERS:
            settings = _set(settings, name, value)
    config: Config = TARGET.configure(settings)
    costs: Mapping[str, Any] = config.cost
    CostSettings(**costs)
    cell, _ = circuit(config)
    swept = [name for name in NUMBERS if name in at]
    if not swept:
        return config
    if cell is None:
        raise ConfigError("ideal cells have no wires", f"sweep {swept[0]} with another technology")
    ohm_of_one = {"x": cell.on_ohm / config.rows**2, "y": cell.on_ohm / (2 * config.rows)}
    for name in swept:
        for field in NUMBERS[name]:
            settings = _set(settings, f"wires.{field}", ohm_of_one[name] * float(at[name]))
    made: Config = TARGET.configure(settings)
    circuit(made)
    return made


def _set(settings: Mapping[str, Any], name: str, value: Value) -> dict[str, Any]:
    table, dot, field = name.partition(".")
    if dot:
        return {**settings, table: {**settings.get(table, {}), field: value}}
    return {**settings, name: _typed(name, value)}


def _typed(name: str, value: Value) -> Any:
    """Return a value as the target takes it: lists and nothing at all are texts in a sweep."""
    hint = _HINTS[name]
    if get_origin(hint) is tuple:
        return () if value == "none" else tuple(str(value).split("+"))
    return None if value == "none" and NoneType in get_args(hint) else value
