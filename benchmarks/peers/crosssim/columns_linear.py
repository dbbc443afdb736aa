"""Solve columns of linear cells with CrossSim's parasitic solver.

The topology is CrossSim's "non-interleaved, separate source": each column has a summation line and
a source line beside it, with a cell and its switch between them at every row; inputs only open and
close switches (``current_from_input`` false, as for cells whose word lines drive gates). The source
line is fed at the first row, the summation line sensed behind the last. CrossSim counts a wire more
at each end than there are between rows, so terminals are what is left of the ends' resistances.

The solver is its class ``NoninterleavedSeparateSourceArray``, called as its numeric core calls it,
without the core's other work: a batch of inputs at a time, in double precision. It iterates until
no cell's voltage is off by more than ``Verr_th_mvm``, in units of the read voltage. Its relaxation
parameter and the batch are tried before anything is timed, the fastest that converge count.

Reads an ``.npz``: ``weights`` (rows, columns) and ``active`` (patterns, rows), 0 or 1, and the
resistances ``on_ohm``, ``wire_ohm`` (source line, bit line) and ``end_ohm`` (driver, sink). Writes
an ``.npy``: currents (patterns, columns) in units of the read voltage by on_ohm. Prints one JSON
line.
"""

from __future__ import annotations

import argparse
import json
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from simulator import CrossSimParameters
from simulator.backend import ComputeBackend
from simulator.circuits.array import NoninterleavedSeparateSourceArray

GAMMAS = (1.0, 0.85, 0.7, 0.5, 0.35, 0.25, 0.15)
"""CrossSim's ``relaxation_gamma``, the largest first: the largest that converges is about best."""
BATCHES = (4, 16, 64)
MOST_STEPS = 5_000


def array_of(case: Any, tolerance: float, gamma: float) -> NoninterleavedSeparateSourceArray:
    """Return a solver of the case's circuit."""
    params = CrossSimParameters()
    params.core.style = "OFFSET"
    params.core.rows_max, params.core.cols_max = case["weights"].shape
    for dac in (params.xbar.dac.mvm, params.xbar.dac.vmm):
        dac.input_bitslicing, dac.slice_size = True, 1
    params.xbar.device.Rmin = float(case["on_ohm"])
    parasitics = params.xbar.array.parasitics
    parasitics.enable, parasitics.current_from_input = True, False
    source, bit = (float(ohm) for ohm in case["wire_ohm"])
    driver, sink = (float(ohm) for ohm in case["end_ohm"])
    parasitics.Rp_row, parasitics.Rp_col = source, bit
    parasitics.Rp_row_terminal, parasitics.Rp_col_terminal = driver - source, sink - bit
    params.simulation.Niters_max_parasitics = MOST_STEPS
    params.simulation.Verr_th_mvm = tolerance
    params.simulation.relaxation_gamma = gamma
    params.simulation.hide_convergence_msg = True
    params.validate()
    return NoninterleavedSeparateSourceArray(params)


def solved(
    solver: NoninterleavedSeparateSourceArray, case: Any, batch: int
) -> tuple[np.ndarray, float]:
    """Return all currents, (patterns, columns), and the seconds that they took."""
    weights = np.ascontiguousarray(case["weights"].T, np.float64)
    inputs = case["active"].astype(np.float64)
    parts = []
    began = time.perf_counter()
    for start in range(0, len(inputs), batch):
        found = solver.iterative_solve(weights.copy(), inputs[start : start + batch].T)
        parts.append(found.T)
    seconds = time.perf_counter() - began
    return np.concatenate(parts), seconds


def main() -> None:
    """Choose parameters, solve, print the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("case", type=Path, help="an .npz")
    parser.add_argument("out", type=Path, help="the .npy to write")
    parser.add_argument("--tolerance", type=float, default=1e-9, help="CrossSim's Verr_th_mvm")
    parser.add_argument("--rounds", type=int, default=3, help="the least time of so many counts")
    args = parser.parse_args()
    ComputeBackend(use_gpu=False)
    case = dict(np.load(args.case))
    sample = case | {"active": case["active"][: max(BATCHES)]}
    trials: list[tuple[float, float, int]] = []
    for gamma in GAMMAS:
        solver = array_of(case, args.tolerance, gamma)
        try:
            # Overflow is an exception here: divergence is seen at once.
            with np.errstate(all="raise", under="ignore"):
                solver.solve_mvm(case["active"].T.astype(np.float64), case["weights"].T * 1.0)
        except (FloatingPointError, RuntimeError):
            continue
        tried = [(solved(solver, sample, batch)[1], gamma, batch) for batch in BATCHES]
        if trials and min(tried) > min(trials):
            break
        trials += tried
    if not trials:
        raise SystemExit("CrossSim's solver converges with none of the relaxation parameters")
    _, gamma, batch = min(trials)
    solver = array_of(case, args.tolerance, gamma)
    times = []
    for _ in range(args.rounds):
        currents, seconds = solved(solver, case, batch)
        times.append(seconds)
    np.save(args.out, currents)
    result = {"crosssim": version("CrossSim"), "seconds": min(times), "columns": currents.size}
    print(json.dumps(result | {"gamma": gamma, "batch": batch, "tolerance": args.tolerance}))


if __name__ == "__main__":
    main()
