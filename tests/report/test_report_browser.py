"""The page in a browser: its charts are drawn, nothing is wrong in the console, nothing loaded."""

import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image
from tests.report.reader import Reader

from bitwright.report import write_report

# The policy of a real page stays; this only adds the console's errors to the document.
COLLECTOR = """<script>
const note = (text) => document.documentElement.setAttribute("data-errors",
  (document.documentElement.getAttribute("data-errors") ?? "") + text + ";");
addEventListener("error", (e) => note(e.message ?? String(e.target)), true);
addEventListener("unhandledrejection", (e) => note(String(e.reason)));
addEventListener("securitypolicyviolation", (e) => note(e.blockedURI));
addEventListener("load", () => document.documentElement.setAttribute("data-loaded",
  performance.getEntriesByType("resource").map((e) => e.name)
    .filter((n) => !n.startsWith("data:")).join(" ")));
</script>"""


def chromium(folder, *arguments):
    done = subprocess.run(
        [
            shutil.which("chromium"),
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--enable-logging=stderr",
            "--hide-scrollbars",
            "--virtual-time-budget=5000",
            f"--user-data-dir={folder / 'profile'}",
            *arguments,
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "CONSOLE" not in done.stderr, done.stderr
    return done.stdout


@pytest.mark.tool("chromium")
@pytest.mark.parametrize("name", ["grey", "colour"])
def test_the_charts_are_drawn(name, request, tmp_path):
    path = tmp_path / "report.html"
    write_report([request.getfixturevalue(name)], path, command="bitwright eval")
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace('<meta name="viewport"', COLLECTOR + '<meta name="viewport"', 1))
    page = Reader(chromium(tmp_path, "--dump-dom", path.as_uri()).strip())
    (root,) = page.all("html")
    assert root.attributes.get("data-errors") is None
    assert root.attributes["data-loaded"] == ""
    plots = [e for e in page.all("div") if "plot" in e.attributes.get("class", "").split()]
    assert len(plots) == 3
    for plot, drawn in zip(plots, (("image", 1), ("point", 10), ("point", 3)), strict=True):
        within = [e for e in page.elements if plot in e.parents]
        assert [e for e in within if e.tag == "svg" and e.attributes.get("class") == "main-svg"]
        names = [e.attributes.get("class") if e.tag == "g" else e.tag for e in within]
        assert names.count(drawn[0]) == drawn[1]
    assert '<script>alert("x")' in plots[0].text, "Plotly shows a name as it is"


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
    measure = """<iframe src="report.html" style="width:380px;height:5000px"></iframe>
    <script>document.querySelector("iframe").addEventListener("load", (e) => {
      const page = e.target.contentDocument.documentElement;
      document.documentElement.setAttribute("data-width", page.scrollWidth);
    });</script>"""
    (tmp_path / "frame.html").write_text(f"<!DOCTYPE html><title>frame</title>{measure}")
    page = chromium(
        tmp_path,
        "--allow-file-access-from-files",
        "--dump-dom",
        (tmp_path / "frame.html").as_uri(),
    )
    assert 'data-width="380"' in page
