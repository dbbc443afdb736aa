"""Fronts: the additive one equals brute force over all combinations."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from bitwright.explore.pareto import Option, additive_front, front, spread

OPTIONS = st.builds(
    Option, st.sampled_from("abcd"), st.integers(0, 12).map(float), st.integers(0, 6)
)
LAYERS = st.lists(st.lists(OPTIONS, min_size=1, max_size=4), min_size=1, max_size=4)


def beats(a, b):
    return a[0] <= b[0] and a[1] <= b[1] and a != b


@given(LAYERS)
def test_the_additive_front_is_that_of_all_combinations(layers):
    sums = {
        (sum(o.cost for o in one), sum(o.loss for o in one)) for one in itertools.product(*layers)
    }
    best = {a for a in sums if not any(beats(b, a) for b in sums)}
    found = additive_front(layers)
    assert [(one.cost, one.loss) for one in found] == sorted(best)
    for one in found:
        assert len(one.names) == len(layers)
        chosen = [
            {(o.cost, o.loss) for o in options if o.name == name}
            for name, options in zip(one.names, layers, strict=True)
        ]
        assert any(
            (sum(c for c, _ in pick), sum(n for _, n in pick)) == (one.cost, one.loss)
            for pick in itertools.product(*chosen)
        ), "the names are those of options with these sums"


def test_many_layers_are_no_trouble():
    layers = [[Option("x", 3.0, 0), Option("y", 1.0, 1 + k % 3)] for k in range(200)]
    found = additive_front(layers)
    assert (found[0].cost, found[-1].cost, found[-1].loss) == (200.0, 600.0, 0)
    assert found[-2].names.count("y") == 1


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=20))
def test_the_front_of_points(points):
    found = front(points, lambda one: one)
    assert found == sorted({a for a in points if not any(beats(b, a) for b in points)})


def test_of_equal_points_the_first_stays():
    assert front(["b1", "a1", "b2"], lambda one: (0, int(one[1]))) == ["b1"]


def test_spread_keeps_the_ends_and_the_order():
    line = [(float(k), float(100 - k)) for k in range(101)]
    assert spread(line, 200, lambda one: one) == line
    assert spread(line, 1, lambda one: one) == [line[0]]
    assert spread(line, 5, lambda one: one) == [line[k] for k in (0, 25, 50, 75, 100)]
    assert spread([(1.0, 1.0)] * 3, 2, lambda one: one) == [(1.0, 1.0)] * 2
