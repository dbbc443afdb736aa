"""Downloads against a server on the loopback: cut, resumed, refused, wrong."""

import fcntl
import hashlib
import io
import re
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from bitwright.data import download as module
from bitwright.data import known as registry
from bitwright.data import load, loader
from bitwright.data.download import fetch, unpack
from bitwright.data.known import FASHION_MNIST, Download
from bitwright.errors import DataError

CONTENT = np.random.default_rng(7).integers(0, 256, 300_000, dtype=np.uint8).tobytes()


class Server(ThreadingHTTPServer):
    """Serves `files`; breaks the first answers after so many bytes; may ignore ranges."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = {"/data.bin": CONTENT}
        self.cuts: list[int] = []
        self.ranges = True
        self.shift = 0
        self.asked: list[str | None] = []

    def download(self, path: str = "/data.bin", **changes) -> Download:
        content = self.files.get(path, b"")
        address = f"http://127.0.0.1:{self.server_port}{path}"
        made = Download(address, len(content), hashlib.sha256(content).hexdigest())
        return replace(made, **changes)


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *args) -> None:
        pass

    def do_GET(self) -> None:
        server = self.server
        wanted = self.headers.get("Range")
        server.asked.append(wanted)
        if self.path not in server.files:
            self.send_error(404)
            return
        content, start = server.files[self.path], 0
        if wanted and server.ranges:
            start = int(re.match(r"bytes=(\d+)-", wanted)[1]) - server.shift
            if start >= len(content):
                self.send_error(416)
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        body = content[start:]
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: server.cuts.pop(0)] if server.cuts else body)


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_download(server, tmp_path, capfd):
    seen = []
    folder = tmp_path / "new" / "folder"
    path = fetch(server.download(), folder, lambda *args: seen.append(args))
    assert path == folder / "data.bin"
    assert path.read_bytes() == CONTENT
    assert list(folder.iterdir()) == [path]
    assert seen[-1] == ("download data.bin", len(CONTENT), len(CONTENT))
    fetch(server.download(), folder)
    assert server.asked == [None]
    assert capfd.readouterr() == ("", "")


def test_a_cut_connection_is_continued_at_once(server, tmp_path):
    server.cuts = [100_000, 50_000]
    assert fetch(server.download(), tmp_path).read_bytes() == CONTENT
    assert server.asked == [None, "bytes=100000-", "bytes=150000-"]


def test_a_cut_download_is_continued_by_the_next_run(server, tmp_path):
    server.cuts = [100_000, 0]
    with pytest.raises(DataError, match=r"100,000 of 300,000 bytes.*run the command again"):
        fetch(server.download(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["data.bin.part"]
    assert fetch(server.download(), tmp_path).read_bytes() == CONTENT
    assert server.asked[2:] == ["bytes=100000-"]
    assert [path.name for path in tmp_path.iterdir()] == ["data.bin"]


def test_a_complete_part_needs_no_server(server, tmp_path):
    (tmp_path / "data.bin.part").write_bytes(CONTENT)
    assert fetch(server.download(), tmp_path).read_bytes() == CONTENT
    assert server.asked == []


@pytest.mark.parametrize("part", [CONTENT[:1000], CONTENT + b"more"])
def test_a_server_without_ranges_sends_all_again(server, tmp_path, part):
    server.ranges = False
    (tmp_path / "data.bin.part").write_bytes(part)
    assert fetch(server.download(), tmp_path).read_bytes() == CONTENT


def test_a_server_that_continues_elsewhere_is_not_believed(server, tmp_path):
    server.shift = 10
    (tmp_path / "data.bin.part").write_bytes(CONTENT[:1000])
    with pytest.raises(DataError):
        fetch(server.download(), tmp_path)
    server.shift = 0
    assert fetch(server.download(), tmp_path).read_bytes() == CONTENT


def test_a_part_of_another_version_is_dropped(server, tmp_path):
    (tmp_path / "data.bin.part").write_bytes(b"x" * 1000)
    assert fetch(server.download(), tmp_path).read_bytes() == CONTENT
    assert server.asked == ["bytes=1000-", None]


def test_a_part_beyond_the_end_of_the_servers_file(server, tmp_path):
    (tmp_path / "data.bin.part").write_bytes(b"x" * 1000)
    server.files["/data.bin"] = b"short"
    with pytest.raises(DataError):
        fetch(server.download(size=2000), tmp_path)
    assert server.asked[:2] == ["bytes=1000-", None]


def test_a_wrong_hash_deletes_the_file(server, tmp_path):
    with pytest.raises(DataError, match="another SHA-256 than expected and was deleted"):
        fetch(server.download(sha256="0" * 64), tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert server.asked == [None]


def test_more_than_the_known_size_is_not_stored(server, tmp_path):
    with pytest.raises(DataError, match="more than the 1,000 bytes"):
        fetch(server.download(size=1000), tmp_path)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) == 0


def test_not_there(server, tmp_path):
    with pytest.raises(DataError, match="answered 404"):
        fetch(server.download("/none.bin", size=10), tmp_path)


def test_no_network(server, tmp_path):
    lost = Download("http://127.0.0.1:9/data.bin", 10, "0" * 64)
    with pytest.raises(
        DataError, match=r"cannot download http://127\.0\.0\.1:9/data\.bin.*refused"
    ):
        fetch(lost, tmp_path)
    with pytest.raises(DataError, match="no web address"):
        fetch(replace(lost, address="file:///etc/passwd"), tmp_path)


def test_one_process_at_a_time(server, tmp_path):
    with (tmp_path / "data.bin.part").open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(DataError, match="another process"):
            fetch(server.download(), tmp_path)


def test_a_cache_that_cannot_be_written(server, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match=r"cannot store data\.bin"):
        fetch(server.download(), tmp_path / "file")


def archive(path: Path, **members: bytes) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(f"../escape/{name}.bin")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def test_unpack_takes_the_wanted_files_only(tmp_path):
    path = archive(tmp_path / "x.tar.gz", a=b"1", b=b"22", c=b"333")
    unpack(path, tmp_path, ["a.bin", "c.bin"])
    assert {file.name for file in tmp_path.iterdir()} == {"x.tar.gz", "a.bin", "c.bin"}
    assert (tmp_path / "c.bin").read_bytes() == b"333"
    with pytest.raises(DataError, match=r"lacks d\.bin"):
        unpack(path, tmp_path, ["d.bin"])
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(DataError, match="cannot unpack"):
        unpack(path, tmp_path, ["c.bin"])


def test_load_downloads_what_is_missing(server, debian, monkeypatch):
    names = [f"{name}.gz" for name in FASHION_MNIST.files["test"]]
    for name in names:
        server.files[f"/{name}"] = (debian / "fashion-mnist" / name).read_bytes()
    served = tuple(server.download(f"/{name}") for name in names)
    known = replace(FASHION_MNIST, downloads={"test": served})
    monkeypatch.setitem(registry.KNOWN, "fashion-mnist", known)
    first = load("fashion-mnist")
    assert first.sources[0].parent == loader.cache_root() / "fashion-mnist"
    assert len(server.asked) == 2
    assert load("fashion-mnist").digest == first.digest
    assert len(server.asked) == 2


def test_load_without_network_says_so(monkeypatch):
    lost = (Download("http://127.0.0.1:9/t10k.gz", 10, "0" * 64),)
    known = replace(FASHION_MNIST, downloads={"test": lost})
    monkeypatch.setitem(registry.KNOWN, "fashion-mnist", known)
    with pytest.raises(DataError) as caught:
        load("fashion-mnist")
    for part in ("http://127.0.0.1:9/t10k.gz", "/bitwright", "--data-dir", "dataset-fashion-mnist"):
        assert part in str(caught.value)


def test_load_unpacks_an_archive(server, monkeypatch):
    labels = np.repeat(np.arange(10, dtype=np.uint8), 1000)
    records = np.zeros((10_000, 3073), np.uint8)
    records[:, 0] = labels
    train = {f"data_batch_{number}": records.tobytes() for number in range(1, 6)}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1) as tar:
        for name, content in {**train, "test_batch": records.tobytes()}.items():
            info = tarfile.TarInfo(f"cifar-10-batches-bin/{name}.bin")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    server.files["/c.tar.gz"] = buffer.getvalue()
    parts = (server.download("/c.tar.gz"),)
    known = replace(registry.CIFAR10, downloads={"train": parts, "test": parts})
    monkeypatch.setitem(registry.KNOWN, "cifar10", known)
    assert len(load("cifar10")) == 10_000
    assert load("cifar10", "train", limit=20_001).sources[-1].name == "data_batch_3.bin"
    assert len(server.asked) == 1
    folder = module.Path(loader.cache_root()) / "cifar-10-batches-bin"
    assert len(list(folder.iterdir())) == 6
