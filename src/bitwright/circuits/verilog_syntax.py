"""The syntax of structural Verilog: text to modules, with the line of everything.

What is understood: modules with ports in either style, ``input``, ``output`` and ``wire`` with
ranges, ``assign`` and declarations with a value, the gate primitives, instances; the operators
``~ & | ^ ~^ ^~ ?:`` on bits, bit and part selects, ``{,}``, and constants; attributes. What is not
(processes, registers, parameters, arithmetic) is refused by name.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from bitwright.circuits.nets import Place
from bitwright.circuits.verilog_tree import (
    Assignment,
    Constant,
    Declared,
    Expression,
    Instance,
    Module,
    Operation,
    Reference,
)
from bitwright.errors import CircuitError

_REFUSED = {
    "always", "reg", "initial", "parameter", "localparam", "generate", "function", "task",
    "inout", "defparam", "integer", "for", "if", "case", "logic", "specify", "genvar",
}  # fmt: skip
_DECLARATIONS = ("input", "output", "wire")
_TOKEN = re.compile(
    r"""(?P<space>\s+|//[^\n]*|/\*.*?\*/|`timescale[^\n]*|`default_nettype[^\n]*|`(end)?celldefine)
    |(?P<attribute>\(\*(?!\s*\)).*?\*\))
    |(?P<name>\\\S+|[A-Za-z_][A-Za-z0-9_$]*)
    |(?P<number>(\d+\s*)?'s?[bodhBODH]\s*[0-9a-fA-FxXzZ_?]+|\d+)
    |(?P<sign>~\^|\^~|[()\[\]{},;:.=~&|^?#])""",
    re.VERBOSE | re.DOTALL,
)
_WEAK_TO_STRONG = (("|",), ("^", "~^", "^~"), ("&",))
_DEEPEST = 50
_STRUCTURAL = "only structural Verilog is read: gates, instances, and assign with ~ & | ^ ?:"


@dataclass(frozen=True)
class Token:
    """A word of the text; `kind` is name, number, sign or attribute."""

    kind: str
    text: str
    place: Place


def parse_modules(text: str, file: str) -> list[Module]:
    """Return the modules of a Verilog text in its order.

    Raises
    ------
    CircuitError
        If the text is not structural Verilog; the message names the line.
    """
    parser = _Parser(_tokens(text, file), file)
    modules = []
    while parser.here is not None:
        modules.append(parser.module())
    return modules


def _tokens(text: str, file: str) -> list[Token]:
    tokens, at, line = [], 0, 1
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise CircuitError(f"{file}, line {line}: '{text[at]}' is not understood", _STRUCTURAL)
        if found.lastgroup and found.lastgroup != "space":
            word = found.group()
            # \\name is the name in full: what follows may be any character up to a space.
            tokens.append(Token(found.lastgroup, word.removeprefix("\\"), Place(file, line)))
        line += found.group().count("\n")
        at = found.end()
    return tokens


class _Parser:
    def __init__(self, tokens: Sequence[Token], file: str) -> None:
        self.tokens = tokens
        self.at = 0
        self.depth = 0
        self.end = tokens[-1].place if tokens else Place(file, 1)

    @property
    def here(self) -> Token | None:
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    def take(self, *texts: str, kind: str = "") -> Token:
        """Return the next token, which must be one of `texts`, or of a kind."""
        token = self.here
        wanted = " or ".join(f"'{text}'" for text in texts) or f"a {kind}"
        if token is None:
            raise CircuitError(f"{self.end}: the text ends where {wanted} is expected", _STRUCTURAL)
        if (texts and token.text not in texts) or (kind and token.kind != kind):
            raise CircuitError(
                f"{token.place}: '{token.text}' stands where {wanted} is expected", _STRUCTURAL
            )
        self.at += 1
        return token

    def skip(self, text: str) -> bool:
        """Pass the next token if it is `text`."""
        if self.here is not None and self.here.text == text:
            self.at += 1
            return True
        return False

    def attributes(self) -> dict[str, str]:
        found = {}
        while self.here is not None and self.here.kind == "attribute":
            pairs = re.findall(r'(\w+)\s*=\s*("[^"]*"|[-\w]+)', self.take().text)
            found.update({key: value.strip('"') for key, value in pairs})
        return found

    def name(self) -> Token:
        token = self.take(kind="name")
        if token.text in _REFUSED:
            raise CircuitError(f"{token.place}: '{token.text}' is not understood", _STRUCTURAL)
        return token

    def module(self) -> Module:
        attributes = self.attributes()
        self.take("module")
        name = self.name()
        module = Module(name.text, name.place, attributes)
        if self.skip("("):
            self._ports(module)
        self.take(";")
        while not self.skip("endmodule"):
            self._item(module)
        for port in module.ports:
            if port not in module.nets:
                raise CircuitError(
                    f"{module.place}: port '{port}' of '{module.name}' is not declared",
                    "declare it as input or output",
                )
        return module

    def _ports(self, module: Module) -> None:
        declared: Declared | None = None
        while not self.skip(")"):
            self.attributes()
            if self.here is not None and self.here.text in _DECLARATIONS:
                declared = self._declared()
            name = self.name()
            module.ports.append(name.text)
            if declared is not None:
                self._add(module, name, declared)
            if self.here is not None and self.here.text != ")":
                self.take(",")

    def _declared(self) -> Declared:
        direction = self.take(*_DECLARATIONS)
        self.skip("wire")
        first, last = self._range() if self.here and self.here.text == "[" else (0, 0)
        return Declared(direction.text, first, last, direction.place)

    def _range(self) -> tuple[int, int]:
        self.take("[")
        first = last = self._index()
        if self.skip(":"):
            last = self._index()
        self.take("]")
        return first, last

    def _index(self) -> int:
        token = self.take(kind="number")
        if not token.text.isdecimal() or len(token.text) > 9:
            raise CircuitError(
                f"{token.place}: '{token.text}' is no index", "write a short decimal number"
            )
        return int(token.text)

    def _add(self, module: Module, name: Token, declared: Declared) -> None:
        before = module.nets.get(name.text)
        if before is not None and "wire" not in (before.direction, declared.direction):
            raise CircuitError(f"{name.place}: '{name.text}' is declared twice", "declare it once")
        if before is None or before.direction == "wire":
            module.nets[name.text] = declared

    def _item(self, module: Module) -> None:
        self.attributes()
        start = self.here
        if start is not None and start.text in _DECLARATIONS:
            declared = self._declared()
            while True:
                name = self.name()
                self._add(module, name, declared)
                if self.skip("="):
                    target = Reference(name.text, None, name.place)
                    module.items.append(Assignment(target, self.expression(), name.place))
                if self.take(",", ";").text == ";":
                    return
        if start is not None and start.text == "assign":
            self.take("assign")
            while True:
                left = self._operand()
                place = self.take("=").place
                module.items.append(Assignment(left, self.expression(), place))
                if self.take(",", ";").text == ";":
                    return
        kind = self.name()
        while True:
            module.items.append(self._instance(kind))
            if self.take(",", ";").text == ";":
                return

    def _instance(self, kind: Token) -> Instance:
        unnamed = self.here is not None and self.here.text == "("
        name = "" if unnamed else self.name().text
        self.take("(")
        positions: list[Expression] = []
        ports: dict[str, Expression | None] = {}
        while not self.skip(")"):
            if self.skip("."):
                port = self.name()
                if port.text in ports:
                    raise CircuitError(
                        f"{port.place}: port '{port.text}' is connected twice", "connect it once"
                    )
                self.take("(")
                empty = self.here is not None and self.here.text == ")"
                ports[port.text] = None if empty else self.expression()
                self.take(")")
            else:
                positions.append(self.expression())
            if self.here is not None and self.here.text != ")":
                self.take(",")
        return Instance(kind.text, name, tuple(positions), ports, kind.place)

    def expression(self) -> Expression:
        """Return the expression that starts here."""
        self.depth += 1
        if self.depth > _DEEPEST:
            raise CircuitError(f"{self.end}: an expression is nested too deep", "name its parts")
        try:
            return self._choice()
        finally:
            self.depth -= 1

    def _choice(self) -> Expression:
        condition = self._binary(0)
        if self.here is None or self.here.text != "?":
            return condition
        place = self.take("?").place
        yes = self.expression()
        self.take(":")
        return Operation("?", (condition, yes, self.expression()), place)

    def _binary(self, strength: int) -> Expression:
        if strength == len(_WEAK_TO_STRONG):
            return self._operand()
        left = self._binary(strength + 1)
        while self.here is not None and self.here.text in _WEAK_TO_STRONG[strength]:
            token = self.take()
            operands = [left, self._binary(strength + 1)]
            while self.here is not None and self.here.text == token.text:
                self.take()
                operands.append(self._binary(strength + 1))
            sign = "~^" if token.text == "^~" else token.text
            left = Operation(sign, tuple(operands), token.place)
        return left

    def _operand(self) -> Expression:
        token = self.take()
        if token.text == "~":
            odd = True
            while self.skip("~"):
                odd = not odd
            inner = self._operand()
            return Operation("~", (inner,), token.place) if odd else inner
        if token.text == "(":
            inner = self.expression()
            self.take(")")
            return inner
        if token.text == "{":
            parts = [self.expression()]
            while self.take(",", "}").text == ",":
                parts.append(self.expression())
            return Operation("{", tuple(parts), token.place)
        if token.kind == "number":
            return _constant(token)
        if token.kind != "name" or token.text in _REFUSED:
            raise CircuitError(f"{token.place}: '{token.text}' is not understood", _STRUCTURAL)
        select = self._range() if self.here is not None and self.here.text == "[" else None
        return Reference(token.text, select, token.place)


def _constant(token: Token) -> Constant:
    size, tick, digits = token.text.replace("_", "").replace(" ", "").partition("'")
    base = {"b": 2, "o": 8, "d": 10, "h": 16}
    try:
        letters = digits.lower().lstrip("s")
        value = int(letters[1:], base[letters[0]]) if tick else int(size)
    except (ValueError, KeyError, IndexError) as error:
        raise CircuitError(
            f"{token.place}: '{token.text}' is not a number of known bits", "write 1'b0 or 1'b1"
        ) from error
    width = int(size) if tick and size else max(1, value.bit_length())
    if width > 1 << 16:
        raise CircuitError(f"{token.place}: '{token.text}' is too long", "write fewer bits")
    return Constant(tuple(value >> i & 1 for i in range(width)), bool(tick and size), token.place)
