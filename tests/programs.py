"""Random legal programs over all ops, as a hypothesis strategy, and batches for them.

``programs()`` draws what is structure (ops, shapes, strides, paddings), so that hypothesis can
shrink it; what fills the tensors comes from one drawn seed. Shapes are small: a map has at most
8 x 8 x 12 elements.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from bitwright.errors import ProgramError
from bitwright.ir import OPS, Bits, Int, Program, ValueType
from bitwright.ir import ops as o
from bitwright.ir.verify import infer_types

ROUNDINGS = ("floor", "half_up", "half_even")
INPUT_BOUNDS = ((0, 255), (-1, 1), (-128, 127), (0, 1), (-1000, 3000), (7, 7))


class Builder:
    """A program as it grows; an op that would be illegal is left out."""

    def __init__(self, rng: np.random.Generator, kind: ValueType) -> None:
        self.rng = rng
        self.types: dict[str, ValueType] = {"x": kind}
        self.ops: list[o.Op] = []
        self.tensors: dict[str, Any] = {}

    def add(self, kind: str, *inputs: str, tensors: dict[str, Any], **attributes: Any) -> str:
        """Append an op and return the name of its value, or of its input if it is refused."""
        name = f"v{len(self.ops)}"
        constants = {f"{name}.{field}": tensor for field, tensor in tensors.items()}
        names = {field: f"{name}.{field}" for field in tensors}
        op = OPS[kind](output=name, inputs=inputs, **names, **attributes)
        ops = (*self.ops, op)
        try:
            types = infer_types("x", self.types["x"], ops, self.tensors | constants, [name])
        except ProgramError:  # only for bounds that outgrow 32 bits
            return inputs[0]
        self.types = types
        self.ops.append(op)
        self.tensors |= constants
        return name


@st.composite
def programs(draw: st.DrawFn, least: int = 1, most: int = 10) -> Program:
    """Draw a legal program of about `least` to `most` ops; one in three is a classifier."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1), label="seed"))
    builder = Builder(rng, draw(_inputs(), label="input"))
    value = "x"
    for _ in range(draw(st.integers(least, most), label="ops")):
        # Mostly the newest value, so that programs become deep.
        if draw(st.integers(0, 4)) == 0 or not builder.types[value].shape:
            value = draw(st.sampled_from(list(builder.types)))
        legal = legal_kinds(builder.types[value])
        value = _grow(draw, builder, draw(st.sampled_from(legal), label="op"), value)
    outputs = [value]
    if draw(st.integers(0, 2)) == 0:
        logits = _logits(draw, builder, value)
        outputs = [logits, builder.add("ArgMax", logits, tensors={})]
    more = draw(st.lists(st.sampled_from(list(builder.types)), max_size=2))
    classes = ()
    if len(outputs) == 2 and draw(st.booleans()):
        classes = tuple(f"klasse {i} ä" for i in range(builder.types[outputs[0]].size))
    return Program(
        input_name="x",
        input_type=builder.types["x"],
        ops=tuple(builder.ops),
        tensors=builder.tensors,
        outputs=tuple(dict.fromkeys([*outputs, *more])),
        name=draw(st.sampled_from(["", "net", 'q"uote\\ \u2603'])),
        classes=classes,
        metadata=draw(st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=2)),
    )


def batch(program: Program, rng: np.random.Generator, n: int) -> np.ndarray:
    """Return `n` random images that fit the program's input; its ends occur often."""
    value = program.input_type
    shape = (n, *value.shape)
    if isinstance(value, Bits):
        return rng.random(shape) < 0.5
    images = rng.integers(value.lo, value.hi, shape, endpoint=True)
    ends = rng.choice([value.lo, value.hi], shape)
    return np.where(rng.random(shape) < 0.25, ends, images)


def legal_kinds(value: ValueType) -> list[str]:
    """Return the ops that may read a value of this type, common ones more than once."""
    rank, is_int = len(value.shape), isinstance(value, Int)
    kinds = []
    if rank == 3:
        kinds += ["Conv2d", "Conv2d", "Conv2d", "MaxPool2d", "SumPool2d", "Subsample", "Flatten"]
    if rank == 1:
        kinds += ["Dense"]
    if rank >= 1:
        kinds += ["Affine"]
    if is_int and rank >= 1:
        kinds += ["Threshold", "Threshold", "PiecewiseLinear"]
    if is_int and rank == 3:
        kinds += ["PadChannels", "Offset"]
    if is_int and rank == 1:
        kinds += ["ArgMax"]
    if is_int and value.hi - value.lo < 4096:
        kinds += ["Lookup"]
    return [*kinds, "Add"] if is_int else kinds


def _inputs() -> st.SearchStrategy[ValueType]:
    maps = st.tuples(st.integers(1, 8), st.integers(1, 8), st.sampled_from([2, 1, 3, 4, 6]))
    shapes = st.one_of(maps, maps, maps, st.tuples(st.integers(1, 20)))
    integers = st.builds(lambda s, b: Int(s, *b), shapes, st.sampled_from(INPUT_BOUNDS))
    return st.one_of(integers, st.builds(Bits, shapes))


