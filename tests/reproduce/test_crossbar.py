"""The short version of `bitwright reproduce crossbar`, on a smaller network than the real ones."""

from __future__ import annotations

import json

import pytest

from bitwright.reproduce import crossbar


@pytest.fixture
def small(monkeypatch):
    config = crossbar._linear(0.4, 32)
    monkeypatch.setattr(crossbar, "DATA", "fashion-mnist")
    monkeypatch.setattr(crossbar, "CNV", "fmnist-mlp")
    monkeypatch.setattr(crossbar, "COLUMNS", 10)
    monkeypatch.setattr(
        crossbar,
        "SETTINGS",
        (crossbar.Setting("small", "fmnist-mlp", config, 300, 200, least=0.05, layers=True),),
    )


def test_the_short_version_says_what_flips_bring_back(small, bitwright, tmp_path):
    found, page = tmp_path / "r.json", tmp_path / "r.html"
    code, out, _ = bitwright("reproduce", "crossbar", "--quick", "--json", found, "--report", page)
    result = json.loads(found.read_text())
    assert code == (0 if result["holds"] else 1)
    rows = {row["claim"]: row for row in result["claims"]}
    for row in result["claims"]:
        assert row.keys() == {"claim", "published", "ours", "unit", "method", "source", "holds"}
    lossless = rows["outputs that differ on 8T-SRAM without wire resistance, both flips"]
    assert lossless["ours"] == 0
    assert lossless["holds"] is True
    for technology, most in (("linear", 1e-9), ("sram8t", 1e-6), ("reram1t1r", 1e-6)):
        row = rows[f"largest relative difference to a dense solver, at most {most:g}: {technology}"]
        assert 0 <= row["ours"] <= most
        assert row["holds"] is True
    plain, cured = (
        rows[f"{what}: small"]["ours"] for what in ("accuracy as it is", "accuracy with BinSparX")
    )
    (gained,) = [row for row in result["claims"] if row["published"] == crossbar.POINTS]
    assert gained["ours"] == pytest.approx(cured - plain)
    assert gained["holds"] is None
    enough = rows["at least 5% of all images brought back by BinSparX: small"]
    assert enough["ours"] == gained["ours"]
    assert enough["holds"] is (gained["ours"] >= 0.05)
    missing = rows["missing of the software's accuracy where the network fails as it is: small"]
    failed = plain <= crossbar.CHANCE
    assert missing["holds"] is (failed and missing["ours"] <= crossbar.NEAR)
    assert "brought back by flips at random, first 100 images: small" in rows
    assert rows["partial sums saved: small"]["ours"] > 0
    assert all(rows[f"partial sums saved, {layer}"]["ours"] > 0 for layer in ("fc2", "fc3", "fc4"))
    assert "200 images of fashion-mnist" in out
    assert "BinSparX" in page.read_text()
