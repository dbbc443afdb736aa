"""How area, delay and energy of popcounts grow with the kernel.

A kernel of k x k taps over C channels counts n = k * k * C bits. Area and energy of an exact count
are about linear in n, so they grow with the square of the kernel's side k, and linearly with C.

Requirements:

- A point that was computed is not computed again: each has a file of its own, written whole or not
  at all, whose name is a digest of all that decides its numbers.
- A file that is damaged is as if it were not there.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from bitwright import circuits
from bitwright.circuits import Circuit
from bitwright.eda.implementation import CHECKED, energy_measurements, implement
from bitwright.eda.mapping import Effort
from bitwright.eda.pdk import ChosenLibrary
from bitwright.eda.timing import Boundary, typical_boundary
from bitwright.eda.tools import is_there, require
from bitwright.eda.vectors import random_vectors
from bitwright.errors import ConfigError
from bitwright.files import make_folder, write_atomically

METRICS = ("area", "delay", "energy")
"""What is drawn against the kernel."""
MOST_INPUTS = 1 << 16

Progress = Callable[[int, int], None]
"""Called with (points done, points in all)."""


@dataclass(frozen=True)
class Settings:
    """Which points, and how they are measured.

    Parameters
    ----------
    sides
        The kernel's sides k.
    channels
        The numbers of channels C.
    specs
        The circuits, as `bitwright.circuits.parse` reads them.
    vectors
        Operations that an energy is the mean of.
    seed
        Of the random vectors.
    effort, adders
        As `bitwright.eda.implementation.implement` takes them.

    Raises
    ------
    ConfigError
        If there is no point, or a side or a number of channels is out of range.
    """

    sides: tuple[int, ...] = (1, 3, 5, 7)
    channels: tuple[int, ...] = (16, 32, 64)
    specs: tuple[str, ...] = ("exact", "maj", "maj:L=2", "maj:L=3")
    vectors: int = 1000
    seed: int = 0
    effort: Effort = "area"
    adders: bool = True

    def __post_init__(self) -> None:
        numbers = (*self.sides, *self.channels)
        if not (self.sides and self.channels and self.specs) or min(numbers) < 1:
            raise ConfigError(
                "the study has no points", "give kernel sides and channels of at least 1"
            )
        most = max(self.sides) ** 2 * max(self.channels)
        if most > MOST_INPUTS:
            raise ConfigError(
                f"a popcount of {most:,} inputs is beyond this study",
                f"give kernels of at most {MOST_INPUTS:,} weights",
            )
        if self.vectors < 1 or self.seed < 0:
            raise ConfigError("no vectors, or a negative seed", "give at least one, and seed >= 0")


@dataclass(frozen=True)
class Point:
    """One circuit for one kernel, in cells.

    Parameters
    ----------
    inputs
        side * side * channels.
    area
        In the library's unit.
    delay_ps, energy_fj
        As `bitwright.eda.implementation` measures them; the energy is that of one operation.
    without_input_nets_fj
        The energy without charging the input nets.
    sources
        Of area, delay and energy: its method, and what found it.
    """

    side: int
    channels: int
    circuit: str
    inputs: int
    area: float
    cells: int
    delay_ps: float
    energy_fj: float
    without_input_nets_fj: float
    checked: int
    sources: dict[str, list[str]]

    def value(self, metric: str) -> float:
        """Return area, delay or energy by its name in `METRICS`."""
        return {"area": self.area, "delay": self.delay_ps, "energy": self.energy_fj}[metric]


@dataclass(frozen=True, eq=False)
class Study:
    """All points, and what they were measured with.

    Parameters
    ----------
    points
        By circuit, then by channels, then by side.
    reused
        How many were there from an earlier run.
    """

    settings: Settings
    chosen: ChosenLibrary
    boundary: Boundary
    points: tuple[Point, ...]
    reused: int

    def line(self, spec: str, channels: int) -> list[Point]:
        """Return the points of one circuit and number of channels, by the kernel's side."""
        return [p for p in self.points if p.circuit == spec and p.channels == channels]

    def exponent(self, spec: str, metric: str, axis: str) -> float | None:
        """Return how fast a number grows: e where it is about proportional to axis ** e.

        Parameters
        ----------
        axis
            ``n``: over all points, against the fan-in. ``k``: against the kernel's side, at the
            largest number of channels.

        Returns
        -------
        float or None
            The slope of the least-squares line through the logarithms; None for fewer than two
            different places.
        """
        if axis == "n":
            points = [p for p in self.points if p.circuit == spec]
            places = [p.inputs for p in points]
        else:
            points = self.line(spec, max(self.settings.channels))
            places = [p.side for p in points]
        pairs = [(x, p.value(metric)) for x, p in zip(places, points, strict=True)]
        known = [(math.log(x), math.log(y)) for x, y in pairs if y > 0]
        if len({x for x, _ in known}) < 2:
            return None
        x, y = np.array(known).T
        return float(np.polyfit(x, y, 1)[0])

    def to_json(self) -> dict[str, Any]:
        """Return the study as JSON-ready data."""
        library = self.chosen.library
        return {
            "settings": asdict(self.settings),
            "axis": "n = k * k * C inputs: k the kernel's side, C its channels",
            "library": {
                "name": library.name,
                "given": list(self.chosen.given),
                "revision": library.revision,
                "digest": library.digest,
                "area_unit": self.chosen.area_unit,
            },
            "boundary": asdict(self.boundary),
            "points": [asdict(point) for point in self.points],
            "exponents": [
                {
                    "circuit": spec,
                    "metric": metric,
                    **{axis: self.exponent(spec, metric, axis) for axis in ("n", "k")},
                }
                for spec in self.settings.specs
                for metric in METRICS
            ],
        }


