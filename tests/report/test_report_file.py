"""The file: whole or not at all."""

import pytest

from bitwright.errors import ConfigError
from bitwright.report import render, write_report


def test_the_file_is_the_page(grey, tmp_path):
    path = tmp_path / "report.html"
    write_report([grey], path, command="bitwright eval x")
    assert path.read_text(encoding="utf-8") == render([grey], command="bitwright eval x")
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


def test_an_old_page_outlives_a_failure(grey, tmp_path, monkeypatch):
    path = tmp_path / "report.html"
    path.write_text("old")

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(ConfigError, match="No space left"):
        write_report([grey], path)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


def test_a_place_that_cannot_be_written(grey, tmp_path):
    with pytest.raises(ConfigError, match="cannot write"):
        write_report([grey], tmp_path / "missing" / "report.html")
    (tmp_path / "folder").mkdir()
    with pytest.raises(ConfigError, match="cannot write"):
        write_report([grey], tmp_path / "folder")
    assert [p.name for p in tmp_path.iterdir()] == ["folder"]


def test_nothing_to_report(tmp_path):
    with pytest.raises(ConfigError, match="nothing to report"):
        write_report([], tmp_path / "report.html")
    assert not list(tmp_path.iterdir())