def _logits(draw: st.DrawFn, builder: Builder, value: str) -> str:
    if len(builder.types[value].shape) == 3:
        value = builder.add("Flatten", value, tensors={})
    if len(builder.types[value].shape) == 0:
        value = (
            "x" if len(builder.types["x"].shape) == 1 else builder.add("Flatten", "x", tensors={})
        )
    logits = _grow(draw, builder, "Dense", value)
    if isinstance(builder.types[logits], Bits) or logits == value:
        ones = np.ones(builder.types[value].shape, np.int32)
        logits = builder.add(
            "Affine", value, tensors={"multiplier": ones, "addend": ones.astype(np.int64)}
        )
    return logits


def _grow(draw: st.DrawFn, builder: Builder, kind: str, x: str) -> str:
    rng, value = builder.rng, builder.types[x]
    channels = value.shape[-1] if value.shape else 0
    tensors: dict[str, Any] = {}
    attributes: dict[str, Any] = {}
    inputs = [x]
    if kind == "Conv2d":
        groups = draw(st.sampled_from([g for g in (1, 2, 3) if channels % g == 0]))
        kernel, attributes = _window(draw, value)
        pads = (-1, 0, 1) if isinstance(value, Bits) else (0, -1, 1, 50)
        attributes |= {"groups": groups, "pad_value": draw(st.sampled_from(pads))}
        out = groups * draw(st.integers(1, 4))
        tensors["weights"] = _weights(draw, rng, (out, *kernel, channels // groups))
    elif kind == "Dense":
        tensors["weights"] = _weights(draw, rng, (draw(st.integers(1, 10)), channels))
    elif kind == "Threshold":
        tensors["thresholds"] = _within(rng, value, channels, beyond=1)
        tensors["rising"] = rng.random(channels) < draw(st.sampled_from([0.5, 1.0]))
    elif kind == "Lookup":
        entries = value.hi - value.lo + 1
        shared = not channels or draw(st.booleans())
        shape = (entries,) if shared else (channels, entries)
        tensors["table"] = rng.integers(-300, 300, shape, dtype=np.int32)
    elif kind in ("MaxPool2d", "SumPool2d"):
        kernel, attributes = _window(draw, value)
        attributes["kernel"] = kernel
    elif kind == "Add":
        same = [
            n for n, t in builder.types.items() if isinstance(t, Int) and t.shape == value.shape
        ]
        inputs.append(draw(st.sampled_from(same)))
    elif kind == "Affine":
        tensors, attributes = _lines(draw, rng, value, (channels,))
    elif kind == "PiecewiseLinear":
        breaks = draw(st.integers(0, 3))
        tensors, attributes = _lines(draw, rng, value, (channels, breaks + 1))
        points = [np.unique(_within(rng, value, 4 * breaks, beyond=3)) for _ in range(channels)]
        if any(len(row) < breaks for row in points):
            points = [np.arange(breaks) + value.lo - 1] * channels
        picked = [np.sort(rng.permutation(row)[:breaks]) for row in points]
        tensors["breakpoints"] = np.array(picked, np.int32).reshape(channels, breaks)
    elif kind == "Offset":
        sides = [1 + 2 * draw(st.integers(0, (n - 1) // 2)) for n in value.shape[:2]]
        tensors["offset"] = rng.integers(-300, 300, (*sides, channels), dtype=np.int32)
    elif kind == "PadChannels":
        attributes = {"before": draw(st.integers(0, 2)), "after": draw(st.integers(0, 2))}
    elif kind == "Subsample":
        attributes = {"stride": (draw(st.integers(1, 3)), draw(st.integers(1, 3)))}
    return builder.add(kind, *inputs, tensors=tensors, **attributes)


def _window(draw: st.DrawFn, value: ValueType) -> tuple[tuple[int, int], dict[str, Any]]:
    """Draw a kernel that fits, a stride, and paddings that are smaller than the kernel."""
    kernel = tuple(draw(st.integers(1, min(3, n))) for n in value.shape[:2])
    padding = tuple(draw(st.integers(0, kernel[axis] - 1)) for axis in (0, 0, 1, 1))
    stride = (draw(st.integers(1, 3)), draw(st.integers(1, 3)))
    return (kernel[0], kernel[1]), {"stride": stride, "padding": padding}


def _weights(draw: st.DrawFn, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    if draw(st.integers(0, 2)):
        return rng.random(shape) < 0.5
    return rng.integers(-128, 128, shape, dtype=np.int8)


def _within(rng: np.random.Generator, value: ValueType, count: int, beyond: int) -> np.ndarray:
    """Return numbers in a type's range and a little beyond; near zero if it is a wide one."""
    lo, hi = max(value.lo, -2000) - beyond, min(value.hi, 2000) + beyond
    return rng.integers(min(lo, hi), max(lo, hi), count, dtype=np.int32, endpoint=True)


def _lines(
    draw: st.DrawFn, rng: np.random.Generator, value: ValueType, shape: tuple[int, ...]
) -> tuple[dict[str, Any], dict[str, Any]]:
    shift = draw(st.sampled_from([0, 1, 2, 5, 16]))
    reach = draw(st.sampled_from([2, 9, 2**shift + 1]))
    addends = draw(st.sampled_from([4, 2**shift + 1]))
    tensors = {
        "multiplier": rng.integers(-reach, reach, shape, dtype=np.int32, endpoint=True),
        "addend": rng.integers(-addends, addends, shape, dtype=np.int64, endpoint=True),
    }
    return tensors, {"shift": shift, "rounding": draw(st.sampled_from(ROUNDINGS))}
