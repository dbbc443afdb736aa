"""How large an array fits into a part: lanes and columns of each section.

Requirements:

- Sizes come from what does not depend on data: an array is chosen for the cycles that it takes if
  nothing is decided early, or everything is shared. So a design does not change with its images.
- What does not fit is refused with what is short, by how much, and what to do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from bitwright.errors import ConfigError
from bitwright.targets.reuse.accelerator.cycles import Geometry, Queue, every_tile, shared_patterns
from bitwright.targets.reuse.accelerator.loads import LayerLoad
from bitwright.targets.reuse.accelerator.resources import NOTHING, Resources, section

Schedule = Literal["shared", "dataflow"]
_BITS = 36_864
"""Of a block RAM of 36 Kb, with parity."""


@dataclass(frozen=True)
class Needs:
    """What all sections of an accelerator have in common."""

    early: bool
    pool: bool
    queue: Queue
    tile_units: int
    stages: int

    def cycles(self, load: LayerLoad, geometry: Geometry) -> int:
        """Return the cycles of a layer that skips nothing."""
        if geometry.tile_units:
            return int(shared_patterns(load, geometry, self.stages).cycles)
        return int(every_tile(load, geometry, self.stages, pool=self.pool).cycles)

    def most_lanes(self, load: LayerLoad) -> int:
        """Return how many lanes a layer has windows for, at once."""
        return load.windows // load.pool if self.pool else load.windows


@dataclass(frozen=True, eq=False)
class Section:
    """An array, and the layers that it does one after the other."""

    loads: tuple[LayerLoad, ...]
    geometry: Geometry
    resources: Resources


def shared_array(
    loads: Sequence[LayerLoad],
    budget: Resources,
    needs: Needs,
    *,
    lanes: int | None = None,
    columns: int | None = None,
) -> Section:
    """Return one array for all layers.

    Parameters
    ----------
    lanes, columns
        How many; of what is not given, the number that makes the layers fastest and fits.

    Raises
    ------
    ConfigError
        If the array does not fit.
    """
    most = max(load.channels for load in loads)
    best: tuple[tuple[int, int], Section] | None = None
    for count in [columns] if columns else _columns(most):
        found = _widest(loads, budget, needs, count, lanes)
        if found is None:
            continue
        cycles = sum(needs.cycles(load, found.geometry) for load in found.loads)
        key = cycles, found.geometry.pes
        if best is None or key < best[0]:
            best = key, found
    if best is None:
        smallest = _section(loads, needs, Geometry(lanes or 1, columns or 1, needs.tile_units))
        raise shortage([smallest], budget, needs)
    return best[1]


def dataflow_arrays(
    loads: Sequence[LayerLoad], budget: Resources, needs: Needs
) -> tuple[Section, ...]:
    """Return an array for each layer, sized so that the slowest takes as few cycles as can be.

    For a number of cycles each layer gets the array that reaches it with the fewest look-up tables;
    the least number for which all of them fit together is found by bisection.

    Raises
    ------
    ConfigError
        If even the smallest arrays do not fit.
    """

    def sections(cycles: int) -> tuple[Section, ...] | None:
        found = []
        for load in loads:
            chosen = _cheapest(load, needs, cycles)
            if chosen is None:
                return None
            found.append(chosen)
        return tuple(found) if total(found).fits(budget) else None

    smallest = [
        _section([load], needs, Geometry(1, 1, _units(load, needs)), False) for load in loads
    ]
    slow = max(needs.cycles(one.loads[0], one.geometry) for one in smallest)
    least = _least(0, slow, lambda cycles: sections(cycles) is not None)
    arrays = sections(least)
    if arrays is None:
        raise shortage(smallest, budget, needs)
    return arrays


def total(sections: Sequence[Section]) -> Resources:
    """Return what sections take together."""
    return sum((one.resources for one in sections), NOTHING)


def shortage(sections: Sequence[Section], budget: Resources, needs: Needs) -> ConfigError:
    """Return the error that says of what these sections take more than there is."""
    loads = [load for one in sections for load in one.loads]
    need = total(sections)
    weights = sum(load.channels * load.fan_in for load in loads)
    held = int(budget.bram36 * _BITS)
    if weights > held:
        return ConfigError(
            f"the weights of {len(loads)} layers are {weights:,} bits, the block RAM of the part "
            f"holds {held:,}",
            "take a larger part or a smaller network: weights off the chip are not modelled",
        )
    names = {
        "luts": "look-up tables",
        "memory_luts": "look-up tables as memory",
        "flip_flops": "flip-flops",
        "bram36": "block RAMs of 36 Kb",
    }
    short = ", ".join(
        f"{getattr(need, field):,} of {getattr(budget, field):,} {name}"
        for field, name in names.items()
        if getattr(need, field) > getattr(budget, field)
    )
    pes = sum(one.geometry.pes for one in sections)
    way_out = "take a larger part, fewer lanes or columns, or a narrower tile"
    if need.bram36 > budget.bram36 and needs.queue != "none":
        way_out = f"with queue '{needs.queue}' every PE holds weights of its own: take queue 'none'"
    return ConfigError(f"an array of {pes} PEs needs {short}", way_out)


def _columns(most: int) -> list[int]:
    """Return every number of columns that is the least for its number of rounds."""
    return sorted({-(-most // rounds) for rounds in range(1, most + 1)})


def _units(load: LayerLoad, needs: Needs) -> int:
    return needs.tile_units if load.distinct is not None else 0


def _section(
    loads: Sequence[LayerLoad], needs: Needs, geometry: Geometry, writes: bool = True
) -> Section:
    needed = section(loads, geometry, early=needs.early, queue=needs.queue, writes=writes)
    return Section(tuple(loads), geometry, needed)


def _widest(
    loads: Sequence[LayerLoad],
    budget: Resources,
    needs: Needs,
    columns: int,
    lanes: int | None,
) -> Section | None:
    """Return the array of so many columns with the most lanes that fit, at most one a window."""

    def of(count: int) -> Section:
        return _section(loads, needs, Geometry(count, columns, needs.tile_units))

    if lanes is not None:
        found = of(lanes)
        return found if found.resources.fits(budget) else None
    most = max(map(needs.most_lanes, loads))
    # lanes that are too many: the least one
    over = _least(1, most + 1, lambda n: n > most or not of(n).resources.fits(budget))
    return of(over - 1) if over > 1 else None


def _cheapest(load: LayerLoad, needs: Needs, cycles: int) -> Section | None:
    """Return the array of the lowest price that does a layer in so many cycles."""
    units = _units(load, needs)
    best: Section | None = None
    for columns in _columns(load.channels):

        def fast(lanes: int, columns: int = columns) -> bool:
            return needs.cycles(load, Geometry(lanes, columns, units)) <= cycles

        most = needs.most_lanes(load)
        if not fast(most):
            continue
        lanes = _least(1, most, fast)
        found = _section([load], needs, Geometry(lanes, columns, units), writes=False)
        if best is None or _price(found) < _price(best):
            best = found
    return best


def _price(one: Section) -> tuple[float, float]:
    """Return what there should be little of, the first before the second."""
    return one.resources.luts, one.resources.bram36


def _least(low: int, high: int, holds: Callable[[int], bool]) -> int:
    """Return the least of low .. high for which it holds, and for all above it; else high."""
    while low < high:
        middle = (low + high) // 2
        if holds(middle):
            high = middle
        else:
            low = middle + 1
    return low
