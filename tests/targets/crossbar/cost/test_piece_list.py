"""Pieces compute what they are named after; made anew they cost what the table that ships says."""

import numpy as np
import pytest

from bitwright.eda import pdk
from bitwright.eda.vectors import expected_outputs
from bitwright.targets.crossbar.cost import piece_list
from bitwright.targets.crossbar.cost.piece_list import PIECES, make_piece, measure_pieces
from bitwright.targets.crossbar.cost.pieces import KINDS, load_pieces

ANEW = (("decide", 64, 1), ("correct", 7, 1))


def values(circuit, vectors):
    weights = np.array([output.weight for output in circuit.outputs])
    return circuit.offset + (expected_outputs(circuit, vectors) * weights).sum(axis=1)


def bits(numbers, width):
    return (np.asarray(numbers)[:, None] >> np.arange(width) & 1).astype(np.bool_)


def number(columns):
    return (columns * (1 << np.arange(columns.shape[1]))).sum(axis=1)


def signed(columns):
    return number(columns) - (columns[:, -1].astype(int) << columns.shape[1])


def reads(count=400, rows=64, seed=3):
    """Return S, A and W of random sub-vectors and of columns with at most half ones, and signs."""
    rng = np.random.default_rng(seed)
    w = rng.random((count, rows)) < rng.random((count, 1))
    w ^= 2 * w.sum(axis=1, keepdims=True) > rows
    a = rng.random((count, rows)) < rng.random((count, 1))
    return (w & a).sum(axis=1), a.sum(axis=1), w.sum(axis=1), rng.integers(0, 2, count)


def test_a_correction_is_half_of_the_dot_product_by_the_identity():
    s, a, w, sign = reads()
    circuit, vectors = make_piece("correct", 7, 1, 5, 0)
    assert vectors.shape == (5, 7 + 7 + 8 + 1)
    held = 32 - w + 1 - 128
    assert held.min() >= -128
    given = np.concatenate([bits(s, 7), bits(a, 7), bits(held, 8), bits(sign, 1)], axis=1)
    dot = 4 * s - 2 * w - 2 * a + 64
    # The complement lacks one of a negation; the adder that follows gets it as its carry.
    found = 2 * (values(circuit, given) + sign)
    assert (found == np.where(sign, -dot, dot)).all()


def test_a_signed_result_lacks_constants_of_its_column_only():
    s, a, _, sign = reads()
    circuit, _ = make_piece("signed", 7, 1, 5, 0)
    given = np.concatenate([bits(s, 7), bits(a, 7), bits(sign, 1)], axis=1)
    plain = 2 * s - a + (127 - 256)
    assert (values(circuit, given) == np.where(sign, -plain - 1, plain)).all()


@pytest.mark.parametrize("size", [8, 64, 512])
def test_a_decision_and_the_count_after_it(size):
    count = np.arange(size + 1)
    circuit, _ = make_piece("decide", size, 1, 5, 0)
    width = size.bit_length()
    flipped = 2 * count > size
    wanted = (flipped << width) + np.where(flipped, size - count, count)
    assert (values(circuit, bits(count, width)) == wanted).all()


def test_flips_selections_counts_and_sums():
    circuit, vectors = make_piece("flip", 32, 1, 50, 1)
    assert (expected_outputs(circuit, vectors) == vectors[:, :-1] ^ vectors[:, -1:]).all()
    circuit, vectors = make_piece("select", 16, 1, 50, 1)
    index = number(vectors[:, 16:])
    assert (values(circuit, vectors) == vectors[np.arange(50), index]).all()
    assert set(index) == set(range(16))
    assert not np.diff(vectors[:, :16].astype(int), axis=0).any()
    circuit, vectors = make_piece("popcount", 32, 1, 50, 1)
    assert (values(circuit, vectors) == vectors.sum(axis=1)).all()
    circuit, vectors = make_piece("accumulate", 13, 6, 50, 1)
    wanted = signed(vectors[:, :13]) + number(vectors[:, 13:])
    assert (values(circuit, vectors) == wanted).all()
    assert wanted.max() > 1
    circuit, vectors = make_piece("add", 13, 8, 50, 1)
    wanted = signed(vectors[:, :13]) + signed(vectors[:, 13:21]) + vectors[:, 21]
    assert (values(circuit, vectors) == wanted).all()
    assert wanted.min() < 0 < wanted.max()
    circuit, vectors = make_piece("compare", 8, 1, 50, 1)
    assert (values(circuit, vectors) == (number(vectors) >= 125)).all()


def test_the_shipped_table_has_all_pieces():
    table = load_pieces("asap7")
    assert [(p.kind, p.size, p.width) for p in table.pieces] == [("register", 1, 1), *PIECES]
    assert {p.kind for p in table.pieces} == set(KINDS)
    assert table.area_unit == "um2"


@pytest.mark.tool("yosys")
@pytest.mark.tool("sta")
def test_pieces_made_anew_are_those_of_the_table(shared):
    table = load_pieces("asap7")
    library = pdk.choose([str(shared / "liberty" / "asap7")])
    found = measure_pieces(library, pieces=ANEW)
    shipped = {(p.kind, p.size, p.width): p for p in table.pieces}
    # Another yosys may map otherwise.
    within = 1e-9 if found.versions == table.versions else 0.2
    for piece in found.pieces:
        known = shipped[piece.kind, piece.size, piece.width]
        for field in ("area", "delay_s", "energy_j"):
            wanted = pytest.approx(getattr(known, field), rel=within)
            assert getattr(piece, field) == wanted, (piece.kind, field)


@pytest.mark.tool("yosys")
def test_the_command_writes_a_table_that_can_be_read(bitwright, tmp_path, monkeypatch):
    small = [
        ("popcount", 4, 1), ("decide", 4, 1), ("flip", 2, 1), ("signed", 2, 1), ("correct", 2, 1),
        ("accumulate", 4, 2), ("add", 4, 2), ("compare", 4, 1), ("select", 2, 1),
    ]  # fmt: skip
    defaults = {**measure_pieces.__kwdefaults__, "pieces": small}
    monkeypatch.setattr(piece_list.measure_pieces, "__kwdefaults__", defaults)
    file = tmp_path / "pieces.json"
    code, out, _ = bitwright("study", "crossbar-pieces", "--liberty", "osu018", "-o", file)
    assert code == 0
    assert "10 pieces" in out
    assert load_pieces(str(file)).price("correct", 2).energy_j > 0
    code, _, error = bitwright("study", "crossbar-pieces", "-o", tmp_path / "no" / "p.json")
    assert code == 2
    assert "p.json" in error
