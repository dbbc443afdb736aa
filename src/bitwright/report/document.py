"""The shell of every page: head, heading, list of sections, style and scripts.

The page loads nothing: script, style, charts and images are within, and a content security policy
forbids the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bitwright.report import charts
from bitwright.report.html import Html, tag
from bitwright.report.script import SCRIPT
from bitwright.report.style import STYLE

POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:"
"""What the browser may use: what stands in the page."""


@dataclass(frozen=True)
class Part:
    """A section of a page: its address within the page, its heading, and what it shows."""

    anchor: str
    title: str
    content: Html


def document(
    kind: str,
    title: str,
    about: Sequence[Html | str],
    parts: Sequence[Part],
    *,
    version: str,
    lead: Html | None = None,
    drawn: bool = True,
) -> str:
    """Return a page.

    Parameters
    ----------
    kind
        What Bitwright made: "evaluation".
    title
        The heading.
    about
        Lines under it.
    parts
        The sections, which the heading lists.
    version
        Of Bitwright, for the foot.
    lead
        What comes before the sections.
    drawn
        Whether it has charts, which take a library of some megabytes.
    """
    body = tag(
        "body",
        tag(
            "header",
            tag(
                "div",
                tag("p", f"Bitwright {kind}", class_="brand"),
                tag("h1", title),
                *(tag("p", line, class_="about") for line in about),
                tag(
                    "nav",
                    *(tag("a", part.title, href=f"#{part.anchor}") for part in parts),
                    aria_label="Sections",
                ),
            ),
        ),
        tag("main", lead if lead is not None else "", *(_section(part) for part in parts)),
        tag("footer", f"Bitwright {version}"),
        *((charts.plotly_js(), tag("script", SCRIPT)) if drawn else ()),
    )
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", f"{title} - Bitwright"),
        tag("style", STYLE),
    )
    return f"<!DOCTYPE html>\n{tag('html', head, body, lang='en')}\n"


def _section(part: Part) -> Html:
    heading = tag("h2", part.title, id=f"{part.anchor}-title")
    return tag(
        "section", heading, part.content, id=part.anchor, aria_labelledby=f"{part.anchor}-title"
    )
