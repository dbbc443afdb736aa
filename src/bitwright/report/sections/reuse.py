"""What reused sums save, the full cost first: of the network, layer by layer, on an accelerator.

Requirements:

- Operations that are left are never shown alone: the full cost stands beside them.
"""

from __future__ import annotations

from collections.abc import Sequence

from bitwright.flow import Evaluation
from bitwright.report.html import Html, join, tag
from bitwright.report.numbers import exact, method, percent
from bitwright.report.outcomes import model, titles
from bitwright.report.sections import (
    reuse_accelerator,
    reuse_cost,
    reuse_operations,
    reuse_plans,
    reuse_tiles,
)
from bitwright.report.sections.reuse_record import Measured, layers, measured, origin


def render(evaluations: Sequence[Evaluation]) -> Html:
    """Return what each evaluation with such metrics says."""
    parts = []
    for evaluation, title in zip(evaluations, titles(evaluations), strict=True):
        found = measured(evaluation)
        if found is not None:
            heading = tag("h3", title, class_="group") if len(evaluations) > 1 else ""
            parts.append(join((heading, _one(found, model(evaluation)))))
    return join(parts)


def _one(found: Measured, network: str) -> Html:
    return join(
        (
            _bottom_line(found, network),
            reuse_cost.render(found),
            reuse_plans.render(found),
            reuse_operations.render(found),
            reuse_tiles.render(found),
            reuse_accelerator.render(found, network),
        )
    )


def _bottom_line(found: Measured, network: str) -> Html:
    """Return the saving in full, and beside it what operations alone would promise."""
    energy, dense = found["energy"], found["energy_dense"]
    saved, left = found["energy_saved"], found["operations_left"]
    if saved.value > 0:
        said = tag("strong", f"{percent(saved.value)} of the energy is saved")
    elif saved.value < 0:
        said = tag("strong", f"{percent(-saved.value)} more energy is taken")
    else:
        said = tag("strong", "no energy is saved")
    priced = len(layers(found))
    bits = "the layer" if priced == 1 else f"the {priced} layers"
    return join(
        (
            tag(
                "p",
                f"In {bits} of {network} with weights of one bit, ",
                said,
                ", all parts of the datapath included: ",
                exact(energy.value),
                " instead of ",
                exact(dense.value),
                f" {energy.unit} ",
                method(saved.method),
                ". XNORs left: ",
                tag("strong", percent(left.value)),
                " ",
                method(left.method),
                ". Bits changed: ",
                tag("strong", "none"),
                ".",
            ),
            tag(
                "p",
                "A sum that is reused is the same integer, so no threshold decides otherwise; ",
                tag("code", "bitwright prove"),
                " checks it. Energies: ",
                origin([energy]),
                class_="note",
            ),
        )
    )
