"""Named libraries: found, downloaded from a server on the loopback, cut, wrong, half-written."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.eda.tiny import GATES, TINY, library
from tests.loopback import FileServer

from bitwright.data.known import Download
from bitwright.eda import pdk
from bitwright.errors import ConfigError, DataError, LibertyError, UnknownNameError

FILES = {"gates.lib": library(*GATES).encode(), "tiny.lib": TINY.encode()}


class Server(FileServer):
    """Serves `files`, of which a test may change the content."""

    def __init__(self) -> None:
        self.files = dict(FILES)
        super().__init__(self.files.get)
        self.address += "/lib"


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    with server.serving():
        yield server


@pytest.fixture
def known(server, tmp_path, monkeypatch) -> dict[str, pdk.Pdk]:
    """Two libraries, `net` from the server and `packaged`; an empty cache, no proxy."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.delenv(pdk.ENVIRONMENT, raising=False)
    downloads = tuple(
        Download(f"{server.address}/{name}", len(data), hashlib.sha256(data).hexdigest())
        for name, data in FILES.items()
    )
    system = (tmp_path / "usr" / "packaged.lib",)
    kits = {
        "packaged": pdk.Pdk("packaged", "cells", "um2", system=system, package="qflow-tech-x"),
        "net": pdk.Pdk("net", "cells", "nm2", downloads=downloads),
    }
    monkeypatch.setattr(pdk, "PDKS", kits)
    return kits


def test_a_library_is_downloaded_once(known, server):
    seen = []
    assert pdk.find("net") is None
    files = pdk.get("net", progress=lambda *step: seen.append(step))
    assert [file.read_bytes() for file in files] == list(FILES.values())
    assert files == pdk.find("net")
    assert {file.name for file in pdk.folder("net").iterdir()} == set(FILES)
    assert seen[-1] == ("download tiny.lib", len(TINY), len(TINY))
    assert pdk.get("net") == files
    assert len(server.asked) == 2


def test_a_cut_download_goes_on_the_next_time(known, server):
    server.cuts[None] = [len(FILES["gates.lib"]), 1000, 0]
    with pytest.raises(DataError, match="run the command again to continue"):
        pdk.get("net")
    assert pdk.find("net") is None
    assert {file.name for file in pdk.folder("net").iterdir()} == {"gates.lib", "tiny.lib.part"}
    pdk.get("net")
    assert pdk.find("net")
    assert server.asked[-1] == ("tiny.lib", "bytes=1000-")
    assert [name for name, _ in server.asked].count("gates.lib") == 1


def test_a_wrong_file_is_not_kept(known, server):
    server.files["tiny.lib"] = TINY.replace("0.7", "0.8").encode()
    with pytest.raises(DataError, match=r"tiny\.lib is not the file .*another SHA-256.*--from"):
        pdk.get("net")
    assert [file.name for file in pdk.folder("net").iterdir()] == ["gates.lib"]
    assert pdk.find("net") is None


@pytest.mark.parametrize("damage", [lambda data: data[:-100], lambda data: b"x" + data[1:]])
def test_a_damaged_file_in_the_cache_is_as_if_it_were_not_there(known, server, damage):
    _, file = pdk.get("net")
    file.write_bytes(damage(file.read_bytes()))
    assert pdk.find("net") is None
    with pytest.raises(LibertyError, match=r"net is not on this machine.*bitwright pdk get net"):
        pdk.choose(["net"])
    pdk.get("net")
    assert file.read_bytes() == TINY.encode()
    assert len(server.asked) == 3


def test_another_address_serves(known, server, monkeypatch):
    lost = replace(known["net"], downloads=tuple(
        replace(one, address=f"http://127.0.0.1:9/{one.file}") for one in known["net"].downloads
    ))  # fmt: skip
    monkeypatch.setitem(known, "net", lost)
    with pytest.raises(DataError, match=r"127\.0\.0\.1:9/gates\.lib"):
        pdk.get("net")
    monkeypatch.setenv(pdk.ENVIRONMENT, f"{server.address}/")
    assert pdk.get("net")
    for file in pdk.folder("net").iterdir():
        file.unlink()
    monkeypatch.setenv(pdk.ENVIRONMENT, "http://127.0.0.1:9")
    assert pdk.get("net", server.address)


def test_what_cannot_be_got_says_why(known, server):
    with pytest.raises(UnknownNameError, match=r"no cell library named 'nett'.*did you mean 'net'"):
        pdk.get("nett")
    with pytest.raises(ConfigError, match="apt install qflow-tech-x"):
        pdk.get("packaged")
    with pytest.raises(ConfigError, match="no web address"):
        pdk.get("net", "/some/folder")
    del server.files["gates.lib"]
    with pytest.raises(DataError, match="404"):
        pdk.get("net")
    assert pdk.find("net") is None


def test_the_default_is_the_first_that_is_there(known):
    with pytest.raises(LibertyError, match=r"none is on this machine.*--liberty.*pdk get net"):
        pdk.choose()
    pdk.get("net")
    chosen = pdk.choose()
    assert (chosen.given, chosen.by_default, chosen.area_unit) == (("net",), True, "nm2")
    assert "FAI" in chosen.library.cells
    (packaged,) = known["packaged"].system
    packaged.parent.mkdir()
    packaged.write_text(TINY)
    assert pdk.choose().given == ("packaged",)
    assert not pdk.choose(["net"]).by_default


def test_names_and_files_make_one_library(known, tmp_path):
    pdk.get("net")
    (tmp_path / "own.lib").write_text(library(GATES[0].replace("INV", "INV9")))
    chosen = pdk.choose(["net", str(tmp_path / "own.lib")])
    assert {"FAI", "INV9"} <= set(chosen.library.cells)
    assert chosen.area_unit == ""
    with pytest.raises(
        LibertyError, match=r"there is no Liberty file 'nowhere\.lib'.*packaged, net"
    ):
        pdk.choose(["nowhere.lib"])


def test_asap7_is_the_files_that_the_tests_know(shared):
    names = {one.file.removesuffix(".gz") for one in pdk.PDKS["asap7"].downloads}
    folder = shared / "liberty" / "asap7"
    assert names == {file.name.removesuffix(".gz") for file in folder.glob("*.lib*")}
    for one in pdk.PDKS["asap7"].downloads:
        assert re.fullmatch(r"[0-9a-f]{64}", one.sha256)
        assert re.search(r"/[0-9a-f]{40}/", one.address), "a commit, not a branch"


def test_the_packaged_library_is_where_debian_has_it():
    (file,) = pdk.PDKS["osu018"].system
    if not Path(file).is_file():
        pytest.skip(f"no {file}: apt install qflow-tech-osu018")
    assert pdk.find("osu018") == (file,)
    assert pdk.choose(["osu018"]).library.voltage_v == pytest.approx(1.8)
