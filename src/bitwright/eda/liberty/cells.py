"""A standard cell as Liberty describes it, in SI units: pins, functions, delay and energy tables.

Requirements:

- Parts are read from the text when they are first asked for: most cells of a library never are.
- Tables of ground rails are passed over. ASAP7 has energies at VDD and at VSS; either is the whole
  account of a cycle, since the charge that comes in at one goes out at the other (rise and fall
  together agree to a part in a thousand), with the load's share taken off: to add them up would
  count the cell twice. Energies at several supplies do add up.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from bitwright.eda.liberty import boolean
from bitwright.eda.liberty.boolean import BooleanSyntaxError, Function
from bitwright.eda.liberty.header import Header
from bitwright.eda.liberty.syntax import Group
from bitwright.eda.liberty.tables import Table

Sense = Literal["positive_unate", "negative_unate", "non_unate"]

_STORAGE = ("ff", "latch", "ff_bank", "latch_bank", "statetable", "bus", "bundle", "test_cell")
"""Groups of cells that are more than a function of single pins."""
_COMBINATIONAL = ("", "combinational", "combinational_rise", "combinational_fall")
_SENSES: tuple[Sense, ...] = ("positive_unate", "negative_unate", "non_unate")
_ON = ("true", "1")


@dataclass(frozen=True, eq=False)
class Pin:
    """One signal pin; supply pins are not among a cell's pins.

    Parameters
    ----------
    direction
        ``input``, ``output``, ``inout`` or ``internal``.
    function
        What an output is of the inputs; None if the library does not say.
    rise_capacitance_f, fall_capacitance_f
        What it loads a net with while that rises or falls, in farads.
    max_capacitance_f
        The largest load of an output; None without a limit.
    """

    name: str
    direction: str
    function: Function | None
    rise_capacitance_f: float
    fall_capacitance_f: float
    max_capacitance_f: float | None


@dataclass(frozen=True, eq=False)
class TimingArc:
    """Delay from one pin to an output, and the output's transition time; seconds.

    Parameters
    ----------
    related
        The pin that the delay counts from: an input, or another output of the cell.
    when
        The state of the other pins that it holds in; None for all that no other arc has.
    delay, slew
        Tables for the output's fall (index 0) and rise (index 1); None where the library has none.
    """

    related: str
    when: Function | None
    sense: Sense
    delay: tuple[Table | None, Table | None]
    slew: tuple[Table | None, Table | None]


@dataclass(frozen=True, eq=False)
class PowerArc:
    """Energy that the cell turns into heat in one transition of a pin, without its load; joules.

    Parameters
    ----------
    related
        For an output, the input whose change caused it; None on an input's own arc, which counts
        when the input changes.
    when
        The state of the other pins that it holds in.
    rail
        The supply it is drawn from; empty if the library does not say.
    energy
        Tables for the pin's fall (index 0) and rise (index 1).
    """

    related: str | None
    when: Function | None
    rail: str
    energy: tuple[Table | None, Table | None]


@dataclass(frozen=True, eq=False)
class Leakage:
    """Static power in one state of the pins, from one supply; watts."""

    when: Function | None
    rail: str
    power_w: float


class Cell:
    """One cell of a library.

    Parameters
    ----------
    group
        Its description.
    header
        What the file says for all its cells.
    """

    def __init__(self, group: Group, header: Header) -> None:
        self.name = group.name
        self._group = group
        self._header = header

    def __repr__(self) -> str:
        return f"Cell({self.name})"

    @cached_property
    def area(self) -> float:
        """In the library's unit, square micrometres by custom; 0 if it has none."""
        return self._group.number("area", 0.0)

    @cached_property
    def pins(self) -> dict[str, Pin]:
        """Its signal pins by name, in the order of the library."""
        return {
            name: self._pin(name, group) for group in self._group.of("pin") for name in group.names
        }

    @cached_property
    def inputs(self) -> tuple[str, ...]:
        """The names of its input pins."""
        return tuple(pin.name for pin in self.pins.values() if pin.direction == "input")

    @cached_property
    def outputs(self) -> tuple[str, ...]:
        """The names of its output pins."""
        return tuple(pin.name for pin in self.pins.values() if pin.direction == "output")

    @cached_property
    def combinational(self) -> bool:
        """Whether it is nothing but Boolean functions of its inputs."""
        if any(True for _ in self._group.of(*_STORAGE)) or not self.outputs:
            return False
        if len(self.inputs) + len(self.outputs) != len(self.pins):
            return False
        if self._group.get("clock_gating_integrated_cell") or self._three_state:
            return False
        functions = [self.pins[name].function for name in self.outputs]
        return all(f is not None and set(f.names) <= set(self.inputs) for f in functions)

    @cached_property
    def flip_flop(self) -> tuple[str, str] | None:
        """Its clock and data pins if it is a D flip-flop with one output and no other input."""
        storage = list(self._group.of(*_STORAGE))
        if len(storage) != 1 or storage[0].kind != "ff" or len(self.outputs) != 1:
            return None
        clock, data = (
            storage[0].text(name).strip("!' ()") for name in ("clocked_on", "next_state")
        )
        return (clock, data) if sorted(self.inputs) == sorted((clock, data)) else None

    @cached_property
    def dont_use(self) -> bool:
        """Whether the library asks that tools do not pick it."""
        return any(self._group.text(name) in _ON for name in ("dont_use", "dont_touch"))

    @cached_property
    def tables(self) -> dict[str, int]:
        """The truth table of each output: bit i is its value where input j has bit j of i.

        Only for combinational cells.
        """
        return {name: self.function(name).table(self.inputs) for name in self.outputs}

    def function(self, output: str) -> Function:
        """Return what an output is of the inputs.

        Raises
        ------
        LibertyError
            If the library does not say.
        """
        function = self.pins[output].function
        if function is None:
            raise self._group.error(
                f"output {output} of {self.name} has no function",
                "use a cell that has one, or a library with functions",
            )
        return function

    @cached_property
    def timing(self) -> dict[str, tuple[TimingArc, ...]]:
        """The combinational delay arcs to each output.

        Raises
        ------
        LibertyError
            If a table is malformed.
        """
        return {
            name: tuple(self._timing(group))
            for group in self._group.of("pin")
            for name in group.names
            if self.pins[name].direction == "output"
        }

    @cached_property
    def power(self) -> dict[str, tuple[PowerArc, ...]]:
        """The energy arcs of each pin.

        Raises
        ------
        LibertyError
            If a table is malformed.
        """
        return {
            name: tuple(self._power(group))
            for group in self._group.of("pin")
            for name in group.names
        }

    @cached_property
    def leakage(self) -> tuple[Leakage, ...]:
        """Its static power by state and supply; empty if the library has none."""
        unit = self._header.units.leakage_w
        if unit is None:
            return ()
        states = tuple(
            Leakage(
                self._function(group, "when"),
                group.text("related_pg_pin"),
                group.number("value", 0.0) * unit,
            )
            for group in self._at_supplies(self._group.of("leakage_power"))
        )
        if states or not self._group.get("cell_leakage_power"):
            return states
        return (Leakage(None, "", self._group.number("cell_leakage_power") * unit),)

    @cached_property
    def _grounds(self) -> frozenset[str]:
        return frozenset(
            name
            for group in self._group.of("pg_pin")
            if group.text("pg_type").endswith("ground")
            for name in group.names
        )

    def _at_supplies(self, groups: Iterable[Group]) -> Iterator[Group]:
        """Yield the groups that do not belong to a ground rail."""
        return (group for group in groups if group.text("related_pg_pin") not in self._grounds)

    @property
    def _three_state(self) -> bool:
        return any(group.get("three_state") for group in self._group.of("pin"))

    def _pin(self, name: str, group: Group) -> Pin:
        unit = self._header.units.capacitance_f
        direction = group.text("direction")
        typical = group.number("capacitance", self._header.default_capacitance(direction))
        limit = group.number("max_capacitance", np.inf) * unit
        return Pin(
            name,
            direction,
            self._function(group, "function"),
            group.number("rise_capacitance", typical) * unit,
            group.number("fall_capacitance", typical) * unit,
            limit if np.isfinite(limit) else None,
        )

    def _timing(self, pin: Group) -> Iterator[TimingArc]:
        for group in pin.of("timing"):
            if group.text("timing_type") not in _COMBINATIONAL:
                continue
            given = group.text("timing_sense", "non_unate")
            sense: Sense = next((known for known in _SENSES if known == given), "non_unate")
            for related in group.text("related_pin").split():
                yield TimingArc(
                    related,
                    self._function(group, "when"),
                    sense,
                    self._pair(group, "cell_fall", "cell_rise", self._header.units.time_s),
                    self._pair(
                        group, "fall_transition", "rise_transition", self._header.units.time_s
                    ),
                )

    def _power(self, pin: Group) -> Iterator[PowerArc]:
        for group in self._at_supplies(pin.of("internal_power")):
            unit = self._header.units.energy_j
            both = self._table(group, "power", unit)
            fall, rise = self._pair(group, "fall_power", "rise_power", unit)
            energy = (fall or both, rise or both)
            for related in group.text("related_pin").split() or (None,):
                yield PowerArc(
                    related, self._function(group, "when"), group.text("related_pg_pin"), energy
                )

    def _pair(
        self, group: Group, fall: str, rise: str, unit: float
    ) -> tuple[Table | None, Table | None]:
        return self._table(group, fall, unit), self._table(group, rise, unit)

    def _table(self, group: Group, kind: str, unit: float) -> Table | None:
        for table in group.of(kind):
            return self._header.table(table, unit)
        return None

    def _function(self, group: Group, name: str) -> Function | None:
        text = group.text(name)
        if not text:
            return None
        try:
            return boolean.parse(text)
        except BooleanSyntaxError as error:
            raise group.error(
                f"{name} of {group} in cell {self.name}: {error}", "correct the function", name
            ) from error
