"""What CIRCUIT|MODEL on the command line means: a popcount, a netlist file, or a network."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bitwright.errors import CircuitError, ConfigError, UnknownNameError

if TYPE_CHECKING:
    from bitwright.circuits.grouping import Shape
    from bitwright.explore.popcounts import Popcount
    from bitwright.ir.program import Program


def is_spec(text: str) -> bool:
    """Return whether a text is that of a popcount, right or wrong, and not a network's name."""
    from bitwright.circuits import FAMILIES  # noqa: PLC0415 - imported when needed

    family = text.partition(":")[0].strip()
    return (":" in text and not os.path.exists(text)) or family in (*FAMILIES, "xnormaj")


def is_circuit(text: str) -> bool:
    """Return whether a text is that of a popcount, or names a netlist file by its ending."""
    from bitwright.circuits.netlist import READERS  # noqa: PLC0415 - imported when needed

    return is_spec(text) or Path(text).suffix.lower() in READERS


def fan_in(text: str) -> tuple[int, Shape | None]:
    """Return a fan-in and the kernel's shape of ``576`` or ``3x3x64``.

    Raises
    ------
    ConfigError
        If it is neither.
    CircuitError
        If it is below 1.
    """
    try:
        parts = [int(part) for part in text.split("x")]
    except ValueError:
        parts = []
    if len(parts) not in (1, 3):
        raise ConfigError(
            f"'{text}' is no fan-in", "give a number, 576, or rows x columns x channels, 3x3x64"
        )
    if min(parts) < 1:
        raise CircuitError(
            f"a popcount of {text} inputs counts nothing", "give a fan-in of at least 1"
        )
    if len(parts) == 1:
        return parts[0], None
    rows, columns, channels = parts
    return rows * columns * channels, (rows, columns, channels)


def popcount_of(
    circuit: str, inputs: str | None, others: Sequence[str], threshold: bool
) -> Popcount:
    """Return the popcount of a spec and a fan-in, or of a netlist file.

    Parameters
    ----------
    others
        Specs to compare it with.

    Raises
    ------
    ConfigError
        If the fan-in is missing or none, or a spec is not valid.
    CircuitError
        If there is no such circuit, or a netlist is none or has another number of inputs.
    """
    from bitwright.circuits import read_netlist  # noqa: PLC0415 - imported when needed
    from bitwright.explore import popcounts  # noqa: PLC0415

    if is_spec(circuit):
        if inputs is None:
            raise ConfigError(
                f"the popcount '{circuit}' has no fan-in", "give one: --inputs 576 or 3x3x64"
            )
        count, shape = fan_in(inputs)
        return popcounts.popcount([circuit, *others], count, shape, threshold=threshold)
    read = read_netlist(Path(circuit))
    count, shape = fan_in(inputs) if inputs is not None else (read.inputs, None)
    if read.inputs != count:
        raise CircuitError(
            f"{circuit} has {read.inputs} inputs, not {count}",
            f"leave --inputs out, or give {read.inputs}",
        )
    made = popcounts.popcount(others, count, shape, threshold=threshold)
    name = Path(circuit).name
    own = popcounts.with_threshold(read) if threshold else read
    return popcounts.Popcount(count, {**made.circuits, name: own}, shape)


def network(model: str) -> Program:
    """Return the program of a network by its name or file.

    Raises
    ------
    UnknownNameError
        If it is neither a network nor a popcount nor a file.
    """
    from bitwright import zoo  # noqa: PLC0415 - imported when needed
    from bitwright.circuits import FAMILIES  # noqa: PLC0415
    from bitwright.ir import codec  # noqa: PLC0415

    try:
        path = zoo.locate(model)
    except UnknownNameError as error:
        known = (*FAMILIES, *zoo.names(), *zoo.downloadable())
        raise UnknownNameError(
            "popcount or network", model, known, also=", or a file (.v, .blif, .safetensors)"
        ) from error
    return codec.load(path)
