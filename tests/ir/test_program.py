"""`Program` itself: what it keeps, what it tells, and batches that fit it."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from tests.ir.one_op import one_op
from tests.programs import programs

from bitwright.errors import DataError, ProgramError
from bitwright.ir import ArgMax, Bits, Dense, Int, Program, Threshold, check_batch, reference


def classifier(**changes: Any) -> Program:
    ops = (
        Dense(output="a", inputs=("x",), weights="w"),
        Threshold(output="b", inputs=("a",), thresholds="t", rising="r"),
        Dense(output="c", inputs=("b",), weights="w"),
        ArgMax(output="d", inputs=("c",)),
        ArgMax(output="e", inputs=("a",)),
    )
    fields: dict[str, Any] = {
        "input_name": "x",
        "input_type": Int((3,), 0, 255),
        "ops": ops,
        "tensors": {
            "w": np.eye(3, dtype=np.bool_),
            "t": np.zeros(3, np.int32),
            "r": np.ones(3, np.bool_),
            "unused": np.zeros(9),
        },
        "outputs": ("c", "d"),
    }
    return Program(**fields | changes)


def test_definitions_and_uses() -> None:
    program = classifier()
    assert list(program.types) == ["x", "a", "b", "c", "d", "e"]
    assert program.definitions == {op.output: op for op in program.ops}
    uses = {name: tuple(op.output for op in ops) for name, ops in program.uses.items()}
    assert uses == {"x": ("a",), "a": ("b", "e"), "b": ("c",), "c": ("d",), "d": (), "e": ()}


def test_an_op_that_reads_a_value_twice_uses_it_twice() -> None:
    program = one_op("Add", Int((3,), 0, 1), Int((3,), 0, 1))
    assert program.uses["x"] == program.ops * 2


@given(program=programs())
@settings(max_examples=50, deadline=None)
def test_uses_and_definitions_fit_the_ops(program: Program) -> None:
    assert set(program.definitions) == set(program.types) - {"x"}
    assert set(program.uses) == set(program.types)
    for name, ops in program.uses.items():
        assert sum(op.inputs.count(name) for op in program.ops) == len(ops)
    constants = {getattr(op, field) for op in program.ops for field in op.constants}
    assert set(program.tensors) == constants


def test_decision_and_logits() -> None:
    program = classifier()
    assert (program.decision, program.logits) == ("d", "c")
    first = classifier(outputs=("e", "d"))
    assert (first.decision, first.logits) == ("e", "a")
    hidden = classifier(outputs=("d",))
    assert (hidden.decision, hidden.logits) == ("d", "c")
    none = classifier(outputs=("c", "x"))
    assert (none.decision, none.logits) == (None, None)


def test_class_names_are_one_for_each_logit() -> None:
    assert classifier(classes=("a", "b", "c")).classes == ("a", "b", "c")
    assert classifier(classes=["a", "b", "c"]).classes == ("a", "b", "c")
    assert classifier(classes=("a", "b"), outputs=("c",)).classes == ("a", "b")
    with pytest.raises(ProgramError, match="2 class names for 3 outputs"):
        classifier(classes=("a", "b"))


@pytest.mark.parametrize(
    "changes",
    [
        {"name": None},
        {"classes": ("a", "b", 3)},
        {"metadata": {"accuracy": 0.9}},
        {"metadata": {1: "a"}},
        {"metadata": {"a": None}},
    ],
)
def test_what_is_no_text_is_refused(changes: dict[str, Any]) -> None:
    """A file could hold it, but would not load again."""
    with pytest.raises(ProgramError, match="which is no text"):
        classifier(**changes)


def test_a_program_does_not_change() -> None:
    ops = list(classifier().ops)
    tensors = {
        "w": np.eye(3, dtype=np.bool_),
        "t": np.zeros(3, np.int32),
        "r": np.ones(3, np.bool_),
    }
    metadata = {"a": "b"}
    program = classifier(ops=ops, tensors=tensors, metadata=metadata)
    digest = replace(program).digest
    ops.clear()
    tensors["w"][:] = True
    tensors.clear()
    metadata["a"] = "c"
    assert (program.digest, dict(program.metadata)) == (digest, {"a": "b"})
    assert not program.tensors["w"].all()
    with pytest.raises(ValueError, match="read-only"):
        program.tensors["w"][0, 0] = False
    for mapping in (program.tensors, program.metadata, program.types):
        with pytest.raises(TypeError):
            mapping["w"] = None  # type: ignore[index]
    with pytest.raises(FrozenInstanceError):
        program.name = "other"  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        program.ops[0].weights = "other"  # type: ignore[attr-defined]


def test_tensors_that_are_views_are_copied() -> None:
    weights = np.arange(18, dtype=np.int8).reshape(3, 6)
    views = [weights[:, ::2], weights.T[:3], np.asfortranarray(weights[:, :3])]
    for view in views:
        program = one_op("Dense", Int((3,), 0, 1), tensors={"weights": view})
        kept = program.tensors["weights"]
        assert kept.flags.c_contiguous
        assert not np.shares_memory(kept, weights)
        np.testing.assert_array_equal(kept, view)
        copied = one_op("Dense", Int((3,), 0, 1), tensors={"weights": view.copy()})
        assert program.digest == copied.digest


def test_with_ops_verifies_again() -> None:
    program = classifier()
    shorter = program.with_ops(program.ops[:4])
    assert [op.output for op in shorter.ops] == ["a", "b", "c", "d"]
    assert shorter.digest != program.digest
    with pytest.raises(ProgramError, match="'d' is an output"):
        program.with_ops(program.ops[:3])
    with pytest.raises(ProgramError, match="'t', which does not exist"):
        program.with_ops(program.ops, {"w": program.tensors["w"]})


def test_tensor_gives_the_array_of_a_field() -> None:
    program = classifier()
    assert program.tensor(program.ops[1], "rising") is program.tensors["r"]


def test_types_read_well() -> None:
    assert str(Bits((4, 5, 6))) == "bits 4x5x6"
    assert str(Int((7,), -1, 2)) == "int 7 in -1..2"
    assert str(Int((), 0, 9)) == "int scalar in 0..9"


PIXELS = one_op("Flatten", Int((2, 2, 1), 0, 255))
SIGNED = one_op("Flatten", Int((2, 2, 1), -3, 4))
BITS = one_op("Flatten", Bits((2, 2, 1)))


@pytest.mark.parametrize(
    ("program", "batch", "reason"),
    [
        (PIXELS, np.zeros((2, 2, 1), np.uint8), "images of shape (2, 2, 1)"),
        (PIXELS, np.zeros((3, 2, 2), np.uint8), "images of shape (2, 2, 1)"),
        (PIXELS, np.zeros((1, 3, 2, 2, 1), np.uint8), "images of shape"),
        (PIXELS, 5, "images of shape"),
        (PIXELS, None, "images of shape"),
        (PIXELS, "text", "images of shape"),
        (PIXELS, [[[[1], [2]], [[3]]]], "not all of one shape"),
        (PIXELS, np.zeros((3, 2, 2, 1), np.float32), "not float32"),
        (PIXELS, np.zeros((3, 2, 2, 1), np.bool_), "not bool"),
        (PIXELS, np.zeros((3, 2, 2, 1), object), "not object"),
        (PIXELS, np.full((3, 2, 2, 1), 256), "256..256"),
        (PIXELS, np.full((3, 2, 2, 1), -1, np.int8), "-1..-1"),
        (PIXELS, np.full((3, 2, 2, 1), 2**64 - 1, np.uint64), "18446744073709551615"),
        (SIGNED, np.full((3, 2, 2, 1), 5, np.uint8), "takes -3..4"),
        (SIGNED, np.full((3, 2, 2, 1), -4), "takes -3..4"),
        (BITS, np.ones((3, 2, 2, 1), np.uint8), "takes bits, not uint8"),
        (BITS, np.ones((3, 2, 2, 2), np.bool_), "images of shape"),
    ],
)
def test_batches_that_do_not_fit(program: Program, batch: Any, reason: str) -> None:
    with pytest.raises(DataError) as caught:
        check_batch(program, batch)
    assert reason in str(caught.value)
    with pytest.raises(DataError):
        reference.run(program, batch)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.int64, np.uint64])
def test_batches_of_any_integer_type_fit(dtype: Any) -> None:
    images = np.array([0, 255, 7, 9], dtype).reshape(1, 2, 2, 1)
    assert check_batch(PIXELS, images) is images
    assert reference.run(PIXELS, images)["y"].tolist() == [[0, 255, 7, 9]]


def test_batches_of_nothing_fit() -> None:
    assert len(check_batch(PIXELS, np.empty((0, 2, 2, 1), np.int64))) == 0
    assert len(check_batch(BITS, np.empty((0, 2, 2, 1), np.bool_))) == 0
