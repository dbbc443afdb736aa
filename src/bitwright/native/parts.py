"""A program cut into steps: what others make of it, and the native parts between.

Requirements:

- The program is cut at the values that others make and where two parts meet in an addition. A part
  depends on one value alone, so that the native engine runs it.
- A part keeps the ops that something behind it needs, and no others.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar

from bitwright.ir import ops as o
from bitwright.ir.program import Program
from bitwright.native.engine import NativeProgram


class Maker(Protocol):
    """What makes a value in place of the native engine."""

    @property
    def source(self) -> str:
        """The one value that it reads."""


M = TypeVar("M", bound=Maker)


@dataclass(frozen=True, eq=False)
class Part:
    """Ops that depend on one value alone, run by the native engine.

    `made` are the values that others read or that are wanted.
    """

    source: str
    made: tuple[str, ...]
    native: NativeProgram


@dataclass(frozen=True)
class Sum:
    """An addition of values of two parts."""

    op: o.Add


def reads(step: Maker | Part | Sum) -> tuple[str, ...]:
    """Return the values that a step reads."""
    return step.op.inputs if isinstance(step, Sum) else (step.source,)


def cut(
    program: Program,
    makers: Mapping[str, M],
    wanted: Collection[str],
    inside: Collection[str] = (),
) -> list[M | Part | Sum]:
    """Return the steps of a program, each after those that it reads.

    Parameters
    ----------
    makers
        Who makes a value, by its name.
    wanted
        The values to make for others.
    inside
        Values that makers have to themselves: nobody else reads them, and no step makes them.
    """
    roots = {program.input_name: program.input_name}
    parts: dict[str, list[o.Op]] = {program.input_name: []}
    order: dict[str, M | Sum] = {}
    for op in program.ops:
        if op.output in inside:
            continue
        if op.output in makers:
            order[op.output] = makers[op.output]
        else:
            above = {roots[name] for name in op.inputs}
            if len(above) == 1:
                roots[op.output] = above.pop()
                parts[roots[op.output]].append(op)
                continue
            assert isinstance(op, o.Add)  # noqa: S101 - no other op reads two values
            order[op.output] = Sum(op)
        roots[op.output], parts[op.output] = op.output, []
    read = {*wanted, *(name for step in order.values() for name in reads(step))}
    steps: list[M | Part | Sum] = [*_part(program, program.input_name, parts, read)]
    for name, step in order.items():
        steps += [step, *_part(program, name, parts, read)]
    return steps


def _part(
    program: Program, source: str, parts: Mapping[str, list[o.Op]], read: set[str]
) -> list[Part]:
    """Return the part that depends on a value alone, unless nobody reads any of it."""
    outputs = tuple(op.output for op in parts[source] if op.output in read)
    if not outputs:
        return []
    needed, kept = set(outputs), list[o.Op]()
    for op in reversed(parts[source]):
        if op.output in needed:
            needed.update(op.inputs)
            kept.append(op)
    names = {getattr(op, field) for op in kept for field in op.constants}
    part = Program(
        input_name=source,
        input_type=program.types[source],
        ops=tuple(reversed(kept)),
        tensors={name: program.tensors[name] for name in names},
        outputs=outputs,
    )
    return [Part(source, outputs, NativeProgram(part))]
