"""Ask how many columns of a crossbar one thread solves exactly, beside what people solve them with.

Tiles of 64 columns with random bits, half of them ones, under random word lines, half of them on:
cells and wires of the presets for 7 nm, at their read voltages, and 100 ohm at the ends. 8T-SRAM
and 1T-1ReRAM by Newton's method, linear cells by marching; 64, 128 and 256 rows. No two problems
are alike, and nothing is cached.

The circuit is the same for all: two rails with a cell between them at every row, a wire resistance
between neighbouring rows, the source line fed at the first row, the bit line sensed behind the
last. The peers, all on one thread, in the same run, for tiles of 64 rows:

- SciPy: Newton's method on the same equations, a sparse matrix of the two rails' drops at the rows
  that conduct, with what lies inside cells eliminated; `splu`, in the rows' order. ``vs_scipy`` is
  of one column at a time, ``vs_scipy_batched`` of a whole tile as one block-diagonal system.
- ngspice: `.op` of a tile's deck, as `bitwright spice` writes it: behavioural sources with the
  equations of the cells. ``vs_ngspice_transistors`` is of its own transistors of level 1 in their
  place, which are faster and not the same equations. Starting and parsing are included.
- CrossSim's parasitic solver, in its own environment: linear cells, its topology "non-interleaved,
  separate source", tolerance 1e-9; ``vs_crosssim_default`` is at its default tolerance of 1e-3.

Checked before anything is timed: the currents of random columns of every kind and size are those of
dense nodal analysis, and the peers' currents are ours. ``relative_error`` is the largest of the
8T-SRAM's columns of 64, beside dense nodal analysis. The least of the times counts. Prints one JSON
line.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy
from scipy.sparse import csc_array
from scipy.sparse.linalg import splu

from _peers import run_peer
from bitwright.eda.tools import require as find_tool
from bitwright.native import level
from bitwright.targets.crossbar import deck
from bitwright.targets.crossbar.devices import presets
from bitwright.targets.crossbar.devices.cells import BOLTZMANN_VOLT_PER_KELVIN, Cell, middle
from bitwright.targets.crossbar.devices.wires import wire_ohm
from bitwright.targets.crossbar.solver import columns as solver
from bitwright.targets.crossbar.solver import nodal
from bitwright.targets.crossbar.solver.columns import Columns
from bitwright.targets.crossbar.solver.ladder import Ladder

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.int64]
NODE = "7nm"
END_OHM = 100.0
"""Of driver and sink: for the peers' sake not 0, which would be easier."""
COLUMNS = 64
ROWS = (64, 128, 256)
ALLOWED = {"linear": 1e-9, "sram8t": 1e-6, "reram1t1r": 1e-6}
"""Relative errors of currents beside dense nodal analysis, at most."""
CHECKED = 100
"""Columns of each kind and size that are compared with dense nodal analysis, which is slow."""
SCIPY_PATTERNS = 4
SPICE_COLUMNS = (8, 64)
"""Of a deck: the faster counts."""
LIKE = 0.5
"""Relative: transistors of level 1 have no subthreshold current, and saturate otherwise."""
KELVIN = 300.0
CROSSSIM_PATTERNS = 256


@dataclass(frozen=True, eq=False)
class Case:
    """A tile and what its word lines do."""

    ladder: Ladder
    cell: Cell
    weights: Array
    active: Mask

    @classmethod
    def random(cls, technology: Any, rows: int, patterns: int, density: float = 0.5) -> Case:
        """Return a tile of random bits, and so many patterns with that part of the lines on."""
        rng = np.random.default_rng(rows)
        source, bit = wire_ohm(NODE, technology)
        ladder = Ladder(
            rows=rows,
            source_ohm=source,
            bit_ohm=bit,
            driver_ohm=END_OHM,
            sink_ohm=END_OHM,
            read_volt=presets.read_volt(technology, NODE),
        )
        cell = presets.cell_preset(technology, NODE)
        weights = np.where(rng.random((rows, COLUMNS)) < 0.5, 1.0, 1 / cell.on_off_ratio)
        return cls(ladder, cell, weights, rng.random((patterns, rows)) < density)

    def solver(self) -> Columns:
        """Return our solver of the tile."""
        return Columns(self.ladder, self.cell, self.weights)


def seconds_of(call: Callable[[], object], rounds: int) -> float:
    """Return the least time of some calls."""
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return min(times)


def worst(found: Array, expected: Array) -> float:
    """Return the largest relative error; currents that should be 0 must be."""
    with np.errstate(divide="ignore", invalid="ignore"):
        errors = np.where(found == expected, 0.0, np.abs(found - expected) / np.abs(expected))
    return float(errors.max())


