"""Currents of a crossbar's columns: the one entry to the solvers.

Requirements:

- Linear cells are solved by marching, unless its numbers could grow beyond `MARCH_GROWTH`; then,
  and for all other cells, by Newton's method, which for linear cells is one exact elimination.
- Newton's method comes near in single precision; a step in double precision, at least, follows, and
  its size tells whether it has converged. A sample of columns takes one more: what is left.
- A column in which it does not is solved again by `...solver.nodal`, damped; what that cannot
  solve is an error, never a number. So are more columns than that solver is for (`FALLBACKS`).
- Currents whose digits rounding would take, or that are no numbers, are errors as well.

Columns are tested to converge, none of them by the damped solver, with

- up to 256 rows (and some of 4,096), wires of 0 or 1e-3 to 1e3 ohm, ends of 0 or 0.1 to 1e5 ohm,
  read at 0.01 to 1.2 V, from either end;
- cells of 316 ohm to 10 Mohm that are on, on/off ratios of 1 to 1e7 (linear ones: any), 0 to 1 % of
  that conductance unselected, and a spread of conductances (sigma) of 0 to 1;
- transistors with supplies of 0.5 to 1.2 V, thresholds of 0 to 0.49 V, slope factors of 1 to 2,
  modulation of 0 to 1 per volt, at 200 to 450 K; memristors with ``sinh_volt`` of 0.1 to 10 V and
  ``access_share`` of 0.01 to 0.9.

`...solver.tested` has these as numbers, to name what is outside when columns do not converge.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
from llvmlite import ir

from bitwright.native import simd
from bitwright.native.reals import VD, VF
from bitwright.native.simd import LANES
from bitwright.targets.crossbar.devices.cells import (
    BOLTZMANN_VOLT_PER_KELVIN,
    Cell,
    tangent,
)
from bitwright.targets.crossbar.solver import elements, kernels, nodal
from bitwright.targets.crossbar.solver import march_kernel as mk
from bitwright.targets.crossbar.solver import newton_kernel as nk
from bitwright.targets.crossbar.solver.ladder import LEAST_OHM, Ladder
from bitwright.targets.crossbar.solver.tables import FORMS, tables_of
from bitwright.targets.crossbar.solver.tested import unsolved

Array = npt.NDArray[np.float64]
MARCH_GROWTH = 300.0
"""Marching makes numbers of up to about ``exp(MARCH_GROWTH)``: doubles can hold these."""

MOVE = 3e-4
"""The last step of Newton's method at most, in units of the voltage over which curves bend. The
relative error of currents is below its square, so 1e-7."""

NEAR = 3e-2
"""The last step in single precision at most; what is left is about `MOVE`, which a step in double
precision makes good."""

STEPS = 60
FALLBACKS = 64
"""Columns of a call of `Columns.solve` that the damped solver does at most, of `FALLBACK_ROWS` rows
or less; of taller ones fewer, by the square of their rows: a column takes time by the cube."""

FALLBACK_ROWS = 128
FALLBACK_SHARE = 1e-3
"""Of a call's columns, where that is more than `FALLBACKS`: so damping takes about as long as all
else. In designs that are tested to converge there are none."""

MOST_DROP = 1e10
"""Of all cells of a column on all its resistances at full voltage, in units of the read voltage:
rounding costs about 2e-16 times that of a current."""

UNSOLVED = -1.0
"""What the kernel has in place of a current that it did not find."""

_KINDS = {"linear": kernels.LINEAR, "sram8t": kernels.SRAM, "reram1t1r": kernels.RERAM}
_TABLED = {kernels.SRAM: kernels.SRAM_TABLE, kernels.RERAM: kernels.RERAM_TABLE}
_LEAST_CHUNK, _CHUNK = 64, 4096
"""Patterns that a thread solves at a time; for fewer a thread is not worth while."""

_LOOK = 256
"""Patterns after which is looked whether too many columns did not converge."""


@dataclass(frozen=True, eq=False)
class Solution:
    """Currents, and how well they are known.

    Parameters
    ----------
    currents
        (patterns, columns), in ampere, into the sense node.
    last_move
        The largest last step of Newton's method, in units of the read voltage; 0 for linear cells.
    residual
        What the currents at the nodes are still off by, as the voltage that would make it good, in
        units of the read voltage: the step that a sample of columns would take next, the largest.
        None if no column is in the sample, as of linear cells, whose solution is exact.
    steps
        Steps of Newton's method in double precision, of groups of eight columns.
    groups
        Groups of eight columns that Newton's method solved: those of a repeated pattern once.
    fallbacks
        Groups that the damped solver had to do.
    columns
        Columns that were solved: where Newton's method does, those of a repeated pattern once.
    """

    currents: Array
    last_move: float
    residual: float | None
    steps: int
    groups: int
    fallbacks: int
    columns: int


class Columns:
    """Columns with one ladder, as many as there are.

    Parameters
    ----------
    ladder
        The wires.
    cell
        The cells.
    weights
        (rows, columns): what multiplies each cell's storing element; 1 is a stored 1.

    Raises
    ------
    ValueError
        If the weights are not one row of finite, non-negative numbers for each of the ladder's.
    ConfigError
        If the cell cannot be read at the ladder's voltage.
    ConvergenceError
        If cells conduct so much better than the ladder that rounding takes their digits.
    """

    def __init__(self, ladder: Ladder, cell: Cell, weights: npt.ArrayLike) -> None:
        array = np.asarray(weights, np.float64)
        if array.ndim != 2 or len(array) != ladder.rows:
            raise ValueError(f"weights are {array.shape}, not ({ladder.rows}, columns)")
        if not (np.isfinite(array).all() and (array >= 0).all()):
            raise ValueError("weights are negative or not finite")
        self.ladder, self.cell, self.weights = ladder, cell, array
        self._check_digits()
        self._kind = _KINDS[cell.kind]
        self._leaks = cell.unselected_share > 0
        self._march = self._kind == kernels.LINEAR and self._growth() <= MARCH_GROWTH
        padded = -array.shape[1] % (2 * LANES)
        self._planes = simd.aligned((2, len(array), array.shape[1] + padded), np.float64)
        self._planes[0, :, : array.shape[1]] = array
        self._planes[1, :, : array.shape[1]] = cell.unselected_share / cell.on_ohm * (array > 0)
        if self._march:
            self._planes[0] /= cell.on_ohm
        self._tangents = _tangents(cell, ladder.read_volt)
        self._bend = _bend_volt(cell, ladder.read_volt)
        self._device, tabled = _device_memory(cell, ladder.read_volt, VD)
        self._near_device, near_tabled = _device_memory(cell, ladder.read_volt, VF)
        if tabled and near_tabled:
            self._kind = _TABLED[self._kind]
        self._near_planes = simd.aligned(self._planes.shape, np.float32)
        self._near_planes[:] = self._planes

    def _check_digits(self) -> None:
        ladder = self.ladder
        ohm = ladder.source_ohm + ladder.bit_ohm + ladder.driver_ohm + ladder.sink_ohm
        # Where weights multiply a memristor, the transistor bounds what they do.
        most = 1 / getattr(self.cell, "access_share", 1e-300)
        siemens = np.minimum(self.weights, most).sum(axis=0) / self.cell.on_ohm
        drop = ohm * float(siemens.max(initial=0.0))
        if not drop <= MOST_DROP:
            raise unsolved(
                f"a column's cells conduct {drop:.1e} times as well as what leads to them, and "
                f"above {MOST_DROP:.0e} times rounding takes their currents' digits",
                ladder,
                self.cell,
                self.weights,
            )

    def _growth(self) -> float:
        wire = self.ladder.source_ohm + self.ladder.bit_ohm
        most = self.weights.max(initial=0.0) / self.cell.on_ohm
        return float(self.ladder.rows * np.sqrt(wire * most))

    def solve(self, active: npt.NDArray[np.bool_], threads: int | None = None) -> Solution:
        """Solve all columns under some patterns of word lines.

        Parameters
        ----------
        active
            (patterns, rows): which word lines are on.
        threads
            How many work on chunks of patterns; by default all cores that this process may use.

        Raises
        ------
        ConvergenceError
            If a column's solution cannot be found, or Newton's method finds none for more columns
            than `FALLBACKS` and `FALLBACK_SHARE` allow.
        """
        rows, columns = self.weights.shape
        if active.ndim != 2 or active.shape[1] != rows or active.dtype != np.bool_:
            raise ValueError(
                f"active is {active.dtype} {active.shape}, not bool (patterns, {rows})"
            )
        active = np.ascontiguousarray(active)
        back: npt.NDArray[np.intp] | None = None
        if not self._march:  # marching is as fast as looking for repetitions
            active, back = _distinct(active)
        out = np.empty((len(active), self._planes.shape[2]))
        workers = threads or len(os.sched_getaffinity(0))
        most = _CHUNK if self._march else _LOOK
        chunk = max(_LEAST_CHUNK, min(most, -(-len(active) // workers)))
        starts = range(0, len(active), chunk)
        solve = self._linear if self._march else self._newton
        unsolved_columns: list[int] = []

        def part_at(start: int) -> tuple[float, float, int, int]:
            part = out[start : start + chunk]
            found = solve(active[start : start + chunk], part)
            if found[3]:
                unsolved_columns.append(int((part[:, :columns] == UNSOLVED).sum()))
                self._check_budget(sum(unsolved_columns), len(active) * columns)
            return found

        if min(workers, len(starts)) > 1:
            with ThreadPoolExecutor(workers) as pool:
                parts = list(pool.map(part_at, starts))
        else:
            parts = [part_at(start) for start in starts]
        worst = max((part[0] for part in parts), default=0.0)
        residual = max((part[1] for part in parts), default=-1.0)
        fallbacks = sum(part[3] for part in parts)
        if fallbacks:
            self._damp(active, out[:, :columns])
        self._check_finite(out[:, :columns])
        groups = 0 if self._march else len(active) * (out.shape[1] // LANES)
        steps = sum(part[2] for part in parts)
        currents = out[:, :columns] if back is None else out[back, :columns]
        return Solution(
            currents,
            last_move=worst / self.ladder.read_volt,
            residual=None if residual < 0 else residual / self.ladder.read_volt,
            steps=steps,
            groups=groups,
            fallbacks=fallbacks,
            columns=len(active) * columns,
        )

    def _check_budget(self, count: int, columns: int) -> None:
        """Refuse more columns that did not converge than the damped solver is for."""
        rows = self.ladder.rows
        tall = min(1.0, (FALLBACK_ROWS / rows) ** 2)
        if count > tall * max(FALLBACKS, FALLBACK_SHARE * columns):
            raise unsolved(
                f"{count} columns of {rows} rows did not converge, of {columns} that are solved at "
                "once",
                self.ladder,
                self.cell,
                self.weights,
            )

    def _damp(self, active: npt.NDArray[np.bool_], currents: Array) -> None:
        """Solve what is `UNSOLVED`, all columns of a pattern at once."""
        missing = currents == UNSOLVED
        for pattern in np.flatnonzero(missing.any(axis=1)):
            which = np.flatnonzero(missing[pattern])
            found = nodal.currents(self.ladder, self.cell, self.weights[:, which], active[pattern])
            currents[pattern, which] = found.sum(axis=0)

    def _check_finite(self, currents: Array) -> None:
        with np.errstate(over="ignore", invalid="ignore"):
            total = currents.sum()  # is as finite as all that is in it, and takes no memory
        if not np.isfinite(total):
            raise unsolved(
                f"a column of {self.ladder.rows} rows has a current that is no number",
                self.ladder,
                self.cell,
                self.weights,
            )

    def _linear(self, active: npt.NDArray[np.bool_], out: Array) -> tuple[float, float, int, int]:
        ladder = self.ladder
        kernels.linear(
            ladder.feed == "far",
            active,
            self._leaks,
            self._planes,
            np.array([ladder.source_ohm + ladder.bit_ohm, ladder.source_ohm]),
            np.array([ladder.read_volt, ladder.driver_ohm + ladder.sink_ohm]),
            np.zeros(mk.NUMBERS),
            np.zeros(ladder.rows + 1, np.int64),
            np.zeros(ladder.rows + 1),
            out,
        )
        return 0.0, -1.0, 0, 0

    def _newton(self, active: npt.NDArray[np.bool_], out: Array) -> tuple[float, float, int, int]:
        ladder = self.ladder
        driver = 1 / max(ladder.driver_ohm, LEAST_OHM)
        sink = 1 / max(ladder.sink_ohm, LEAST_OHM)
        far = ladder.feed == "far"
        wires = np.array(
            [
                ladder.read_volt,
                ladder.source_ohm,
                ladder.bit_ohm,
                driver if far else 0.0,
                0.0 if far else driver,
                sink,
            ]
        )
        # The mean's eight numbers a row lie behind the rows.
        rows = ladder.rows + 3 + ladder.rows // nk.FIELDS
        work = simd.aligned((rows, nk.FIELDS, LANES), np.float64)
        found: tuple[float, float, int, int] = kernels.newton(
            self._kind,
            active,
            self._leaks,
            self._planes,
            (
                self._near_planes,
                self._near_device,
                simd.aligned(work.shape, np.float64),
                simd.aligned((2, 2 * LANES), np.float32),
            ),
            self._tangents,
            self._device,
            wires,
            simd.aligned(
                (ladder.rows + 3 + ladder.rows // nk.FIELDS, nk.FIELDS, LANES), np.float64
            ),
            np.zeros((2, ladder.rows, 2), np.int64),
            np.zeros(ladder.rows + 1),
            np.array([MOVE * self._bend, NEAR * self._bend, STEPS]),
            out,
        )
        return found


def _bend_volt(cell: Cell, read_volt: float) -> float:
    """Return the voltage over which a cell's current is not linear, or the read voltage if less."""
    thermal = BOLTZMANN_VOLT_PER_KELVIN * getattr(cell, "temperature_kelvin", np.inf)
    return float(min(read_volt, 4 * thermal, 0.4 * getattr(cell, "sinh_volt", np.inf)))


