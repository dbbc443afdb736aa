"""Reading a netlist file: structural Verilog or BLIF, by the ending of its name."""

from __future__ import annotations

from pathlib import Path

from bitwright.circuits.blif import read_blif
from bitwright.circuits.circuit import Circuit
from bitwright.circuits.nets import Interface
from bitwright.circuits.verilog_read import read_verilog
from bitwright.errors import CircuitError

READERS = {".v": read_verilog, ".sv": read_verilog, ".blif": read_blif}
MOST_BYTES = 64 << 20


def read_netlist(path: Path, interface: Interface | None = None) -> Circuit:
    """Return the circuit of a netlist file.

    Parameters
    ----------
    path
        A file that ends in ``.v``, ``.sv`` or ``.blif``.
    interface
        Which module, inputs, output and weights; by default the top module, its inputs as they
        come, its only output with weights 2**i.

    Raises
    ------
    CircuitError
        If the file cannot be read, or is no popcount.
    """
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise CircuitError(
            f"{path} is neither Verilog nor BLIF", "give a file that ends in .v, .sv or .blif"
        )
    try:
        if path.stat().st_size > MOST_BYTES:
            raise CircuitError(f"{path} is larger than a popcount can be", "give a smaller file")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CircuitError(f"{path} cannot be read ({error})", "check the path") from error
    return reader(text, path.name, interface)
