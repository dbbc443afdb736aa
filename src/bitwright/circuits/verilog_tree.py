"""A structural Verilog text as data: modules, their nets, assignments and instances, with lines."""

from __future__ import annotations

from dataclasses import dataclass, field

from bitwright.circuits.nets import Place

PRIMITIVES = ("and", "or", "xor", "nand", "nor", "xnor", "not", "buf")


@dataclass(frozen=True)
class Reference:
    """A net or a part of it: all of it, or bits ``first`` down to ``last``."""

    name: str
    select: tuple[int, int] | None
    place: Place


@dataclass(frozen=True)
class Constant:
    """Bits, lowest first; `sized` tells whether the text says how many."""

    bits: tuple[int, ...]
    sized: bool
    place: Place


@dataclass(frozen=True)
class Operation:
    """An operator (``~ & | ^ ~^ ?``, or ``{`` for a concatenation) and what it is applied to."""

    operator: str
    operands: tuple[Expression, ...]
    place: Place


Expression = Reference | Constant | Operation


@dataclass(frozen=True)
class Assignment:
    """``assign target = value``."""

    target: Expression
    value: Expression
    place: Place


@dataclass(frozen=True)
class Instance:
    """A primitive or a module with its connections, by position or by port name."""

    kind: str
    name: str
    positions: tuple[Expression, ...]
    ports: dict[str, Expression | None]
    place: Place


@dataclass(frozen=True)
class Declared:
    """A net's direction (input, output or wire) and range."""

    direction: str
    first: int
    last: int
    place: Place


@dataclass
class Module:
    """A module as it is written."""

    name: str
    place: Place
    attributes: dict[str, str] = field(default_factory=dict)
    ports: list[str] = field(default_factory=list)
    nets: dict[str, Declared] = field(default_factory=dict)
    items: list[Assignment | Instance] = field(default_factory=list)