@cache
def _device_memory(cell: Cell, read_volt: float, kind: ir.VectorType) -> tuple[Array, bool]:
    """Return a cell's numbers, and behind them its tables; whether it has any."""
    numbers = cell.numbers(read_volt)
    tables = None
    if len(numbers) and simd.level() == "avx512":
        tables = tables_of(cell.kind, numbers, read_volt, FORMS[kind])
    parts = [np.pad(numbers, (0, elements.NUMBERS - len(numbers))), *(tables or ())]
    memory = simd.aligned((sum(map(len, parts)),), np.float64)
    memory[:] = np.concatenate(parts)
    return memory, tables is not None


def _distinct(
    active: npt.NDArray[np.bool_],
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.intp] | None]:
    """Return the patterns that differ, and which of them each is; None if none is repeated."""
    packed = np.packbits(active, axis=1)
    whole = np.zeros((len(packed), -(-packed.shape[1] // 8) * 8), np.uint8)
    whole[:, : packed.shape[1]] = packed
    words = whole.view(np.uint64)
    keys = words[:, 0] if words.shape[1] == 1 else words.view(f"V{whole.shape[1]}")[:, 0]
    _, first, back = np.unique(keys, return_index=True, return_inverse=True)
    if len(first) == len(active):
        return active, None
    return active[first], back


@cache
def _tangents(cell: Cell, read_volt: float) -> Array:
    """Return the tangents at no drop: of a selected cell of weight 1, of a leak of 1 siemens."""
    t = tangent(cell, np.array([read_volt]), np.zeros(1), np.ones(1), read_volt)
    scales = float(cell.kind == "reram1t1r")
    selected = [*t.by_s, *t.by_b, *t.current, *t.middle, scales, *t.middle_by_s]
    one_less = 1 - t.middle_by_b
    return np.array([[*selected, *one_less], [1.0, 1.0, read_volt, 0.0, 0.0, 0.0, 1.0]], np.float64)
