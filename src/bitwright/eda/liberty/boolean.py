"""Boolean functions as Liberty writes them: ``(A B') + !C ^ D``.

Inversion binds tightest (``!A``, ``~A``, ``A'``), then ``^``, then and (``*``, ``&``, or nothing
but a space), then or (``+``, ``|``), as the Liberty User Guide has it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

_TOKEN = re.compile(r"\s*([A-Za-z_][\w.\[\]]*|[01!~'^*&+|()])")
_LONGEST = 500
"""Signs in a function; evaluation is recursive, and real ones have under a hundred."""

_Node = tuple[str, *tuple[Any, ...]]


class BooleanSyntaxError(ValueError):
    """A text is no Boolean function; who knows where it stands says so to the user."""


@dataclass(frozen=True)
class Function:
    """A Boolean function of named pins.

    Parameters
    ----------
    text
        As the library has it.
    names
        The pins in it, sorted.
    """

    text: str
    names: tuple[str, ...]
    _node: _Node

    def evaluate(self, values: Mapping[str, Any], ones: Any) -> Any:
        """Return its value.

        Parameters
        ----------
        values
            For each pin what ``& | ^`` work on: integers or arrays of words, all of one shape.
        ones
            True in that form: all bits set.
        """
        return _evaluate(self._node, values, ones)

    def table(self, names: Sequence[str]) -> int:
        """Return its truth table: bit i is its value where ``names[j]`` has bit j of i.

        Raises
        ------
        KeyError
            If it has a pin that is not among `names`.
        """
        size = 1 << len(names)
        ones = (1 << size) - 1
        values = {name: column(j, len(names)) for j, name in enumerate(names)}
        result: int = _evaluate(self._node, values, ones)
        return result


def column(index: int, count: int) -> int:
    """Return the truth table of the input `index` of `count`."""
    size = 1 << count
    period = 1 << (index + 1)
    block = ((1 << (period // 2)) - 1) << (period // 2)
    return sum(block << start for start in range(0, size, period))


@lru_cache(maxsize=4096)
def parse(text: str) -> Function:
    """Read a function.

    Raises
    ------
    BooleanSyntaxError
        If it is none.
    """
    tokens: list[str] = []
    position = 0
    stripped = text.rstrip()
    while position < len(stripped):
        found = _TOKEN.match(stripped, position)
        if found is None:
            raise BooleanSyntaxError(f"'{text}' has an unknown sign at '{stripped[position:]}'")
        tokens.append(found[1])
        position = found.end()
        if len(tokens) > _LONGEST:
            raise BooleanSyntaxError(f"'{text[:60]}...' is too long")
    parser = _Parser(text, tokens)
    node = parser.either()
    if parser.position < len(tokens):
        raise BooleanSyntaxError(f"'{text}' goes on behind its end at '{parser.next}'")
    names = tuple(sorted({token for token in tokens if token[0].isalpha() or token[0] == "_"}))
    return Function(text, names, node)


class _Parser:
    """One method a level of binding, from the loosest to the tightest."""

    def __init__(self, text: str, tokens: list[str]) -> None:
        self.text = text
        self.tokens = tokens
        self.position = 0

    @property
    def next(self) -> str:
        return self.tokens[self.position] if self.position < len(self.tokens) else ""

    def take(self) -> str:
        token = self.next
        self.position += 1
        return token

    def either(self) -> _Node:
        node = self.both()
        while self.next in ("+", "|"):
            self.take()
            node = ("|", node, self.both())
        return node

    def both(self) -> _Node:
        node = self.differ()
        while self.next and self.next not in ("+", "|", ")", "^", "'"):
            if self.next in ("*", "&"):
                self.take()
            node = ("&", node, self.differ())
        return node

    def differ(self) -> _Node:
        node = self.single()
        while self.next == "^":
            self.take()
            node = ("^", node, self.single())
        return node

    def single(self) -> _Node:
        sign = self.take()
        if sign in ("!", "~"):
            return ("~", self.single())
        if sign == "(":
            node = self.either()
            if self.take() != ")":
                raise BooleanSyntaxError(f"'{self.text}' lacks a closing parenthesis")
        elif sign in ("0", "1"):
            node = ("constant", sign == "1")
        elif sign and (sign[0].isalpha() or sign[0] == "_"):
            node = ("pin", sign)
        else:
            raise BooleanSyntaxError(f"'{self.text}' lacks a pin" + (f" at '{sign}'" * bool(sign)))
        while self.next == "'":
            self.take()
            node = ("~", node)
        return node


def _evaluate(node: _Node, values: Mapping[str, Any], ones: Any) -> Any:
    kind, *parts = node
    match kind:
        case "pin":
            return values[parts[0]]
        case "constant":
            return ones if parts[0] else ones ^ ones
        case "~":
            return _evaluate(parts[0], values, ones) ^ ones
    left = _evaluate(parts[0], values, ones)
    right = _evaluate(parts[1], values, ones)
    match kind:
        case "&":
            return left & right
        case "|":
            return left | right
        case _:
            return left ^ right
