"""Cell libraries that are known by name: where they are, and how to get those that can be had.

Requirements:

- A library that is downloaded has the size and the SHA-256 of each file here, at an address that
  names a commit: what is there cannot change.
- In the cache a library is there only if all its files are, each with its SHA-256.
- What the system's packages bring is taken as it is; the digest of a `Library` tells it apart.

Where the hashes come from: they were computed from the files at the address; their text is that of
the files that the ASAP7 project publishes.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bitwright.data import Progress
from bitwright.data.download import fetch
from bitwright.data.known import Download
from bitwright.data.locate import cache_root
from bitwright.eda.liberty import Library, read_liberty
from bitwright.errors import ConfigError, DataError, LibertyError, UnknownNameError

ENVIRONMENT = "BITWRIGHT_PDK_URL"
"""The environment variable with another address to get the files from."""


@dataclass(frozen=True)
class Pdk:
    """A cell library, or what a process design kit has of one.

    Parameters
    ----------
    about
        Process, corner and licence.
    area_unit
        What the areas in its Liberty files are in; Liberty itself does not say.
    system
        Its files where a system package puts them.
    package
        That package, of Debian.
    downloads
        Its files as they can be fetched, all from one folder.
    """

    name: str
    about: str
    area_unit: str
    system: tuple[Path, ...] = ()
    package: str = ""
    downloads: tuple[Download, ...] = ()

    @property
    def get(self) -> str:
        """The command that gets it."""
        return f"bitwright pdk get {self.name}" if self.downloads else f"apt install {self.package}"


_ASAP7 = (
    "https://raw.githubusercontent.com/The-OpenROAD-Project/OpenROAD-flow-scripts/"
    "8c009b0b663703fc3fe2f474eab918b12fffbaf6/flow/platforms/asap7/lib/NLDM"
)

PDKS = {
    kit.name: kit
    for kit in (
        Pdk(
            name="osu018",
            about="OSU's cells for TSMC 0.18 um, typical, 1.8 V",
            area_unit="um2",
            system=(Path("/usr/share/qflow/tech/osu018/osu018_stdcells.lib"),),
            package="qflow-tech-osu018",
        ),
        Pdk(
            name="asap7",
            about="ASAP7, predictive 7 nm, 7.5 tracks, RVT, typical, 0.7 V (BSD-3-Clause)",
            area_unit="um2",
            downloads=(
                Download(
                    f"{_ASAP7}/asap7sc7p5t_AO_RVT_TT_nldm_211120.lib.gz",
                    4_181_747,
                    "fe9f1c18e88ab129d63ad82adc256f3a85c7e38e47dabbe0a96749b41087dea1",
                ),
                Download(
                    f"{_ASAP7}/asap7sc7p5t_INVBUF_RVT_TT_nldm_220122.lib.gz",
                    69_356,
                    "8d6db2c2f83c3c162be54a5e102b2d379fcaaaef2db5f0b1d4152c395d01fea1",
                ),
                Download(
                    f"{_ASAP7}/asap7sc7p5t_OA_RVT_TT_nldm_211120.lib.gz",
                    3_765_433,
                    "bbe6d904d58c7367de1ed7639e4eae386c65fa0a5af26ae62dc5e4e2ec52b08b",
                ),
                Download(
                    f"{_ASAP7}/asap7sc7p5t_SEQ_RVT_TT_nldm_220123.lib",
                    1_512_690,
                    "57a0b403485b99ebd676942af4673ac086b86c7c75fbdc3e5c0038501dd22ba3",
                ),
                Download(
                    f"{_ASAP7}/asap7sc7p5t_SIMPLE_RVT_TT_nldm_211120.lib.gz",
                    446_864,
                    "073ac4b6b08f272b6953b0ad54d1d9743767a7d15a0e2964ed86cf44c3dbe00e",
                ),
            ),
        ),
    )
}
"""The libraries of this module by name; the first that is there is the default."""


@dataclass(frozen=True, eq=False)
class ChosenLibrary:
    """A library and where it came from.

    Parameters
    ----------
    library
        Its cells.
    given
        The names or paths that it was asked for by.
    area_unit
        What its areas are in; empty if nobody says.
    by_default
        Whether nothing was asked for.
    """

    library: Library
    given: tuple[str, ...]
    area_unit: str
    by_default: bool


def folder(name: str) -> Path:
    """Return the folder of a library that was downloaded, in the user's cache."""
    return cache_root() / "pdk" / name


