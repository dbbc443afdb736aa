"""Ask what arrays lose whose word lines carry current, beside those whose word lines drive gates.

Tiles of 64 rows of random bits, half of them ones, under random word lines, half of them on; linear
cells of 20 kohm that are open when off, ends of 0 ohm, and wires by x = r G_on n^2, r being the
resistance of each line between two neighbouring crossings. Two circuits of each tile:

- ``gated``: word lines drive gates, and each column has a source line and a bit line, as in 8T-SRAM
  and 1T-1ReRAM. Columns do not see each other. The target `crossbar` solves these.
- ``passive``: a cell at each crossing of a word line and a bit line. Rows that are off are held at
  0 V and draw current. What a column senses depends on all others, and on how far it is from the
  drivers of the word lines.

The share of the ideal current that is lost is told as the mean over all columns, and of the passive
array for the columns next to the drivers and farthest from them. Columns a second are of one
thread; the passive array's factors are kept from pattern to pattern, and making them is not
counted. Checked first: where word lines and source lines have 0 ohm both are the same circuit, but
for the rows that are off, which must not conduct then. Prints one JSON line.

    python benchmarks/passive_array.py
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from bitwright.targets.crossbar.devices.cells import Linear
from bitwright.targets.crossbar.solver.columns import Columns
from bitwright.targets.crossbar.solver.ladder import Ladder
from bitwright.targets.crossbar.solver.passive import PassiveArray

Array = npt.NDArray[np.float64]
ROWS, ON_OHM, READ_VOLT = 64, 20e3, 0.1
COLUMNS = (16, 64, 256)
WIRES = (0.01, 0.05, 0.2, 1.0)
"""As x = r G_on n^2."""
PATTERNS = 128
ALLOWED = 1e-9


def gated(bits: Array, source_ohm: float, bit_ohm: float) -> Columns:
    """Return a tile's columns, each with rails of its own."""
    ladder = Ladder(
        rows=ROWS,
        source_ohm=source_ohm,
        bit_ohm=bit_ohm,
        driver_ohm=0,
        sink_ohm=0,
        read_volt=READ_VOLT,
    )
    return Columns(ladder, Linear(on_ohm=ON_OHM), bits)


def passive(bits: Array, row_ohm: float, column_ohm: float) -> PassiveArray:
    """Return a tile of resistors between word lines and bit lines."""
    return PassiveArray(
        bits / ON_OHM, row_ohm=row_ohm, column_ohm=column_ohm, driver_ohm=0, sink_ohm=0
    )


def rate(solve: Callable[[], Array]) -> tuple[Array, float]:
    """Return currents, and how many of them a second at best of three."""
    times = []
    for _ in range(3):
        began = time.perf_counter()
        currents = solve()
        times.append(time.perf_counter() - began)
    return currents, currents.size / min(times)


def check(bits: Array) -> float:
    """Return how far the two are apart where they are one circuit; stop if they are not."""
    on = np.ones((1, ROWS), np.bool_)
    one = gated(bits, 0, 5.0).solve(on, threads=1).currents
    two = passive(bits, 0, 5.0).solve(on * READ_VOLT)
    error = float(np.max(np.abs(two - one) / one))
    if not error <= ALLOWED:
        raise SystemExit(f"the two are apart by {error:.1e} where they are the same circuit")
    return error


def compare(columns: int, x: float) -> dict[str, Any]:
    """Return what a tile loses in either circuit, and how fast that is solved."""
    rng = np.random.default_rng(columns)
    bits = (rng.random((ROWS, columns)) < 0.5).astype(np.float64)
    active = rng.random((PATTERNS, ROWS)) < 0.5
    ohm = x * ON_OHM / ROWS**2
    rails, array = gated(bits, ohm, ohm), passive(bits, ohm, ohm)
    alone, alone_rate = rate(lambda: rails.solve(active, threads=1).currents)
    together, together_rate = rate(lambda: array.solve(active * READ_VOLT))
    ideal = (active @ bits) * READ_VOLT / ON_OHM
    lost = 1 - together.sum(axis=0) / ideal.sum(axis=0)
    return {
        "columns": columns,
        "x": x,
        "gated_lost": round(1 - float(alone.sum() / ideal.sum()), 4),
        "passive_lost": round(1 - float(together.sum() / ideal.sum()), 4),
        "passive_lost_nearest": round(float(lost[: columns // 8].mean()), 4),
        "passive_lost_farthest": round(float(lost[-columns // 8 :].mean()), 4),
        "gated_columns_per_second": round(alone_rate),
        "passive_columns_per_second": round(together_rate),
    }


def main() -> None:
    """Print what both circuits lose."""
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    bits = (np.random.default_rng(0).random((ROWS, 64)) < 0.5).astype(np.float64)
    rows = [compare(columns, x) for columns in COLUMNS for x in WIRES]
    print(json.dumps({"relative_error": check(bits), "rows": rows}))


if __name__ == "__main__":
    main()
