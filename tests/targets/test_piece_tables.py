"""Tables of pieces, of each target that prices with one: shipped, made anew, read, and refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import resources
from types import ModuleType

import pytest

from bitwright.eda import pdk
from bitwright.eda.pieces import Table
from bitwright.errors import ConfigError
from bitwright.targets.crossbar.cost import piece_list
from bitwright.targets.crossbar.cost import pieces as crossbar
from bitwright.targets.reuse import price_list
from bitwright.targets.reuse import prices as reuse


@dataclass(frozen=True)
class Case:
    """A target's modules that load tables and make them, and what its pieces have of their own.

    Parameters
    ----------
    anew
        Pieces that are quick to make.
    numbers
        What is measured of one.
    source
        What prices are made of.
    """

    prices: ModuleType
    maker: ModuleType
    command: str
    anew: tuple[tuple[str, int, int], ...]
    numbers: tuple[str, ...]
    source: str

    @property
    def load(self) -> Callable[[str], Table]:
        return self.prices.load_pieces


CASES = {
    "reuse": Case(
        reuse, price_list, "reuse-pieces", (("sum", 8, 1), ("merge", 1, 1)),
        ("adders", "area", "delay_s", "energy_j", "luts"), "sum of pieces",
    ),
    "crossbar": Case(
        crossbar, piece_list, "crossbar-pieces", (("decide", 64, 1), ("correct", 7, 1)),
        ("area", "delay_s", "energy_j"), "pieces",
    ),
}  # fmt: skip


@pytest.fixture(params=CASES)
def case(request):
    return CASES[request.param]


def test_the_shipped_table_has_all_pieces_and_is_as_the_command_writes_it(case):
    table = case.load("asap7")
    pieces = [(p.kind, p.size, p.width) for p in table.pieces]
    assert pieces == [("register", 1, 1), *case.maker.PIECES]
    assert {p.kind for p in table.pieces} == set(case.prices.KINDS)
    assert table.area_unit == "um2"
    shipped = resources.files(case.prices.__package__) / "tables" / "asap7.json"
    assert table.text == shipped.read_text()
    assert table.source.startswith(f"{case.source} mapped to asap7")
    for part in ("yosys", f"{table.operations} random operations"):
        assert part in table.source


@pytest.mark.tool("yosys")
@pytest.mark.tool("sta")
def test_pieces_made_anew_are_those_of_the_table(case, shared):
    table = case.load("asap7")
    library = pdk.choose([str(shared / "liberty" / "asap7")])
    done = []
    found = case.maker.measure_pieces(
        library, pieces=case.anew, progress=lambda *count: done.append(count)
    )
    assert done == [(1, 2), (2, 2)]
    assert (found.operations, found.seed) == (table.operations, table.seed)
    assert [p.kind for p in found.pieces] == ["register", *(kind for kind, _, _ in case.anew)]
    shipped = {(p.kind, p.size, p.width): p for p in table.pieces}
    # Another yosys may map otherwise.
    within = 1e-9 if found.versions == table.versions else 0.2
    for piece in found.pieces:
        known = shipped[piece.kind, piece.size, piece.width]
        for number in case.numbers:
            wanted = pytest.approx(getattr(known, number), rel=within)
            assert getattr(piece, number) == wanted, (piece.kind, number)


def test_a_written_table_is_read_as_it_was(case, tmp_path):
    table = replace(case.load("asap7"), area_unit="", seed=3)
    file = tmp_path / "pieces.json"
    file.write_text(table.text)
    found = case.load(str(file))
    assert type(found) is case.prices.PieceTable
    assert found.pieces == table.pieces
    assert (found.text, found.source) == (table.text, table.source)


def test_files_that_are_no_tables(case, tmp_path):
    command = f"bitwright study {case.command}"
    with pytest.raises(ConfigError, match=f"cannot read.*none.json.*{command}"):
        case.load(str(tmp_path / "none.json"))
    (tmp_path / "latin").write_bytes(b"\xe9")
    with pytest.raises(ConfigError, match="cannot read"):
        case.load(str(tmp_path / "latin"))
    good = json.loads(case.load("asap7").text)
    first, *others = good["pieces"]
    lacking = case.prices.KINDS[1]
    lacks = [p for p in good["pieces"] if p["kind"] != lacking]
    bad = [
        ("another version", good | {"format": 2}),
        (f"no '{lacking}'", good | {"pieces": lacks}),
        ("'seconds'", good | {"pieces": [first | {"seconds": 1}, *others]}),
        ("'unknown'", good | {"unknown": 1}),
        ("", []),
    ]
    for number in ("area", "delay_s", "energy_j"):
        for value in (-1.0, float("nan")):
            wrong = good | {"pieces": [first | {number: value}, *others]}
            bad.append((f"'{first['kind']}' 1 is out of range", wrong))
    texts = [(reason, json.dumps(fields)) for reason, fields in bad]
    for index, (reason, text) in enumerate([*texts, ("Expecting value", "not json")]):
        file = tmp_path / f"{index}.json"  # each another one: a target may keep what it read
        file.write_text(text)
        with pytest.raises(ConfigError, match=f"no table of pieces.*{reason}.*make one: {command}"):
            case.load(str(file))
