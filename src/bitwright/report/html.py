"""Building HTML from untrusted text: what is not `Html` is escaped, so nothing is forgotten.

Names of models, classes, ops and settings come from files that others made. `tag` and `join` are
the only ways to make `Html` from text; `Html(...)` itself is for the constants of this package.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

VOID = frozenset({"img", "meta", "col"})
"""Elements without content and without an end tag."""


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


def text(value: object) -> Html:
    """Return HTML as it is, and anything else as escaped text."""
    return value if isinstance(value, Html) else Html(html.escape(str(value)))


def join(parts: Iterable[object], between: str = "") -> Html:
    """Return the parts one after another."""
    return Html(html.escape(between).join(text(part) for part in parts))


def tag(name: str, /, *children: object, **attributes: object) -> Html:
    """Return an element.

    Parameters
    ----------
    name
        Its name.
    children
        `Html` as it is, anything else as text.
    attributes
        ``class_`` is ``class`` and ``data_value`` is ``data-value``. None leaves an attribute
        out, True gives it no value.
    """
    written = "".join(
        f" {key.rstrip('_').replace('_', '-')}"
        + ("" if value is True else f'="{html.escape(str(value))}"')
        for key, value in attributes.items()
        if value is not None
    )
    if name in VOID:
        return Html(f"<{name}{written}>")
    return Html(f"<{name}{written}>{join(children)}</{name}>")


@dataclass(frozen=True)
class Column:
    """The head of a table's column; numbers stand to the right."""

    title: str
    number: bool = False


def table(
    caption: object,
    columns: Sequence[Column],
    rows: Iterable[Sequence[object]],
    foot: Sequence[object] | None = None,
    *,
    name: str,
) -> Html:
    """Return a table that scrolls sideways where it is too wide; a row's first cell is its head.

    Parameters
    ----------
    caption
        What it shows, above the table.
    columns
        The heads.
    rows, foot
        As many cells each as there are columns.
    name
        What assistive technology calls the scrolling area.
    """
    kinds = ["number" if column.number else None for column in columns]

    def line(cells: Sequence[object]) -> Html:
        first, *rest = cells
        return tag(
            "tr",
            tag("th", first, scope="row"),
            *(tag("td", c, class_=k) for c, k in zip(rest, kinds[1:], strict=True)),
        )

    heads = (tag("th", c.title, scope="col", class_=k) for c, k in zip(columns, kinds, strict=True))
    written = tag(
        "table",
        tag("caption", tag("span", caption)),
        tag("thead", tag("tr", *heads)),
        tag("tbody", *(line(row) for row in rows)),
        tag("tfoot", line(foot)) if foot is not None else "",
    )
    return tag("div", written, class_="scroll", tabindex="0", role="region", aria_label=name)


def details(summary: str, *children: object) -> Html:
    """Return something that a reader can unfold."""
    return tag("details", tag("summary", summary), *children)
