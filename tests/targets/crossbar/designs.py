"""Designs that hypothesis draws: the ranges in which columns are solved for certain."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

from bitwright.targets.crossbar.devices.cells import Linear, Reram1T1R, Sram8T
from bitwright.targets.crossbar.solver.ladder import Ladder


@dataclass(frozen=True)
class Column:
    """A ladder, cells, (rows, columns) weights, and (patterns, rows) word lines."""

    ladder: Ladder
    cell: object
    weights: np.ndarray
    active: np.ndarray


def between(low, high):
    return st.floats(low, high, allow_nan=False)


def decades(low, high):
    """Numbers of all sizes between two powers of ten."""
    return between(low, high).map(lambda power: 10.0**power)


def ohms(low, high):
    return st.just(0.0) | decades(low, high)


def cells(kinds=("linear", "sram8t", "reram1t1r")):
    common = {
        "on_ohm": decades(2.5, 7),
        "on_off_ratio": decades(0, 7),
        "unselected_share": st.sampled_from([0.0, 1e-4, 1e-2]),
    }
    transistor = common | {
        "supply_volt": between(0.5, 1.2),
        "threshold_volt": between(0.0, 0.49),
        "slope_factor": between(1.0, 2.0),
        "modulation_per_volt": between(0.0, 1.0),
        "temperature_kelvin": between(200.0, 450.0),
    }
    memristor = {"sinh_volt": decades(-1, 1), "access_share": between(0.01, 0.9)}
    every = {
        "linear": st.builds(Linear, **(common | {"on_off_ratio": decades(0, 7) | st.just(np.inf)})),
        "sram8t": st.builds(Sram8T, **transistor),
        "reram1t1r": st.builds(Reram1T1R, **transistor, **memristor),
    }
    return st.one_of([every[kind] for kind in kinds])


def ladders(rows):
    return st.builds(
        Ladder,
        rows=rows,
        source_ohm=ohms(-3, 3),
        bit_ohm=ohms(-3, 3),
        driver_ohm=ohms(-1, 5),
        sink_ohm=ohms(-1, 5),
        read_volt=between(0.01, 1.2),
        feed=st.sampled_from(["far", "near"]),
    )


SHORT = st.integers(1, 40)


@st.composite
def columns(draw, kinds=("linear", "sram8t", "reram1t1r"), rows=SHORT):
    """Columns with spread, cells that are missing, and word lines of any density."""
    ladder, cell = draw(ladders(rows)), draw(cells(kinds))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    ones, on = draw(between(0.0, 1.0)), draw(between(0.0, 1.0))
    shape = (ladder.rows, draw(st.integers(1, 10)))
    stored = rng.random(shape) < ones
    spread = np.exp(draw(st.sampled_from([0.0, 0.3, 1.0])) * rng.standard_normal(shape))
    weights = np.where(stored, 1.0, 1 / cell.on_off_ratio) * spread
    weights[rng.random(shape) < draw(st.sampled_from([0.0, 0.2]))] = 0.0
    return Column(ladder, cell, weights, rng.random((2, ladder.rows)) < on)
