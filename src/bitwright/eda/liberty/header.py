"""What a Liberty file says once for all its cells: units, voltage, templates of tables."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from bitwright.eda.liberty.syntax import Group
from bitwright.eda.liberty.tables import Floats, Table

_PREFIXES = {"": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9, "p": 1e-12, "f": 1e-15, "a": 1e-18}
_UNIT = re.compile(r"\s*([0-9.eE+-]*?)\s*([munpfa]?)([sSvVwWfF])\s*")
_EXAMPLES = {"s": "1ps or 1ns", "f": "(1, ff) or (1, pf)", "v": "1V", "w": "1nW"}
_SLEWS = ("input_net_transition", "input_transition_time", "related_pin_transition")
_LOADS = ("total_output_net_capacitance",)


@dataclass(frozen=True)
class Units:
    """What one unit of the file is in SI units."""

    time_s: float
    capacitance_f: float
    voltage_v: float
    leakage_w: float | None
    """None if the file names none: its leakage is then unknown."""

    @property
    def energy_j(self) -> float:
        """The unit of ``internal_power``: no attribute names it, it is volt squared times farad."""
        return self.voltage_v**2 * self.capacitance_f


@dataclass(frozen=True, eq=False)
class Header:
    """The library-wide part of one file.

    Parameters
    ----------
    voltage_v
        The supply: that of the default operating conditions, else ``nom_voltage``.
    temperature_c
        Likewise.
    templates
        The groups that tables refer to.
    """

    name: str
    units: Units
    voltage_v: float
    temperature_c: float
    templates: dict[str, Group]
    input_capacitance: float

    def default_capacitance(self, direction: str) -> float:
        """Return what a pin without ``capacitance`` has, in the file's unit."""
        return self.input_capacitance if direction == "input" else 0.0

    def table(self, group: Group, unit: float) -> Table:
        """Return a table in SI units.

        Raises
        ------
        LibertyError
            If it lacks values or points, holds what is no number, has points that do not rise, or
            depends on anything but input slew and output load.
        """
        values = _numbers(group, group, "values")
        if values is None:
            raise group.error(f"{group} has no values", "give it some, or remove it")
        values = values * unit
        template = self.templates.get(group.name)
        if template is None and group.name != "scalar":
            raise group.error(
                f"table template '{group.name}' is not defined", "define it, or correct the name"
            )
        axes: dict[str, Floats] = {}
        for number in (1, 2, 3):
            variable = template.text(f"variable_{number}") if template is not None else ""
            if variable:
                axis, size = self._axis(group, variable)
                points = _numbers(group, template, f"index_{number}")
                if points is None or axis in axes or np.any(np.diff(points) <= 0):
                    raise group.error(
                        f"{group} has no rising points for {variable}", "give it one index each"
                    )
                axes[axis] = points * size
        slews, loads = (axes.get(axis, np.zeros(1)) for axis in ("slew", "load"))
        if values.size != len(slews) * len(loads):
            raise group.error(
                f"{group} has {values.size} values for {len(slews)} x {len(loads)} points",
                "give one a point",
            )
        if next(iter(axes), "slew") == "load":
            return Table(slews, loads, values.reshape(len(loads), len(slews)).T)
        return Table(slews, loads, values.reshape(len(slews), len(loads)))

    def _axis(self, group: Group, variable: str) -> tuple[str, float]:
        if variable in _SLEWS:
            return "slew", self.units.time_s
        if variable in _LOADS:
            return "load", self.units.capacitance_f
        raise group.error(
            f"{group} depends on {variable}",
            "use a library whose tables depend on input slew and output load (NLDM)",
        )


def read_header(library: Group) -> Header:
    """Read the library-wide part of a file.

    Raises
    ------
    LibertyError
        If a unit is unknown or missing, or there is no supply voltage.
    """
    load = library.get("capacitive_load_unit") or ()
    if len(load) != 2:
        raise library.error(
            f"capacitive_load_unit is ({', '.join(load)})",
            "give a number and a unit: (1, pf)",
            "capacitive_load_unit",
        )
    leakage = library.text("leakage_power_unit")
    units = Units(
        _unit(library, "time_unit", library.text("time_unit", "1ns"), "s"),
        _unit(library, "capacitive_load_unit", "".join(load).lower(), "f"),
        _unit(library, "voltage_unit", library.text("voltage_unit", "1V"), "v"),
        _unit(library, "leakage_power_unit", leakage, "w") if leakage else None,
    )
    conditions = library
    chosen = library.text("default_operating_conditions")
    for group in library.of("operating_conditions"):
        if group.name == chosen:
            conditions = group
    if conditions is library:
        voltage = library.number("nom_voltage")
        temperature = library.number("nom_temperature", 25.0)
    else:
        voltage = conditions.number("voltage")
        temperature = conditions.number("temperature", 25.0)
    if not 0 < voltage * units.voltage_v < 1e3:
        name = "nom_voltage" if conditions is library else "voltage"
        raise conditions.error(f"a supply of {voltage} is out of range", f"correct {name}", name)
    templates = {
        group.name: group for group in library.of("lu_table_template", "power_lut_template")
    }
    return Header(
        library.name,
        units,
        voltage * units.voltage_v,
        temperature,
        templates,
        library.number("default_input_pin_cap", 0.0),
    )


def _unit(library: Group, name: str, text: str, symbol: str) -> float:
    found = _UNIT.fullmatch(text)
    if found is None or found[3].lower() != symbol:
        raise library.error(
            f"{name} '{text}' is no known unit", f"write it as {_EXAMPLES[symbol]}", name
        )
    try:
        size = float(found[1] or 1) * _PREFIXES[found[2]]
    except ValueError:
        size = 0.0
    if not size > 0:
        raise library.error(f"{name} '{text}' is no known unit", "its number must be above 0", name)
    return size


def _numbers(group: Group, template: Group | None, name: str) -> Floats | None:
    """Return a list of numbers from a table, else from its template; None if neither has it."""
    holder = group if group.get(name) or template is None else template
    found = holder.get(name)
    if found is None:
        return None
    try:
        numbers = np.array([float(x) for part in found for x in part.replace(",", " ").split()])
    except ValueError:
        cause = f"{name} of {group} holds what is no number"
        raise holder.error(cause, "correct it", name) from None
    if not np.all(np.isfinite(numbers)):
        raise holder.error(f"{name} of {group} is not finite", "correct it", name)
    return numbers