def checked(case: Case, found: Array, allowed: float, name: str) -> float:
    """Return the error of random columns beside dense nodal analysis; stop if it is too large.

    Parameters
    ----------
    found
        (patterns, columns) in ampere, of the case's first patterns.
    """
    rng = np.random.default_rng(1)
    pairs = rng.integers(found.shape, size=(CHECKED, 2))
    expected = np.array(
        [nodal.solve(case.ladder, case.cell, case.weights[:, c], case.active[p]) for p, c in pairs]
    )
    error = worst(found[pairs[:, 0], pairs[:, 1]], expected)
    if not error <= allowed:
        raise SystemExit(f"{name}: currents are wrong by {error:.1e}: nothing was timed")
    return error


def our_row(
    technology: str, rows: int, seconds: float, rounds: int, density: float
) -> dict[str, Any]:
    """Check and time our solver on enough patterns for so many seconds."""
    trial = Case.random(technology, rows, 512, density)
    columns = trial.solver()
    currents = columns.solve(trial.active, threads=1).currents
    error = checked(trial, currents, ALLOWED[technology], f"{technology} of {rows} rows")
    once = seconds_of(lambda: columns.solve(trial.active, threads=1), 3)
    case = Case.random(technology, rows, max(512, int(512 * seconds / once)), density)
    columns = case.solver()
    solution = columns.solve(case.active, threads=1)
    least = seconds_of(lambda: columns.solve(case.active, threads=1), rounds)
    row = {
        "cell": technology,
        "rows": rows,
        "word_lines_on": density,
        "columns": solution.currents.size,
        "columns_per_second": round(solution.currents.size / least),
        "relative_error": error,
        "current_over_ideal": round(float(np.mean(solution.currents / ideal(case))), 3),
    }
    if solution.steps:
        row["double_steps"] = round(solution.steps / solution.groups, 2)
    return row


def ideal(case: Case) -> Array:
    """Return the currents without wires and ends, (patterns, columns)."""
    unit = case.ladder.read_volt / case.cell.on_ohm
    return np.maximum(case.active @ case.weights, 1e-9) * unit


class SparseNewton:
    """Newton's method with a sparse matrix, for some columns under one pattern at once.

    The unknowns are the drops p and b of the rails at the rows that conduct, next to each other, so
    that the matrix is banded; nothing links columns. Where entries go is worked out once a pattern.
    """

    def __init__(self, case: Case, active: Mask, columns: int) -> None:
        self.rows = np.flatnonzero(active)
        ladder, count = case.ladder, len(self.rows)
        self.cell, self.volt = case.cell, ladder.read_volt
        before, behind = self.rows[0], len(active) - 1 - self.rows[-1]
        source = _rail(self.rows, ladder.source_ohm, ladder.driver_ohm, before, 0)
        bit = _rail(self.rows, ladder.bit_ohm, ladder.sink_ohm, behind, -1)
        self.sink = 1 / (ladder.sink_ohm + ladder.bit_ohm * behind)
        # One column's entries: both rails' diagonals, both couplings of a cell, then wires up and
        # down. The cells' parts are in the first four.
        p, b = 2 * np.arange(count), 2 * np.arange(count) + 1
        first = np.concatenate([p, b, p, b, p[1:], p[:-1], b[1:], b[:-1]])
        second = np.concatenate([p, b, b, p, p[:-1], p[1:], b[:-1], b[1:]])
        none, (dp, wp), (db, wb) = np.zeros(2 * count), source, bit
        self.wires = np.concatenate([dp, db, none, wp, wp, wb, wb])
        offsets = 2 * count * np.arange(columns)[:, None]
        entries = ((offsets + first).ravel(), (offsets + second).ravel())
        numbered = np.arange(first.size * columns, dtype=np.float64)
        self.matrix = csc_array((numbered + 1, entries), shape=(2 * count * columns,) * 2)
        self.place = self.matrix.data.astype(np.int64) - 1
        start = middle(case.cell, np.array([self.volt]), np.zeros(1), np.ones(1), self.volt)
        self.start = float(start[0])
        self.bound = solver.MOVE * min(self.volt, 4 * BOLTZMANN_VOLT_PER_KELVIN * KELVIN)

    def solve(self, weights: Array) -> Array:
        """Return the currents of columns, (rows, columns), in ampere."""
        cell, volt, weights = self.cell, self.volt, weights[self.rows].T
        count = len(self.rows)
        p, b = np.zeros((2, *weights.shape))
        x = np.full(weights.shape, self.start)
        values = np.empty((len(weights), self.wires.size))
        for _ in range(solver.STEPS):
            e = cell.elements(volt - p, x, b, weights, volt)
            inverse = 1 / (e.upper_by_x + e.lower_by_x)
            k0 = (e.upper - e.lower) * inverse
            k1, k2 = e.upper_by_s * inverse, e.lower_by_b * inverse
            by_p, by_b = e.lower_by_x * k1, e.upper_by_x * k2
            current = e.lower + e.lower_by_x * k0 + by_p * p + by_b * b
            values[:] = self.wires
            values[:, : 4 * count] += np.concatenate([by_p, by_b, by_b, by_p], axis=1)
            self.matrix.data[:] = values.ravel()[self.place]
            # The rows' order leaves no fill-in, and the diagonal needs no pivots.
            factors = splu(self.matrix, permc_spec="NATURAL", diag_pivot_thresh=0.0)
            new = factors.solve(np.repeat(current.ravel(), 2)).reshape(*weights.shape, 2)
            dp, db = new[..., 0] - p, new[..., 1] - b
            p, b, x = new[..., 0], new[..., 1], x + k0 - k1 * dp + k2 * db
            if max(np.abs(dp).max(), np.abs(db).max(), np.abs(k0).max()) <= self.bound:
                return b[:, -1] * self.sink
        raise SystemExit("SciPy's Newton does not converge")


