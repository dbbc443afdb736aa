"""What the pieces of an accelerator cost in look-up tables of Xilinx's 7 series, by our synthesis.

Requirements:

- A cost is what yosys makes of the piece alone (`bitwright.eda.fpga.count_luts`), or of the best of
  several designs of it; two look-up tables that could share a site count as two, multiplexers
  between sites (MUXF7) and carry chains as none.
- The table is shipped, so that a model needs no tool. ``bitwright study accelerator-pieces`` makes
  it anew, and the tests some of its entries.

============= ====== ===============================================================================
piece         size   what it is
============= ====== ===============================================================================
xnor_popcount bits   the matches of a tile of activations with as many weights, both inputs
accumulate    bits   a register of so many bits that adds a number of at most 7 bits to itself, or
                     to a start value that is given
compare       bits   whether a number is at least another
mux           inputs one bit of several
============= ====== ===============================================================================
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from importlib import resources
from typing import Any, Literal, get_args

from bitwright.circuits import Circuit, write_verilog
from bitwright.circuits.builder import Builder
from bitwright.circuits.columns import compress
from bitwright.circuits.counters import count_sixes
from bitwright.eda.fpga import count_luts
from bitwright.errors import ConfigError

Piece = Literal["xnor_popcount", "accumulate", "compare", "mux"]

TABLE = "piece_luts.json"
_WIDTHS = (2, 4, 6, 8, 10, 12, 14, 16, 20, 24)
SIZES: dict[Piece, tuple[int, ...]] = {
    "xnor_popcount": (2, 3, 4, 6, 8, 9, 12, 16, 18, 24, 27, 32, 36, 48, 64),
    "accumulate": _WIDTHS,
    "compare": _WIDTHS,
    "mux": (2, 4, 8, 16, 32, 64),
}
"""The sizes in the table."""
_ADDEND = 7
"""A tile of 64 bits has a count of 7."""


def luts(piece: Piece, size: int) -> int:
    """Return what a piece costs in look-up tables of six inputs.

    A piece costs no more than a larger one, some of whose inputs are tied off: tools do not always
    find that. Between two sizes of the table the cost is interpolated, and rounded up.

    Raises
    ------
    ConfigError
        If the size lies outside of the table.
    """
    known = table()[piece]
    sizes = sorted(known)
    if not sizes[0] <= size <= sizes[-1]:
        raise ConfigError(
            f"the cost of {piece} of size {size} is not known",
            f"sizes {sizes[0]}..{sizes[-1]} are",
        )
    least = {entry: min(known[other] for other in sizes if other >= entry) for entry in sizes}
    above = next(entry for entry in sizes if entry >= size)
    if above == size:
        return least[size]
    below = sizes[sizes.index(above) - 1]
    rise = (least[above] - least[below]) * (size - below)
    return least[below] - (-rise // (above - below))


def source() -> str:
    """Return where the table comes from, in one line."""
    tools = ", ".join(f"{name} {version}" for name, version in _file()["versions"].items())
    return f"synth_xilinx -family xc7 of each piece alone, {tools}"


def table() -> dict[Piece, dict[int, int]]:
    """Return the look-up tables of each piece and size, as they were synthesised."""
    pieces: dict[Piece, dict[str, int]] = _file()["luts"]
    return {
        piece: {int(size): count for size, count in costs.items()}
        for piece, costs in pieces.items()
    }


def measure(piece: Piece, size: int) -> int:
    """Synthesise the designs of a piece and return the fewest look-up tables.

    Raises
    ------
    ConfigError
        As for `designs`.
    ToolError
        If yosys is missing or fails.
    """
    return min(count_luts(text).luts for text in designs(piece, size))


def table_text(progress: Callable[[int, int], None] | None = None) -> str:
    """Make the whole table anew; return the content of `TABLE`.

    Parameters
    ----------
    progress
        Called with (entries made, entries in all): about 40, some seconds each.

    Raises
    ------
    ToolError
        If yosys is missing or fails.
    """
    found: dict[str, dict[str, int]] = {}
    versions: dict[str, str] = {}
    entries = sum(len(sizes) for sizes in SIZES.values())
    for piece, sizes in SIZES.items():
        found[piece] = {}
        for size in sizes:
            counts = [count_luts(text) for text in designs(piece, size)]
            found[piece][str(size)] = min(count.luts for count in counts)
            versions |= counts[0].versions
            if progress is not None:
                progress(sum(map(len, found.values())), entries)
    whole = {
        "what": "look-up tables (LUT1 to LUT6) of Xilinx's 7 series for each piece and size",
        "made_by": "bitwright study accelerator-pieces: yosys, synth_xilinx -family xc7 -flatten",
        "versions": versions,
        "luts": found,
    }
    return json.dumps(whole, indent=1) + "\n"


def designs(piece: Piece, size: int) -> tuple[str, ...]:
    """Return a piece as Verilog, as many designs as are worth a try.

    Raises
    ------
    ConfigError
        If there is no such piece, or it has less than two bits.
    """
    if piece not in get_args(Piece) or size < 2:
        raise ConfigError(
            f"there is no piece '{piece}' of size {size}", "known: " + ", ".join(get_args(Piece))
        )
    top = size - 1
    if piece == "xnor_popcount":
        return tuple(write_verilog(xnor_popcount(size, wide)) for wide in (False, True))
    if piece == "mux":
        text = f"""\
module top(input [{top}:0] in, input [{top.bit_length() - 1}:0] s, output y);
  assign y = in[s];
endmodule
"""
    elif piece == "compare":
        text = f"""\
module top(input [{top}:0] a, input [{top}:0] b, output y);
  assign y = a >= b;
endmodule
"""
    else:
        text = f"""\
module top(input clk, input first, input [{top}:0] start, input [{min(size, _ADDEND) - 1}:0] value,
           output reg [{top}:0] total);
  always @(posedge clk) total <= (first ? start : total) + value;
endmodule
"""
    return (text,)


def xnor_popcount(bits: int, wide: bool = True) -> Circuit:
    """Return the count of matches of inputs 0 .. bits - 1 with inputs bits .. 2 bits - 1.

    A full adder of three XNORs is two functions of six inputs, so the XNORs cost nothing.

    Parameters
    ----------
    wide
        Whether 6:3 counters go on from there, which suits tiles of more than about ten bits, or
        full adders do.
    """
    builder = Builder(2 * bits)
    matches = [builder.gate("XNOR2", i, bits + i) for i in range(bits)]
    triples = bits // 3 * 3
    waiting: dict[int, list[int]] = {0: matches[triples:], 1: []}
    for first in range(0, triples, 3):
        total, carry = builder.adder("FA", *matches[first : first + 3])
        waiting[0].append(total)
        waiting[1].append(carry)
    if wide:
        waiting = count_sixes(builder, waiting)
    number = compress(builder, waiting)
    # A wire that weighs more than all inputs together is never 1.
    return builder.finish((wire, weight) for wire, weight in number if weight <= bits)


@cache
def _file() -> dict[str, Any]:
    text = resources.files(__package__).joinpath(TABLE).read_text(encoding="utf-8")
    content: dict[str, Any] = json.loads(text)
    return content
