"""Pieces compute what they are named after, and a command makes a table of them."""

import numpy as np
import pytest
from tests.targets.piece_commands import write_few

from bitwright.eda.vectors import expected_outputs
from bitwright.targets.crossbar.cost import piece_list
from bitwright.targets.crossbar.cost.piece_list import make_piece
from bitwright.targets.crossbar.cost.pieces import load_pieces


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


@pytest.mark.tool("yosys")
def test_the_command_writes_a_table_that_can_be_read(bitwright, tmp_path, monkeypatch):
    few = [
        ("popcount", 4, 1), ("decide", 4, 1), ("flip", 2, 1), ("signed", 2, 1), ("correct", 2, 1),
        ("accumulate", 4, 2), ("add", 4, 2), ("compare", 4, 1), ("select", 2, 1),
    ]  # fmt: skip
    file = write_few(bitwright, monkeypatch, piece_list, "crossbar-pieces", few, tmp_path)
    assert load_pieces(file).price("correct", 2).energy_j > 0