def _rail(rows: Indices, ohm: float, end_ohm: float, pitches: int, end: int) -> tuple[Array, Array]:
    """Return a rail's diagonal and off-diagonal; its end is so many pitches from its end row."""
    wires = 1 / (ohm * np.diff(rows))
    diagonal = np.zeros(len(rows))
    diagonal[1:] += wires
    diagonal[:-1] += wires
    diagonal[end] += 1 / (end_ohm + ohm * pitches)
    return diagonal, -wires


def beside_scipy(case: Case, rounds: int) -> dict[str, float]:
    """Return SciPy's columns a second, of one column at a time and of a tile at once."""
    patterns = case.active[:SCIPY_PATTERNS]
    ours = case.solver().solve(patterns, threads=1).currents

    def in_groups_of(size: int) -> Array:
        found = []
        for active in patterns:
            newton = SparseNewton(case, active, size)
            groups = range(0, COLUMNS, size)
            found.append(
                np.concatenate([newton.solve(case.weights[:, g : g + size]) for g in groups])
            )
        return np.array(found)

    rates = {}
    for size in (1, COLUMNS):
        if not worst(in_groups_of(size), ours) <= ALLOWED[case.cell.kind]:
            raise SystemExit(
                f"SciPy's currents, of {size} at once, are not ours: nothing was timed"
            )
        rates[size] = ours.size / seconds_of(partial(in_groups_of, size), rounds)
    return {"one": rates[1], "batched": rates[COLUMNS]}


def spice(text: str) -> Array:
    """Return the currents of a deck; the process has the priority of this one."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, deck.FILE).write_text(text)
        done = subprocess.run(
            [find_tool("ngspice").path, "-b", deck.FILE],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            check=False,
        )
    return deck.read_currents(done.stdout)


def with_transistors(case: Case, text: str) -> str:
    """Return a deck of 8T-SRAM with ngspice's own transistors for behavioural sources.

    A transistor's scale is that of the cell's current when both are in the linear region.
    """
    cell = case.cell
    over = cell.supply_volt - cell.threshold_volt
    scale = 2 / (cell.on_ohm * over)
    upper = re.compile(r"^bu(\S+) (\S+) (\S+) i=.*$", re.MULTILINE)
    lower = re.compile(r"^bl(\S+) (\S+) (\S+) i=lower\(.*, (\S+)\)$", re.MULTILINE)
    text = upper.sub(r"mu\1 \2 on \3 0 nfet", text)
    text = lower.sub(
        lambda m: f"ml{m[1]} {m[2]} {'on' if float(m[4]) > 0.5 else '0'} {m[3]} 0 nfet", text
    )
    model = f".model nfet nmos level=1 vto={cell.threshold_volt} kp={scale:.6g} lambda=0.1"
    return text.replace("\nvread ", f"\n{model}\nvon on 0 dc {cell.supply_volt}\nvread ", 1)


def beside_ngspice(case: Case, rounds: int) -> dict[str, float]:
    """Return ngspice's columns a second, with level 1 too, and how far currents are from ours."""
    active = case.active[0]
    ours = case.solver().solve(active[None], threads=1).currents[0]
    rates: dict[str, list[float]] = {"own": [], "transistors": []}
    for size in SPICE_COLUMNS:
        text = deck.deck(case.ladder, case.cell, case.weights, active, range(size))
        difference = worst(spice(text), ours[:size])
        if not difference <= ALLOWED[case.cell.kind]:
            raise SystemExit(
                f"ngspice's currents are not ours ({difference:.1e}): nothing was timed"
            )
        rates["own"].append(size / seconds_of(partial(spice, text), rounds))
        text = with_transistors(case, text)
        # Other equations: the currents are only like ours.
        if not worst(spice(text), ours[:size]) <= LIKE:
            raise SystemExit("ngspice's transistors are not like ours: nothing was timed")
        rates["transistors"].append(size / seconds_of(partial(spice, text), rounds))
    return {name: max(found) for name, found in rates.items()} | {"difference": difference}


