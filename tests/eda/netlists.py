"""Netlists written by hand, in the JSON that yosys writes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from bitwright.eda.liberty import Library
from bitwright.eda.netlist import Netlist, read_netlist

Cells = Sequence[tuple[str, Mapping[str, int | str]]]


def netlist_json(inputs: Sequence[int], outputs: Sequence[int | str], cells: Cells) -> str:
    """Return a module ``top`` with ports ``in`` and ``out``; instances are u0, u1, ..."""
    module = {
        "ports": {
            "in": {"direction": "input", "bits": list(inputs)},
            "out": {"direction": "output", "bits": list(outputs)},
        },
        "cells": {
            f"u{i}": {"type": kind, "connections": {pin: [net] for pin, net in pins.items()}}
            for i, (kind, pins) in enumerate(cells)
        },
    }
    return json.dumps({"modules": {"top": module}})


def netlist(
    library: Library, inputs: Sequence[int], outputs: Sequence[int | str], cells: Cells
) -> Netlist:
    return read_netlist(netlist_json(inputs, outputs, cells), library)


def chain(library: Library, *kinds: str) -> Netlist:
    """Return cells of one input one behind the other."""
    cells = []
    for i, kind in enumerate(kinds):
        cell = library.cells[kind]
        cells.append((kind, {cell.inputs[0]: 2 + i, cell.outputs[0]: 3 + i}))
    return netlist(library, [2], [2 + len(kinds)], cells)
