"""A zoo of its own: a package folder, a network that does not ship, a server, an empty cache."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.loopback import FileServer
from tests.zoo.material import BIG, write_network

from bitwright.zoo import index, places


class Server(FileServer):
    """Serves the files of `folder`."""

    def __init__(self, folder: Path) -> None:
        super().__init__(self._file)
        self.folder = folder

    def _file(self, name: str) -> bytes | None:
        path = self.folder / name
        return path.read_bytes() if path.is_file() else None


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package's folder with the network ``small-net``, an empty index and an empty cache."""
    folder = tmp_path / "root" / "src" / "bitwright" / "zoo"
    write_network(folder, "small-net", certified=False)
    (folder / "index.toml").write_text(index.to_toml({}))
    monkeypatch.setattr(places, "PACKAGE", folder)
    monkeypatch.setattr(index, "SHIPPED_BYTES", 1000)  # the tests' networks are small
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.delenv("BITWRIGHT_ZOO_URL", raising=False)
    return folder


@pytest.fixture
def elsewhere(package: Path, tmp_path: Path) -> Path:
    """A folder with `BIG`, which the package's index lists and nothing on this machine has."""
    folder = tmp_path / "elsewhere"
    write_network(folder, BIG)
    (package / "index.toml").write_text(index.to_toml(index.scan(folder)))
    return folder


@pytest.fixture
def server(elsewhere: Path) -> Iterator[Server]:
    server = Server(elsewhere)
    with server.serving():
        yield server
