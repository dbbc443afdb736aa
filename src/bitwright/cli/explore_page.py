"""The page of ``bitwright explore``: the front, what it came from, and all numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from bitwright import __version__
from bitwright.cli import explore_charts
from bitwright.cli.explore_table import grouped, shown
from bitwright.explore.layer_choice import Search
from bitwright.explore.layer_designs import units
from bitwright.report.document import Part, document
from bitwright.report.html import Column, Html, join, table, tag
from bitwright.report.numbers import percent, short

_DASH = "\N{EN DASH}"


def render(found: Search, made: Mapping[str, Any], command: str) -> str:
    """Return the page; it loads nothing, and the same search gives the same bytes.

    Parameters
    ----------
    made
        The search as JSON-ready data, with digests and versions.
    """
    model, data = made["model"] or "unnamed network", made["data"]
    about = [
        join(("Program ", short(made["program"]))),
        join(
            (
                f"Data {data['name']}, {data['split']}, {data['count']:,} images, ",
                short(data["digest"]),
            )
        ),
    ]
    parts = [
        Part("front", "Pareto front", join((explore_charts.front(found), _points(found)))),
        Part("sensitivities", "Layers one by one", explore_charts.sensitivities(found)),
        Part("costs", "Costs of the layers", explore_charts.costs(found)),
        Part("origin", "Origin", _origin(found, made, command)),
    ]
    title = f"Popcounts for {model} on {data['name']}"
    return document("search", title, about, parts, version=__version__)


def _points(found: Search) -> Html:
    unit, exact = units(found.layers), found.exact
    any_slower = any(p.slower for p in found.points)
    rows = [
        [
            join((f"{number} ", tag("span", "front", class_="badge") if p.on_front else "")),
            tag("span", grouped(found, p), class_="origin"),
            percent(p.accuracy, 2),
            percent(p.agreeing / p.images, 2),
            f"{100 * p.loss:+.2f}",
            f"{100 * p.predicted_loss:+.2f}",
            *(
                tag(
                    "span",
                    shown(getattr(p, what)),
                    tag("span", percent(getattr(p, what) / getattr(exact, what)), class_="source"),
                )
                for what in ("energy", "area", "delay")
            ),
            *([" ".join(p.slower) or _DASH] if any_slower else []),
        ]
        for number, p in enumerate(found.points)
    ]
    return table(
        f"Evaluated designs, of {found.designs:,} that there are. "
        f"{explore_charts.LOST[found.settings.loss]} Predicted: what the layers' losses add up to, "
        "gains as none.",
        [
            Column("Point"),
            Column("Circuits"),
            Column("Accuracy", number=True),
            Column("As exact", number=True),
            Column("Lost, points", number=True),
            Column("Predicted", number=True),
            Column(f"Energy, {unit['energy']}", number=True),
            Column(f"Area, {unit['area']}", number=True),
            Column(f"Delay, {unit['delay']}", number=True),
            *([Column("Slower layers")] if any_slower else []),
        ],
        rows,
        name="Points",
    )


def _origin(found: Search, made: Mapping[str, Any], command: str) -> Html:
    held = made["held_out"]
    settings: Sequence[tuple[str, object]] = [
        *((key, tag("code", json.dumps(value))) for key, value in found.base.items()),
        *((key, tag("code", json.dumps(value))) for key, value in made["settings"].items()),
    ]
    digests: list[tuple[str, object]] = [
        ("Program", tag("code", made["program"], class_="hash")),
        (f"Data {made['data']['name']}", tag("code", made["data"]["digest"], class_="hash")),
        (f"Held-out images of {held['name']}", tag("code", held["digest"], class_="hash")),
    ]
    if "library" in made:
        library = made["library"]
        name = f"Library {library['name']} ({', '.join(library['given'])})"
        digests.append((name, tag("code", library["digest"], class_="hash")))
    return join(
        (
            tag("h3", "Command"),
            tag("pre", tag("code", command)),
            table(
                "SHA-256 of what decides the numbers",
                [Column("What"), Column("Digest")],
                digests,
                name="Digests",
            ),
            table(
                "Settings that all designs share, and those of the search",
                [Column("Setting"), Column("Value")],
                settings,
                name="Settings",
            ),
            table(
                "Versions of what the numbers depend on",
                [Column("Software"), Column("Version")],
                list(made["versions"].items()),
                name="Versions",
            ),
        )
    )
