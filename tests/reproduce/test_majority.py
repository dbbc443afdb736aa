"""The short reproduction, on the networks that ship, in ASAP7's cells."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from bitwright import zoo
from bitwright.records import DataInfo, Measurement
from bitwright.report.claims import render
from bitwright.reproduce.claims import Claim, Reproduction
from bitwright.reproduce.majority import AWARE, TWINS


@pytest.mark.tool("yosys")
@pytest.mark.tool("sta")
def test_the_short_version_holds(shared: Path, tmp_path: Path, bitwright) -> None:
    cells, found, page = shared / "liberty" / "asap7", tmp_path / "r.json", tmp_path / "r.html"
    options = ("--quick", "--liberty", cells, "--json", found, "--report", page)
    assert bitwright("reproduce", "majority", *options)[0] == 0
    result = json.loads(found.read_text())
    assert result["holds"] is True
    assert result["quick"] is True
    rows = {row["claim"]: row for row in result["claims"]}
    assert all(row.keys() >= {"claim", "published", "ours", "unit", "method", "holds"}
               for row in result["claims"])  # fmt: skip
    lost = rows[f"accuracy lost to {TWINS[AWARE]}, exact"]
    twin = rows[f"accuracy of {TWINS[AWARE]}, exact"]["ours"]
    aware = rows[f"accuracy of {AWARE} with its circuits"]["ours"]
    assert lost["ours"] == pytest.approx(100 * (twin - aware))
    areas = {"exact": 0.0, "approximate": 0.0}
    for claim, row in rows.items():
        if named := re.fullmatch(r"area of a popcount of \d+ inputs \((.+)\), (\w+)", claim):
            areas[named[2]] += row["ours"] * len(named[1].split(", "))
    saved = 1 - areas["approximate"] / areas["exact"]
    assert rows["area saved by the popcounts"]["ours"] == pytest.approx(saved)
    assert result["data"]["count"] == 1000
    text = page.read_text()
    assert f"accuracy lost to {TWINS[AWARE]}, exact" in text
    assert f"reproduce majority --quick --liberty {cells}" in text
    assert not re.search(r"(src|href)=\"http", text)


def test_the_networks_were_trained_alike_but_for_the_circuits() -> None:
    aware, twin = (zoo.card(name).fields["recipe"] for name in (AWARE, TWINS[AWARE]))
    assert {key for key in aware if aware[key] != twin[key]} == {"approximate"}
    assert twin["approximate"] is None


@pytest.mark.tool("yosys")
@pytest.mark.tool("sta")
def test_the_larger_network_holds_too(shared: Path, tmp_path: Path, monkeypatch, bitwright):
    monkeypatch.setenv("BITWRIGHT_DATA", str(shared / "datasets"))
    found = tmp_path / "r.json"
    options = ("--quick", "--liberty", shared / "liberty" / "asap7", "--json", found)
    code, _, _ = bitwright("reproduce", "majority", "--network", "cifar10-cnv-aware", *options)
    assert code == 0
    rows = {row["claim"]: row for row in json.loads(found.read_text())["claims"]}
    lost = rows["accuracy lost to cifar10-cnv-twin, exact"]
    assert 3 < lost["ours"] < 6
    assert "1,000 images; 95 % error at most 3." in lost["source"]
    # Circuits of one fan-in that differ have rows of their own.
    assert "area of a popcount of 256 inputs (fc1), approximate" in rows


def test_a_network_without_a_twin_is_refused(shared: Path, bitwright) -> None:
    options = ("--network", "fmnist-cnn", "--liberty", shared / "liberty" / "asap7")
    code, _, error = bitwright("reproduce", "majority", *options)
    assert code == 2
    assert "fmnist-cnn-aware" in error


def test_bad_input_is_refused_before_anything_is_written(tmp_path: Path, monkeypatch, bitwright):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for option, file, message in (
        ("--report", tmp_path / "no" / "r.html", "r.html"),
        ("--json", tmp_path / "r.json", "bitwright pdk get asap7"),
    ):
        code, _, error = bitwright("reproduce", "majority", option, file)
        assert code == 2
        assert message in error
    assert not list(tmp_path.glob("r.*"))


def test_a_claim_that_does_not_hold_is_said() -> None:
    worse = Measurement("area_saved", 0.5, "share", "synthesised", "yosys")
    rows = (
        Claim("area saved", worse, 0.64, holds=False),
        Claim("brought back, at best", worse, 0.7725),
        Claim("another number", worse),
    )
    data = DataInfo("blobs", "test", 7, "0" * 64)
    found = Reproduction("majority", "A paper.", rows, data, quick=False, seconds=1.0)
    assert not found.holds
    assert found.to_json()["claims"][0]["holds"] is False
    page = render(found, "bitwright reproduce majority")
    assert ">no<" in page
    claims, others = page.split("Other numbers</h2>")
    assert "0.7725" in claims, "what is only told has its published value beside it, too"
    assert "another number" in others
    assert page == render(found, "bitwright reproduce majority")
