"""The text of a Liberty file as nested groups of attributes.

Requirements:

- A statement is parsed when it is asked for: a library of 45 MB is split in a second, and nearly
  all of it is tables that nobody looks up.
- Published libraries lack semicolons. Where the line ends there and the next one begins a new
  statement, or a brace ends the group, nothing is in doubt: the statement is taken, and a warning
  kept. Anything else that is no statement is refused with its line.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from bitwright.errors import LibertyError

_STATEMENT = re.compile(r'((?:[^;{}"/]++|"[^"]*+"|/\*.*?\*/|//[^\n]*+|/)*+)([;{}]|\Z|")', re.DOTALL)
_COMMENT = re.compile(r'("[^"]*+")|/\*.*?\*/|//[^\n]*+', re.DOTALL)
_CONTINUED = re.compile(r"\\[ \t]*\r?\n")
_SIMPLE = re.compile(r'\s*(\w+)\s*:\s*("[^"]*"|[^":;{}\n]*[^":;{}\s])\s*', re.DOTALL)
_COMPLEX = re.compile(r'\s*([\w.]+)\s*\(((?:"[^"]*+"|[^"()]++)*+)\)\s*', re.DOTALL)
_NAME = re.compile(r"\s*(\w+)")
_ARGUMENT = re.compile(r'"([^"]*)"|([^\s,"]+)')
_RELATED_PIN = re.compile(r"\brelated_pin\s*:[^;]*")
_LETTERS_TO_SHOW = 60
_DEEPEST = 50
"""Groups within each other; real libraries have six."""


@dataclass(eq=False)
class Source:
    """The text of one file, its name, and what was mended in it.

    Parameters
    ----------
    name
        What messages call it.
    text
        All of it.
    """

    name: str
    text: str
    warnings: dict[str, None] = field(default_factory=dict)
    """In the order in which they were found, each once."""
    unended: set[int] = field(default_factory=set)
    """Where the statements begin that a group's closing brace ends, and no semicolon."""

    @cached_property
    def _line_ends(self) -> list[int]:
        return [match.start() for match in re.finditer("\n", self.text)]

    def line(self, offset: int) -> int:
        """Return the number of the line that holds a character."""
        return bisect_left(self._line_ends, offset) + 1

    def error(self, offset: int, cause: str, way_out: str) -> LibertyError:
        """Return an error that names the line of a character."""
        return LibertyError(f"{self.name}, line {self.line(offset)}: {cause}", way_out)

    def warn(self, offset: int, what: str) -> None:
        """Keep a warning that names the line of a character."""
        self.warnings[f"{self.name}, line {self.line(offset)}: {what}"] = None


@dataclass(eq=False)
class Group:
    """``kind (names) { ... }``.

    Parameters
    ----------
    source
        The file.
    kind
        ``library``, ``cell``, ``pin``, ``timing``, ...
    names
        What stands in its parentheses.
    start, end
        The characters of the file from its head to behind its brace.
    groups
        The groups in it, in order.
    """

    source: Source
    kind: str
    names: tuple[str, ...]
    start: int
    end: int = 0
    groups: list[Group] = field(default_factory=list)
    raw: list[tuple[str, int]] = field(default_factory=list)
    """The statements in it and where they begin, as they stand in the file."""
    _parsed: list[tuple[str, tuple[str, ...], int]] | None = None

    @property
    def name(self) -> str:
        """The first of its names; empty if it has none."""
        return self.names[0] if self.names else ""

    def attributes(self) -> list[tuple[str, tuple[str, ...], int]]:
        """Return its attributes in order: name, arguments, where in the file each begins.

        A simple one, ``name : value``, has one argument.

        Raises
        ------
        LibertyError
            If something in it is no statement.
        """
        if self._parsed is None:
            self._parsed = [
                (statement.name, statement.arguments, statement.offset)
                for text, offset in self.raw
                for statement in _statements(self.source, text, offset)
            ]
        return self._parsed

    def get(self, name: str) -> tuple[str, ...] | None:
        """Return the arguments of an attribute, the last one if it is repeated; None if absent."""
        found = None
        for other, arguments, _ in self.attributes():
            if other == name:
                found = arguments
        return found

    def text(self, name: str, default: str = "") -> str:
        """Return the value of a simple attribute."""
        found = self.get(name)
        return found[0].strip() if found else default

    def number(self, name: str, default: float | None = None) -> float:
        """Return the value of a numeric attribute.

        Raises
        ------
        LibertyError
            If it is no number, or absent and there is no default.
        """
        text = self.text(name)
        if not text and default is not None:
            return default
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            what = f"'{name}' of {self} is '{text}'" if text else f"{self} has no '{name}'"
            raise self.error(what, "a number belongs there", name)
        return number

    def of(self, *kinds: str) -> Iterator[Group]:
        """Yield the groups of some kinds, in order."""
        return (group for group in self.groups if group.kind in kinds)

    def written(self, skip: Container[str] = ()) -> str:
        """Return the group as Liberty text with every semicolon in its place.

        An arc from several pins is written once for each pin: abc crashes on such arcs.

        Parameters
        ----------
        skip
            Kinds of groups, and names of attributes, to leave out.
        """
        parts: list[tuple[int, str]] = []
        for text, offset in self.raw:
            if "\n" in text.strip() or "/" in text or offset in self.source.unended:
                for one in _statements(self.source, text, offset):
                    if one.name not in skip:
                        parts.append((one.offset, f"{one.text};"))
            elif (name := _NAME.match(text)) and name[1] not in skip:
                parts.append((offset, f"{text.strip()};"))
        for group in self.groups:
            if group.kind not in skip:
                place = group.start if group.source is self.source else len(self.source.text)
                parts.append((place, group.written(skip)))
        parts.sort(key=lambda part: part[0])
        head = f"{self.kind} ({', '.join(_quoted(name) for name in self.names)}) {{"
        text = "\n".join([head, *(text for _, text in parts), "}"])
        pins = self.text("related_pin").split() if self.kind == "timing" else []
        if len(pins) < 2:
            return text
        before, after = _RELATED_PIN.split(text, maxsplit=1)
        return "\n".join(f'{before}related_pin : "{pin}"{after}' for pin in pins)

    def error(self, cause: str, way_out: str, attribute: str = "") -> LibertyError:
        """Return an error that names the line of an attribute; without it, of the group."""
        place = self.start
        for name, _, offset in self.attributes() if attribute else ():
            if name == attribute:
                place = offset
        return self.source.error(place, cause, way_out)

    def __str__(self) -> str:
        return f"{self.kind} ({', '.join(self.names)})"


