"""Structural Verilog to cells of a library, with areas."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from bitwright.eda.liberty import Library
from bitwright.eda.mapping import Effort, elaboration_plan, mapping_plan, place_cells
from bitwright.eda.netlist import Netlist, read_netlist
from bitwright.eda.recognise import modules_plan, wrappers
from bitwright.eda.run import run_plan
from bitwright.eda.sizing import lighten, speed_up
from bitwright.eda.timing import Boundary, typical_boundary
from bitwright.eda.verilog import write_verilog
from bitwright.errors import ConfigError


@dataclass(frozen=True)
class Mapped:
    """A design in cells of a library.

    Parameters
    ----------
    netlist
        Its cells; `Netlist.area` and `Netlist.cell_counts` say what it takes.
    versions
        The tools that made it.
    seconds
        How long they took.
    """

    netlist: Netlist
    versions: Mapping[str, str]
    seconds: float

    @property
    def verilog(self) -> str:
        """The design as structural Verilog of the library's cells."""
        return write_verilog(self.netlist)


def synthesise(
    verilog: str,
    library: Library,
    *,
    top: str | None = None,
    adders: bool = True,
    effort: Effort = "area",
    boundary: Boundary | None = None,
) -> Mapped:
    """Map a combinational design to cells of a library with yosys and abc.

    Cells on slow paths are then exchanged for faster ones, and others for ones that load the nets
    before them less; neither takes more area (see `sizing`).

    Parameters
    ----------
    verilog
        Its modules: gates, assignments, instances of the cells of `bitwright.eda.generic` or of
        modules that compute the same.
    top
        The module to map; None if only one is instantiated by no other.
    adders
        Whether adders and majority gates become cells of the library that compute them; False
        leaves all to abc, as a plain flow does.
    effort
        What abc tries first to make small.
    boundary
        What the design is connected to; None for `typical_boundary`.

    Raises
    ------
    CircuitError
        If the design has storage, an undriven net or a loop.
    LibertyError
        If the library has no inverter, or cells without delay tables.
    ToolError
        If yosys is missing or refuses the design.
    """
    check_name(top)
    seen = run_plan(modules_plan(verilog))
    read = run_plan(elaboration_plan(verilog, top, wrappers(seen.outputs["modules.json"])))
    placed = place_cells(read.outputs["design.json"], library, adders=adders)
    done = run_plan(mapping_plan(placed, library, effort))
    netlist = read_netlist(done.outputs["mapped.json"], library, placed.top)
    edge = boundary or typical_boundary(library)
    netlist = lighten(speed_up(netlist, library, edge), library, edge)
    return Mapped(netlist, done.versions, seen.seconds + read.seconds + done.seconds)


def check_name(top: str | None) -> None:
    """Refuse what cannot be the name of a module.

    Raises
    ------
    ConfigError
        If it is none.
    """
    if top is not None and not re.fullmatch(r"[A-Za-z_]\w*", top):
        raise ConfigError(f"'{top}' is no module name", "name a module of the design")
