"""docs/ir.md says what the code does: version, ops, fields, defaults, tensor types and limits."""

from __future__ import annotations

import re
from dataclasses import MISSING, fields
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from bitwright.ir import FORMAT_VERSION, MAX_INT, OPS, codec, limits, ops, rules, types

DOCUMENT = (Path(__file__).parents[2] / "docs" / "ir.md").read_text()


def section(title: str, level: int = 2) -> str:
    """Return the text under a heading, up to the next one of its level or above."""
    found = re.search(rf"^#{{{level}}} {re.escape(title)}\n(.*?)(?=^#{{1,{level}}} |\Z)", DOCUMENT,
                      re.MULTILINE | re.DOTALL)  # fmt: skip
    assert found, f"docs/ir.md has no section '{title}'"
    return found[1]


def table(text: str) -> list[list[str]]:
    """Return the body cells of the first table in a text."""
    rows = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[2:]]


def number(text: str) -> int:
    found = re.fullmatch(r"(\d+)(?:\^(\d+)(?: - (\d+))?)?", text)
    assert found, text
    return int(found[1]) ** int(found[2] or 1) - int(found[3] or 0)


def test_version() -> None:
    assert re.search(r"Format version: \*\*(\d+)\*\*", DOCUMENT)[1] == str(FORMAT_VERSION)


def test_every_op_has_a_section_in_the_code_s_order() -> None:
    assert re.findall(r"^### `(\w+)`$", section("Ops"), re.MULTILINE) == list(OPS)


@pytest.mark.parametrize("kind", OPS)
def test_fields(kind: str) -> None:
    cls = OPS[kind]
    rows = {row[0].strip("`"): row for row in table(section(f"`{kind}`", 3))}
    own = {field.name: field for field in fields(cls) if field.name != "output"}
    assert set(rows) == set(own)
    for name, (_, what, kinds, default) in rows.items():
        if name == "inputs":
            assert what == f"{cls.arity} value{'s' if cls.arity > 1 else ''}"
        elif name in cls.constants:
            assert what == "tensor"
            listed = re.findall(r"\b(bool|int\d+)\b", kinds)
            assert listed == [np.dtype(dtype).name for dtype in rules.DTYPES[name]]
        else:
            assert what == "attribute"
        expected = own[name].default
        assert default == ("" if expected is MISSING else f"`{expected!r}`".replace("'", '"'))


def test_limits() -> None:
    documented = {row[0].strip("`"): number(row[1]) for row in table(section("Limits"))}
    code = {
        name: value
        for module in (types, limits, codec)
        for name, value in vars(module).items()
        if name.startswith("MAX_")
    }
    assert documented == code
    assert documented["MAX_INT"] == MAX_INT


def test_ranges_in_the_op_tables_are_the_limits() -> None:
    ranges = set(re.findall(r"integers?,? (?:each )?([\d^.]+\.\.[\d^]+)", section("Ops")))
    expected = {f"1..{limits.MAX_KERNEL}", f"0..{limits.MAX_SHIFT}", "0..2^20"}
    assert ranges == expected
    assert limits.MAX_CHANNEL_PADDING == 2**20


def test_roundings() -> None:
    rows = table(section("Rounding"))
    assert tuple(row[0].strip("`") for row in rows) == get_args(ops.Rounding)
    for rounding, _, *results in rows:
        for doubled, result in zip((7, 5, -5, -7), results, strict=True):
            assert rules.divide(doubled, 1, rounding.strip("`")) == int(result)


def test_keys_of_a_file() -> None:
    documented = {row[0].strip("`") for row in table(section("Files"))}
    own = {"version", "input", "ops", "outputs"}
    assert documented == own | {"name", "classes", "metadata", "bits"}
