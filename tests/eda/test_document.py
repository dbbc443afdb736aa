"""The example of docs/eda.md runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

DOCUMENT = Path(__file__).parents[2] / "docs" / "eda.md"


@pytest.mark.tool("yosys")
def test_the_example_runs(osu, capsys):
    (code,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    exec(compile(code, str(DOCUMENT), "exec"), {})  # noqa: S102 - our own document
    area, delay, joules = capsys.readouterr().out.splitlines()
    assert float(area.split()[0]) < 64 * osu.cells["FAX1"].area
    assert delay.startswith("Delay(delay_s=")
    assert 0 < float(joules) < 1e-9