def find(name: str) -> tuple[Path, ...] | None:
    """Return the files of a library by its name; None if they are not all on this machine.

    Raises
    ------
    UnknownNameError
        If no library of that name is known.
    """
    kit = _known(name)
    if kit.system and all(os.path.isfile(file) for file in kit.system):
        return kit.system
    if kit.downloads and all(_is_whole(folder(name), one) for one in kit.downloads):
        return tuple(folder(name) / one.file for one in kit.downloads)
    return None


def get(
    name: str, address: str | None = None, *, progress: Progress | None = None
) -> tuple[Path, ...]:
    """Return the files of a library; download them if they are not on this machine.

    Parameters
    ----------
    name
        A library of `PDKS`.
    address
        The folder of the web that has its files, if not the known one. By default
        ``$BITWRIGHT_PDK_URL``.
    progress
        Called after each piece; see `bitwright.data.Progress`.

    Raises
    ------
    UnknownNameError
        If no library of that name is known.
    ConfigError
        If it comes with a system package, or the address is none.
    DataError
        If a file is not there, is another one, or cannot be stored. What came so far of a file
        that broke off is kept, and continued the next time.
    """
    kit = _known(name)
    found = find(name)
    if found is not None:
        return found
    if not kit.downloads:
        raise ConfigError(f"{name} comes with a system package", f"install it with: {kit.get}")
    base = (address or os.environ.get(ENVIRONMENT) or "").rstrip("/")
    if base and not base.startswith(("http://", "https://")):
        raise ConfigError(
            f"'{base}' is no web address", "give https://..., or use files as --liberty FOLDER"
        )
    for one in kit.downloads:
        wanted = Download(f"{base}/{one.file}", one.size, one.sha256) if base else one
        try:
            fetch(wanted, folder(name), progress)
        except DataError as error:
            if isinstance(error.__cause__, ValueError):  # pooch's word for another hash
                raise DataError(
                    f"{wanted.address} is not the file that this version of bitwright knows "
                    "(another SHA-256), and was deleted",
                    "try again later, or give another address as --from",
                ) from error
            raise
    return tuple(folder(name) / one.file for one in kit.downloads)


def choose(given: Sequence[str] = ()) -> ChosenLibrary:
    """Read the library of `given`: names of `PDKS`, files and folders, all as one.

    With nothing given it is the first of `PDKS` that is on this machine. A folder that is called
    like a library is meant by ``./asap7``.

    Raises
    ------
    LibertyError
        If a library is not on this machine, there is none by default, or `read_liberty` refuses.
    """
    names = list(given)
    if not names:
        names = [next((name for name in PDKS if find(name)), "")]
        if not names[0]:
            ways = " or ".join(f"'{kit.get}'" for kit in PDKS.values())
            raise LibertyError(
                "no cell library is given, and none is on this machine",
                f"name one, --liberty FILE.lib, or get one: {ways}",
            )
    paths: list[str | Path] = []
    for name in names:
        if name not in PDKS:
            if not os.path.exists(os.path.expanduser(name)):
                raise LibertyError(
                    f"there is no Liberty file '{name}'",
                    f"give a file, a folder, or one of: {', '.join(PDKS)}",
                )
            paths.append(name)
            continue
        files = find(name)
        if files is None:
            raise LibertyError(
                f"the library {name} is not on this machine", f"get it with: {PDKS[name].get}"
            )
        paths += files
    units = {PDKS[name].area_unit if name in PDKS else "" for name in names}
    unit = units.pop() if len(units) == 1 else ""
    return ChosenLibrary(read_liberty(paths), tuple(names), unit, not given)


def _known(name: str) -> Pdk:
    if name not in PDKS:
        raise UnknownNameError("cell library", name, PDKS)
    return PDKS[name]


def _is_whole(where: Path, one: Download) -> bool:
    try:
        content = (where / one.file).read_bytes()
    except OSError:
        return False
    return len(content) == one.size and hashlib.sha256(content).hexdigest() == one.sha256
