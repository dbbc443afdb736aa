"""Which popcount: texts and tables, and the circuits that they mean."""

from __future__ import annotations

import re
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.circuits.drawn import random_bits

from bitwright.circuits import (
    count_by_columns,
    count_by_majority,
    evaluate,
    from_settings,
    make,
    parse,
    write_verilog,
)
from bitwright.circuits.grouping import input_order, spread
from bitwright.circuits.spec import AndOr, Exact, Majority, Votes
from bitwright.errors import BitwrightError, CircuitError, ConfigError

FAMILIES = ["exact", "ripple", "counter63", "maj", "andor", "lta", "xnormaj"]


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("exact", Exact()),
        ("maj:L=2,share=0.6,grouping=tap", Majority(levels=2, share=0.6, grouping="tap")),
        (" maj : levels = 3 , centre ", Majority(levels=3, centre=True)),
        ("xnormaj", Majority(gain=1)),
        ("lta:size=9,local=0.6,keep=0.5", Votes(size=9, local=0.6, keep=0.5)),
        ("andor:L=2,size=2", AndOr(levels=2, size=2)),
        ("exact:order=2 0 1,truncate=1", Exact(order=(2, 0, 1), truncate=1)),
        ("maj:centre=false,grouping=random,seed=7", Majority(grouping="random", seed=7)),
    ],
)
def test_a_text_is_a_spec_and_back(text, spec):
    assert parse(text) == spec
    assert parse(str(spec)) == spec


def test_a_table_is_a_spec():
    assert from_settings({"family": "maj", "levels": 2, "keep": 0.6}) == parse("maj:L=2,keep=0.6")
    assert from_settings({"family": "exact", "order": [1, 0]}) == Exact(order=(1, 0))
    assert from_settings({}) == Exact()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mja", "no popcount named 'mja': did you mean 'maj'"),
        ("maj:level=2", "no setting of popcount 'maj' named 'level': did you mean 'levels'"),
        ("exact:levels=2", "no setting of popcount 'exact' named 'levels'"),
        ("maj:L=two", "setting 'levels' of a popcount is 'two': give an integer"),
        ("maj:L=1.5", "setting 'levels' of a popcount is '1.5': give an integer"),
        ("maj:L=-1", "setting 'levels' of a popcount is -1"),
        ("maj:share=1.5", "setting 'share' of a popcount is 1.5"),
        ("maj:share=nan", "setting 'share' of a popcount is nan"),
        ("maj:share=", "setting 'share' of a popcount is ''"),
        ("maj:arity=4", "setting 'arity' of a popcount is 4: give 3, 5 or 7"),
        ("maj:gain=3", "setting 'gain' of a popcount is 3: give 1 or 2"),
        ("maj:centre=maybe", "give true or false"),
        ("maj:L=1,levels=2", "sets 'L' twice|sets 'levels' twice"),
        ("xnormaj:gain=2", "setting 'gain' of a popcount"),
        ("exact:keep=0", "setting 'keep' of a popcount is 0.0"),
        ("exact:grouping=taps", "setting 'grouping' of a popcount is 'taps'"),
        ("exact:seed=-1", "setting 'seed' of a popcount is -1"),
        ("exact:order=a b", "setting 'order' of a popcount is 'a b'"),
        ("exact:truncate=-1", "setting 'truncate' of a popcount is -1"),
        ("andor:size=3", "setting 'size' of a popcount is 3"),
        ("lta:size=0", "setting 'size' of a popcount is 0"),
        ("lta:local=0", "setting 'local' of a popcount is 0.0"),
        ("netlist", "setting 'path' of a popcount is ''"),
    ],
)
def test_a_spec_that_is_none_says_what_is_wrong(text, message):
    with pytest.raises(ConfigError, match=message):
        parse(text)


