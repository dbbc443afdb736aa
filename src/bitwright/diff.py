"""Where two engines part: the first value of a program in which they differ, to the element."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bitwright.errors import UnknownNameError
from bitwright.ir import reference
from bitwright.ir.program import Program
from bitwright.native import NativeProgram

Array = npt.NDArray[Any]
BATCH = 64


@dataclass(frozen=True)
class Engine:
    """One way to run a program.

    `prepare` returns the values that it can show and a function that gives them for a batch.
    """

    name: str
    prepare: Callable[[Program], tuple[tuple[str, ...], Callable[..., dict[str, Array]]]]


def _native(program: Program) -> tuple[tuple[str, ...], Callable[..., dict[str, Array]]]:
    names = NativeProgram(program).plan.materialised
    # Keeping what is made anyway changes no fusion: this is the plan that evaluations run.
    ready = NativeProgram(program, names)
    return names, lambda batch, keep: ready.run(batch)


def _reference(program: Program) -> tuple[tuple[str, ...], Callable[..., dict[str, Array]]]:
    return tuple(program.types), lambda batch, keep: reference.run(program, batch, keep)


ENGINES = {
    engine.name: engine for engine in (Engine("native", _native), Engine("reference", _reference))
}


@dataclass(frozen=True)
class Difference:
    """The first element in which two engines differ."""

    value: str
    kind: str
    position: tuple[int, ...]
    """Image, then the index in the value's shape."""
    found: tuple[int, int]
    """What the first and the second engine say; a bit is -1 or +1."""
    differing: int
    """How many elements of this value differ in the batch that was looked at."""


@dataclass(frozen=True)
class Comparison:
    """What comparing two engines found."""

    engines: tuple[str, str]
    images: int
    values: tuple[str, ...]
    """The program's values that both engines make."""
    elements: int
    """How many numbers were compared, up to the difference if there is one."""
    difference: Difference | None


def compare(
    program: Program,
    images: Array,
    engines: tuple[str, str] = ("native", "reference"),
    *,
    progress: Callable[[int, int], None] | None = None,
) -> Comparison:
    """Compare two engines on images, value by value in the program's order.

    Parameters
    ----------
    program
        The program.
    images
        A batch that fits its input.
    engines
        Two names of `ENGINES`.
    progress
        Called with (images done, images in all).

    Raises
    ------
    UnknownNameError
        If there is no engine of that name.
    """
    for name in engines:
        if name not in ENGINES:
            raise UnknownNameError("engine", name, ENGINES)
    (names_a, run_a), (names_b, run_b) = (ENGINES[name].prepare(program) for name in engines)
    shared = [name for name in program.types if name in names_a and name in names_b]
    values = tuple(name for name in shared if name != program.input_name)
    elements = 0
    for start in range(0, len(images), BATCH):
        batch = images[start : start + BATCH]
        a, b = run_a(batch, values), run_b(batch, values)
        for value in values:
            x, y = a[value], b[value]
            elements += x.size
            if not np.array_equal(x, y):
                found = _difference(program, value, x, y, start)
                return Comparison(engines, start + len(batch), values, elements, found)
        if progress is not None:
            progress(min(start + BATCH, len(images)), len(images))
    return Comparison(engines, len(images), values, elements, None)


def _difference(program: Program, value: str, a: Array, b: Array, start: int) -> Difference:
    places = np.argwhere(a != b)
    first = tuple(int(i) for i in places[0])
    return Difference(
        value=value,
        kind=program.definitions[value].kind,
        position=(first[0] + start, *first[1:]),
        found=(_number(a[first]), _number(b[first])),
        differing=len(places),
    )


def _number(element: Any) -> int:
    return 2 * int(element) - 1 if isinstance(element, np.bool_) else int(element)
