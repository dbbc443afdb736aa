"""Where the numbers come from: the command, the digests in full, the files, the versions."""

from __future__ import annotations

from collections.abc import Sequence

from bitwright.flow import Evaluation
from bitwright.report.html import Column, Html, join, table, tag
from bitwright.report.outcomes import model, programs


def render(evaluations: Sequence[Evaluation], command: str | None = None) -> Html:
    """Return what it takes to get the same numbers again."""
    again = (tag("h3", "Command"), tag("pre", tag("code", command))) if command is not None else ()
    return join((*again, _digests(evaluations), _versions(evaluations)))


def _digests(evaluations: Sequence[Evaluation]) -> Html:
    data = {e.record.data.digest: e for e in evaluations}
    rows = [
        *(
            [f"Program {model(e)}", tag("code", e.record.program, class_="hash")]
            for e in programs(evaluations)
        ),
        *(
            [
                f"Data {e.record.data.name}, {e.record.data.split}, {e.record.data.count:,} images",
                tag("code", digest, class_="hash"),
            ]
            for digest, e in data.items()
        ),
    ]
    return table(
        "SHA-256 of all that decides an output, and of pixels and labels",
        [Column("What"), Column("Digest")],
        rows,
        name="Digests",
    )


def _versions(evaluations: Sequence[Evaluation]) -> Html:
    rows = dict.fromkeys(item for e in evaluations for item in e.record.versions.items())
    return table(
        "Versions of what the numbers depend on",
        [Column("Software"), Column("Version")],
        list(rows),
        name="Versions",
    )
