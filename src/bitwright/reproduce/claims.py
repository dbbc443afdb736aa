"""What a reproduction finds: a row for each claim, beside what was published."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bitwright.records import DataInfo, Measurement

Progress = Callable[[str, int, int], None]
"""Called with (what is being done, how much of it is done, of how much)."""


@dataclass(frozen=True)
class Claim:
    """A claim, or a number that claims are worked out from.

    Parameters
    ----------
    claim
        What is claimed, in words.
    ours
        What came out here; its method and source say how.
    published
        The published value, in the unit of `ours`; None for numbers that only serve others.
    holds
        Whether `ours` is at least as good, or as good as the claim says where nothing was
        published; None if it is only told.
    """

    claim: str
    ours: Measurement
    published: float | None = None
    holds: bool | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the row as JSON-ready data."""
        return {
            "claim": self.claim,
            "published": self.published,
            "ours": self.ours.value,
            "unit": self.ours.unit,
            "method": self.ours.method,
            "source": self.ours.source,
            "holds": self.holds,
        }


@dataclass(frozen=True)
class Reproduction:
    """All rows of a family, and what they were found on.

    Parameters
    ----------
    family
        Its name.
    about
        The publication, and what is different here.
    claims
        The rows.
    data
        The images.
    quick
        Whether it is the short version: fewer images, smaller circuits.
    seconds
        How long it took.
    versions
        Of the tools and packages.
    """

    family: str
    about: str
    claims: tuple[Claim, ...]
    data: DataInfo
    quick: bool
    seconds: float
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        """Whether all claims do."""
        return all(claim.holds is not False for claim in self.claims)

    def to_json(self) -> dict[str, Any]:
        """Return all of it as JSON-ready data."""
        return {
            "family": self.family,
            "about": self.about,
            "quick": self.quick,
            "holds": self.holds,
            "claims": [claim.to_json() for claim in self.claims],
            "data": self.data.to_json(),
            "seconds": self.seconds,
            "versions": dict(self.versions),
        }
