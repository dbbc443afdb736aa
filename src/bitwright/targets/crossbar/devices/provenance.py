"""Where a number comes from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Provenance = Literal["published", "derived", "assumed"]


@dataclass(frozen=True)
class Parameter:
    """A number, its unit, and where it comes from.

    Parameters
    ----------
    value, unit
        In SI units without prefixes.
    provenance
        ``published`` in the source; ``derived`` from published numbers as the source says; or
        ``assumed``, with the reason.
    source
        The document, or the reason.
    """

    value: float
    unit: str
    provenance: Provenance
    source: str
