"""A zoo of its own: a package folder, a network that does not ship, a server, an empty cache."""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tests.zoo.material import BIG, write_network

from bitwright.cli.main import main
from bitwright.zoo import index, places


class Server(ThreadingHTTPServer):
    """Serves `folder`, ranges too; breaks the first answers after so many bytes."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.folder = folder
        self.address = f"http://127.0.0.1:{self.server_port}"
        self.cuts: dict[str, list[int]] = {}
        self.asked: list[tuple[str, str | None]] = []


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *args) -> None:
        pass

    def do_GET(self) -> None:
        name, wanted = self.path[1:], self.headers.get("Range")
        self.server.asked.append((name, wanted))
        if not (self.server.folder / name).is_file():
            self.send_error(404)
            return
        content, start = (self.server.folder / name).read_bytes(), 0
        if wanted:
            start = int(re.match(r"bytes=(\d+)-", wanted)[1])
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        body = content[start:]
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        cuts = self.server.cuts.get(name)
        self.wfile.write(body[: cuts.pop(0)] if cuts else body)


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
    with Server(elsewhere) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def bitwright(monkeypatch, capsys):
    """Run the command line in this process: (exit code, standard output, standard error)."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["bitwright", *map(str, arguments)])
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = stop.code or 0
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run
