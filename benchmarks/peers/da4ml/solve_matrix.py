"""Solve one constant matrix with da4ml: y = x @ matrix by additions and subtractions of two.

Inputs are single bits, 0 or 1. The cost that da4ml makes small is the bits of all its adders
(``adder_size`` 1, no limit on delay), over all of its decompositions of the matrix: before common
subexpressions are sought, columns may be made from one another in a tree. ``--search one`` takes
the matrix as it is, ``--search N`` only the decomposition whose depth N limits (``decompose_dc``).

The solution is executed by da4ml itself on random bits, and compared with the product, before it is
written. Prints one JSON line: ``finished`` is false where the limit ran out; there is no file.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from da4ml.cmvm import solve

VECTORS = 4
"""Random inputs on which a solution is executed: da4ml's own interpreter takes one at a time."""
DELAY = 1000
"""A limit on delay that no solution comes near."""


def solved(matrix: np.ndarray, selection: str, search: str, out: Path) -> dict[str, Any]:
    """Solve a matrix, check the solution, write it.

    Parameters
    ----------
    matrix
        (inputs, outputs) float32.
    selection
        How da4ml chooses the next pair: its ``method0``.
    search
        "all" decompositions, "one", or which.
    out
        The ``.npz`` to write. For each stage s of the solution: ``ops_s``, (operations, 4) of
        first operand, second operand, opcode and shift; ``entry_s``, the shifts of its inputs;
        ``leave_s``, (outputs, 3) of operation, shift and whether it is negated.
    """
    began = time.perf_counter()
    solution = solve(
        matrix,
        method0=selection,
        qintervals=[(0.0, 1.0, 1.0)] * len(matrix),
        latencies=[0.0] * len(matrix),
        adder_size=1,
        search_all_decompose_dc=search == "all",
        # Without a limit on delay that it may use up, it takes no decomposition but the first.
        **({"hard_dc": DELAY, "decompose_dc": int(search)} if search.isdecimal() else {}),
    )
    seconds = time.perf_counter() - began
    for bits in np.random.default_rng(0).integers(0, 2, (VECTORS, len(matrix))):
        if not np.array_equal(np.asarray(solution(bits), np.float64), bits @ matrix):
            raise ValueError("da4ml's solution is not the product")
    arrays = {}
    for number, stage in enumerate(solution.solutions):
        ops = [(op.id0, op.id1, op.opcode, op.data) for op in stage.ops]
        leave = zip(stage.out_idxs, stage.out_shifts, stage.out_negs, strict=True)
        arrays[f"ops_{number}"] = np.array(ops, np.int64).reshape(-1, 4)
        arrays[f"entry_{number}"] = np.array(stage.inp_shifts, np.int64)
        arrays[f"leave_{number}"] = np.array(list(leave), np.int64).reshape(-1, 3)
    np.savez(out, **arrays)
    adders = sum(op.opcode in (0, 1) for stage in solution.solutions for op in stage.ops)
    return {"seconds": seconds, "adders": adders, "adder_bits": solution.cost}


def main() -> None:
    """Solve in a process of its own, which can be stopped, and print the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("matrix", type=Path, help="an .npy, (inputs, outputs)")
    parser.add_argument("out", type=Path, help="the .npz to write")
    parser.add_argument("--selection", default="wmc", help="da4ml's method0")
    parser.add_argument("--search", default="all", help="all, one or N")
    parser.add_argument("--limit-seconds", type=float, default=600)
    args = parser.parse_args()
    if args.search not in ("all", "one") and not args.search.isdecimal():
        parser.error(f"--search {args.search}: give all, one, or a whole number")
    # The solver takes memory in rows for granted, whatever the array's strides are.
    matrix = np.ascontiguousarray(np.load(args.matrix), np.float32)
    result: dict[str, Any] = {"da4ml": version("da4ml"), "finished": False}
    # The solver is one call into C++, which no signal handler of Python interrupts.
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        waiting = pool.apply_async(solved, (matrix, args.selection, args.search, args.out))
        try:
            result |= waiting.get(args.limit_seconds) | {"finished": True}
        except multiprocessing.TimeoutError:
            pool.terminate()
    print(json.dumps(result))


if __name__ == "__main__":
    main()
