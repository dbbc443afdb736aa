"""docs/explore.md: its example works from top to bottom and prints what it quotes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.docs import test_tutorial as tutorial

from bitwright import circuits
from bitwright.eda.circuit_costs import count_gates

DOCUMENT = Path(__file__).parents[2] / "docs" / "explore.md"
TEXT = DOCUMENT.read_text(encoding="utf-8")

run = tutorial.run


def blocks() -> list[tutorial.Block]:
    fences = re.finditer(r"^```(\w+)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    return [tutorial.Block(f[1], f[2], TEXT.count("\n", 0, f.start()) + 2) for f in fences]


def test_the_example_works(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for block in blocks():
        if block.language == "python":
            (tmp_path / block.content.split()[1]).write_text(block.content, encoding="utf-8")
            continue
        for command, quoted in tutorial.commands(block):
            tutorial.check(block, quoted, run(command))
    assert 'circuits]\n"fc2" = "maj:L=2"' in (tmp_path / "point.toml").read_text()
    assert "Errors of the popcounts" in (tmp_path / "point.html").read_text()


def test_the_options_are_there(run):
    said = set(re.findall(r"`(--[\w-]+)", TEXT))
    printed = run(["bitwright", "explore", "--help"])
    assert not [option for option in said if option not in printed]


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)#]+)\)", TEXT):
        assert DOCUMENT.with_name(target).is_file(), target


def test_the_count_of_gates_is_near_what_it_says():
    exact, majority = (count_gates(circuits.make(spec, 576)).area for spec in ("exact", "maj"))
    assert majority.value / exact.value == pytest.approx(0.47, abs=0.005)
