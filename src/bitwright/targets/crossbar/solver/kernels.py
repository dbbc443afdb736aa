"""The loops over activation patterns and columns around the emitted solvers.

Requirements:

- Columns are padded to whole vectors of eight; what is solved there is not looked at.
- A pattern's first eight columns start from no drop, all others from the mean of those eight, which
  is nearer; so a column's result depends in its last digits (below the tolerance) on its
  neighbours, never on other patterns or on threads.
- Convergence is judged by the last step: its error is of the order of its square.
"""
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from numba import njit

from bitwright.native import simd
from bitwright.native.doubles import BYTES
from bitwright.native.simd import LANES
from bitwright.targets.crossbar.solver import march_kernel as mk
from bitwright.targets.crossbar.solver import newton_kernel as nk

WIDE = 4
"""Vectors that march together, which hides the latency of additions."""

_march_far_wide, _march_far = mk.march(WIDE, far=True), mk.march(1, far=True)
_march_near_wide, _march_near = mk.march(WIDE, far=False), mk.march(1, far=False)
# Where tables cannot be looked up they are not asked for.
_HAS_TABLES = simd.level() == "avx512"
_sram, _reram = (nk.linearise(cell, tables=False) for cell in nk.CELLS)
_sram_table, _reram_table = (nk.linearise(cell, tables=_HAS_TABLES) for cell in nk.CELLS)
_start, _average, _restart = nk.start, nk.average, nk.restart
_eliminate, _substitute = nk.eliminate, nk.substitute
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


@njit(cache=True, nogil=True)
def newton(kind, active, leaks, weights, tangents, device, wires, work, lists, gaps, bounds, out):
    """Solve all columns under all patterns by Newton's method.

    Parameters
    ----------
    kind
        LINEAR, SRAM or RERAM.
    active
        (patterns, rows) bool.
    leaks
        Whether rows that are not selected conduct.
    weights
        (2, rows, padded columns): multipliers of selected cells; conductances of others in siemens.
    tangents
        (2, 7): of selected cells of weight 1, and of a leak of 1 siemens.
    device, wires
        Numbers of the cell and of the ladder.
    work, lists, gaps
        Memory: (rows + 3, fields, 8) doubles, (2, rows, 2) int64, (rows + 1) doubles.
    bounds
        (move in volt below which a column has converged, steps at most).
    out
        (patterns, padded columns): currents.

    Returns
    -------
    tuple
        The largest last step in volt, all steps, the groups of eight that did not converge.
    """
    patterns, rows = active.shape
    stride = weights.shape[2] * 8
    pairs, cells = lists[0], lists[1]
    memory, listed, chosen = work.ctypes.data, pairs.ctypes.data, cells.ctypes.data
    result, mean = work[rows], memory + (rows + 1) * _ROW_BYTES
    of_cell, of_leak = tangents[0].ctypes.data, tangents[1].ctypes.data
    worst, all_steps, failed = 0.0, 0, 0
    for pattern in range(patterns):
        count, selected = list_rows(active[pattern], leaks, stride, pairs, cells, gaps)
        if count == 0:
            out[pattern, :] = 0.0
            continue
        bends = kind != LINEAR and selected > 0
        for group in range(weights.shape[2] // _LANES):
            base = weights.ctypes.data + group * _BYTES
            if leaks:
                _start(memory, listed, base, of_leak, count)
            if group == 0 or not bends:
                _start(memory, chosen, base, of_cell, selected)
            else:
                _restart(memory, chosen, base, mean, of_cell, selected)
            steps = 0
            while True:
                if steps > 0:
                    _linearise(
                        kind, memory, chosen, base, device.ctypes.data, wires.ctypes.data, selected
                    )
                _eliminate(memory, gaps.ctypes.data, wires.ctypes.data, count)
                _substitute(memory, gaps.ctypes.data, wires.ctypes.data, count, result.ctypes.data)
                steps += 1
                moved = result[1].max() if bends else 0.0
                # Where nothing bends, the first step is exact.
                if not bends or steps >= bounds[1] or (steps > 1 and moved <= bounds[0]):
                    break
            all_steps += steps
            if group == 0 and bends:
                _average(memory, chosen, base, mean, of_cell, selected)
            found = out[pattern, group * _LANES : (group + 1) * _LANES]
            if moved <= bounds[0]:
                found[:] = result[0]
                worst = max(worst, moved)
            else:
                found[:] = -1.0
                failed += 1
    return worst, all_steps, failed


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
