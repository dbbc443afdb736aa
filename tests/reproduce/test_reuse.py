"""The short version of `bitwright reproduce reuse`, on a smaller network than the real one's."""

from __future__ import annotations

import json

import pytest
from tests.targets.reuse.dynamic.skippable import one_layer

from bitwright.eda import pdk
from bitwright.reproduce import reuse
from bitwright.targets import get_target
from bitwright.targets.reuse.mapped import map_layer
from bitwright.targets.reuse.planner import plan_layer, plannable
from bitwright.targets.reuse.prices import load_pieces


@pytest.fixture
def small(monkeypatch, shared):
    monkeypatch.setattr(reuse, "NETWORK", "fmnist-mlp")
    monkeypatch.setattr(reuse, "QUICK_IMAGES", 30)
    monkeypatch.setattr(reuse, "MAPPED", "fc2")


def test_the_short_version_holds(small, bitwright, tmp_path):
    found, page = tmp_path / "r.json", tmp_path / "r.html"
    code, out, _ = bitwright("reproduce", "reuse", "--quick", "--json", found, "--report", page)
    assert code == 0
    result = json.loads(found.read_text())
    assert result["holds"] is True
    assert result["quick"] is True
    for row in result["claims"]:
        assert row.keys() == {"claim", "published", "ours", "unit", "method", "source", "holds"}
    rows = {row["claim"]: row for row in result["claims"]}
    assert rows["outputs that differ from the exact network's"]["ours"] == 0
    assert rows["rows of weights that a plan does not reproduce"]["ours"] == 0
    pruned = rows["operations pruned by the plans that cost least"]
    assert pruned["published"] == 0.51
    assert rows["the same of random kernels"]["ours"] < pruned["ours"] < 1
    # What is published of images per kJ is shown and not claimed.
    per_kj = [row for row in result["claims"] if row["published"] == reuse.IMAGES_PER_KJ]
    assert [row["holds"] for row in per_kj] == [None]
    assert "30 images of fashion-mnist" in out
    assert "operations pruned" in page.read_text()


@pytest.mark.tool("yosys")
def test_the_netlist_of_a_layer_takes_what_its_pieces_do(shared):
    program = one_layer(0, (1, 1, 100), 10, 1)
    ((name, dot),) = plannable(program).items()
    config = get_target("reuse").configure({})
    plan = plan_layer(program, name, dot, config, load_pieces(config.pieces))
    made = map_layer(
        plan, pdk.choose([str(shared / "liberty" / "asap7")]), operations=20, neurons=1
    )
    parts = ("sums of inputs", "sums of nodes", "pipeline")
    priced = sum(plan.chosen.cost.parts[part].energy_j for part in parts)
    assert priced == pytest.approx(made.energy_j, rel=0.3)
    assert 0 < made.saved < 1
    assert made.area < made.dense_area


def test_bad_input_is_refused_before_anything_is_written(tmp_path, bitwright):
    code, _, error = bitwright("reproduce", "reuse", "--report", tmp_path / "no" / "r.html")
    assert code == 2
    assert "r.html" in error
