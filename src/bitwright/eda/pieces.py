"""Pieces of larger designs: circuits, each mapped and simulated on its own, and tables of them.

Requirements:

- What pieces there are, their circuits and vectors, and the prices that follow from a table are
  their target's own.
- A piece's numbers are those of a netlist that equals its circuit. Energies are of random inputs,
  glitches and input nets counted, wires and clock tree not.
- A table says what its numbers come from: library, tools, random vectors. As a file it is JSON, in
  the folder `tables` of the package that prices with it, or the user's; whichever it is, it is
  checked when it is read.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, Generic, Protocol, Self, TypeVar

from bitwright.circuits import Circuit
from bitwright.eda.implementation import implement
from bitwright.eda.liberty import Library
from bitwright.eda.logic import Bits
from bitwright.eda.pdk import ChosenLibrary
from bitwright.eda.registers import register
from bitwright.eda.timing import typical_boundary
from bitwright.errors import ConfigError

FORMAT = 1
CHECKED = 1000
"""Random vectors on which each mapped piece must equal its circuit."""

Progress = Callable[[int, int], None]
"""Called with (pieces done, pieces in all)."""


class Piece(Protocol):
    """What a piece of any table has; a target's own may have more."""

    @property
    def kind(self) -> str:
        """What it is; of each kind there are several sizes."""

    @property
    def size(self) -> int:
        """In bits or inputs, as the kind has it."""

    @property
    def area(self) -> float:
        """In the table's unit."""

    @property
    def delay_s(self) -> float:
        """From its inputs to its last output."""

    @property
    def energy_j(self) -> float:
        """Of one operation; a register's, of a cycle that changes its bit half the time."""


P = TypeVar("P", bound=Piece)
Kind = TypeVar("Kind", bound=str)
T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Table(Generic[P]):
    """All pieces of one library.

    Parameters
    ----------
    library, area_unit, voltage_v
        What they are mapped to.
    versions
        Of the tools.
    operations, seed
        The random vectors of the energies.
    """

    library: str
    area_unit: str
    voltage_v: float
    pieces: tuple[P, ...]
    versions: Mapping[str, str] = field(default_factory=dict)
    operations: int = 0
    seed: int = 0

    @classmethod
    def of(
        cls,
        chosen: ChosenLibrary,
        pieces: Iterable[P],
        versions: Mapping[str, str],
        operations: int,
        seed: int,
    ) -> Self:
        """Return a table of pieces that were mapped to a library."""
        library = chosen.library
        return cls(
            library.name,
            chosen.area_unit,
            library.voltage_v,
            tuple(pieces),
            versions,
            operations,
            seed,
        )

    @property
    def source(self) -> str:
        """What the numbers come from, in words."""
        tools = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        return (
            f"pieces mapped to {self.library} ({tools}), {self.operations} random operations, "
            "glitches counted, no wires, no clock tree"
        )

    @property
    def text(self) -> str:
        """The table as `load_table` reads it from a file."""
        return json.dumps({"format": FORMAT} | asdict(self), indent=1) + "\n"


def load_table(name: str, package: str, command: str, table_of: Callable[[dict[str, Any]], T]) -> T:
    """Return a table that ships with a package, or of a file.

    Parameters
    ----------
    name
        "asap7", or a file.
    package
        The folder `tables` of which has those that ship.
    command
        What makes such a table.
    table_of
        Makes a table of a file's fields. It refuses them by a ValueError, TypeError, KeyError or
        AttributeError.

    Raises
    ------
    ConfigError
        If there is no such file, or it is no table of pieces.
    """
    shipped = resources.files(package) / "tables" / f"{name}.json"
    try:
        if shipped.is_file():
            text = shipped.read_text(encoding="utf-8")
        else:
            text = Path(name).expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"cannot read the table of pieces '{name}' ({error})",
            f"name 'asap7', or a file that {command} wrote",
        ) from error
    try:
        fields = json.loads(text)
        if fields.pop("format") != FORMAT:
            raise ValueError("of another version")  # noqa: TRY301 - one message for all that is bad
        return table_of(fields)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ConfigError(
            f"'{name}' is no table of pieces ({error})", f"make one: {command}"
        ) from error


def pieces_of(
    entries: Iterable[Mapping[str, Any]], piece: type[P], kinds: Iterable[str]
) -> tuple[P, ...]:
    """Return the pieces of a table's file.

    Parameters
    ----------
    piece
        What an entry is made to.
    kinds
        Those that a table must have.

    Raises
    ------
    ValueError
        If a kind is missing, or a number is negative or none at all.
    TypeError
        If an entry is no piece.
    """
    pieces = tuple(piece(**entry) for entry in entries)
    missing = set(kinds) - {p.kind for p in pieces}
    if missing:
        raise ValueError(f"it has no '{min(missing)}'")
    for one in pieces:
        if not all(number >= 0 for number in (one.energy_j, one.area, one.delay_s)):
            raise ValueError(f"a number of '{one.kind}' {one.size} is out of range")
    return pieces


@dataclass(frozen=True, eq=False)
class MappedPiece(Generic[Kind]):
    """A piece in cells, and what it was made of.

    Parameters
    ----------
    kind, size, width
        What it is.
    circuit
        That its netlist equals, on `vectors` as well.
    vectors
        Those of its energy, (operations + 1, inputs).
    area
        In the library's unit.
    delay_s
        From its inputs to its last output.
    energy_j
        Of one operation, the mean.
    versions
        Of the tools.
    """

    kind: Kind
    size: int
    width: int
    circuit: Circuit
    vectors: Bits
    area: float
    delay_s: float
    energy_j: float
    versions: Mapping[str, str]


def map_pieces(
    chosen: ChosenLibrary,
    pieces: Sequence[tuple[Kind, int, int]],
    make: Callable[[Kind, int, int, int, int], tuple[Circuit, Bits]],
    *,
    operations: int,
    seed: int,
    progress: Progress | None = None,
) -> Iterator[MappedPiece[Kind]]:
    """Map pieces to the cells of a library and simulate them, one after another.

    Parameters
    ----------
    pieces
        Kind, size and width of each.
    make
        Of kind, size, width, a number of vectors and a seed: the circuit, and the vectors
        (count, inputs) that it is simulated on.
    operations, seed
        Of the random vectors that an energy is the mean over.
    progress
        Called after each piece, once the caller is done with it, too.

    Raises
    ------
    CircuitError
        If there are no operations, or a netlist differs from its circuit.
    LibertyError
        If the library lacks tables.
    ToolError
        If yosys is missing or fails.
    """
    boundary = typical_boundary(chosen.library)
    for done, (kind, size, width) in enumerate(pieces, 1):
        circuit, vectors = make(kind, size, width, operations + 1, seed)
        made = implement(circuit, chosen.library, boundary=boundary, vectors=CHECKED, seed=seed)
        yield MappedPiece(
            kind,
            size,
            width,
            circuit,
            vectors,
            made.mapped.netlist.area,
            made.delay.delay_s,
            made.energy(vectors).total_j,
            made.mapped.versions,
        )
        if progress is not None:
            progress(done, len(pieces))


def register_cost(library: Library) -> tuple[float, float]:
    """Return the area of a register's bit, and the energy of a cycle that changes it half the time.

    Area is in the library's unit, energy in joule.

    Raises
    ------
    LibertyError
        If the library has no plain flip-flop.
    """
    bit = register(library, typical_boundary(library))
    return bit.area, bit.cycle_j + bit.change_j / 2
