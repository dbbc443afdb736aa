"""What crossbars make of a network: accuracy beside the exact network's, partial sums, IR drop.

Requirements:

- Accuracy never stands alone: the exact network's on the same images is beside it.
"""

from __future__ import annotations

from collections.abc import Sequence

from bitwright import flow
from bitwright.flow import Evaluation
from bitwright.report.html import Html, join, tag
from bitwright.report.numbers import badge, interval, method, percent, plain
from bitwright.report.outcomes import correct, model, titles
from bitwright.report.sections import (
    crossbar_cost,
    crossbar_designs,
    crossbar_drop,
    crossbar_layers,
    crossbar_positions,
    crossbar_sums,
)
from bitwright.report.sections.crossbar_record import differing, layers, measured, setting
from bitwright.report.sections.reuse_record import Measured

CELLS = {
    "ideal": "ideal cells",
    "linear": "linear cells",
    "sram8t": "8T-SRAM",
    "reram1t1r": "1T-1ReRAM",
}
FLIPS = {
    "none": "without flips",
    "static": "with columns flipped",
    "dynamic": "with activations flipped",
    "both": "with columns and activations flipped (BinSparX)",
    "random": "with random flips",
}


def render(evaluations: Sequence[Evaluation]) -> Html:
    """Return what each evaluation on crossbars says, and all of them beside each other."""
    named = zip(evaluations, titles(evaluations), strict=True)
    on_arrays = [(e, found, title) for e, title in named if (found := measured(e)) is not None]
    if not on_arrays:
        return Html("")
    mine = [e for e, _, _ in on_arrays]
    exact = _exact([*evaluations, *_missing(evaluations, mine)])
    parts = []
    if len(on_arrays) > 1:
        shares = [correct(exact[_key(e)]) / len(e.data) for e in mine]
        parts.append(crossbar_designs.render(mine, [title for _, _, title in on_arrays], shares))
    for (evaluation, found, title), settings in zip(on_arrays, differing(mine), strict=True):
        said = f"{title}: {', '.join(settings)}" if settings else title
        heading = tag("h3", said, class_="group") if len(evaluations) > 1 else ""
        parts.append(join((heading, _one(evaluation, found, exact[_key(evaluation)]))))
    return join(parts)


def _key(evaluation: Evaluation) -> tuple[str, str]:
    return evaluation.record.program, evaluation.record.data.digest


def _exact(evaluations: Sequence[Evaluation]) -> dict[tuple[str, str], Evaluation]:
    return {_key(e): e for e in evaluations if e.record.target == "exact"}


def _missing(evaluations: Sequence[Evaluation], wanted: Sequence[Evaluation]) -> list[Evaluation]:
    """Return the exact network on images on which it is not on the page."""
    known = _exact(evaluations)
    missing = {_key(e): e for e in wanted if _key(e) not in known}
    return [flow.evaluate(e.program, e.data, target="exact") for e in missing.values()]


def _one(evaluation: Evaluation, found: Measured, exact: Evaluation) -> Html:
    return join(
        (
            _bottom_line(evaluation, found, exact),
            crossbar_layers.render(found),
            crossbar_sums.render(found),
            crossbar_positions.render(found),
            crossbar_drop.render(evaluation, found),
            crossbar_cost.render(found),
        )
    )


def _bottom_line(evaluation: Evaluation, found: Measured, exact: Evaluation) -> Html:
    """Return accuracy beside the exact network's, and what flips leave of the partial sums."""
    right, total = correct(evaluation), len(evaluation.data)
    wanted = correct(exact)
    cells = CELLS.get(setting(evaluation, "technology"), "cells")
    flips = FLIPS.get(setting(evaluation, "flips"), "")
    rows, columns = setting(evaluation, "rows"), setting(evaluation, "columns")
    calibrated = setting(evaluation, "calibrate")
    saved = found["partial_sum_saved"]
    first = tag(
        "p",
        f"On arrays of {rows} rows by {columns} columns of {cells}, {flips}, "
        f"{model(evaluation)} is right on ",
        tag("strong", percent(right / total)),
        f" of {total:,} images ({interval(right, total)} with 95 % confidence) ",
        badge(found["accuracy"]),
        "; the exact network on ",
        tag("strong", percent(wanted / total)),
        " ",
        method("simulated"),
        f". {_calibrated(calibrated)}",
    )
    second = tag("p", *_partial_sums(evaluation, found), " ", badge(saved), ".")
    return join((first, second))


def _calibrated(how: Sequence[str]) -> str:
    return f"Calibrated: {', '.join(how)}." if how else "Nothing is calibrated."


def _partial_sums(evaluation: Evaluation, found: Measured) -> list[object]:
    """Return what of all partial sums is left."""
    share = found["partial_sum_saved"].value
    on, before = found["on_cells"], found["plain_on_cells"]
    count = f"{plain(on.value)} cells conduct for an image"
    if setting(evaluation, "flips") == "none":
        return [count, f", in {len(layers(found))} layers on arrays"]
    what = "fewer" if share >= 0 else "more"
    return [
        tag("strong", f"{percent(abs(share))} {what} cells conduct"),
        f" than without flips: {plain(on.value)} for an image instead of {plain(before.value)}",
    ]
