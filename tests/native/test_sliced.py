"""Bit-sliced layers and networks against the engine and the circuits' reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.native.sketch import Sketch, random_batch, same

from bitwright.circuits import evaluate, make, parse
from bitwright.errors import ConfigError
from bitwright.ir import Bits, Int, reference
from bitwright.ir import ops as o
from bitwright.native import NativeProgram, binary
from bitwright.native.sliced import SlicedShape, slice_words, unslice_words
from bitwright.native.sliced_network import CircuitNetwork, is_chain

SAME = (1, 1, 1, 1)


def exact(inputs: int) -> Any:
    return make(parse("exact"), inputs)


def network(c: int, pad_value: int = -1) -> tuple[Sketch, list[str]]:
    """Two layers with a pool between a sum and its threshold, one on bits, and two dense ones."""
    s = Sketch(Int((9, 8, 3), 0, 255), seed=c)
    first = s.threshold(s.conv("x", c, padding=SAME))
    second = s.conv(first, c + 3, padding=SAME, pad_value=pad_value)
    pooled = s.pool(s.threshold(s.pool(second)), kernel=(2, 2), stride=(1, 1))
    third = s.conv(pooled, 20, stride=(1, 2), padding=(0, 1, 1, 0), pad_value=pad_value)
    dense = s.dense(s.add(o.Flatten, s.threshold(third)), 33)
    scores = s.dense(s.threshold(dense), 10)
    return s, [second, third, dense, s.add(o.ArgMax, scores), scores]


@pytest.mark.parametrize("c", [1, 40, 64, 70])
@pytest.mark.parametrize("pad_value", [-1, 0, 1])
def test_exact_circuits_change_nothing(c: int, pad_value: int) -> None:
    s, (second, *_, best, scores) = network(c, pad_value)
    program = s.program(best, scores)
    sliced = CircuitNetwork(program, {second: exact(c * 9)}, exact)
    batch = random_batch(program, 600, s.rng)
    for threads in (1, 2):
        same(sliced.run(batch, threads=threads), NativeProgram(program).run(batch))


def test_a_circuit_between_exact_layers() -> None:
    s, (_, third, dense, best, scores) = network(40)
    program = s.program(best, scores)
    circuits = {third: make(parse("maj"), 43 * 9), dense: make(parse("maj:L=2"), 40)}
    sliced = CircuitNetwork(program, circuits, exact)
    batch = random_batch(program, 5, s.rng)
    values = reference.run(program, batch, list(program.types)[1:])
    dots = {name: program.definitions[name] for name in (third, dense)}

    bits = values[dots[third].input]
    padded = np.pad(bits, ((0, 0), (0, 1), (1, 0), (0, 0)))
    weights = program.tensor(dots[third], "weights")
    shape = program.types[third].shape
    counts = np.empty((5, *shape), np.int64)
    for i in range(shape[0]):
        for j in range(shape[1]):
            window = padded[:, i : i + 3, 2 * j : 2 * j + 3]
            matches = (window[:, None] == weights).reshape(5, len(weights), -1)
            counts[:, i, j] = evaluate(circuits[third], matches)
    after = _decided(program, third, counts, 43 * 9)
    flat = after.reshape(5, -1)
    matches = flat[:, None] == program.tensor(dots[dense], "weights")
    last = _decided(program, dense, evaluate(circuits[dense], matches), 40)
    signs = np.where(program.tensor(program.definitions[scores], "weights"), 1, -1)
    expected = np.where(last, 1, -1) @ signs.T
    np.testing.assert_array_equal(sliced.run(batch)[scores], expected)


def _decided(program: Any, name: str, counts: Any, fan_in: int) -> Any:
    (op,) = program.uses[name]
    limits, rising = program.tensor(op, "thresholds"), program.tensor(op, "rising")
    doubled = 2 * counts - fan_in
    return np.where(rising, doubled >= limits, doubled <= limits)


def test_thresholds_of_ones_own() -> None:
    s, (second, *_, best, scores) = network(40)
    program = s.program(best, scores)
    always = np.full(43, -(10**6))
    one = CircuitNetwork(program, {second: exact(360)}, exact, {second: always})
    op = program.definitions[program.uses[program.uses[second][0].output][0].output]
    rising = program.tensor(op, "rising")
    maps = one.enter(random_batch(program, 3, s.rng))
    one.step(one.stages[0], maps)
    words = unslice_words(one.shapes[op.output].interior(maps[op.output]), 3)
    assert (binary.unpack_channels(words, 43) == rising).all()
    one.decide_by(second, -always)
    one.step(one.stages[0], maps)
    words = unslice_words(one.shapes[op.output].interior(maps[op.output]), 3)
    assert (binary.unpack_channels(words, 43) != rising).all()


@pytest.mark.parametrize("pad_value", [-1, 1])
def test_values_and_matches_at_some_windows(pad_value: int) -> None:
    s, (second, *_, best, scores) = network(40, pad_value)
    program = s.program(best, scores)
    sliced = CircuitNetwork(program, {second: make("maj", 360)}, exact)
    plain = CircuitNetwork(program, {second: exact(360)}, exact)
    images = 70
    maps = sliced.enter(random_batch(program, images, s.rng))
    stage, other = sliced.layers[0], plain.layers[0]
    source = sliced.source(stage, maps)
    every = stage.layer.counts(source, images).reshape(images, 72, 43)
    counts = other.layer.counts(source, images).reshape(images, 72, 43)
    windows, neurons = np.array([0, 71, 9]), slice(1, None, 5)
    for count in (1, 64, images):
        values = stage.layer.counts_at(source, count, windows, neurons)
        np.testing.assert_array_equal(values, every[:count, windows, neurons])
        matches = stage.layer.matches_at(source, count, windows, neurons)
        np.testing.assert_array_equal(matches, counts[:count, windows, neurons])
    assert (every != counts).any()


def test_thresholds_by_class_of_window() -> None:
    s, (second, *_, best, scores) = network(40, 0)
    program = s.program(best, scores)
    plain = CircuitNetwork(program, {second: exact(360)}, exact)
    stage = plain.layers[0]
    assert len(stage.exact) == 9
    again = stage.decided_by(stage.exact[0])
    np.testing.assert_array_equal(again.thresholds, stage.exact)
    given = s.rng.integers(100, 200, stage.exact.shape)
    moved = stage.decided_by(given)
    np.testing.assert_array_equal(moved.thresholds, given)
    maps = plain.enter(random_batch(program, 3, s.rng))
    out = plain.shapes[stage.bits].allocate()
    moved.layer.decide(
        maps[stage.source], moved.limits, inside := SlicedShape((9, 8, 43)).allocate()
    )
    values = stage.layer.counts(maps[stage.source], 3)
    limits = given[stage.classes].reshape(9, 8, 43)
    bits = np.where(stage.rising, values >= limits, values <= limits)
    found = binary.unpack_channels(unslice_words(inside, 3), 43)
    np.testing.assert_array_equal(found, bits)
    moved.decide(maps[stage.source], plain.shapes[stage.bits].interior(out))
    cells = bits.reshape(3, 9, 8, 43)[:, :8].reshape(3, 4, 2, 4, 2, 43)
    pooled = np.where(stage.rising, cells.any(axis=(2, 4)), cells.all(axis=(2, 4)))
    words = unslice_words(plain.shapes[stage.bits].interior(out), 3)
    np.testing.assert_array_equal(binary.unpack_channels(words, 43), pooled)


def test_the_first_images_are_observed() -> None:
    s, (second, *_, best, scores) = network(40)
    program = s.program(best, scores)
    sliced = CircuitNetwork(program, {second: make("maj", 360)}, exact)
    batch = random_batch(program, 600, s.rng)
    seen: list[Any] = []
    kept: dict[str, Any] = {}

    def observe(stage: Any, maps: dict[str, Any]) -> None:
        seen.append(stage)
        if stage is None:
            kept.update({name: sliced.words(name, maps, 512) for name in sliced.bits})

    same(sliced.run(batch, threads=2, observe=observe), sliced.run(batch))
    assert seen == [*sliced.stages, None]
    words = kept[sliced.bits[-1]]
    bits = binary.unpack_channels(words, 33).reshape(512, 33)
    weights = np.where(program.tensor(program.definitions[scores], "weights"), 1, -1)
    np.testing.assert_array_equal(
        np.where(bits, 1, -1) @ weights.T, sliced.run(batch[:512])[scores]
    )
    rows = sliced.words(
        sliced.bits[-1], {sliced.bits[-1]: sliced.shapes[sliced.bits[-1]].allocate()}, 1, slice(1)
    )
    assert rows.shape == (1, 1, 1, 1)


def test_what_is_a_chain() -> None:
    s, (second, third, dense, best, scores) = network(8)
    program = s.program(best, scores)
    assert is_chain(program, [second, dense])
    assert not is_chain(program, [scores])  # no threshold behind it
    assert not is_chain(s.program(best, scores, second), [second])  # read by others too
    assert is_chain(s.program(best, scores, third), [second])  # its chain ends before the third
    assert is_chain(s.program(best, scores), {third})


@pytest.mark.parametrize("images", [1, 63, 65, 511, 512])
@pytest.mark.parametrize("channels", [1, 64, 70])
def test_slicing_is_undone(images: int, channels: int) -> None:
    bits = np.random.default_rng(images).random((images, 3, 2, channels)) < 0.5
    shape = SlicedShape((3, 2, channels), (1, 0, 2, 1), ones=True)
    array = shape.allocate()
    slice_words(binary.pack_channels(bits), shape.interior(array))
    words = unslice_words(shape.interior(array), images)
    np.testing.assert_array_equal(binary.unpack_channels(words, channels), bits)
    assert (array[0] == 2**64 - 1).all()


def test_what_is_refused() -> None:
    s, (second, *_, best, scores) = network(8)
    program = s.program(best, scores)
    with pytest.raises(ConfigError, match="is no layer of bits"):
        CircuitNetwork(program, {"nothing": exact(3)}, exact)
    with pytest.raises(ConfigError, match="is no layer of bits"):
        CircuitNetwork(program, {scores: exact(33)}, exact)
    with pytest.raises(ConfigError, match="no layer has a circuit"):
        CircuitNetwork(program, {}, exact)
    with pytest.raises(ConfigError, match="fan-in of 72"):
        CircuitNetwork(program, {second: exact(71)}, exact)
    t = Sketch(Bits((4, 4, 8)))
    first = t.conv("x", 8, padding=SAME, pad_value=1)
    bits = t.threshold(first)
    total = t.add(o.Add, t.conv(bits, 8, 1), t.conv("x", 8, 1))
    with pytest.raises(ConfigError, match="depends on more"):
        CircuitNetwork(t.program(total), {first: exact(72)}, exact)