@pytest.mark.parametrize(
    ("text", "inputs", "shape", "message"),
    [
        ("exact", 0, None, "popcount of 0 inputs"),
        ("maj", -1, None, "popcount of -1 inputs"),
        ("exact:truncate=4", 9, None, "4 of 4 outputs cannot be dropped"),
        ("maj:grouping=channel", 9, None, "grouping 'channel' needs the kernel's shape"),
        ("maj:grouping=tap", 9, (3, 3, 2), "a kernel of 3x3x2 has not 9 inputs"),
        ("maj:grouping=tap", 9, (-3, -3, 1), "has not 9 inputs"),
        ("exact:order=0 1 1", 3, None, "not a permutation of 3 inputs"),
        ("exact:order=0 1 2", 4, None, "not a permutation of 4 inputs"),
        ("netlist:path=nowhere.v", 4, None, "nowhere.v cannot be read"),
    ],
)
def test_a_fan_in_that_does_not_fit(text, inputs, shape, message):
    with pytest.raises(BitwrightError, match=re.escape(message)):
        make(text, inputs, shape)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("inputs", [1, 2, 3, 5, 64, 100])
def test_every_family_builds_for_every_fan_in(family, inputs):
    circuit = make(family, inputs)
    assert circuit.inputs == inputs
    assert make(parse(family), inputs).digest == circuit.digest


@given(
    grouping=st.sampled_from(["natural", "tap", "channel", "column", "random"]),
    shape=st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 6)),
    seed=st.integers(0, 99),
)
@settings(deadline=None, max_examples=60)
def test_an_exact_count_does_not_depend_on_the_grouping(grouping, shape, seed):
    inputs = int(np.prod(shape))
    order = input_order(grouping, inputs, shape, seed)
    assert sorted(order) == list(range(inputs))
    bits = random_bits(seed, 40, inputs)
    spec = Exact(grouping=grouping, seed=seed)
    assert np.array_equal(evaluate(make(spec, inputs, shape), bits), bits.sum(1))


@pytest.mark.parametrize(
    ("grouping", "group"),
    [
        ("tap", lambda y, x, c: (y, x)),
        ("channel", lambda y, x, c: (c, y)),
        ("column", lambda y, x, c: (c, x)),
    ],
)
def test_which_inputs_meet_in_a_majority(grouping, group):
    """Two ones in one group of three are a majority, which weighs 2; elsewhere they are none."""
    circuit = make(Majority(grouping=grouping), 27, (3, 3, 3))
    pairs = list(combinations(np.ndindex(3, 3, 3), 2))
    kernels = np.zeros((len(pairs), 3, 3, 3), np.bool_)
    for kernel, (a, b) in zip(kernels, pairs, strict=True):
        kernel[a] = kernel[b] = True
    expected = [2 * (group(*a) == group(*b)) for a, b in pairs]
    assert evaluate(circuit, kernels.reshape(-1, 27)).tolist() == expected


def test_a_given_order_is_what_is_grouped():
    order = tuple(np.random.default_rng(0).permutation(30).tolist())
    bits = random_bits(4, 100, 30)
    ordered = evaluate(count_by_majority(30), bits[:, order])
    assert np.array_equal(evaluate(make(Majority(order=order), 30), bits), ordered)


def test_random_groupings_are_drawn_from_the_seed():
    digests = {make(f"maj:grouping=random,seed={seed}", 30).digest for seed in (0, 0, 1, 2)}
    assert len(digests) == 3


def test_dropped_inputs_are_made_up_for_by_weights():
    circuit = make("exact:keep=0.6", 100)
    bits = random_bits(5, 100, 100)
    kept = bits[:, spread(100, 60)].sum(1)
    assert circuit.inputs == 100
    assert np.array_equal(evaluate(circuit, bits) / circuit.divisor, kept * 5 / 3)
    assert make("exact:keep=0.001", 100).counts == {}


def test_truncation_goes_with_any_family():
    bits = random_bits(6, 100, 60)
    whole = evaluate(make("maj", 60), bits)
    assert np.array_equal(evaluate(make("maj:truncate=2", 60), bits), whole // 8 * 8)


def test_a_netlist_is_a_family(tmp_path):
    path = tmp_path / "count.v"
    path.write_text(write_verilog(count_by_columns(12)))
    assert make(f"netlist:path={path}", 12) == count_by_columns(12)
    bits = random_bits(7, 50, 20)
    kept = make(f"netlist:path={path},keep=0.6", 20)
    assert np.array_equal(evaluate(kept, bits), 5 * bits[:, spread(20, 12)].sum(1))
    with pytest.raises(CircuitError, match=r"has 12 inputs, and 13 bits are to be counted"):
        make(f"netlist:path={path}", 13)
