"""Liberty files, read as one library.

Requirements:

- Several files make one library if they agree on the supply voltage: ASAP7 comes as five.
- A file is text or gzip, told apart by its content.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import zlib
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bitwright.eda.liberty.cells import Cell
from bitwright.eda.liberty.header import Header, Units, read_header
from bitwright.eda.liberty.syntax import Group, Source, parse
from bitwright.errors import LibertyError

POWER_GROUPS = (
    "internal_power",
    "leakage_power",
    "power_lut_template",
    "normalized_driver_waveform",
    "receiver_capacitance",
    "output_current_rise",
    "output_current_fall",
)
"""Kinds of groups that logic synthesis does not read."""
_SUFFIXES = (".lib", ".lib.gz")
_LARGEST = 1 << 30
"""Bytes of text in a file; the largest published libraries have half."""


@dataclass(frozen=True, eq=False)
class Library:
    """Standard cells.

    Parameters
    ----------
    name
        Of its first file's ``library`` group.
    digest
        The SHA-256 of its files' contents, in order.
    voltage_v, temperature_c
        What it was characterised at.
    cells
        By name; those of a later file do not replace those of an earlier one.
    warnings
        What was amiss and could be put right without doubt, found so far.
    """

    name: str
    digest: str
    voltage_v: float
    temperature_c: float
    cells: Mapping[str, Cell]
    _headers: tuple[Header, ...]
    _groups: tuple[Group, ...]
    _repeated: tuple[str, ...]

    @property
    def revision(self) -> str:
        """What its first file says of its version; empty if it says nothing."""
        return self._groups[0].text("revision").strip()

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was amiss and could be put right without doubt, found so far."""
        mended = (warning for group in self._groups for warning in group.source.warnings)
        return (*self._repeated, *mended)

    @property
    def units(self) -> Units:
        """What the units of its first file, and of `text`, are in SI units."""
        return self._headers[0].units

    def usable(self, most_inputs: int = 6) -> tuple[Cell, ...]:
        """Return the combinational cells that tools may pick, smallest first.

        Parameters
        ----------
        most_inputs
            Leave out cells with more input pins.

        Raises
        ------
        LibertyError
            If there are none.
        """
        found = [
            cell
            for cell in self.cells.values()
            if cell.combinational
            and not cell.dont_use
            and cell.area > 0
            and len(cell.inputs) <= most_inputs
        ]
        if not any(cell.inputs for cell in found):
            raise LibertyError(
                f"library {self.name} has no usable cells",
                "give one with combinational cells that have 'area' and 'function'",
            )
        return tuple(sorted(found, key=lambda cell: (cell.area, cell.name)))

    def text(self, cells: Container[str], skip: Container[str] = ()) -> str:
        """Return a Liberty file of some of the cells, for tools that would read too long.

        Parameters
        ----------
        cells
            The names of the cells to keep.
        skip
            Kinds of groups and names of attributes to leave out, such as `POWER_GROUPS`.

        Raises
        ------
        LibertyError
            If files of different units would have to be mixed.
        """
        first = self._headers[0]
        if any(header.units != first.units for header in self._headers):
            raise LibertyError(
                f"the files of library {self.name} differ in their units",
                "give files of one library",
            )
        merged = Group(self._groups[0].source, "library", (self.name,), 0)
        merged.raw = self._groups[0].raw
        seen: set[tuple[str, tuple[str, ...]]] = set()
        for group in self._groups:
            for part in group.groups:
                key = part.kind, part.names
                if key in seen or (part.kind == "cell" and part.name not in cells):
                    continue
                if part.kind != "normalized_driver_waveform":
                    seen.add(key)
                merged.groups.append(part)
        return merged.written(skip) + "\n"


def read_liberty(paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]) -> Library:
    """Read Liberty files as one library.

    Parameters
    ----------
    paths
        Files, ``.lib`` or ``.lib.gz``, or folders whose such files are all meant.

    Raises
    ------
    LibertyError
        If a file is missing or no Liberty file, its brackets or quotes do not match, a unit is
        unknown, the files differ in voltage, or there are no usable cells.
    """
    if isinstance(paths, str | os.PathLike):
        paths = [paths]
    files = [file for path in paths for file in _files(Path(path))]
    if not files:
        raise LibertyError("no Liberty file is given", "name one: --liberty FILE.lib")
    digest = hashlib.sha256()
    groups: list[Group] = []
    for file in files:
        data = _content(file)
        digest.update(data)
        groups.append(parse(Source(file.name, data.decode("utf-8", errors="replace"))))
    headers = tuple(read_header(group) for group in groups)
    for header, file in zip(headers, files, strict=True):
        if header.voltage_v != headers[0].voltage_v:
            raise LibertyError(
                f"{file.name} is for {header.voltage_v:g} V, "
                f"{files[0].name} for {headers[0].voltage_v:g} V",
                "give files of one corner",
            )
    cells: dict[str, Cell] = {}
    repeated = []
    for group, header in zip(groups, headers, strict=True):
        for part in group.of("cell"):
            if part.name in cells:
                repeated.append(f"{group.source.name}: cell {part.name} again, passed over")
            else:
                cells[part.name] = Cell(part, header)
    library = Library(
        headers[0].name,
        digest.hexdigest(),
        headers[0].voltage_v,
        headers[0].temperature_c,
        cells,
        headers,
        tuple(groups),
        tuple(repeated),
    )
    library.usable()
    return library


def _files(path: Path) -> list[Path]:
    path = path.expanduser()
    if path.is_dir():
        found = sorted(file for file in path.iterdir() if file.name.endswith(_SUFFIXES))
        if not found:
            raise LibertyError(f"folder {path} holds no Liberty file", "name one: FILE.lib[.gz]")
        return found
    return [path]


def _content(path: Path) -> bytes:
    try:
        data = path.read_bytes()
        if data[:2] == b"\x1f\x8b":
            with gzip.open(path) as file:
                data = file.read(_LARGEST + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise LibertyError(f"{path} is a damaged gzip file", "get it again") from error
    except OSError as error:
        raise LibertyError(f"cannot read {path} ({error.strerror})", "name a file") from error
    if len(data) > _LARGEST:
        raise LibertyError(f"{path} holds more than 1 GiB", "split it")
    return data
