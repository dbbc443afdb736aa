"""The small library of `tiny`, and published ones."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from tests.eda.tiny import TINY

from bitwright.eda.liberty import Library, read_liberty

OSU = Path("/usr/share/qflow/tech/osu018/osu018_stdcells.lib")


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Library:
    path = tmp_path_factory.mktemp("liberty") / "tiny.lib"
    path.write_text(TINY)
    return read_liberty(path)


@pytest.fixture
def asap7(shared: Path) -> Library:
    return _read(shared / "liberty" / "asap7")


@pytest.fixture
def ihp(shared: Path) -> Library:
    return _read(shared / "liberty" / "ihp-sg13g2")


@pytest.fixture
def osu() -> Library:
    if not OSU.is_file():
        pytest.skip(f"no {OSU}: apt install qflow-tech-osu018")
    return _read(OSU)


@cache
def _read(path: Path) -> Library:
    return read_liberty(path)
