"""Small programs written by hand, and the comparison of the native engine with the reference."""

from __future__ import annotations

from typing import Any

import numpy as np

from bitwright.ir import Bits, Int, Program, reference
from bitwright.ir import ops as o
from bitwright.ir.verify import infer_types
from bitwright.native import NativeProgram

INT32 = np.iinfo(np.int32)


class Sketch:
    """A program under construction; its input is ``x``, its ops are named in order."""

    def __init__(self, input_type: Bits | Int, seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)
        self.input_type = input_type
        self.ops: list[o.Op] = []
        self.tensors: dict[str, Any] = {}
        self.types: dict[str, Any] = {"x": input_type}

    def add(self, kind: type[o.Op], *inputs: str, tensors: Any = None, **attributes: Any) -> str:
        output = f"{kind.__name__.lower()}{len(self.ops)}"
        names = {}
        for field, array in (tensors or {}).items():
            names[field] = f"{output}.{field}"
            self.tensors[names[field]] = array
        self.ops.append(kind(output=output, inputs=inputs, **names, **attributes))
        self.types = infer_types("x", self.input_type, self.ops, self.tensors, [output])
        return output

    def conv(
        self, x: str, out: int, kernel: int = 3, *, int8: bool = False, **attributes: Any
    ) -> str:
        fan_in = self.types[x].shape[2] // attributes.get("groups", 1)
        weights = self.weights((out, kernel, kernel, fan_in), int8)
        return self.add(o.Conv2d, x, tensors={"weights": weights}, **attributes)

    def dense(self, x: str, out: int, *, int8: bool = False) -> str:
        weights = self.weights((out, self.types[x].shape[0]), int8)
        return self.add(o.Dense, x, tensors={"weights": weights})

    def weights(self, shape: tuple[int, ...], int8: bool) -> Any:
        if int8:
            return self.rng.integers(-128, 128, shape).astype(np.int8)
        return self.rng.random(shape) < 0.5

    def threshold(self, x: str, limits: Any = None, rising: Any = None) -> str:
        """By default both polarities, and limits near zero with a few that decide by themselves."""
        value = self.types[x]
        channels = value.shape[-1]
        if rising is None:
            rising = self.rng.random(channels) < 0.5
        if limits is None:
            spread = max(2, int(max(-value.lo, value.hi) ** 0.5))
            limits = self.rng.integers(-spread, spread, channels)
            ends = [value.lo, value.lo - 1, value.hi, value.hi + 1, INT32.min, INT32.max]
            odd = self.rng.random(channels) < 0.2
            limits = np.where(odd, self.rng.choice(ends, channels), limits)
        limits = np.clip(limits, INT32.min, INT32.max).astype(np.int32)
        tensors = {"thresholds": limits, "rising": np.asarray(rising, np.bool_)}
        return self.add(o.Threshold, x, tensors=tensors)

    def pool(self, x: str, kind: type[o.Op] = o.MaxPool2d, **attributes: Any) -> str:
        return self.add(kind, x, **{"kernel": (2, 2), "stride": (2, 2)} | attributes)

    def program(self, *outputs: str) -> Program:
        return Program(
            input_name="x",
            input_type=self.input_type,
            ops=tuple(self.ops),
            tensors=self.tensors,
            outputs=outputs,
        )

    def check(self, *outputs: str, images: int = 4, **how: Any) -> None:
        """Compare the program with these outputs with the reference, on random images."""
        program = self.program(*outputs)
        check(program, random_batch(program, images, self.rng), **how)


def random_batch(program: Program, images: int, rng: np.random.Generator) -> Any:
    """Return random images; of three or more, one is all least values, one all greatest."""
    value = program.input_type
    batch = rng.integers(value.lo, value.hi, (images, *value.shape), endpoint=True)
    if isinstance(value, Bits):
        batch = rng.integers(0, 2, (images, *value.shape)).astype(np.bool_)
    if images > 2:
        batch[0] = value.lo > 0 if isinstance(value, Bits) else value.lo
        batch[1] = value.hi
    return batch.astype(np.uint8) if (value.lo, value.hi) == (0, 255) else batch


def check(program: Program, batch: Any, keep: Any = None, threads: int | None = 1) -> None:
    expected = reference.run(program, batch, keep)
    same(NativeProgram(program, keep).run(batch, threads=threads), expected)


def same(actual: dict[str, Any], expected: dict[str, Any]) -> None:
    assert actual.keys() == expected.keys()
    for name, value in expected.items():
        kind = np.bool_ if value.dtype == np.bool_ else np.int32
        assert actual[name].dtype == kind, name
        np.testing.assert_array_equal(actual[name], value, err_msg=name)


def every_kind() -> dict[str, Program]:
    """Return one program for each kind of dot product, each with and without a threshold."""
    programs = {}
    for out in (10, 40, 130):
        s = Sketch(Int((8, 7, 3), 0, 255), seed=out)
        scaled = s.add(
            o.Lookup, "x", tensors={"table": np.arange(-128, 128, dtype=np.int32)}
        )  # narrow, through a table
        first = s.conv(scaled, out, padding=(1, 1, 1, 1), pad_value=3, int8=True)
        bits = s.threshold(first)
        second = s.conv(bits, out, padding=(1, 0, 2, 1), stride=(2, 1))
        pooled = s.pool(second, padding=(1, 1, 0, 1))
        more = s.threshold(pooled)  # binary, a pool between it and its threshold
        grouped = s.conv(more, 2 * out, 2, groups=2, padding=(1, 1, 1, 1), pad_value=1)
        last = s.threshold(grouped)  # narrow on bits
        flat = s.add(o.Flatten, last)
        scores = s.dense(flat, 11)
        heavy = s.dense(flat, 5, int8=True)
        kind = s.add(o.ArgMax, scores)
        programs[f"out{out}"] = s.program(kind, scores, heavy, first, second)
    s = Sketch(Int((6, 5, 4), -70_000, 70_000), seed=1)
    wide = s.conv("x", 9, padding=(1, 1, 1, 1), pad_value=-5, groups=1)
    programs["wide"] = s.program(s.threshold(wide), wide)
    s = Sketch(Bits((6, 6, 65)), seed=2)
    plus = s.conv("x", 70, 5, padding=(2, 2, 2, 2), pad_value=1)
    zero = s.conv("x", 33, 3, padding=(1, 1, 1, 1), pad_value=0, stride=(2, 2))
    minus = s.conv("x", 1, 1, pad_value=-1)
    summed = s.pool("x", o.SumPool2d, kernel=(3, 3), stride=(1, 2), padding=(1, 1, 1, 1))
    bits = [s.threshold(value) for value in (plus, zero, minus)]
    programs["bits"] = s.program(*bits, plus, summed)
    return programs
