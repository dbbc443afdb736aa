"""Networks that do not ship: got whole and verified, or refused with nothing left behind."""

import fcntl
import os

import pytest
from tests.zoo.material import BIG, content

from bitwright import zoo
from bitwright.errors import ConfigError, DataError, UnknownNameError
from bitwright.ir import codec
from bitwright.zoo import places

PROGRAM = f"{BIG}.safetensors"
SUFFIXES = (".certificate.json", ".json", ".safetensors")


def test_a_network_from_a_server(server, elsewhere, capfd):
    seen = []
    path = zoo.get(BIG, f"{server.address}/", progress=lambda *at: seen.append(at))
    assert path == zoo.locate(BIG) == places.cache() / PROGRAM
    assert content(places.cache()) == content(elsewhere)
    assert codec.load(path).digest == zoo.card(BIG).fields["digest"]
    assert zoo.card(BIG).certificate["data"]["count"] == 1234
    size = path.stat().st_size
    assert seen[-1] == (f"download {PROGRAM}", size, size)
    assert zoo.get(BIG) == path
    assert server.asked == [(f"{BIG}{suffix}", None) for suffix in SUFFIXES]
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("form", ["{}", "{}/", "file://{}", "file://localhost{}/"])
def test_a_network_from_a_folder(elsewhere, form):
    assert zoo.get(BIG, form.format(elsewhere)) == places.cache() / PROGRAM
    assert content(places.cache()) == content(elsewhere)


def test_the_address_of_the_environment(elsewhere, monkeypatch):
    monkeypatch.setenv("BITWRIGHT_ZOO_URL", elsewhere.as_uri())
    assert content(zoo.get(BIG).parent) == content(elsewhere)


def test_what_is_there_needs_no_address(package):
    assert zoo.get("small-net", "nonsense://") == package / "small-net.safetensors"
    assert not places.cache().exists()


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("web", [True, False])
def test_another_file_is_refused_and_nothing_is_left(server, elsewhere, suffix, web):
    file = elsewhere / f"{BIG}{suffix}"
    right = file.read_bytes()
    address = server.address if web else str(elsewhere)
    for wrong in (right[:-1] + bytes([right[-1] ^ 1]), right + b"more"):
        file.write_bytes(wrong)
        with pytest.raises(DataError, match=f"{BIG}{suffix}"):
            zoo.get(BIG, address)
        assert content(places.cache()) == {}
        with pytest.raises(DataError, match="not on this machine"):
            zoo.locate(BIG)
    file.write_bytes(right)
    zoo.get(BIG, address)
    assert content(places.cache()) == content(elsewhere)


def test_another_hash_is_called_that(server, elsewhere):
    file = elsewhere / PROGRAM
    file.write_bytes(file.read_bytes()[::-1])
    for address in (server.address, str(elsewhere)):
        with pytest.raises(DataError, match=r"another SHA-256.*nothing of it was kept"):
            zoo.get(BIG, address)


def test_a_cut_download_goes_on_the_next_time(server, elsewhere):
    server.cuts[PROGRAM] = [2000, 0]
    with pytest.raises(DataError, match=r"2,000 of .*run the command again to continue"):
        zoo.get(BIG, server.address)
    assert list(content(places.cache() / f"{BIG}.part")[f"{PROGRAM}.part"]) == list(
        (elsewhere / PROGRAM).read_bytes()[:2000]
    )
    assert places.find(BIG) is None
    server.asked.clear()
    zoo.get(BIG, server.address)
    assert server.asked == [(PROGRAM, "bytes=2000-")]
    assert content(places.cache()) == content(elsewhere)


def test_an_interrupt_leaves_no_network(server, elsewhere):
    def interrupt(what, done, total):
        if PROGRAM in what:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        zoo.get(BIG, server.address, progress=interrupt)
    assert BIG not in zoo.names()
    zoo.get(BIG, server.address)
    assert content(places.cache()) == content(elsewhere)


def test_what_another_version_left_is_replaced(server, elsewhere):
    places.cache().mkdir(parents=True)
    for suffix in SUFFIXES:
        (places.cache() / f"{BIG}{suffix}").write_bytes(b"old")
    zoo.get(BIG, server.address)
    assert content(places.cache()) == content(elsewhere)


def test_files_that_are_not_there(server, elsewhere, tmp_path):
    (elsewhere / PROGRAM).unlink()
    with pytest.raises(DataError, match=f"{PROGRAM} answered 404"):
        zoo.get(BIG, server.address)
    with pytest.raises(DataError, match=f"cannot read {elsewhere}/{PROGRAM}.*--from"):
        zoo.get(BIG, str(elsewhere))
    with pytest.raises(DataError, match="nowhere"):
        zoo.get(BIG, str(tmp_path / "nowhere"))
    assert content(places.cache()) == {}


def test_no_server(elsewhere):
    with pytest.raises(DataError, match=r"cannot download http://127\.0\.0\.1:9/big-net.*refused"):
        zoo.get(BIG, "http://127.0.0.1:9")
    assert content(places.cache()) == {}


def test_no_address(elsewhere):
    with pytest.raises(
        ConfigError, match=r"no address to get 'big-net'.*--from.*BITWRIGHT_ZOO_URL"
    ):
        zoo.get(BIG)
    assert not places.cache().exists()


@pytest.mark.parametrize(
    "address",
    [
        "ftp://example.org",
        "https://",
        "file://other/folder",
        "http://[",
        "https://ex\u00e4mple.org",
    ],
)
def test_what_is_no_address(elsewhere, address):
    with pytest.raises(ConfigError, match="is no address of a folder"):
        zoo.get(BIG, address)


def test_an_unknown_name(elsewhere):
    with pytest.raises(UnknownNameError, match="did you mean 'big-net'"):
        zoo.get("big", str(elsewhere))


def test_one_process_at_a_time(elsewhere):
    places.cache().mkdir(parents=True)
    handle = os.open(places.cache(), os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_SH)
    try:
        with pytest.raises(DataError, match="another process"):
            zoo.get(BIG, str(elsewhere))
    finally:
        os.close(handle)
    zoo.get(BIG, str(elsewhere))


def test_a_cache_that_cannot_be_written(elsewhere):
    places.cache().parent.mkdir(parents=True)
    places.cache().write_text("in the way")
    with pytest.raises(DataError, match=r"cannot store a network in .*XDG_CACHE_HOME"):
        zoo.get(BIG, str(elsewhere))