def run(
    settings: Settings, chosen: ChosenLibrary, folder: Path, progress: Progress | None = None
) -> Study:
    """Compute all points that are not in a folder yet, the smallest first.

    Parameters
    ----------
    folder
        Where points are kept; made if it is not there.

    Raises
    ------
    ConfigError
        If a circuit's spec is not valid, or the folder cannot be written.
    CircuitError, LibertyError, ToolError
        As `bitwright.eda.implementation.implement` does.
    """
    boundary = typical_boundary(chosen.library)
    wanted = [
        (side, count, spec, circuits.make(spec, side * side * count, (side, side, count)))
        for spec in settings.specs
        for count in settings.channels
        for side in settings.sides
    ]
    tools = {"yosys": require("yosys").version}
    if is_there("sta"):
        tools["sta"] = require("sta").version
    make_folder(folder, "give another as --folder")
    found: dict[int, Point] = {}
    written: set[Path] = set()
    reused = 0
    for index in sorted(range(len(wanted)), key=lambda i: wanted[i][3].inputs):
        side, count, spec, circuit = wanted[index]
        file = folder / f"{_key(circuit, settings, chosen, boundary, tools)}.json"
        point = _read(file, side, count, spec)
        reused += point is not None and file not in written
        if point is None:
            point = _measure(side, count, spec, circuit, settings, chosen, boundary)
            write_atomically(file, json.dumps(asdict(point)).encode())
            written.add(file)
        found[index] = point
        if progress is not None:
            progress(len(found), len(wanted))
    points = tuple(found[index] for index in range(len(wanted)))
    return Study(settings, chosen, boundary, points, reused)


def _key(
    circuit: Circuit,
    settings: Settings,
    chosen: ChosenLibrary,
    boundary: Boundary,
    tools: dict[str, str],
) -> str:
    """Return a digest of all that decides a point's numbers."""
    decides = {
        "bitwright": metadata.version("bitwright"),
        "tools": tools,
        "circuit": circuit.digest,
        "library": chosen.library.digest,
        "boundary": asdict(boundary),
        "vectors": settings.vectors,
        "checked": CHECKED,
        "seed": settings.seed,
        "effort": settings.effort,
        "adders": settings.adders,
    }
    return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:32]


def _read(file: Path, side: int, channels: int, spec: str) -> Point | None:
    """Return a point that was computed; the same circuit may stand for another kernel."""
    try:
        fields = json.loads(file.read_text(encoding="utf-8"))
        fields |= {"side": side, "channels": channels, "circuit": spec}
        point = Point(**fields)
        numbers = (point.area, point.delay_ps, point.energy_fj, point.without_input_nets_fj)
        whole = point.inputs == side * side * channels and all(map(math.isfinite, numbers))
    except (OSError, ValueError, TypeError):
        return None
    return point if whole else None


def _measure(
    side: int,
    channels: int,
    spec: str,
    circuit: Circuit,
    settings: Settings,
    chosen: ChosenLibrary,
    boundary: Boundary,
) -> Point:
    made = implement(
        circuit,
        chosen.library,
        adders=settings.adders,
        effort=settings.effort,
        boundary=boundary,
        seed=settings.seed,
    )
    sample = random_vectors(circuit.inputs, settings.vectors + 1, settings.seed)
    energies = energy_measurements(made.energy(sample), chosen.library)
    measured = {m.metric: m for m in (*made.measurements(chosen.area_unit), *energies)}
    return Point(
        side,
        channels,
        spec,
        circuit.inputs,
        float(measured["area"].value),
        int(measured["cells"].value),
        float(measured["delay"].value),
        float(measured["energy"].value),
        float(measured["energy_without_input_nets"].value),
        made.checked,
        {metric: [measured[metric].method, measured[metric].source] for metric in METRICS},
    )


def parse_numbers(text: str, what: str) -> tuple[int, ...]:
    """Return numbers of a text such as ``1,3,5``, ascending, each once.

    Raises
    ------
    ConfigError
        If it is no list of whole numbers.
    """
    try:
        return tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError as error:
        raise ConfigError(f"'{text}' is no list of {what}", "give numbers: 1,3,5") from error


def by_circuit(study: Study) -> list[tuple[str, list[Point]]]:
    """Return each circuit with its points, ordered by fan-in."""
    return [
        (
            spec,
            sorted((p for p in study.points if p.circuit == spec), key=lambda p: p.inputs),
        )
        for spec in study.settings.specs
    ]
