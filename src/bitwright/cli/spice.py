"""``bitwright spice``: a tile of a crossbar with an image's bits as a circuit for ngspice."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bitwright.cli import common
from bitwright.cli.evaluate import read_settings
from bitwright.errors import ConfigError, DataError
from bitwright.files import check_writable, write_atomically

if TYPE_CHECKING:
    from bitwright.targets.crossbar.operating_point import OperatingPoint

Layer = Annotated[str, typer.Option("--layer", metavar="L", help="A binary layer, such as conv2.")]
Tile = Annotated[int, typer.Option("--tile", metavar="T", help="Which tile of the layer.")]
Columns = Annotated[
    str | None,
    typer.Option("--columns", metavar="C,C-C,...", help="Columns to write. [all of them]"),
]
Image = Annotated[int, typer.Option("--image", metavar="N", min=0, help="Which image.")]
Position = Annotated[
    int, typer.Option("--position", metavar="P", help="Which window, counted row by row.")
]
Read = Annotated[
    int,
    typer.Option("--read", metavar="R", help="Which read, where word_lines has several of them."),
]
Config = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="Settings of the target crossbar (TOML)."),
]
Output = Annotated[
    Path, typer.Option("-o", "--output", metavar="FILE", help="Where to write the deck.")
]
Check = Annotated[
    bool, typer.Option("--check", help="Solve the deck with ngspice, and compare the currents.")
]


def spice(
    model: common.Model,
    layer: Layer,
    output: Output,
    tile: Tile = 0,
    columns: Columns = None,
    data: common.Data = "fashion-mnist-sample",
    image: Image = 0,
    position: Position = 0,
    read: Read = 0,
    config: Config = None,
    data_dir: common.DataDir = None,
    check: Check = False,
    json_file: common.Json = None,
) -> None:
    """Write a tile of a layer, with what an image puts on its word lines, as a deck for ngspice.

    The layer's input is what the arrays before it make of the image; flips, spread and stuck cells
    are those of the design.
    """
    check_writable(output)
    if json_file not in (None, "-"):
        check_writable(str(json_file))
    chosen = None if columns is None else _numbers(columns)
    from bitwright import zoo  # noqa: PLC0415 - imported when needed
    from bitwright.ir import codec  # noqa: PLC0415
    from bitwright.targets import get_target  # noqa: PLC0415
    from bitwright.targets.crossbar.deck import deck  # noqa: PLC0415
    from bitwright.targets.crossbar.operating_point import operating_point  # noqa: PLC0415

    program = codec.load(zoo.locate(model))
    target = get_target("crossbar")
    settings = target.configure(read_settings(config, ["crossbar"]).get("crossbar", {}))
    images = common.load_data(data, data_dir, image + 1)
    if len(images) <= image:
        raise DataError(f"'{data}' has no image {image}", f"give 0 to {len(images) - 1}")
    with common.progress("planning") as update:
        design = target.lower(program, settings, update)
    point = operating_point(design, layer, tile, images.images[image], position, read)
    where = f"{layer}, tile {tile}, read {read}, window {position}, image {image} of {images.name}"
    title = f"{program.name or model}: {where}"
    text = deck(point.ladder, point.cell, point.weights, point.active, chosen, title)
    found = _compare(point, text, chosen) if check else {}
    write_atomically(output, text.encode())
    written = len(range(point.weights.shape[1]) if chosen is None else chosen)
    result = {
        "deck": str(output),
        "title": title,
        "rows": point.ladder.rows,
        "word_lines_on": int(point.active.sum()),
        "columns": written,
        **found,
    }
    common.write_json(result, json_file)
    if json_file == "-":
        return
    print(
        f"{title}: {point.ladder.rows} rows, {int(point.active.sum())} word lines on, "
        f"{written} columns of {point.cell.kind}"
    )
    if found:
        print(
            f"ngspice {found['ngspice']}: currents are as solved within "
            f"{found['largest_relative_difference']:.1e}"
        )
    print(f"deck: {output.resolve()} (ngspice -b {output})")


def _numbers(text: str) -> list[int]:
    """Return the numbers of "0-3,7", sorted."""
    found: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        if not (first.strip().isdecimal() and (last or first).strip().isdecimal()):
            raise ConfigError(f"'{text}' lists no columns", "give numbers, such as 0-3,7")
        ends = int(first), int(last or first)
        if not ends[0] <= ends[1] < 2**16:
            raise ConfigError(f"'{part}' is no range of columns", "give the lower number first")
        found |= set(range(ends[0], ends[1] + 1))
    return sorted(found)


def _compare(point: OperatingPoint, text: str, chosen: list[int] | None) -> dict[str, object]:
    """Solve a deck with ngspice, and say how far its currents are from the solver's."""
    import numpy as np  # noqa: PLC0415 - imported when needed

    from bitwright.targets.crossbar.deck import run  # noqa: PLC0415
    from bitwright.targets.crossbar.solver.columns import Columns  # noqa: PLC0415

    currents, version = run(text)
    weights = point.weights if chosen is None else point.weights[:, chosen]
    solved = Columns(point.ladder, point.cell, weights).solve(point.active[None], 1).currents[0]
    scale = np.maximum(np.abs(solved), np.finfo(np.float64).tiny)
    difference = np.where(currents == solved, 0.0, np.abs(currents - solved) / scale)
    return {
        "ngspice": version,
        "currents_ampere": currents.tolist(),
        "largest_relative_difference": float(difference.max(initial=0.0)),
    }
