"""Numbers as a reader sees them; the exact value is in the page beside each."""

from __future__ import annotations

import math

from bitwright.records import Measurement, wilson
from bitwright.report.html import Html, tag


def plain(value: float) -> str:
    """Return a number to read: whole numbers in full, others with four significant digits."""
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, int):
        return f"{value:,}"
    if not math.isfinite(value):
        return str(value)
    if value == 0:
        return "0"
    magnitude = math.floor(math.log10(abs(value)))
    if not -4 <= magnitude < 12:
        return f"{value:.3e}"
    return f"{value:,.{max(0, 3 - magnitude)}f}"


def exact(value: float) -> Html:
    """Return a number to read, with the value itself for machines and in the tooltip."""
    shown = plain(value)
    same = shown.replace(",", "") == repr(value)
    return tag("data", shown, value=repr(value), title=None if same else repr(value))


def percent(share: float | None, digits: int = 1) -> str:
    """Return a share in percent; None, of nothing, is a dash."""
    return "\N{EN DASH}" if share is None else f"{100 * share:.{digits}f}\N{NO-BREAK SPACE}%"


def interval(correct: int, total: int) -> str:
    """Return the 95 % interval of a share, in percent."""
    low, high = wilson(correct, total)
    return f"{100 * low:.1f}\N{EN DASH}{100 * high:.1f}\N{NO-BREAK SPACE}%"


def badge(measurement: Measurement) -> Html:
    """Return how a number was got; no number is shown without it."""
    return method(measurement.method)


def method(name: str) -> Html:
    """Return the name of a method, set apart."""
    return tag("span", name, class_=f"badge {name}")


def short(digest: str) -> Html:
    """Return the beginning of a digest with all of it in the tooltip."""
    return tag("code", digest[:12], title=digest, class_="digest")