def parse(source: Source) -> Group:
    """Split the text of a file into groups.

    Returns
    -------
    Group
        The ``library`` group.

    Raises
    ------
    LibertyError
        If brackets or quotes do not match, or it does not hold one library.
    """
    root = Group(source, "file", (), 0)
    stack = [root]
    for match in _STATEMENT.finditer(source.text):
        text, mark = match[1], match[2]
        if mark == ";":
            stack[-1].raw.append((text, match.start()))
        elif mark == "{":
            stack.append(_open(source, stack, text, match.start()))
        elif mark == "}":
            if len(stack) == 1:
                raise source.error(match.end() - 1, "'}' closes nothing", "remove it")
            group = stack.pop()
            group.end = match.end()
            if not text.isspace() and text:
                group.raw.append((text, match.start()))
                source.unended.add(match.start())
        elif mark == '"':
            raise source.error(match.end() - 1, "a string is not closed", 'add the missing "')
        else:
            break
    if len(stack) > 1:
        raise stack[-1].error(f"{stack[-1]} is not closed", "add the missing '}'")
    for text, offset in [*root.raw, (match[1], match.start())]:
        if not _blank(text):
            raise source.error(offset, "text outside the library", "remove it")
    libraries = list(root.of("library"))
    if len(libraries) != 1:
        raise LibertyError(
            f"{source.name} holds {len(libraries)} groups 'library (...) {{ ... }}'",
            "give a Liberty file; it holds one",
        )
    return libraries[0]


def _open(source: Source, stack: list[Group], text: str, offset: int) -> Group:
    """Begin a group; statements before its head that lack their semicolon go to its parent."""
    parent = stack[-1]
    statements = list(_statements(source, text, offset, head=True))
    if not statements:
        raise source.error(offset, "'{' follows no group's name", "name the group: kind (name) {")
    head = statements[-1]
    if len(statements) > 1:
        parent.raw.append((text[: head.offset - offset], offset))
    group = Group(source, head.name, head.arguments, head.offset)
    if len(stack) > _DEEPEST:
        raise group.error(f"{group} is nested too deep", "close the groups before it")
    parent.groups.append(group)
    return group


class _Statement(NamedTuple):
    name: str
    arguments: tuple[str, ...]
    offset: int
    text: str
    """Without its semicolon, on one line."""


def _statements(source: Source, text: str, offset: int, *, head: bool = False) -> list[_Statement]:
    """Return what stands between two of ``; { }``: one statement, unless semicolons are missing.

    Parameters
    ----------
    head
        Whether the last one is the head of a group.
    """
    plain = _CONTINUED.sub(_spaces, _COMMENT.sub(_without_comment, text)).rstrip()
    statements = []
    position = 0
    while position < len(plain):
        start = position + len(plain[position:]) - len(plain[position:].lstrip())
        found = _SIMPLE.match(plain, position) or _COMPLEX.match(plain, position)
        last = found is not None and found.end() == len(plain)
        if found is None or (
            (head and found.re is _SIMPLE)
            if last
            else "\n" not in found[0][len(found[0].rstrip()) :]
        ):
            raise _no_statement(source, plain, offset + start)
        if not last or offset in source.unended:
            source.warn(offset + start, f"no semicolon behind '{_shown(found[0])}'")
        if found.re is _SIMPLE:
            arguments: tuple[str, ...] = (found[2].strip('"'),)
        else:
            arguments = tuple(a or b for a, b in _ARGUMENT.findall(found[2]))
        one_line = " ".join(found[0].split())
        statements.append(_Statement(found[1], arguments, offset + start, one_line))
        position = found.end()
    return statements


def _no_statement(source: Source, text: str, offset: int) -> LibertyError:
    return source.error(
        offset,
        f"'{_shown(text.strip())}' is no statement",
        "end each statement with a semicolon and close its quotes and parentheses",
    )


def _shown(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _LETTERS_TO_SHOW else text[:_LETTERS_TO_SHOW] + "..."


def _quoted(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z_]\w*", name) else f'"{name}"'


def _blank(text: str) -> bool:
    return not _COMMENT.sub(_without_comment, text).strip()


def _without_comment(match: re.Match[str]) -> str:
    """Blank a comment out, keep its line ends and a string."""
    return match[1] or re.sub(r"[^\n]", " ", match[0])


def _spaces(match: re.Match[str]) -> str:
    return " " * len(match[0])
