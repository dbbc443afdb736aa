"""Costs of popcounts: counted by hand, and mapped once only."""

from __future__ import annotations

import json

import pytest
from tests.eda.tiny import TINY

from bitwright.circuits import KINDS, Cell, Circuit, Output, make
from bitwright.eda import circuit_costs, pdk
from bitwright.eda.circuit_costs import TRANSISTORS, count_gates, map_to_cells
from bitwright.errors import ConfigError, ToolError


def test_gate_equivalents_by_hand():
    # Five bits: a full adder of three, one of its sum and the two others, a half adder of carries.
    cost = count_gates(make("exact", 5))
    assert make("exact", 5).counts == {"HA": 1, "FA": 2}
    assert (cost.area.value, cost.area.unit, cost.area.method) == (7 + 7 + 4, "GE", "estimated")
    assert (cost.energy.value, cost.energy.unit) == (18, "GE/op")
    assert cost.delay.value == 2 + 2 + 1
    cells = (Cell("NAND2", (0, 1)), Cell("NOT", (2,)))
    cost = count_gates(Circuit(2, cells, (Output(3, 1),)))
    assert (cost.area.value, cost.delay.value) == (1.5, 2)


def test_every_cell_has_its_transistors():
    assert TRANSISTORS.keys() == KINDS.keys()


@pytest.fixture
def tiny(tmp_path):
    path = tmp_path / "tiny.lib"
    path.write_text(TINY)
    return pdk.choose([str(path)])


@pytest.mark.tool("yosys")
def test_a_circuit_is_mapped_once(tiny, tmp_path, monkeypatch):
    circuits = [make("exact", 9), make("maj", 9), make("exact", 9)]
    calls = []
    folder = tmp_path / "new" / "folder"
    found = map_to_cells(
        circuits, tiny, folder, vectors=20, progress=lambda done, total: calls.append((done, total))
    )
    assert calls == [(1, 2), (2, 2)]
    exact, majority = (found[circuit.digest] for circuit in circuits[:2])
    assert majority.area.value < exact.area.value
    assert majority.energy.value < exact.energy.value
    assert (exact.area.method, exact.energy.method, exact.energy.unit) == (
        "synthesised", "simulated", "fJ/op",
    )  # fmt: skip
    monkeypatch.setattr(circuit_costs, "implement", None)
    assert map_to_cells(circuits, tiny, folder, vectors=20) == found
    with pytest.raises(TypeError):
        map_to_cells(circuits, tiny, folder, vectors=21)


@pytest.mark.tool("yosys")
@pytest.mark.parametrize("damage", [b"", b"[1]", b"{}", b'{"area": 3}', None])
def test_a_damaged_file_is_as_if_it_were_not_there(tiny, tmp_path, damage):
    circuit = make("maj", 6)
    found = map_to_cells([circuit], tiny, tmp_path / "kept", vectors=5)
    (file,) = (tmp_path / "kept").iterdir()
    if damage is None:
        whole = json.loads(file.read_text())
        whole["area"]["value"] = float("nan")
        damage = json.dumps(whole).encode()
    file.write_bytes(damage)
    assert map_to_cells([circuit], tiny, tmp_path / "kept", vectors=5) == found


def test_a_missing_yosys_has_a_way_out(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("bitwright.eda.tools.scripts", lambda: "")
    with pytest.raises(ToolError, match=r"yosys is missing") as raised:
        map_to_cells([make("maj", 6)], tiny, tmp_path / "new")
    assert raised.value.way_out
    assert "--" not in raised.value.way_out, "an option of one command is no way out for others"
    assert not (tmp_path / "new").exists()


@pytest.mark.tool("yosys")
def test_a_folder_that_cannot_be_made_is_named(tiny, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"cannot make the folder.*can be written"):
        map_to_cells([], tiny, tmp_path / "file" / "folder")
