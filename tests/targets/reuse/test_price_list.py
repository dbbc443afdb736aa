"""Pieces of datapaths: their look-up tables, what holds still in their vectors, their table."""

import json

import numpy as np
import pytest
from tests.targets.piece_commands import write_few

from bitwright.circuits import write_verilog
from bitwright.eda import fpga
from bitwright.errors import ConfigError
from bitwright.targets.reuse import price_list
from bitwright.targets.reuse.price_list import make_piece
from bitwright.targets.reuse.prices import load_pieces


@pytest.mark.tool("yosys")
def test_the_command_writes_a_table_that_can_be_read(bitwright, tmp_path, monkeypatch):
    known = fpga.count_luts(write_verilog(make_piece("compare", 4, 1, 2, 0)[0]))
    monkeypatch.setattr(price_list, "count_luts", lambda _: known)  # seconds for each piece
    monkeypatch.setattr(price_list, "check_luts", lambda *_: None)
    few = [("sum", 3, 1), ("merge", 1, 1), ("match", 2, 1), ("select", 2, 1), ("compare", 4, 1)]
    file = write_few(bitwright, monkeypatch, price_list, "reuse-pieces", few, tmp_path)
    table = load_pieces(file)
    assert table.each("sum", 3).energy_j > 0
    assert [piece.luts for piece in table.pieces] == [0] + 5 * [known.luts]
    assert known.luts > 0


def test_a_sum_without_adders_has_no_price(tmp_path):
    fields = json.loads(load_pieces("asap7").text)
    assert fields["pieces"][1]["kind"] == "sum"
    fields["pieces"][1]["adders"] = 0.0
    file = tmp_path / "pieces.json"
    file.write_text(json.dumps(fields))
    with pytest.raises(ConfigError, match="'sum' 3 is out of range"):
        load_pieces(str(file))


def test_vectors_hold_weights_and_indices_still():
    for kind, size, still in (("match", 9, 9), ("select", 16, 4)):
        circuit, vectors = make_piece(kind, size, 1, 50, 0)
        assert vectors.shape == (50, circuit.inputs)
        assert not np.diff(vectors[:, -still:].astype(int), axis=0).any()
        assert np.diff(vectors[:, :-still].astype(int), axis=0).any()
