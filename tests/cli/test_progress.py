"""Bars on a terminal: each step of a command under a name of its own."""

import io

import pytest
from rich.console import Console

from bitwright.cli import common


@pytest.fixture
def screen(monkeypatch):
    shown = Console(file=io.StringIO(), force_terminal=True, width=100)
    monkeypatch.setattr(common, "Console", lambda **_: shown)
    return shown.file


def test_steps_are_told_apart(screen):
    with common.steps("evaluating on reuse") as update:
        update("planning", 1, 2)
        update("planning", 2, 2)
        update("images", 0, 500)
    planning, images = screen.getvalue().split("evaluating on reuse: images", 1)
    assert "evaluating on reuse: planning" in planning
    assert "0/2" in planning
    assert "0/500" in images


def test_files_and_pipes_get_no_bar(screen, monkeypatch):
    silent = Console(file=screen, force_terminal=False)
    monkeypatch.setattr(common, "Console", lambda **_: silent)
    with common.steps("proving") as update:
        update("images", 1, 2)
    assert screen.getvalue() == ""
