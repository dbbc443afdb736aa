"""The page in a browser: its charts are drawn, nothing is wrong in the console, nothing loaded."""

import numpy as np
import pytest
from PIL import Image
from tests.report.browser import charts, chromium, opened, width_on_a_phone

from bitwright.report import write_report


@pytest.mark.tool("chromium")
@pytest.mark.parametrize("name", ["grey", "colour"])
def test_the_charts_are_drawn(name, request, tmp_path):
    path = tmp_path / "report.html"
    write_report([request.getfixturevalue(name)], path, command="bitwright eval")
    page = opened(path)
    plots = charts(page)
    assert len(plots) == 3
    wanted = (("image", 1), ("point", 10), ("point", 3))
    for (_, within), drawn in zip(plots, wanted, strict=True):
        assert [e for e in within if e.tag == "svg" and e.attributes.get("class") == "main-svg"]
        names = [e.attributes.get("class") if e.tag == "g" else e.tag for e in within]
        assert names.count(drawn[0]) == drawn[1]
    assert '<script>alert("x")' in plots[0][0].text, "Plotly shows a name as it is"


@pytest.mark.tool("chromium")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_follows_the_readers_colours(scheme, grey, tmp_path):
    path, picture = tmp_path / "report.html", tmp_path / "report.png"
    write_report([grey], path)
    dark = ["--force-dark-mode"] if scheme == "dark" else []
    chromium(tmp_path, "--window-size=1000,3000", f"--screenshot={picture}", *dark, path.as_uri())
    pixels = np.asarray(Image.open(picture).convert("L"))
    assert pixels.shape == (3000, 1000)
    assert (np.median(pixels) < 60) == (scheme == "dark")
    assert pixels.std() > 10, "the page is empty"


@pytest.mark.tool("chromium")
def test_a_phone_need_not_scroll_sideways(grey, tmp_path):
    write_report([grey], tmp_path / "report.html")
    assert width_on_a_phone(tmp_path / "report.html") == 380
