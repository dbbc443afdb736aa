"""``bitwright zoo`` as a user types it."""

import json

from tests.zoo.material import BIG, write_network

from bitwright.zoo import index, places


def test_the_list_says_what_is_certified(bitwright, package):
    write_network(package, "with-certificate")
    code, out, _ = bitwright("zoo")
    assert code == 0
    rows = {line.split()[0]: line for line in out.splitlines() if line.strip()}
    assert "holds (1,234 images)" in rows["with-certificate"]
    assert " none " in rows["small-net"]
    assert "50.00%" in rows["small-net"]
    file = package / "with-certificate.certificate.json"
    file.write_text(file.read_text().replace("true", "false"))
    assert "does NOT hold (1,234 images)" in bitwright("zoo")[1]
    listed = json.loads(bitwright("zoo", "--json", "-")[1])
    assert [card["certificate"] for card in listed] == [None, {"holds": False, "images": 1234}]
    assert [card["name"] for card in listed] == ["small-net", "with-certificate"]


def test_the_list_says_what_can_be_got(bitwright, elsewhere):
    out = bitwright("zoo")[1]
    assert f"not on this machine: {BIG} (" in out
    assert f"'bitwright zoo get {BIG}'" in out


def test_a_certificate_is_printed_as_it_stands(bitwright, package):
    write_network(package, "with-certificate")
    code, out, _ = bitwright("zoo", "certificate", "with-certificate")
    assert code == 0
    assert json.loads(out) == json.loads(
        (package / "with-certificate.certificate.json").read_text()
    )


def test_a_missing_certificate_is_one_line(bitwright, package):
    code, out, err = bitwright("zoo", "certificate", "small-net")
    assert (code, out) == (2, "")
    assert err.startswith("bitwright: error: the network 'small-net' has no certificate: make one")


def test_get_then_use(bitwright, elsewhere):
    code, out, err = bitwright("show", BIG)
    assert code == 2
    assert f"get it with 'bitwright zoo get {BIG}'" in err
    code, out, _ = bitwright("zoo", "get", BIG, "--from", elsewhere)
    assert code == 0
    assert str(places.cache() / f"{BIG}.safetensors") in out
    code, out, _ = bitwright("show", BIG, "--json", "-")
    assert json.loads(out)["name"] == BIG
    code, out, _ = bitwright("zoo", "get", BIG, "--json", "-")
    assert json.loads(out) == {"name": BIG, "path": str(places.cache() / f"{BIG}.safetensors")}
    assert "not on this machine" not in bitwright("zoo")[1]


def test_get_refuses_in_one_line(bitwright, elsewhere):
    file = elsewhere / f"{BIG}.json"
    file.write_text(file.read_text().replace("0.5", "0.9"))
    for arguments, reason in (
        ((BIG,), "no address"),
        ((BIG, "--from", elsewhere), "another SHA-256"),
        ((BIG, "--from", "gopher://x"), "is no address"),
        (("bignet",), "did you mean 'big-net'"),
    ):
        code, out, err = bitwright("zoo", "get", *arguments)
        assert (code, out) == (2, "")
        assert err.count("\n") == 1
        assert reason in err


def test_the_index_command_is_what_the_errors_name(package, bitwright):
    (package / index.FILE).write_text("[[")
    assert "scripts/zoo-index" in bitwright("zoo")[2]
