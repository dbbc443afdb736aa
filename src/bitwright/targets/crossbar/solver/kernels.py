"""The loops over activation patterns and columns around the emitted solvers.

Requirements:

- Columns are padded to whole vectors of sixteen; what is solved there is not looked at.
- A pattern's first sixteen columns start from no drop, all others from the mean of those, which is
  nearer; so a column's result depends in its last digits (below the tolerance) on its neighbours,
  never on other patterns or on threads.
- Steps in floats come near, sixteen columns at a time; steps in doubles follow, eight at a time.
- Convergence is judged by the last step: its error is of the order of its square.
- What that leaves is measured on a sample by a step more, whose result is not kept. Which columns
  are in it depends on the pattern alone, not on those beside it or on threads.
"""
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import numpy as np
from numba import njit

from bitwright.native import simd
from bitwright.native.reals import BYTES, VD, VF
from bitwright.native.simd import LANES
from bitwright.targets.crossbar.solver import march_kernel as mk
from bitwright.targets.crossbar.solver import newton_kernel as nk

_NEAR_STEPS = 6
_CHECKED = 4
"""Of about so many patterns one has a group of eight columns that takes a step more."""

WIDE = 4
"""Vectors that march together, which hides the latency of additions."""

_march_far_wide, _march_far = mk.march(WIDE, far=True), mk.march(1, far=True)
_march_near_wide, _march_near = mk.march(WIDE, far=False), mk.march(1, far=False)
# Where tables cannot be looked up they are not asked for.
_HAS_TABLES = simd.level() == "avx512"
_sram, _reram = (nk.linearise(cell, VD, tables=False) for cell in nk.CELLS)
_sram_table, _reram_table = (nk.linearise(cell, VD, tables=_HAS_TABLES) for cell in nk.CELLS)
_sram_near, _reram_near = (nk.linearise(cell, VF, tables=False) for cell in nk.CELLS)
_sram_table_near, _reram_table_near = (
    nk.linearise(cell, VF, tables=_HAS_TABLES) for cell in nk.CELLS
)
_start, _eliminate, _substitute = nk.start, nk.eliminate, nk.substitute
_start_near, _eliminate_near, _substitute_near = (
    nk.start_near,
    nk.eliminate_near,
    nk.substitute_near,
)
_average_near, _restart_near, _widen = nk.average_near, nk.restart_near, nk.widen
_ROW_BYTES, _BYTES, _LANES, _SIZE = nk.ROW_BYTES, BYTES, LANES, WIDE * LANES
_BOTH, _BY_U, _ALONE, _BY_T, _BY_S, _VOLT = range(mk.NUMBERS)
LINEAR, SRAM, RERAM, SRAM_TABLE, RERAM_TABLE = range(5)


@njit(cache=True, nogil=True)
def list_rows(active, leaks, stride, pairs, cells, gaps):
    """List the rows that conduct under a pattern; return how many, and how many are selected.

    `pairs` gets each one's place in memory and offset of weights, of rows that leak those of the
    second plane; `cells` the pairs of the selected ones alone; `gaps` the pitches before each row
    and behind the last.
    """
    rows = active.shape[0]
    count = selected = last = 0
    for row in range(rows):
        if not (active[row] or leaks):
            continue
        plane = 0 if active[row] else rows * stride
        pairs[count, 0], pairs[count, 1] = count * _ROW_BYTES, row * stride + plane
        if active[row]:
            cells[selected, 0], cells[selected, 1] = pairs[count, 0], pairs[count, 1]
            selected += 1
        gaps[count] = row - last
        last = row
        count += 1
    gaps[count] = rows - 1 - last
    return count, selected


@njit(inline="always")
def _linearise(kind, memory, rows, weights, device, wires, count):
    """Put tangents in place of the cells of some rows, by what the kind takes."""
    if kind == SRAM:
        _sram(memory, rows, weights, device, wires, count)
    elif kind == SRAM_TABLE:
        _sram_table(memory, rows, weights, device, wires, count)
    elif kind == RERAM:
        _reram(memory, rows, weights, device, wires, count)
    else:
        _reram_table(memory, rows, weights, device, wires, count)


