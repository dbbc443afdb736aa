"""Pages in headless Chromium: what they draw, what they load, how wide they are."""

import shutil
import subprocess

from tests.report.reader import Reader

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


def opened(path):
    """Return a page as the browser leaves it; nothing was loaded, nothing went wrong.

    Parameters
    ----------
    path
        The page's file; what collects errors is added to it.
    """
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace('<meta name="viewport"', COLLECTOR + '<meta name="viewport"', 1))
    page = Reader(chromium(path.parent, "--dump-dom", path.as_uri()).strip())
    (root,) = page.all("html")
    assert root.attributes.get("data-errors") is None
    assert root.attributes["data-loaded"] == ""
    return page


def charts(page):
    """Return the charts of a page, each with all that is within it."""
    plots = [e for e in page.all("div") if "plot" in e.attributes.get("class", "").split()]
    return [(plot, [e for e in page.elements if plot in e.parents]) for plot in plots]


def points(page):
    """Return how many marks each chart of a page draws."""
    return [sum(e.attributes.get("class") == "point" for e in within) for _, within in charts(page)]


def width_on_a_phone(path):
    """Return how wide a page is, in pixels, where there are 380."""
    measure = f"""<iframe src="{path.name}" style="width:380px;height:5000px"></iframe>
    <script>document.querySelector("iframe").addEventListener("load", (e) => {{
      const page = e.target.contentDocument.documentElement;
      document.documentElement.setAttribute("data-width", page.scrollWidth);
    }});</script>"""
    frame = path.with_name("frame.html")
    frame.write_text(f"<!DOCTYPE html><title>frame</title>{measure}")
    options = ("--allow-file-access-from-files", "--dump-dom")
    (root,) = Reader(chromium(path.parent, *options, frame.as_uri()).strip()).all("html")
    return int(root.attributes["data-width"])