def beside_crosssim(case: Case, tolerance: float) -> dict[str, Any]:
    """Return CrossSim's columns a second, and its and our error beside dense nodal analysis."""
    ladder = case.ladder
    unit = ladder.read_volt / case.cell.on_ohm
    with tempfile.TemporaryDirectory() as folder:
        tile, out = Path(folder, "case.npz"), Path(folder, "currents.npy")
        np.savez(
            tile,
            weights=case.weights,
            active=case.active,
            on_ohm=case.cell.on_ohm,
            wire_ohm=[ladder.source_ohm, ladder.bit_ohm],
            end_ohm=[ladder.driver_ohm, ladder.sink_ohm],
        )
        result = run_peer("crosssim", "columns_linear.py", [tile, out, "--tolerance", tolerance])
        found = np.load(out) * unit
    name = "CrossSim's circuit"
    result["relative_error"] = checked(case, found, max(100 * tolerance, 1e-9), name)
    result["rate"] = result["columns"] / result["seconds"]
    return result


def be_first() -> None:
    """Ask the kernel to run this before other jobs of the session, where it groups them."""
    try:
        Path(f"/proc/{os.getpid()}/autogroup").write_text("-12")
    except OSError as error:
        print(f"priority unchanged: {error}", file=sys.stderr)


def main() -> None:
    """Measure and print the JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=1.0, help="of columns, for each timing")
    parser.add_argument("--rounds", type=int, default=5, help="times that each is timed")
    parser.add_argument("--first", action="store_true", help="run before other jobs (needs root)")
    peers = ("scipy", "ngspice", "crosssim")
    parser.add_argument("--peers", nargs="*", choices=peers, default=list(peers))
    options = parser.parse_args()
    if options.first:
        be_first()
    began_with = os.getloadavg()[0]
    rows = [
        our_row(technology, rows, options.seconds, options.rounds, 0.5)
        for technology in ("sram8t", "reram1t1r", "linear")
        for rows in ROWS
    ]
    rows.append(our_row("linear", ROWS[0], options.seconds, options.rounds, 1.0))
    best = {(row["cell"], row["rows"], row["word_lines_on"]): row for row in rows}
    nonlinear, linear = best["sram8t", ROWS[0], 0.5], best["linear", ROWS[0], 0.5]
    rate = nonlinear["columns_per_second"]
    result = {
        "benchmark": "crossbar_solver",
        "level": level(),
        "columns_per_second": rate,
        "relative_error": nonlinear["relative_error"],
        "linear_columns_per_second": linear["columns_per_second"],
        "linear_relative_error": linear["relative_error"],
    }
    tile = Case.random("sram8t", ROWS[0], SCIPY_PATTERNS)
    if "scipy" in options.peers:
        rates = beside_scipy(tile, options.rounds)
        result |= {
            "vs_scipy": round(rate / rates["one"]),
            "vs_scipy_batched": round(rate / rates["batched"]),
            "scipy_columns_per_second": round(rates["one"]),
            "scipy_batched_columns_per_second": round(rates["batched"]),
            "scipy": scipy.__version__,
        }
    if "ngspice" in options.peers:
        rates = beside_ngspice(tile, options.rounds)
        result |= {
            "vs_ngspice": round(rate / rates["own"]),
            "vs_ngspice_transistors": round(rate / rates["transistors"]),
            "ngspice_columns_per_second": round(rates["own"]),
            "ngspice_transistors_columns_per_second": round(rates["transistors"]),
            "ngspice_difference": rates["difference"],
        }
    if "crosssim" in options.peers:
        linear_tile = Case.random("linear", ROWS[0], CROSSSIM_PATTERNS)
        for tolerance, name in ((1e-9, "crosssim"), (1e-3, "crosssim_default")):
            peer = beside_crosssim(linear_tile, tolerance)
            result |= {
                f"vs_{name}": round(linear["columns_per_second"] / peer["rate"]),
                f"{name}_columns_per_second": round(peer["rate"]),
                f"{name}_relative_error": peer["relative_error"],
            }
        result["crosssim"] = peer["crosssim"]
    result |= {"load_at_start": round(began_with, 1), "rows": rows}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
