"""The page about evaluations: one section after another.

Requirements:

- The same evaluations give the same bytes: no date, no random name.
- A new section is a function in ``sections`` and a line in `SECTIONS`. One that has nothing to say
  about the evaluations at hand returns no text and is left out.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bitwright.certificate import Certificate
from bitwright.errors import ConfigError
from bitwright.files import write_atomically
from bitwright.flow import Evaluation
from bitwright.report.document import Part, document
from bitwright.report.html import Html, join, tag
from bitwright.report.numbers import short
from bitwright.report.outcomes import model, programs
from bitwright.report.sections import (
    accuracy,
    circuit_costs,
    circuit_errors,
    crossbar,
    measurements,
    origin,
    overview,
    reuse,
    samples,
    work,
)
from bitwright.report.sections import certificate as certified


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Parameters
    ----------
    anchor
        Its address within the page.
    title
        Its heading, also in the list at the top.
    render
        Evaluations to HTML; no text if there is nothing to show.
    """

    anchor: str
    title: str
    render: Callable[[Sequence[Evaluation]], Html]


SECTIONS: tuple[Section, ...] = (
    Section("measurements", "Measurements", measurements.render),
    Section("accuracy", "Accuracy", accuracy.render),
    Section("circuit-errors", "Errors of the popcounts", circuit_errors.render),
    Section("circuit-costs", "Popcounts beside exact ones", circuit_costs.render),
    Section("crossbar", "Crossbars", crossbar.render),
    Section("reuse", "Reuse and skipping", reuse.render),
    Section("work", "Work by layer", work.render),
    Section("samples", "Sample images", samples.render),
)
"""What a page shows between its overview and its origin."""


def write_report(
    evaluations: Sequence[Evaluation],
    path: str | os.PathLike[str],
    *,
    command: str | None = None,
    sections: Sequence[Section] = SECTIONS,
    certificate: Certificate | None = None,
) -> None:
    """Write a page about evaluations, whole or not at all.

    Parameters
    ----------
    evaluations
        Usually one; several targets stand side by side.
    path
        The HTML file.
    command
        The command line that does the same again.
    sections
        What to show.
    certificate
        A comparison with the framework's own model, shown in a section of its own.

    Raises
    ------
    ConfigError
        If there are no evaluations, or the file cannot be written.
    """
    page = render(evaluations, command=command, sections=sections, certificate=certificate)
    write_atomically(path, page.encode())


def render(
    evaluations: Sequence[Evaluation],
    *,
    command: str | None = None,
    sections: Sequence[Section] = SECTIONS,
    certificate: Certificate | None = None,
) -> str:
    """Return the page that `write_report` writes.

    Raises
    ------
    ConfigError
        If there are no evaluations.
    """
    if not evaluations:
        raise ConfigError("there is nothing to report", "give at least one evaluation")
    last = [Section("origin", "Origin", lambda e: origin.render(e, command))]
    if certificate is not None:
        found = certificate
        last.insert(0, Section("certificate", "Certificate", lambda _: certified.render(found)))
    every = (*sections, *last)
    rendered = [(section, section.render(evaluations)) for section in every]
    shown = [(section, content) for section, content in rendered if content]
    parts = [Part(section.anchor, section.title, content) for section, content in shown]
    return document(
        "evaluation",
        f"{_networks(evaluations)} on {_data(evaluations)}",
        _about(evaluations),
        parts,
        version=evaluations[0].record.versions.get("bitwright", ""),
        lead=tag("section", overview.render(evaluations), class_="bare", aria_label="Overview"),
    )


def _about(evaluations: Sequence[Evaluation]) -> list[Html]:
    """Return the programs and the images, a line each."""
    data = {e.record.data.digest: e.record.data for e in evaluations}
    several = len(programs(evaluations)) > 1
    return [
        *(
            join((f"Program {model(e)} " if several else "Program ", short(e.record.program)))
            for e in programs(evaluations)
        ),
        *(
            join((f"Data {d.name}, {d.split}, {d.count:,} images, ", short(d.digest)))
            for d in data.values()
        ),
    ]


def _networks(evaluations: Sequence[Evaluation]) -> str:
    return ", ".join(dict.fromkeys(model(e) for e in evaluations))


def _data(evaluations: Sequence[Evaluation]) -> str:
    return ", ".join(dict.fromkeys(e.record.data.name for e in evaluations))
