"""``bitwright pdk`` as a user types it."""

from __future__ import annotations

import hashlib
import json

import pytest
from tests.eda.tiny import TINY

from bitwright import eda
from bitwright.data.known import Download
from bitwright.eda import pdk


@pytest.fixture
def served(tmp_path, monkeypatch):
    """A library `net` of one file, which a stand-in for the network brings or breaks off."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv(pdk.ENVIRONMENT, raising=False)
    data = TINY.encode()
    one = Download("https://x.example/net.lib", len(data), hashlib.sha256(data).hexdigest())
    monkeypatch.setattr(pdk, "PDKS", {"net": pdk.Pdk("net", "all cells", "um2", downloads=(one,))})
    asked = []

    def fetch(wanted, folder, progress):
        asked.append(wanted.address)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / wanted.file).write_bytes(data)

    monkeypatch.setattr(pdk, "fetch", fetch)
    return asked


def test_get_then_list(bitwright, served):
    code, out, _ = bitwright("pdk", "list")
    assert code == 0
    assert "not on this machine: bitwright pdk get net" in out
    code, out, _ = bitwright("pdk", "get", "net")
    assert code == 0
    assert out.strip() == f"{pdk.folder('net')}: 1 files; use them as --liberty net"
    code, out, _ = bitwright("pdk", "get", "net", "--json", "-")
    assert json.loads(out) == {"name": "net", "files": [str(pdk.folder("net") / "net.lib")]}
    assert served == ["https://x.example/net.lib"], "once"
    code, out, _ = bitwright("pdk", "list", "--json", "-")
    (listed,) = json.loads(out)
    assert listed["files"] == [str(pdk.folder("net") / "net.lib")]
    assert str(pdk.folder("net")) in bitwright("pdk", "list")[1]


def test_another_address(bitwright, served):
    assert bitwright("pdk", "get", "net", "--from", "https://mirror.example/a/")[0] == 0
    assert served == ["https://mirror.example/a/net.lib"]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("get", "nett"), "did you mean 'net'"),
        (("get", "net", "--from", "ftp://x"), "no web address"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(bitwright, served, arguments, reason):
    code, out, err = bitwright("pdk", *arguments)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert reason in err
    assert pdk.find("net") is None


def test_doctor_names_the_libraries(bitwright, served, monkeypatch):
    monkeypatch.setattr(eda, "find_tools", dict)
    found = json.loads(bitwright("doctor", "--json", "-")[1])
    assert found["libraries"] == {"net": "not found: bitwright pdk get net"}
