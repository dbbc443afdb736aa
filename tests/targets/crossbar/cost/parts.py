"""What tests of costs share: a tiny array with round numbers, and pieces that cost their size."""

from __future__ import annotations

from bitwright.targets.crossbar.cost import Activity, Technology
from bitwright.targets.crossbar.cost.pieces import KINDS, Piece, PieceTable

TECHNOLOGY = Technology(
    node="7nm",
    cell_height_m=1e-6,
    cell_width_m=2e-6,
    wire_farad_per_m=0.2e-9,
    gate_farad=0.1e-15,
    drain_farad=0.05e-15,
    word_line_ohm=50.0,
    source_ohm=15.0,
    bit_ohm=5.0,
    driver_ohm=120.0,
    sink_ohm=80.0,
    word_line_volt=1.0,
    read_volt=0.5,
    on_ohm=10e3,
)
"""A word line of two columns has 1 fF, a rail of two rows 0.5 fF; a cell that is on 50 uA."""

TINY = Activity(
    name="tiny",
    rows=2,
    columns=2,
    row_tiles=2,
    column_tiles=1,
    fan_in=4,
    outputs=2,
    windows=3,
    adc_bits=1,
    reads=6,
    conversions=12,
    word_lines=5,
    on_cells=8,
    current=6,
)
"""Two arrays of 2 x 2: a layer of four inputs and two outputs, in three windows."""


def table() -> PieceTable:
    """Return pieces of `size` fJ, ps and um2, and 10 of each for every bit of width above 1."""
    pieces = [
        Piece(kind, size, width, float(cost), cost * 1e-12, cost * 1e-15)
        for kind in KINDS
        for size in (1, 64)
        for width in ((1, 10) if kind in ("accumulate", "add") else (1,))
        for cost in [size + 10 * (width - 1)]
    ]
    return PieceTable("round", "um2", 0.7, tuple(pieces))
