"""The IR drop of a tile as a picture: what each cell misses of the read voltage."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from bitwright.errors import BitwrightError
from bitwright.flow import Evaluation
from bitwright.report.charts import chart
from bitwright.report.html import Html, join, tag
from bitwright.report.numbers import method, percent
from bitwright.report.sections.crossbar_record import TARGET, furthest_off, layers
from bitwright.report.sections.reuse_record import Measured
from bitwright.targets import get_target
from bitwright.targets.crossbar.design import Config, Design
from bitwright.targets.crossbar.ir_drop import ir_drop

ROWS, COLUMNS = 512, 64
"""Arrays of more rows are not drawn, and of more columns the first ones."""


@dataclass(frozen=True, eq=False)
class _Map:
    """What is missing of the read voltage, (rows, columns) shares, and of which design."""

    title: str
    lost: npt.NDArray[np.float64]


def render(evaluation: Evaluation, found: Measured) -> Html:
    """Return the maps of a tile with flips and without, or why there are none.

    Nothing if cells are ideal: then no voltage is lost.
    """
    config: Config = get_target(TARGET).configure(evaluation.record.config)
    if config.technology == "ideal":
        return Html("")
    if config.rows > ROWS:
        return _left_out(f"arrays have {config.rows:,} rows, and maps have {ROWS} at most")
    name = (furthest_off(found) or layers(found))[0]
    # Neither calibration nor converters change what is put on an array.
    bare = replace(config, calibrate=(), adc_bits=None, adc_range="rows")
    try:
        maps, where = _maps(evaluation, bare, name)
    except BitwrightError as error:
        return _left_out(error.cause)
    most = max(float(one.lost.max()) for one in maps)
    figures = [tag("div", _picture(one, most)) for one in maps]
    return join(
        (
            tag("h3", "IR drop of a tile"),
            tag(
                "p",
                f"What wires, driver and sink take of the read voltage at each cell, {where}, with "
                "what the exact network has there. The layer is the one that is furthest off.",
                class_="note",
            ),
            tag("div", *figures, class_="two"),
        )
    )


def _left_out(reason: str) -> Html:
    return tag("p", f"No IR drop of a tile is drawn: {reason}.", class_="note")


def _maps(evaluation: Evaluation, config: Config, name: str) -> tuple[list[_Map], str]:
    chosen = {"without flips": replace(config, flips="none")}
    if config.flips != "none":
        chosen[f"flips: {config.flips}"] = config
    elif config.mapping == "and":
        chosen["flips: both"] = replace(config, flips="both")
    image = evaluation.data.images[0]
    maps = []
    where = ""
    for title, settings in chosen.items():
        design: Design = get_target(TARGET).lower(evaluation.program, settings)
        layer = design.layers[name]
        tile, window = len(layer.tiles) // 2, _centre(layer.dot.windows.counts)
        if design.ladder is None:
            continue
        volts = ir_drop(design, name, tile, image, window, columns=COLUMNS)
        maps.append(_Map(title, 1 - volts / design.ladder.read_volt))
        where = f"of tile {tile} of {name} at window {window} of the first image"
    return maps, where


def _centre(counts: Any) -> int:
    """Return the window in the middle of a map."""
    rows, columns = counts
    return int(rows // 2 * columns + columns // 2)


def _picture(one: _Map, most: float) -> Html:
    rows, columns = one.lost.shape
    mean, worst = float(one.lost.mean()), float(one.lost.max())
    return chart(
        [
            {
                "type": "heatmap",
                "z": np.round(one.lost, 5).tolist(),
                "zmin": 0,
                "zmax": round(most, 5) or 1,
                "colorscale": "--ramp",
                "colorbar": {"thickness": 12, "tickformat": ".0%", "outlinewidth": 0},
                "hovertemplate": "row %{y}, column %{x}<br>%{z:.2%} of the read voltage lost"
                "<extra></extra>",
            }
        ],
        {
            "xaxis": {"title": {"text": "column", "standoff": 8}, "showgrid": False, "nticks": 6},
            "yaxis": {
                "title": {"text": "row; the last one is at the sense end", "standoff": 8},
                "autorange": "reversed",
                "showgrid": False,
                "nticks": 6,
            },
        },
        alt=f"IR drop of {rows} rows by {columns} columns, {one.title}: on average "
        f"{percent(mean)}, at most {percent(worst)} of the read voltage.",
        caption=join(
            (
                tag("strong", one.title),
                f": on average {percent(mean)}, at most {percent(worst)} of the read voltage lost ",
                method("simulated"),
            )
        ),
        height=360,
    )
