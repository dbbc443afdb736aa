"""The native engine as a whole: it equals the reference, however it is called."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.native.random_programs import KINDS, random_program
from tests.native.sketch import Sketch, check, every_kind, random_batch, same
from tests.programs import batch as random_images
from tests.programs import programs

from bitwright.errors import DataError
from bitwright.ir import Bits, Int, Program, reference
from bitwright.ir import ops as o
from bitwright.native import NativeProgram, run

PROGRAMS = every_kind()
SEEDS = range(240)


def test_the_random_programs_hold_every_op_often() -> None:
    kinds = [op.kind for seed in SEEDS for op in random_program(seed).ops]
    assert all(kinds.count(kind) > 20 for kind in KINDS)


@pytest.mark.parametrize("first", range(0, len(SEEDS), 10))
def test_random_programs_equal_the_reference(first: int) -> None:
    for seed in SEEDS[first : first + 10]:
        program = random_program(seed)
        rng = np.random.default_rng(seed)
        batch = random_batch(program, int(rng.integers(1, 7)), rng)
        check(program, batch)
        check(program, batch, keep=list(program.types), threads=2)
        check(program, batch, keep=[str(rng.choice(list(program.types)))])


@settings(max_examples=150, deadline=None)
@given(programs(), st.integers(0, 2**32 - 1), st.integers(0, 7), st.sampled_from([1, 2]))
def test_small_programs_equal_the_reference(
    program: Program, seed: int, images: int, threads: int
) -> None:
    rng = np.random.default_rng(seed)
    pixels = random_images(program, rng, images)
    check(program, pixels, threads=threads)
    check(program, pixels, keep=list(program.types), threads=threads)
    check(program, pixels, keep=[str(rng.choice(list(program.types)))], threads=threads)


@pytest.mark.parametrize("name", PROGRAMS)
def test_threads_and_batch_sizes_change_nothing(name: str) -> None:
    program = PROGRAMS[name]
    batch = random_batch(program, 70, np.random.default_rng(0))
    expected = reference.run(program, batch)
    native = NativeProgram(program)
    for images in (70, 0, 1, 2, 31, 32, 33, 64, 65):
        part = {value: array[:images] for value, array in expected.items()}
        for threads in (1, 2, 5, None):
            same(native.run(batch[:images], threads=threads), part)


@pytest.mark.parametrize("name", PROGRAMS)
def test_any_value_can_be_kept(name: str) -> None:
    program = PROGRAMS[name]
    batch = random_batch(program, 3, np.random.default_rng(1))
    expected = reference.run(program, batch, program.types)
    for value in program.types:
        same(run(program, batch, keep=[value], threads=1), {value: expected[value]})
    same(run(program, batch, keep=[]), {})
    same(run(program, batch, keep=program.types), expected)
    twice = run(program, batch, keep=[value, value])
    same(twice, {value: expected[value]})


@pytest.mark.parametrize("name", PROGRAMS)
def test_workspaces_are_used_again_without_a_trace(name: str) -> None:
    program = PROGRAMS[name]
    native = NativeProgram(program)
    rng = np.random.default_rng(2)
    batches = [random_batch(program, n, rng) for n in (5, 40, 1, 33)]
    value = program.input_type
    batches.append(np.full((9, *value.shape), value.hi if isinstance(value, Int) else True))
    batches.append(np.full((9, *value.shape), value.lo if isinstance(value, Int) else False))
    expected = [reference.run(program, batch) for batch in batches]
    for turn in range(3):
        for i in rng.permutation(len(batches)):
            same(native.run(batches[i], threads=1 + turn % 2), expected[i])


def test_results_do_not_share_memory() -> None:
    program = PROGRAMS["out10"]
    batch = random_batch(program, 4, np.random.default_rng(3))
    given = batch.copy()
    native = NativeProgram(program, keep=program.types)
    first = native.run(batch)
    copies = {name: value.copy() for name, value in first.items()}
    for value in native.run(batch).values():
        value[...] = 0
    native.run(random_batch(program, 4, np.random.default_rng(4)))
    same(first, copies)
    for value in first.values():
        value[...] = 1
    np.testing.assert_array_equal(batch, given)


def test_one_program_serves_many_threads() -> None:
    program = PROGRAMS["out40"]
    native = NativeProgram(program)
    rng = np.random.default_rng(5)
    batches = [random_batch(program, int(n), rng) for n in rng.integers(0, 40, 48)]
    expected = [reference.run(program, batch) for batch in batches]
    with ThreadPoolExecutor(8) as pool:
        turns = list(range(len(batches))) * 3
        results = pool.map(lambda i: native.run(batches[i], threads=1 + i % 3), turns)
        for i, result in zip(turns, results, strict=True):
            same(result, expected[i])


def _run_in_child(native: NativeProgram, batch: np.ndarray, results: Any) -> None:
    results.put(native.run(batch, threads=2))


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_makes_its_own_threads() -> None:
    program = PROGRAMS["out10"]
    native = NativeProgram(program)
    batch = random_batch(program, 8, np.random.default_rng(6))
    expected = native.run(batch, threads=2)
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    child = context.Process(target=_run_in_child, args=(native, batch, results), daemon=True)
    child.start()
    try:
        same(results.get(timeout=60), expected)
    finally:
        child.kill()
        child.join()


def test_a_large_image_goes_through_alone() -> None:
    s = Sketch(Int((300, 260, 3), 0, 255))
    bits = s.threshold(s.conv("x", 40, padding=(1, 1, 1, 1)))
    program = s.program(s.pool(bits, o.SumPool2d, kernel=(50, 50), stride=(50, 50)))
    native = NativeProgram(program, keep=[bits, *program.outputs])
    assert native.images == 1
    batch = random_batch(program, 3, s.rng)
    same(native.run(batch), reference.run(program, batch, [bits, *program.outputs]))


def test_a_program_without_ops_returns_its_input() -> None:
    for input_type in (Bits((2, 3, 70)), Bits((70,)), Int((2, 3, 4), 0, 255), Int((), -5, 70_000)):
        s = Sketch(input_type)
        s.check("x", images=5)


@pytest.mark.parametrize(
    "batch",
    [
        np.zeros((2, 6, 6, 64), np.bool_),
        np.zeros((6, 6, 65), np.bool_),
        np.zeros((2, 6, 6, 65), np.uint8),
        np.zeros((2, 6, 6, 65), np.float32),
    ],
)
def test_a_batch_that_does_not_fit_is_refused(batch: np.ndarray) -> None:
    with pytest.raises(DataError):
        run(PROGRAMS["bits"], batch)


def test_values_out_of_bounds_are_refused() -> None:
    program = PROGRAMS["wide"]
    batch = np.zeros((1, 6, 5, 4), np.int64)
    for value in (70_001, -70_001, 2**40):
        batch[0, 3, 3, 3] = value
        with pytest.raises(DataError):
            run(program, batch)
