"""FPGA parts: what a device of Xilinx's Zynq-7000 family has room for.

Look-up tables, flip-flops, block RAMs and DSP slices are those of AMD's data sheet DS190, Zynq-7000
SoC Overview. The share of look-up tables that can be memory, and what the configured part draws
while nothing switches, are from reports of Vivado; the sheet has neither.
"""

from __future__ import annotations

from dataclasses import dataclass

from bitwright.errors import UnknownNameError

DATA_SHEET = "AMD DS190, Zynq-7000 SoC Overview"
_VIVADO = (
    "Vivado 2021.1, report_power of a routed xc7z045ffg900-2 at 25 degrees ambient, typical "
    "process: 0.219 W device static"
)


@dataclass(frozen=True)
class Part:
    """What a device has.

    Parameters
    ----------
    luts
        Look-up tables of six inputs.
    memory_luts
        Those of them that can be memory (SLICEM).
    flip_flops
        Flip-flops.
    bram36
        Block RAMs of 36 Kb, each of which can be two of 18 Kb.
    dsps
        DSP slices; a binary network has no use for them.
    static_w
        The power that it draws without any switching, both processors idle included.
    static_source
        Where that is from.
    """

    name: str
    luts: int
    memory_luts: int
    flip_flops: int
    bram36: int
    dsps: int
    static_w: float
    static_source: str


def _part(name: str, luts: int, memory_luts: int, flip_flops: int, bram36: int, dsps: int) -> Part:
    """Return a part whose static power is that of the XC7Z045 for its share of the fabric.

    Of the report's 0.219 W the rails of the fabric (Vccint, Vccaux, Vccbram, Vccadc) draw 0.168 W.
    """
    if name == "XC7Z045":
        return Part(name, luts, memory_luts, flip_flops, bram36, dsps, 0.219, _VIVADO)
    static = round(0.219 - 0.168 + 0.168 * luts / 218_600, 3)
    source = f"{_VIVADO}; the fabric's 0.168 W of it scaled with the look-up tables"
    return Part(name, luts, memory_luts, flip_flops, bram36, dsps, static, source)


PARTS = {
    part.name: part
    for part in (
        _part("XC7Z020", 53_200, 17_400, 106_400, 140, 220),
        _part("XC7Z045", 218_600, 70_400, 437_200, 545, 900),
        _part("XC7Z100", 277_400, 108_200, 554_800, 755, 2_020),
    )
}
"""Every part by name."""


def find_part(name: str) -> Part:
    """Return a part; its name may be written in small letters.

    Raises
    ------
    UnknownNameError
        If it is not known.
    """
    try:
        return PARTS[name.upper()]
    except KeyError:
        raise UnknownNameError("part", name, PARTS) from None