@njit(inline="always")
def _linearise_near(kind, memory, rows, weights, device, wires, count):
    """Do the same in floats."""
    if kind == SRAM:
        _sram_near(memory, rows, weights, device, wires, count)
    elif kind == SRAM_TABLE:
        _sram_table_near(memory, rows, weights, device, wires, count)
    elif kind == RERAM:
        _reram_near(memory, rows, weights, device, wires, count)
    else:
        _reram_table_near(memory, rows, weights, device, wires, count)


@njit(cache=True, nogil=True)
def _come_near(
    kind, first, listed, leaking, chosen, selected, count, weights, memory, numbers, of_cell,
    of_leak, wire, gap, result, bound,
):  # fmt: skip
    """Solve sixteen columns in floats: the first of a pattern from no drop, others from their mean.

    From where floats do not come near in `_NEAR_STEPS`, doubles go on.
    """
    mean = memory + _ROW_BYTES * (count + 1)
    if leaking:
        _start_near(memory, listed, weights, of_leak, leaking)
    if first:
        _start_near(memory, chosen, weights, of_cell, selected)
    else:
        _restart_near(memory, chosen, weights, mean, of_cell, selected)
    for step in range(_NEAR_STEPS):
        if step > 0:
            _linearise_near(kind, memory, chosen, weights, numbers, wire, selected)
        _eliminate_near(memory, gap, wire, count)
        _substitute_near(memory, gap, wire, count, result.ctypes.data)
        if step > 0 and result[1].max() <= bound:
            break
    if first:
        _average_near(memory, chosen, weights, mean, of_cell, selected)


