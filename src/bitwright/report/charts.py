"""Charts: a Plotly figure as data in the page, drawn there by ``script.py``.

A figure names the colours of the page's style sheet (``--binary``) where Plotly wants a colour, so
that it follows the reader's light or dark setting. Plotly reads a subset of HTML in all of its
texts: what is not ours goes through `label`.
"""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from typing import Any

from plotly.offline import get_plotlyjs

from bitwright.report.html import Html, tag
from bitwright.report.outcomes import clip

LABEL = 22
"""Characters of a name on an axis; the whole name shows when the pointer is over it."""


def label(name: str, length: int | None = None) -> str:
    """Return a text that Plotly shows as it is; it does not know the entities of quotes."""
    return html.escape(name if length is None else clip(name, length), quote=False)


def embed(data: Any) -> Html:
    """Return data as JSON in a script element that no text within can end."""
    written = json.dumps(data, separators=(",", ":"), allow_nan=False)
    for sign in "<>&":
        written = written.replace(sign, f"\\u{ord(sign):04x}")
    return tag("script", Html(written), type="application/json")


def chart(
    traces: Sequence[Mapping[str, Any]],
    layout: Mapping[str, Any],
    *,
    alt: str,
    caption: object,
    height: int,
) -> Html:
    """Return a figure; `alt` tells in words what the picture shows, `height` is in pixels."""
    return tag(
        "figure",
        tag("div", class_="plot", role="img", aria_label=alt, style=f"height:{height}px"),
        embed({"data": list(traces), "layout": dict(layout)}),
        tag("figcaption", caption),
    )


def plotly_js() -> Html:
    """Return the Plotly library as a script element."""
    return tag("script", Html(get_plotlyjs().replace("</script", "<\\/script")))
