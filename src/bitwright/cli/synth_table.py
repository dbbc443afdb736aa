"""What ``bitwright synth`` prints: the table, and where its numbers come from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bitwright.cli import common

if TYPE_CHECKING:
    from bitwright.eda.pdk import ChosenLibrary
    from bitwright.explore.comparison import Row, Settings

ON_DATA = ("energy_on_data", "energy_without_input_nets_on_data")


def show(rows: Sequence[Row], chosen: ChosenLibrary | None) -> None:
    """Print the table; numbers of approximate circuits with their share of the exact one's."""
    columns = _columns(rows, chosen)
    named = any(row.popcount.layers for row in rows)
    several = len({row.mapping for row in rows}) > 1
    real = any(row.on_data for row in rows)
    heads = {"layer": False} if named else {}
    heads |= {"inputs": True, "circuit": False}
    heads |= {"mapping": False} if several else {}
    heads |= dict.fromkeys(columns.values(), True)
    heads |= {"on images fJ": True, "w/o input nets ": True} if real else {}
    table = common.table(heads)
    for popcount in dict.fromkeys(row.popcount for row in rows):
        group = [row for row in rows if row.popcount is popcount]
        shape = popcount.shape
        fan_in = f"{popcount.inputs}" + (f" = {'x'.join(map(str, shape))}" if shape else "")
        for layer in popcount.real or (", ".join(popcount.layers),):
            for row in group:
                cells = [layer] if named else []
                cells += [fan_in, row.circuit]
                cells += [row.mapping] if several else []
                for metric in columns:
                    cells.append(_number(row.value(metric), row.ratios.get(metric), row))
                if real:
                    ratios = row.on_data[layer].ratios
                    for metric in ON_DATA:
                        cells.append(_number(row.value(metric, layer), ratios.get(metric), row))
                table.add_row(*cells)
        table.add_section()
    common.console.print(table)


def _columns(rows: Sequence[Row], chosen: ChosenLibrary | None) -> dict[str, str]:
    """Return the headings of the metrics that the rows have."""
    unit = f" {chosen.area_unit}" if chosen is not None and chosen.area_unit else ""
    titles = {
        "area": f"area{unit}",
        "delay": "delay ps",
        "energy": "energy fJ",
        "energy_without_input_nets": "w/o input nets",
        "cells": "cells",
        "luts": "LUTs",
        "flip_flops": "flip-flops",
        "fmax": "Fmax MHz",
    }
    there = {m.metric for m in rows[0].measurements}
    return {metric: title for metric, title in titles.items() if metric in there}


def _number(value: float, ratio: float | None, row: Row) -> str:
    places = 0 if isinstance(value, int) or value >= 10_000 else 1 if value >= 10 else 3
    text = f"{value:,.{places}f}"
    return text if row.circuit == "exact" or ratio is None else f"{text} ({ratio:.0%})"


def origin(rows: Sequence[Row], chosen: ChosenLibrary | None, settings: Settings) -> list[str]:
    """Return the lines that say how the numbers were got."""
    lines = ["Percentages are of the exact popcount's number by the same mapping."]
    if chosen is not None:
        library, boundary = chosen.library, rows[0].boundary
        how = ", by default" if chosen.by_default else ""
        at = ""
        if boundary is not None:
            at = (
                f"; inputs with {boundary.input_slew_s * 1e12:.1f} ps, "
                f"{boundary.output_load_f * 1e15:.2f} fF at each output, no wires"
            )
        lines += [
            f"library: {library.name} ({', '.join(chosen.given)}{how}), revision "
            f"{library.revision or 'unknown'}, SHA-256 {library.digest[:12]}, "
            f"{library.voltage_v:g} V, {library.temperature_c:g} C{at}",
            f"energy: mean of {settings.vectors:,} operations on random bits, seed "
            f"{settings.seed}, glitches counted",
            f"mapping: {', '.join(dict.fromkeys(row.mapping for row in rows))}",
        ]
        if library.warnings:
            lines.append(f"mended in the library: {len(library.warnings)}; {library.warnings[0]}")
    origins: dict[str, list[str]] = {}
    for m in rows[0].measurements:
        origins.setdefault(f"{m.method}, {m.source}", []).append(m.metric)
    lines += [f"{', '.join(found).replace('_', ' ')}: {how}" for how, found in origins.items()]
    real = " and on every vector from images" if any(row.on_data for row in rows) else ""
    proved = ", and is proved equal for all" if all(row.proved for row in rows) else ""
    lines.append(
        f"each netlist equals its circuit on {settings.checked:,} random vectors{real}{proved}"
    )
    return lines