@njit(cache=True, nogil=True)
def newton(
    kind, active, leaks, weights, near, tangents, device, wires, work, lists, gaps, bounds, out
):
    """Solve all columns under all patterns by Newton's method.

    Parameters
    ----------
    kind
        LINEAR, SRAM, RERAM, or one of the latter with tables.
    active
        (patterns, rows) bool.
    leaks
        Whether rows that are not selected conduct.
    weights
        (2, rows, padded columns): multipliers of selected cells; conductances of others in siemens.
    near
        (weights as floats, the cell's memory for floats, memory as `work`, two vectors).
    tangents
        (2, 7): of selected cells of weight 1, and of a leak of 1 siemens.
    device, wires
        The cell's memory and the ladder's numbers.
    work, lists, gaps
        Memory: (rows + 3, fields, 8) doubles, (2, rows, 2) int64, (rows + 1) doubles.
    bounds
        (move in volt below which a column has converged; below which floats are near enough;
        steps at most).
    out
        (patterns, padded columns): currents.

    Returns
    -------
    tuple
        The largest last step in volt, the largest of a step more (-1 if no column took any), all
        steps, the groups of eight that did not converge.
    """
    patterns, rows = active.shape
    stride = weights.shape[2] * 8
    pairs, cells = lists[0], lists[1]
    memory, listed, chosen = work.ctypes.data, pairs.ctypes.data, cells.ctypes.data
    result, of_cell, of_leak = work[rows], tangents[0].ctypes.data, tangents[1].ctypes.data
    gap, wire, numbers = gaps.ctypes.data, wires.ctypes.data, device.ctypes.data
    near_weights, near_device, near_work, near_result = near
    near_memory, near_numbers = near_work.ctypes.data, near_device.ctypes.data
    worst, residual, all_steps, failed = 0.0, -1.0, 0, 0
    for pattern in range(patterns):
        count, selected = list_rows(active[pattern], leaks, stride, pairs, cells, gaps)
        bends = kind != LINEAR and selected > 0
        mark = cells[:selected, 1].sum() // stride
        checked = -1 if mark % _CHECKED else mark // _CHECKED % (weights.shape[2] // _LANES)
        for group in range(weights.shape[2] // _LANES if count else 0):
            base = weights.ctypes.data + group * _BYTES
            if bends and group % 2 == 0:
                _come_near(
                    kind, group == 0, listed, count if leaks else 0, chosen, selected, count,
                    near_weights.ctypes.data + group // 2 * _BYTES, near_memory, near_numbers,
                    of_cell, of_leak, wire, gap, near_result, bounds[1],
                )  # fmt: skip
            if leaks:
                _start(memory, listed, base, of_leak, count)
            if bends:
                _widen(near_memory + group % 2 * (_BYTES // 2), memory, count)
            else:
                _start(memory, chosen, base, of_cell, selected)
            steps, moved = 0, np.inf
            # Where nothing bends, the first step is exact.
            while moved > bounds[0] and steps < bounds[2]:
                if bends:
                    _linearise(kind, memory, chosen, base, numbers, wire, selected)
                _eliminate(memory, gap, wire, count)
                _substitute(memory, gap, wire, count, result.ctypes.data)
                moved = result[1].max() if bends else 0.0
                steps += 1
            all_steps += steps
            solved = moved <= bounds[0]
            failed += not solved
            worst = max(worst, moved) if solved else worst
            for lane in range(_LANES):
                out[pattern, group * _LANES + lane] = result[0, lane] if solved else -1.0
            if bends and solved and group == checked:
                _linearise(kind, memory, chosen, base, numbers, wire, selected)
                _eliminate(memory, gap, wire, count)
                _substitute(memory, gap, wire, count, result.ctypes.data)
                residual = max(residual, result[1].max())
        if count == 0:
            out[pattern, :] = 0.0
    return worst, residual, all_steps, failed


@njit(cache=True, nogil=True)
def linear(far, active, leaks, conductances, wires, ends, scalars, offsets, gaps, out):
    """Solve all columns of linear cells under all patterns by marching.

    Parameters
    ----------
    far
        Whether the source line is fed at row 0.
    conductances
        (2, rows, padded columns) in siemens, of cells that are selected and of others.
    wires
        (source + bit, source) in ohm.
    ends
        (read voltage, driver + sink in ohm).
    scalars, offsets, gaps
        Memory: the march's numbers, and for each row an int64 and a double, and one more.
    out
        (patterns, padded columns): currents.
    """
    patterns, rows = active.shape
    columns = conductances.shape[2]
    stride = columns * 8
    volt, end = ends[0], ends[1]
    both, source = wires[0], wires[1]
    share = source / both if far and both > 0 else 0.0
    scalars[_BOTH], scalars[_VOLT] = both, volt
    scalars[_BY_U], scalars[_ALONE] = (1.0 - share) ** 2, 2.0 * share * (1.0 - share)
    scalars[_BY_T] = share**2
    starts, befores, numbers = offsets.ctypes.data, gaps.ctypes.data, scalars.ctypes.data
    for pattern in range(patterns):
        count = last = 0
        for row in range(rows):
            # Written in any case, kept if the row conducts: a branch would be guessed wrong often.
            on = active[pattern, row]
            offsets[count] = row * stride + (0 if on else rows * stride)
            gaps[count] = row - last
            conducts = on or leaks
            last = row if conducts else last
            count += 1 if conducts else 0
        if count == 0:
            out[pattern, :] = 0.0
            continue
        # Wires before the first row that conducts carry all current, or none; those behind too.
        before, behind = gaps[0], rows - 1 - last
        gaps[0] = 0.0
        drop = end + (source * before if far else source * behind) + (both - source) * behind
        if far:
            drop += source * (1.0 - share) * (last - before)
        scalars[_BY_S] = drop
        base, result = conductances.ctypes.data, out[pattern].ctypes.data
        at = 0
        while at + _SIZE <= columns:
            if far:
                _march_far_wide(starts, base + at * 8, befores, numbers, result + at * 8, count)
            else:
                _march_near_wide(starts, base + at * 8, befores, numbers, result + at * 8, count)
            at += _SIZE
        while at < columns:
            if far:
                _march_far(starts, base + at * 8, befores, numbers, result + at * 8, count)
            else:
                _march_near(starts, base + at * 8, befores, numbers, result + at * 8, count)
            at += _LANES
    return 0
