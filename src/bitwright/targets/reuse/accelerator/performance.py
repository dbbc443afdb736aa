"""`Run`: what an accelerator does with an image, as numbers that carry their origin."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import cached_property

from bitwright.records import Measurement
from bitwright.targets.reuse.accelerator import pieces
from bitwright.targets.reuse.accelerator.cycles import Cycles
from bitwright.targets.reuse.accelerator.energy import Activity, Coefficients, Energy, Level, energy
from bitwright.targets.reuse.accelerator.loads import LayerLoad
from bitwright.targets.reuse.accelerator.parts import DATA_SHEET, Part
from bitwright.targets.reuse.accelerator.resources import Resources
from bitwright.targets.reuse.accelerator.sizing import Schedule, Section, total

IDLE = ("decision", "imbalance", "unassigned", "tile_units", "fill_drain")
"""Why a PE does nothing of use while its section works, as `Cycles` has it."""


@dataclass(frozen=True, eq=False)
class LayerRun:
    """One layer: what it asked, the section that did it, what that took."""

    load: LayerLoad
    section: Section
    cycles: Cycles
    lut_cycles: float
    words: float


@dataclass(frozen=True, eq=False)
class Run:
    """All layers of one image.

    Parameters
    ----------
    layers
        In their order.
    sections
        The arrays.
    """

    part: Part
    clock_hz: float
    schedule: Schedule
    coefficients: Coefficients
    sections: tuple[Section, ...]
    layers: tuple[LayerRun, ...]

    @property
    def pes(self) -> int:
        """Processing elements of all sections."""
        return sum(one.geometry.pes for one in self.sections)

    @cached_property
    def resources(self) -> Resources:
        """What all sections take."""
        return total(self.sections)

    @property
    def latency(self) -> float:
        """Cycles from the first fetch of an image until its last bit."""
        return sum(layer.cycles.cycles for layer in self.layers)

    @property
    def interval(self) -> float:
        """Cycles from one image to the next."""
        if self.schedule == "shared":
            return self.latency
        return max(layer.cycles.cycles for layer in self.layers)

    @property
    def pe_cycles(self) -> float:
        """Cycles of all PEs from one image to the next."""
        return self.interval * self.pes

    @cached_property
    def shares(self) -> dict[str, float]:
        """What the PEs do, as shares of their cycles: useful, the reasons of `IDLE`, and waiting.

        ``waiting``: a section is done with its layer before the slowest one is.
        """
        totals = {
            name: sum(getattr(layer.cycles, name) for layer in self.layers) / self.pe_cycles
            for name in ("useful", *IDLE)
        }
        return totals | {"waiting": max(0.0, 1 - sum(totals.values()))}

    @property
    def images_per_second(self) -> float:
        """Images a second at the clock."""
        return self.clock_hz / self.interval

    @property
    def operations(self) -> int:
        """XNORs of an image if nothing is left out."""
        return sum(layer.load.operations for layer in self.layers)

    @cached_property
    def activity(self) -> Activity:
        """What costs energy."""
        return Activity(
            lut_cycles=sum(layer.lut_cycles for layer in self.layers),
            flip_flop_cycles=self.resources.flip_flops * self.interval,
            words=sum(layer.words for layer in self.layers),
            seconds=self.interval / self.clock_hz,
        )

    def energy(self, level: Level = "value") -> Energy:
        """Return the energy of an image; ``low`` and ``high`` are the ends of the range."""
        return energy(self.activity, self.part, self.coefficients, level)

    def measurements(self) -> tuple[Measurement, ...]:
        """Return all numbers: what is counted, and what is estimated for this part and clock."""
        return (*self._size(), *self._time(), *self._energy())

    def _size(self) -> Iterator[Measurement]:
        costs = f"pieces: {pieces.source()}; memories: Xilinx UG473, UG474"
        need, part = self.resources, self.part
        yield Measurement("accelerator_pes", self.pes, "PE", "counted")
        for name, unit, has in (
            ("luts", "LUT", part.luts),
            ("memory_luts", "LUT", part.memory_luts),
            ("flip_flops", "flip-flop", part.flip_flops),
            ("bram36", "block RAM", part.bram36),
        ):
            yield Measurement(
                f"accelerator_{name}",
                getattr(need, name),
                unit,
                "estimated",
                f"{costs}; the {part.name} has {has:,} ({DATA_SHEET})",
            )

    def _time(self) -> Iterator[Measurement]:
        for layer in self.layers:
            yield self._cycles(f"cycles/{layer.load.name}", layer.cycles.cycles, [layer])
        yield self._cycles("cycles_per_image", self.interval, self.layers)
        yield self._cycles("latency_cycles", self.latency, self.layers)
        for name, share in self.shares.items():
            metric = "pe_utilisation" if name == "useful" else f"pe_{name}"
            found = self._cycles(metric, share, self.layers)
            yield Measurement(metric, share, "share", found.method, found.source)
        clock = f"at an assumed clock of {self.clock_hz / 1e6:g} MHz"
        rate = self.images_per_second
        yield Measurement("images_per_second", rate, "1/s", "estimated", clock)
        operations = rate * self.operations
        text = f"{clock}; operations of the network with nothing left out"
        yield Measurement("operations_per_second", operations, "1/s", "estimated", text)

    def _cycles(
        self, metric: str, value: float, layers: tuple[LayerRun, ...] | list[LayerRun]
    ) -> Measurement:
        """Return cycles: counted, or estimated where windows of an image are left out."""
        parts = [layer.load for layer in layers if not layer.load.whole]
        exact = int(value) if value == int(value) else value
        if not parts:
            return Measurement(metric, exact, "cycle", "counted")
        text = ", ".join(
            f"{load.used.shape[1]} of {load.windows} windows of {load.name}"
            for load in parts
            if load.used is not None
        )
        return Measurement(metric, exact, "cycle", "estimated", f"from {text}")

    def _energy(self) -> Iterator[Measurement]:
        source = f"{self.coefficients.source}; {self.part.name}: {self.part.static_source}"
        known = self.energy()
        levels: tuple[tuple[str, Level], ...] = (("", "value"), ("_low", "low"), ("_high", "high"))
        for suffix, level in levels:
            joules = self.energy(level).total
            name = f"energy_per_image{suffix}"
            yield Measurement(name, joules, "J", "estimated", source)
        for field in fields(known):
            joules = getattr(known, field.name)
            yield Measurement(f"energy_{field.name}", joules, "J", "estimated", source)
        yield Measurement("images_per_kj", 1e3 / known.total, "1/kJ", "estimated", source)
        rate = self.operations / known.total
        text = f"operations of the network with nothing left out; {source}"
        yield Measurement("operations_per_joule", rate, "1/J", "estimated", text)
