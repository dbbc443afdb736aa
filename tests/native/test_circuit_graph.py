"""Any network with circuits in it, against the engine, the reference and the circuits' values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.native.random_programs import random_program
from tests.native.sketch import Sketch, random_batch, same

from bitwright.circuits import evaluate, make
from bitwright.errors import ConfigError
from bitwright.ir import Bits, Int, Program, reference
from bitwright.ir import ops as o
from bitwright.native import NativeProgram
from bitwright.native.circuit_graph import CircuitGraph, dot_tables
from bitwright.native.convolution import dot_of
from bitwright.native.parts import Sum

SAME = (1, 1, 1, 1)


def exact(inputs: int) -> Any:
    return make("exact", inputs)


def exact_circuits(program: Program) -> dict[str, Any]:
    """Exact circuits for all dot products of bits."""
    dots = [dot_of(program, op) for op in program.ops if isinstance(op, o.Conv2d | o.Dense)]
    return {d.op.output: exact(d.weights[0].size) for d in dots if d.method == "binary"}


def residual(seed: int = 0, pad_value: int = 0, stride: int = 1) -> Program:
    """A stem, a block whose shortcut carries integers, a pool, and scores."""
    s = Sketch(Int((7, 6, 3), 0, 255), seed=seed)
    stem = s.conv("x", 32, padding=SAME)
    shift = {"multiplier": np.full(32, 3, np.int32), "addend": np.arange(32, dtype=np.int64)}
    real = s.add(o.Affine, stem, tensors=shift, shift=4)
    first = s.conv(s.threshold(real), 32, padding=SAME, pad_value=pad_value)
    total = s.add(o.Add, s.add(o.Affine, first, tensors=shift, shift=1), real)
    second = s.conv(s.threshold(total), 40, padding=SAME, pad_value=pad_value, stride=(2, stride))
    bits = s.threshold(second)
    scores = s.dense(s.add(o.Flatten, bits), 10)
    return s.program(s.add(o.ArgMax, scores), scores, bits, total)


@pytest.mark.parametrize("pad_value", [-1, 0, 1])
def test_exact_circuits_change_nothing(pad_value: int) -> None:
    program = residual(1, pad_value)
    graph = CircuitGraph(program, exact_circuits(program))
    assert [s for s in graph.stages if isinstance(s, Sum)]
    batch = random_batch(program, 600, np.random.default_rng(0))
    for threads in (1, 2):
        same(graph.run(batch, threads=threads), NativeProgram(program).run(batch))


def test_exact_circuits_change_nothing_in_any_program() -> None:
    rng, checked = np.random.default_rng(0), 0
    for seed in range(120):
        program = random_program(seed, 5, 12)
        circuits = exact_circuits(program)
        if not circuits or max(c.inputs for c in circuits.values()) > 300:
            continue
        batch = random_batch(program, 3, rng)
        same(CircuitGraph(program, circuits).run(batch), NativeProgram(program).run(batch))
        checked += 1
    assert checked >= 10


def test_values_become_dot_products_by_the_table() -> None:
    program = residual(2, pad_value=0)
    first, second = (
        op.output for op in program.ops if isinstance(op, o.Conv2d) and _bits(program, op)
    )
    circuit = make("maj", 288)
    batch = random_batch(program, 5, np.random.default_rng(1))
    op = program.definitions[first]
    bits = reference.run(program, batch, [op.input])[op.input]
    padded = np.pad(bits, ((0, 0), (1, 1), (1, 1), (0, 0)))
    inside = np.pad(np.ones_like(bits), ((0, 0), (1, 1), (1, 1), (0, 0)))
    weights = program.tensor(op, "weights")
    graph = CircuitGraph(program, {first: circuit})
    table = np.arange(32)[:, None] * 3 + np.arange(graph.layers[0].table.shape[1]) * 2 - 300
    graph.correct_by(first, table)
    expected = np.empty((5, *program.types[first].shape), np.int64)
    for i in range(7):
        for j in range(6):
            window, real = (a[:, None, i : i + 3, j : j + 3] for a in (padded, inside))
            values = evaluate(circuit, (window == weights).reshape(5, 32, -1))
            # Padded taps, -1 in the map, match where the weight is -1.
            matched = (~real & ~weights).sum(axis=(2, 3, 4))
            lost = (~real).sum(axis=(2, 3, 4))
            picked = np.take_along_axis(table[None], values[..., None], axis=2)[..., 0]
            expected[:, i, j] = picked + lost - 2 * matched
    bounds = program.types[first]
    tail = _after(program, first)
    made = NativeProgram(tail).run(np.clip(expected, bounds.lo, bounds.hi))
    found = graph.run(batch)
    del second
    rest = reference.run(program, batch)
    assert not np.array_equal(found[program.outputs[1]], rest[program.outputs[1]])
    total = program.outputs[3]
    real = reference.run(program, batch, list(program.types)[1:])
    shortcut = next(n for n in program.definitions[total].inputs if n not in tail.types)
    np.testing.assert_array_equal(found[total], made[tail.outputs[0]] + real[shortcut])


def _bits(program: Program, op: Any) -> bool:
    return isinstance(program.types[op.input], Bits)


def _after(program: Program, name: str) -> Program:
    """The one op that reads a dot product."""
    (op,) = program.uses[name]
    tensors = {getattr(op, field): program.tensor(op, field) for field in op.constants}
    return Program(
        input_name=name, input_type=program.types[name], ops=(op,), tensors=tensors,
        outputs=(op.output,),
    )  # fmt: skip


def test_bits_may_come_from_outside() -> None:
    s = Sketch(Bits((4, 4, 8)))
    first = s.conv("x", 8, padding=SAME, pad_value=1)
    total = s.add(o.Add, s.conv(s.threshold(first), 8, 1), s.conv("x", 8, 1))
    program = s.program(total, "x")
    batch = random_batch(program, 3, s.rng)
    same(
        CircuitGraph(program, exact_circuits(program)).run(batch), NativeProgram(program).run(batch)
    )


def test_dot_tables_round_to_integers() -> None:
    program = residual()
    graph = CircuitGraph(program, exact_circuits(program))
    assert dot_tables(graph.layers[0], np.array([0.0, 143.9, 144.0, 288.0])).tolist() == [
        -288, 0, 0, 288,
    ]  # fmt: skip


def test_what_is_refused() -> None:
    program = residual()
    with pytest.raises(ConfigError, match="is no dot product of bits"):
        CircuitGraph(program, {"nothing": exact(3)})
    with pytest.raises(ConfigError, match="fan-in of 288"):
        CircuitGraph(program, dict.fromkeys(exact_circuits(program), exact(287)))
