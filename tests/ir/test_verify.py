"""Each rule of docs/ir.md: a program that breaks it is refused by an error that names the op."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from tests.ir.one_op import one_op

from bitwright.errors import ProgramError
from bitwright.ir import (
    MAX_INT,
    OPS,
    Add,
    Affine,
    ArgMax,
    Bits,
    Flatten,
    Int,
    Op,
    Program,
    limits,
    verify,
)

MAP = Int((5, 6, 4), -10, 20)
BIT_MAP = Bits((5, 6, 4))
VECTOR = Int((4,), -10, 20)
BIT_VECTOR = Bits((4,))
SCALAR = Int((), 0, 3)
HUGE = 10**30


def bools(*shape: int) -> np.ndarray:
    return np.ones(shape, np.bool_)


def int8(*shape: int) -> np.ndarray:
    return np.ones(shape, np.int8)


def int32(*shape: int) -> np.ndarray:
    return np.ones(shape, np.int32)


def int64(*shape: int) -> np.ndarray:
    return np.ones(shape, np.int64)


# What each op needs to be legal; an illegal case changes one thing.
LEGAL: dict[str, tuple[Any, dict[str, np.ndarray], dict[str, Any]]] = {
    "Conv2d": (MAP, {"weights": int8(2, 3, 2, 4)}, {}),
    "Dense": (VECTOR, {"weights": bools(3, 4)}, {}),
    "Threshold": (MAP, {"thresholds": int32(4), "rising": bools(4)}, {}),
    "Lookup": (MAP, {"table": int32(31)}, {}),
    "MaxPool2d": (MAP, {}, {"kernel": (2, 2), "stride": (2, 2)}),
    "SumPool2d": (MAP, {}, {"kernel": (2, 2), "stride": (2, 2)}),
    "Add": (MAP, {}, {}),
    "Affine": (MAP, {"multiplier": int32(4), "addend": int64(4)}, {}),
    "PiecewiseLinear": (
        MAP,
        {
            "breakpoints": np.tile(np.int32([0, 5]), (4, 1)),
            "multiplier": int32(4, 3),
            "addend": int64(4, 3),
        },
        {},
    ),
    "Offset": (MAP, {"offset": np.ones((3, 1, MAP.shape[2]), np.int32)}, {}),
    "PadChannels": (MAP, {}, {"before": 1, "after": 2}),
    "Subsample": (MAP, {}, {"stride": (2, 2)}),
    "Flatten": (MAP, {}, {}),
    "ArgMax": (VECTOR, {}, {}),
}  # fmt: skip


def build(kind: str, value: Any = None, tensors: Any = None, **attributes: Any) -> Program:
    legal_value, legal_tensors, legal_attributes = LEGAL[kind]
    inputs = [value or legal_value] * OPS[kind].arity
    tensors = legal_tensors | (tensors or {})
    return one_op(kind, *inputs, tensors=tensors, **legal_attributes | attributes)


@pytest.mark.parametrize("kind", OPS)
def test_the_table_of_legal_ops_is_legal(kind: str) -> None:
    build(kind)


def line(multiplier: int, addend: int) -> dict[str, np.ndarray]:
    return {"multiplier": np.full(4, multiplier, np.int32), "addend": np.full(4, addend, np.int64)}


WINDOWS: list[tuple[dict[str, Any], str]] = [
    ({"stride": (0, 1)}, "stride"),
    ({"stride": (1, 257)}, "stride"),
    ({"stride": (1, True)}, "stride"),
    ({"stride": (1, 2, 3)}, "stride"),
    ({"stride": [1, 2]}, "stride"),
    ({"stride": 2}, "stride"),
    ({"padding": (-1, 0, 0, 0)}, "padding"),
    ({"padding": (3, 0, 0, 0)}, "padding"),
    ({"padding": (0, 3, 0, 0)}, "padding"),
    ({"padding": (0, 0, 2, 0)}, "padding"),
    ({"padding": (0, 0, 0, 2)}, "padding"),
    ({"padding": (0, 0, 0, 1.0)}, "padding"),
    ({"padding": (1, 1)}, "padding"),
    ({"padding": 1}, "padding"),
]
KERNELS: list[tuple[dict[str, Any], str]] = [
    ({"kernel": (0, 1)}, "kernel"),
    ({"kernel": (1, 257)}, "kernel"),
    ({"kernel": (2,)}, "kernel"),
    ({"kernel": 2}, "kernel"),
    ({"kernel": (6, 1)}, "no window"),
    ({"kernel": (1, 7)}, "no window"),
]
LINES: list[tuple[dict[str, Any], str]] = [
    ({"rounding": "up"}, "rounds by"),
    ({"rounding": ("floor",)}, "rounds by"),
    ({"shift": -1}, "shifts by"),
    ({"shift": 62}, "shifts by"),
    ({"shift": 1.0}, "shifts by"),
    ({"shift": True}, "shifts by"),
    ({"value": SCALAR}, "channel axis"),
]

ILLEGAL: list[tuple[str, dict[str, Any], str]] = [
    # the input's type, on an op that takes any integer
    *(
        ("Add", {"value": value}, reason)
        for value, reason in [
            (Int((2, 3), 0, 1), "2 axes"),
            (Int((1, 2, 3, 4), 0, 1), "4 axes"),
            (Int((0,), 0, 1), "empty shape"),
            (Int((-2,), 0, 1), "empty shape"),
            (Int((2.0,), 0, 1), "empty shape"),  # type: ignore[arg-type]
            (Int([2], 0, 1), "tuple"),  # type: ignore[arg-type]
            (Int((2,), 1, 0), "of no value"),
            (Int((2,), 0, MAX_INT + 1), "beyond 32 bits"),
            (Int((2,), -MAX_INT - 1, 0), "beyond 32 bits"),
            (Int((2,), 0.5, 1), "no integers"),  # type: ignore[arg-type]
            (Int((2,), False, True), "no integers"),
            (Int((2,), np.int64(0), np.int64(1)), "no integers"),  # type: ignore[arg-type]
            (Int((2**12, 2**12, 2), 0, 1), "too large"),
            (Int((HUGE, HUGE, HUGE), 0, 1), "too large"),
            ((4,), "unknown type"),
        ]
    ),
    # Conv2d
    ("Conv2d", {"value": VECTOR}, "needs a map"),
    ("Conv2d", {"value": SCALAR}, "needs a map"),
    ("Conv2d", {"tensors": {"weights": int8(2, 3, 4)}}, "needs weights"),
    ("Conv2d", {"tensors": {"weights": int8(0, 3, 2, 4)}}, "needs weights"),
    ("Conv2d", {"tensors": {"weights": int8(2, 3, 2, 0)}}, "needs weights"),
    ("Conv2d", {"tensors": {"weights": int32(2, 3, 2, 4)}}, "bool or int8"),
    ("Conv2d", {"tensors": {"weights": int8(2, 3, 2, 3)}}, "kernels over 3"),
    ("Conv2d", {"tensors": {"weights": int8(2, 6, 2, 4)}}, "no window"),
    ("Conv2d", {"tensors": {"weights": int8(2, 3, 7, 4)}}, "no window"),
    ("Conv2d", {"tensors": {"weights": int8(1, 1, 257, 4)}}, "kernel"),
    ("Conv2d", {"groups": 2}, "kernels over 4 x 2"),
    ("Conv2d", {"tensors": {"weights": int8(3, 1, 1, 2)}, "groups": 2}, "do not divide"),
    ("Conv2d", {"groups": 0}, "do not divide"),
    ("Conv2d", {"groups": -1}, "do not divide"),
    ("Conv2d", {"groups": True}, "do not divide"),
    ("Conv2d", {"groups": HUGE}, "do not divide"),
    ("Conv2d", {"pad_value": 0.0}, "pad value"),
    ("Conv2d", {"pad_value": None}, "pad value"),
    ("Conv2d", {"pad_value": MAX_INT + 1}, "pad value"),
    # weights of zero would hide it, and no padding would not use it
    (
        "Conv2d",
        {"tensors": {"weights": 0 * int8(2, 3, 2, 4)}, "padding": (1, 1, 1, 1), "pad_value": HUGE},
        "pad value",
    ),
    ("Conv2d", {"pad_value": -HUGE}, "pad value"),
    ("Conv2d", {"value": BIT_MAP, "pad_value": 2}, "pads bits"),
    ("Conv2d", {"value": BIT_MAP, "pad_value": -2, "padding": (1, 1, 1, 1)}, "pads bits"),
    ("Conv2d", {"pad_value": 10**8, "padding": (1, 1, 1, 1)}, "partial sums"),
    ("Conv2d", {"value": Int((5, 6, 4), 0, 10**8)}, "partial sums"),
    *(("Conv2d", case, reason) for case, reason in WINDOWS),
    # Dense
    ("Dense", {"value": MAP}, "needs a vector"),
    ("Dense", {"value": SCALAR}, "needs a vector"),
    ("Dense", {"tensors": {"weights": bools(4)}}, "needs weights"),
    ("Dense", {"tensors": {"weights": bools(0, 4)}}, "needs weights"),
    ("Dense", {"tensors": {"weights": bools(3, 5)}}, "rows of 5"),
    ("Dense", {"tensors": {"weights": int64(3, 4)}}, "bool or int8"),
    ("Dense", {"tensors": {"weights": bools(3, 4).astype(np.uint8)}}, "bool or int8"),
    ("Dense", {"value": Int((4,), 0, MAX_INT // 4 + 1)}, "partial sums"),
    # one term would fit, and so would the bounds of the whole sum
    (
        "Dense",
        {
            "value": Int((4,), MAX_INT // 2, MAX_INT // 2),
            "tensors": {"weights": np.array([[1, 1, -1, -1]], np.int8)},
        },
        "partial sums",
    ),
    # Threshold
    ("Threshold", {"value": BIT_MAP}, "needs integers"),
    ("Threshold", {"value": SCALAR}, "channel axis"),
    ("Threshold", {"tensors": {"thresholds": int32(3)}}, "for 4 channels"),
    ("Threshold", {"tensors": {"thresholds": int64(4)}}, "int32"),
    ("Threshold", {"tensors": {"thresholds": int32(4).astype(">i4")}}, "int32"),
    ("Threshold", {"tensors": {"thresholds": int32(4, 1)}}, "a channel"),
    ("Threshold", {"tensors": {"rising": bools(5)}}, "for 4 channels"),
    ("Threshold", {"tensors": {"rising": int8(4)}}, "bool"),
    ("Threshold", {"tensors": {"rising": np.array(True)}}, "a channel"),
    # Lookup
    ("Lookup", {"value": BIT_MAP}, "needs integers"),
    ("Lookup", {"tensors": {"table": int32(30)}}, "for 31 input values"),
    ("Lookup", {"tensors": {"table": int32(3, 31)}}, "for 4 channels"),
    ("Lookup", {"tensors": {"table": int32(0, 31)}}, "for 4 channels"),
    ("Lookup", {"tensors": {"table": int32(1, 4, 31)}}, "shape (1, 4, 31)"),
    ("Lookup", {"tensors": {"table": np.array(1, np.int32)}}, "shape ()"),
    ("Lookup", {"tensors": {"table": int64(31)}}, "int32"),
    ("Lookup", {"tensors": {"table": np.full(31, MAX_INT + 1, np.int32)}}, "beyond 32 bits"),
    ("Lookup", {"value": SCALAR, "tensors": {"table": int32(1, 4)}}, "channel axis"),
    ("Lookup", {"value": Int((4,), 0, 2**16), "tensors": {"table": int32(2**16 + 1)}}, "65537"),
    # pools
    *(
        (kind, case, reason)
        for kind in ("MaxPool2d", "SumPool2d")
        for case, reason in [
            ({"value": VECTOR}, "needs a map"),
            *((case | {"kernel": (3, 2)}, reason) for case, reason in WINDOWS),
            *KERNELS,
        ]
    ),
    ("SumPool2d", {"value": Int((5, 6, 4), 0, MAX_INT // 4 + 1)}, "beyond 32 bits"),
    ("SumPool2d", {"value": Int((5, 6, 4), -MAX_INT // 4 - 1, 0)}, "beyond 32 bits"),
    # Add
    ("Add", {"value": BIT_MAP}, "needs integers"),
    ("Add", {"value": Int((4,), 0, MAX_INT // 2 + 1)}, "beyond 32 bits"),
    # Affine
    *(("Affine", case, reason) for case, reason in LINES),
    ("Affine", {"tensors": {"multiplier": int32(3)}}, "for 4 channels"),
    ("Affine", {"tensors": {"multiplier": int64(4)}}, "int32"),
    ("Affine", {"tensors": {"multiplier": int32(4, 1)}}, "a channel"),
    ("Affine", {"tensors": {"addend": int64(5)}}, "for 4 channels"),
    ("Affine", {"tensors": {"addend": int32(4)}}, "int64"),
    ("Affine", {"tensors": line(2**30, 0)}, "beyond 32 bits"),
    ("Affine", {"tensors": line(0, MAX_INT + 1)}, "beyond 32 bits"),
    ("Affine", {"tensors": line(0, 2**62 - 2**40), "shift": 40}, "62 bits"),
    ("Affine", {"tensors": line(0, -(2**62) + 2**40), "shift": 40}, "62 bits"),
    ("Affine", {"tensors": line(1, 2**62 - 2**40 - 20), "shift": 40}, "62 bits"),
    ("Affine", {"tensors": line(1, 2**63 - 1), "shift": 61}, "62 bits"),
    ("Affine", {"tensors": line(-1, -(2**63)), "shift": 61}, "62 bits"),
    # PiecewiseLinear
    *(("PiecewiseLinear", case, reason) for case, reason in LINES),
    ("PiecewiseLinear", {"value": BIT_MAP}, "needs integers"),
    ("PiecewiseLinear", {"tensors": {"breakpoints": int32(2)}}, "a row"),
    ("PiecewiseLinear", {"tensors": {"breakpoints": int32(3, 2)}}, "for 4 channels"),
    ("PiecewiseLinear", {"tensors": {"breakpoints": int64(4, 2)}}, "int32"),
    ("PiecewiseLinear", {"tensors": {"breakpoints": int32(4, 2)}}, "do not increase"),
    ("PiecewiseLinear", {"tensors": {"breakpoints": int32(4, 1)}}, "for 2 segments"),
    ("PiecewiseLinear", {"tensors": {"multiplier": int32(4, 2)}}, "for 3 segments"),
    ("PiecewiseLinear", {"tensors": {"multiplier": int32(4)}}, "a row"),
    ("PiecewiseLinear", {"tensors": {"multiplier": int64(4, 3)}}, "int32"),
    ("PiecewiseLinear", {"tensors": {"addend": int64(4, 4)}}, "for 3 segments"),
    ("PiecewiseLinear", {"tensors": {"addend": int64(5, 3)}}, "for 4 channels"),
    ("PiecewiseLinear", {"tensors": {"addend": np.full((4, 3), 2**62)}, "shift": 40}, "62 bits"),
    ("PiecewiseLinear", {"tensors": {"addend": np.full((4, 3), 2**31)}}, "beyond 32 bits"),
    # Offset
    ("Offset", {"value": BIT_MAP}, "needs integers"),
    ("Offset", {"value": VECTOR}, "needs a map"),
    ("Offset", {"tensors": {"offset": int32(3, 1, 3)}}, "has an offset of shape"),
    ("Offset", {"tensors": {"offset": int32(2, 1, MAP.shape[2])}}, "has an offset of shape"),
    ("Offset", {"tensors": {"offset": int32(1, 99, MAP.shape[2])}}, "has an offset of shape"),
    ("Offset", {"tensors": {"offset": int32(MAP.shape[2])}}, "has an offset of shape"),
    # PadChannels
    ("PadChannels", {"value": BIT_MAP}, "needs integers"),
    ("PadChannels", {"value": VECTOR}, "needs a map"),
    ("PadChannels", {"before": -1}, "pads by"),
    ("PadChannels", {"after": 2**20 + 1}, "pads by"),
    ("PadChannels", {"after": "1"}, "pads by"),
    ("PadChannels", {"after": 2**20}, "too large"),
    # Subsample, Flatten, ArgMax
    ("Subsample", {"value": VECTOR}, "needs a map"),
    ("Subsample", {"stride": (0, 1)}, "stride"),
    ("Subsample", {"stride": (1, 257)}, "stride"),
    ("Subsample", {"stride": 2}, "stride"),
    ("Flatten", {"value": VECTOR}, "needs a map"),
    ("Flatten", {"value": SCALAR}, "needs a map"),
    ("ArgMax", {"value": BIT_VECTOR}, "needs integers"),
    ("ArgMax", {"value": MAP}, "needs a vector"),
    ("ArgMax", {"value": SCALAR}, "needs a vector"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "case", "reason"),
    ILLEGAL,
    ids=[f"{i}-{kind}-{reason}" for i, (kind, _, reason) in enumerate(ILLEGAL)],
)
def test_refuses(kind: str, case: dict[str, Any], reason: str) -> None:
    with pytest.raises(ProgramError) as caught:
        build(kind, **case)
    assert reason in caught.value.cause
    at_input = "value" in case and caught.value.cause.startswith("'x'")
    assert at_input or caught.value.cause.startswith("'y'")
    assert len(str(caught.value)) < 300


def test_every_op_has_illegal_cases() -> None:
    assert {kind for kind, _, _ in ILLEGAL} == set(OPS)


def program(*ops: Op, outputs: Any = None, name: Any = "x", **more: Any) -> Program:
    outputs = (ops[-1].output,) if outputs is None else outputs
    fields = {"input_type": VECTOR, "tensors": {}} | more
    return Program(input_name=name, ops=ops, outputs=outputs, **fields)


def add(output: Any, *inputs: Any) -> Add:
    return Add(output=output, inputs=inputs)


@dataclass(frozen=True, kw_only=True)
class Unknown(Op):
    """An op that the IR does not have."""


GRAPHS: dict[str, tuple[Callable[[], Program], str, str]] = {
    "defined twice": (lambda: program(add("y", "x", "x"), add("y", "x", "x")), "y", "twice"),
    "defines the input": (lambda: program(add("x", "x", "x")), "x", "twice"),
    "reads itself": (lambda: program(add("y", "x", "y")), "y", "no earlier op"),
    "reads a later value": (
        lambda: program(add("y", "x", "z"), add("z", "x", "x")), "y", "no earlier op"),
    "reads nothing known": (lambda: program(add("y", "x", "w")), "y", "no earlier op"),
    "too few inputs": (lambda: program(add("y", "x")), "y", "2 input"),
    "too many inputs": (lambda: program(add("y", "x", "x", "x")), "y", "2 input"),
    "inputs as text": (
        lambda: program(ArgMax(output="y", inputs="x")), "y", "1 input"),  # type: ignore[arg-type]
    "shapes differ": (
        lambda: program(ArgMax(output="i", inputs=("x",)), add("y", "x", "i")), "y", "shapes"),
    "no outputs": (lambda: program(add("y", "x", "x"), outputs=()), "the program", "no outputs"),
    "output twice": (
        lambda: program(add("y", "x", "x"), outputs=("y", "y")), "the program", "twice"),
    "output unknown": (lambda: program(add("y", "x", "x"), outputs=("z",)), "z", "no op"),
    "tensor missing": (
        lambda: program(Affine(output="y", inputs=("x",), multiplier="m", addend="a")), "y", "'m'"),
    "unknown op": (lambda: program(Unknown(output="y", inputs=("x",))), "y", "unknown op"),
    "name of the input": (lambda: program(add("y", "é", "é"), name="é"), "é", "cannot name"),
    "name of a value": (lambda: program(add("1y", "x", "x")), "1y", "cannot name"),
    "name with a newline": (lambda: program(add("y\n", "x", "x")), "y\n", "cannot name"),
    "name too long": (lambda: program(add("y" * 101, "x", "x")), "y" * 40, "cannot name"),
    "name empty": (lambda: program(add("", "x", "x")), "", "cannot name"),
    "name no text": (lambda: program(add(5, "x", "x")), "5", "cannot name"),
    "name of a tensor": (
        lambda: program(
            Affine(output="y", inputs=("x",), multiplier="a b", addend="a"),
            tensors={"a b": int32(4), "a": int64(4)},
        ),
        "a b", "cannot name"),
}  # fmt: skip


@pytest.mark.parametrize("rule", GRAPHS)
def test_refuses_graphs(rule: str) -> None:
    make, where, reason = GRAPHS[rule]
    with pytest.raises(ProgramError) as caught:
        make()
    assert caught.value.cause.startswith(f"'{where}'")
    assert reason in caught.value.cause


def test_limits_of_the_whole_program(monkeypatch: pytest.MonkeyPatch) -> None:
    ops = [add(f"v{i}", "x", "x") for i in range(limits.MAX_OPS + 1)]
    program(*ops[:-1])
    with pytest.raises(ProgramError, match="4097 ops"):
        program(*ops)
    big = Int((2**12, 2**6, 2**6), 0, 1)
    maps = [add(f"v{i}", "x", "x") for i in range(8)]
    program(*maps[:7], input_type=big)
    with pytest.raises(ProgramError, match="'v7' makes the values"):
        program(*maps, input_type=big)

    monkeypatch.setattr(verify, "MAX_TENSOR_ELEMENTS", 8)
    lines = [Affine(output=f"v{i}", inputs=("x",), multiplier="m", addend="a") for i in range(2)]
    constants = {"m": int32(4), "a": int64(4)}
    program(lines[0], tensors=constants)
    with pytest.raises(ProgramError, match="'v1' makes the constants"):
        program(*lines, tensors=constants)
    with pytest.raises(ProgramError, match="'a' has 9 elements"):
        program(lines[0], tensors=constants | {"a": int64(9)})


def bounds(kind: str, value: Any, tensors: Any = None, **attributes: Any) -> tuple[int, int]:
    kind_of_y = build(kind, value, tensors, **attributes).types["y"]
    return kind_of_y.lo, kind_of_y.hi


def test_bounds_of_sums_without_padding_are_exact() -> None:
    case = {"kernel": (2, 3), "stride": (1, 1)}
    assert bounds("SumPool2d", BIT_MAP, **case) == (-6, 6)
    assert bounds("SumPool2d", Int((5, 6, 4), 3, 7), **case) == (18, 42)
    assert bounds("SumPool2d", Int((5, 6, 4), -7, -3), **case) == (-42, -18)
    padded = case | {"padding": (1, 0, 0, 0)}
    assert bounds("SumPool2d", Int((5, 6, 4), 3, 7), **padded) == (3, 42)
    assert bounds("SumPool2d", Int((5, 6, 4), -7, -3), **padded) == (-42, -3)


def test_bounds_of_a_padded_convolution_hold_the_pad_value() -> None:
    tensors = {"weights": np.array([[[[1], [-2]]]], np.int8)}
    value = Int((5, 6, 1), 2, 5)
    assert bounds("Conv2d", value, tensors, pad_value=9) == (2 - 10, 5 - 4)
    padded = {"pad_value": 9, "padding": (0, 0, 1, 0)}
    assert bounds("Conv2d", value, tensors, **padded) == (2 - 18, 9 - 4)


@pytest.mark.parametrize("lo_x", [-MAX_INT, MAX_INT])
@pytest.mark.parametrize("multiplier", [-(2**31), 2**31 - 1])
@pytest.mark.parametrize("addend", [-(2**63), 2**63 - 1])
def test_sums_that_wrap_around_64_bits_are_refused(lo_x: int, multiplier: int, addend: int) -> None:
    with pytest.raises(ProgramError, match="62 bits"):
        build("Affine", Int((4,), lo_x, lo_x), line(multiplier, addend), shift=1)


def test_bounds_of_padded_channels_hold_zero() -> None:
    assert bounds("PadChannels", Int((5, 6, 4), 3, 7)) == (0, 7)
    assert bounds("PadChannels", Int((5, 6, 4), -7, -3)) == (-7, 0)


def test_unused_segments_do_not_count() -> None:
    tensors = {
        "breakpoints": np.array([[0, 50], [-10, 20], [-60, 21], [-70, -60]], np.int32),
        "multiplier": np.ones((4, 3), np.int32),
        "addend": np.array([[0, 0, 2**62], [2**62, 0, 0], [2**62, 0, 2**62], [2**62, 2**62, 0]]),
    }
    assert bounds("PiecewiseLinear", Int((4,), -10, 20), tensors) == (-10, 20)


def test_extremes_that_are_legal() -> None:
    assert bounds("Dense", Int((4,), 0, MAX_INT // 4), None) == (0, MAX_INT // 4 * 4)
    assert bounds("Add", Int((4,), -MAX_INT // 2, MAX_INT // 2)) == (-MAX_INT, MAX_INT)
    build("Conv2d", padding=(2, 2, 1, 1), stride=(256, 256), pad_value=1000)
    build("Affine", tensors=line(0, 2**62 - 2**40 - 1), shift=40)
    build("Affine", tensors=line(0, 2**61 - 1), shift=61)
    build("Affine", tensors=line(0, 1 - 2**61), shift=61)
    build("Affine", BIT_MAP)
    build("Lookup", SCALAR, tensors={"table": int32(4)})
    build("Threshold", tensors={"thresholds": np.int32([-(2**31), 2**31 - 1, 0, 0])})
    build("PadChannels", before=0, after=0)
    program(add("_" + "A.-9" * 24, "x", "x"))
    program(outputs=("x",))


def test_flatten_keeps_the_kind() -> None:
    assert build("Flatten", BIT_MAP).types["y"] == Bits((120,))
    assert program(Flatten(output="y", inputs=("x",)), input_type=MAP).types["y"] == Int(
        (120,), -10, 20
    )
