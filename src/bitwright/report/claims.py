"""The page of a reproduction: published claims beside what came out."""

from __future__ import annotations

from bitwright.report.document import Part, document
from bitwright.report.html import Column, Html, join, table, tag
from bitwright.report.numbers import exact, method, short
from bitwright.reproduce.claims import Claim, Reproduction

_DASH = "\N{EN DASH}"
_HOLDS = {True: "yes", False: "no", None: _DASH}


def render(found: Reproduction, command: str) -> str:
    """Return the page; it loads nothing, and the same reproduction gives the same bytes.

    Parameters
    ----------
    command
        What makes the page again.
    """
    published = [claim for claim in found.claims if _is_claimed(claim)]
    others = [claim for claim in found.claims if not _is_claimed(claim)]
    data = found.data
    images = (f"Data {data.name}, {data.split}, {data.count:,} images, ", short(data.digest))
    length = "The short version: fewer images, smaller circuits." if found.quick else ""
    return document(
        "reproduction",
        f"What is claimed of '{found.family}', and what came out",
        [found.about, join(images), *([length] if length else [])],
        [
            Part("claims", "Claims", _published(published)),
            Part("numbers", "Other numbers", _ours(others)),
            Part("origin", "Origin", _origin(found, command)),
        ],
        version=found.versions.get("bitwright", ""),
        drawn=False,
    )


def _is_claimed(claim: Claim) -> bool:
    return claim.published is not None or claim.holds is not None


def _published(claims: list[Claim]) -> Html:
    heads = [Column("Claim"), Column("Published", number=True), *_NUMBER, Column("Holds")]
    rows = [
        (
            claim.claim,
            _DASH if claim.published is None else exact(claim.published),
            *_number(claim),
            _HOLDS[claim.holds],
        )
        for claim in claims
    ]
    caption = "Published, and ours"
    return table(caption, heads, rows, name=caption)


def _ours(claims: list[Claim]) -> Html:
    caption = "Ours alone"
    rows = [(claim.claim, *_number(claim)) for claim in claims]
    return table(caption, [Column("Number"), *_NUMBER], rows, name=caption)


_NUMBER = (Column("Ours", number=True), Column("Unit"), Column("Method"), Column("How"))


def _number(claim: Claim) -> tuple[object, ...]:
    """Return the cells of a measurement, as `_NUMBER` heads them."""
    ours = claim.ours
    return exact(ours.value), ours.unit, method(ours.method), ours.source or _DASH


def _origin(found: Reproduction, command: str) -> Html:
    versions = ", ".join(f"{name} {version}" for name, version in sorted(found.versions.items()))
    return join(
        (
            tag("p", f"Took {found.seconds:.0f} seconds."),
            tag("p", f"Versions: {versions}."),
            tag("p", "Command: ", tag("code", command)),
        )
    )
