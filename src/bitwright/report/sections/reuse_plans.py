"""What the planner chose layer by layer, and what the other candidates would have cost in full."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bitwright.report.html import Column, Html, join, table, tag
from bitwright.report.numbers import percent
from bitwright.report.sections.reuse_record import (
    DENSE,
    Measured,
    candidates,
    chosen,
    layers,
    origin,
)

_DASH = "\N{EN DASH}"

Values = Mapping[str, Mapping[str, float]]
"""Numbers by layer and candidate."""


def render(found: Measured) -> Html:
    """Return the table of layers; full energies are relative to nothing reused."""
    names = layers(found)
    if not names:
        return Html("")
    energies, adders = _values(found, "energy"), _values(found, "adders")
    methods = list(dict.fromkeys(which for name in names for which in energies.get(name, {})))
    rows = [_row(found, name, methods, energies, adders) for name in names]
    plans = {name: chosen(found, name) for name in names}
    foot = [
        "All",
        "",
        percent(found["operations_left"].value),
        percent(_left(adders, plans)),
        percent(found["energy_saved"].value),
        *(_ratio(_left(energies, dict.fromkeys(names, which))) for which in methods),
    ]
    shown = [
        found["operations_left"],
        *(found[f"adders:{DENSE}/{name}"] for name in names if DENSE in adders.get(name, {})),
        *(found[f"energy_saved/{name}"] for name in names),
    ]
    caption = join(
        (
            "What the chosen plan leaves of XNORs and adders, and the energy that it saves, all "
            "parts of the datapath included. Under each candidate: its full energy, where doing "
            "nothing (",
            DENSE,
            ") is 1; the chosen one is bold. ",
            origin(shown),
        )
    )
    columns = [
        Column("Layer"),
        Column("Chosen"),
        Column("XNORs left", number=True),
        Column("Adders left", number=True),
        Column("Energy saved", number=True),
        *(Column(which, number=True) for which in methods),
    ]
    heading = tag("h3", "What was chosen, layer by layer")
    return join((heading, table(caption, columns, rows, foot, name="Plans by layer")))


def _row(
    found: Measured, name: str, methods: Sequence[str], energies: Values, adders: Values
) -> list[object]:
    plan = chosen(found, name)
    cells = {which: _ratio(_left(energies, {name: which})) for which in methods}
    return [
        name,
        plan,
        percent(found[f"operations_left/{name}"].value),
        percent(_left(adders, {name: plan})),
        percent(found[f"energy_saved/{name}"].value),
        *(tag("strong", cell) if which == plan else cell for which, cell in cells.items()),
    ]


def _values(found: Measured, metric: str) -> dict[str, dict[str, float]]:
    return {
        name: {which: m.value for which, m in by_method.items()}
        for name, by_method in candidates(found, metric).items()
    }


def _left(values: Values, plans: Mapping[str, str]) -> float | None:
    """Return what plans, a method for each layer, leave of the sum of nothing reused.

    None where a layer has no such candidate.
    """
    pairs = [
        (values.get(name, {}).get(p), values.get(name, {}).get(DENSE)) for name, p in plans.items()
    ]
    known = [(own, dense) for own, dense in pairs if own is not None and dense is not None]
    total = sum(dense for _, dense in known)
    return sum(own for own, _ in known) / total if total and len(known) == len(pairs) else None


def _ratio(value: float | None) -> str:
    return _DASH if value is None else f"{value:.3f}"
