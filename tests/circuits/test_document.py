"""The examples of docs/circuits.md do what they show, and its table of families is complete."""

from __future__ import annotations

import doctest
import re
from dataclasses import fields
from pathlib import Path

from bitwright.circuits import FAMILIES

DOCUMENT = Path(__file__).parents[2] / "docs" / "circuits.md"


def test_the_examples():
    text = re.sub(r"^```.*$", "", DOCUMENT.read_text(), flags=re.MULTILINE)
    examples = doctest.DocTestParser().get_doctest(text, {}, DOCUMENT.name, None, None)
    assert len(examples.examples) > 10
    lines: list[str] = []
    failed = doctest.DocTestRunner(verbose=False).run(examples, out=lines.append).failed
    assert not failed, "".join(lines)


def test_every_family_and_setting_is_described():
    text = DOCUMENT.read_text()
    for family, kind in FAMILIES.items():
        assert f"| `{family}` |" in text
        for field in fields(kind):
            assert f"`{field.name}`" in text
