"""``bitwright crossbar``: sweeps over designs on crossbars, and what networks are tuned with."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bitwright.cli import common
from bitwright.cli.evaluate import read_settings
from bitwright.cli.explore import TRAINING
from bitwright.files import check_writable, write_atomically

if TYPE_CHECKING:
    from bitwright.explore.crossbar_sweep import Sweep
    from bitwright.targets.crossbar.surrogate import Response

app = typer.Typer(help="Compute-in-memory crossbars.", no_args_is_help=True)

Over = Annotated[
    list[str],
    typer.Option(
        "--over",
        metavar="NAME=V,V,...",
        help="A setting of the target and its values, those of tables too: device.NAME; x for the "
        "wires, r G_on n^2; y for the ends, (Rd + Rk) G_on n. May be repeated: all combinations.",
    ),
]
Config = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="Settings that all points share (TOML)."),
]
Csv = Annotated[
    Path | None, typer.Option("--csv", metavar="FILE", help="Write a table of all points (CSV).")
]
Report = Annotated[
    Path | None, typer.Option("--report", metavar="FILE", help="Write a page (HTML).")
]
Cache = Annotated[
    Path | None,
    typer.Option("--cache", metavar="DIR", help="Where points are kept. [the user's cache]"),
]
Design = Annotated[
    Path, typer.Option("--config", metavar="FILE", help="Settings of the target (TOML).")
]
Calibration = Annotated[
    str,
    typer.Option(
        "--calibration", metavar="D", help="Data set whose training images the arrays are seen on."
    ),
]
Images = Annotated[
    int, typer.Option("--images", metavar="N", min=1, help="How many of those images.")
]
Output = Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="Write it (JSON).")]


@app.callback()
def _crossbar() -> None:
    """Compute-in-memory crossbars."""


@app.command("sweep")
def sweep(
    model: common.Model,
    over: Over,
    data: common.Data = "fashion-mnist-sample",
    limit: common.Limit = None,
    config: Config = None,
    cache: Cache = None,
    data_dir: common.DataDir = None,
    threads: common.Threads = None,
    json_file: common.Json = None,
    csv_file: Csv = None,
    report: Report = None,
) -> None:
    """Accuracy on every design of a grid, beside the exact network's on the same images.

    What calibrates is training images of --data where no other data set is set. Points are kept as
    they are evaluated: an interrupted sweep goes on where it stopped.
    """
    for file in (csv_file, report, None if json_file == "-" else json_file):
        if file is not None:
            check_writable(file)
    from bitwright import zoo  # noqa: PLC0415 - imported when needed
    from bitwright.data.locate import cache_root  # noqa: PLC0415
    from bitwright.explore import crossbar_sweep  # noqa: PLC0415
    from bitwright.explore.crossbar_grid import grid, parse_axis  # noqa: PLC0415
    from bitwright.ir import codec  # noqa: PLC0415

    axes = [parse_axis(text) for text in over]
    base = {"calibration": TRAINING.get(data, data), "sample": 0}
    base |= read_settings(config, ["crossbar"]).get("crossbar", {})
    grid(axes, base)  # refuses what is wrong before anything is loaded
    program = codec.load(zoo.locate(model))
    images = common.load_data(data, data_dir, limit)
    folder = cache or cache_root() / "crossbar"
    with common.steps("sweep") as update:
        found = crossbar_sweep.run(
            program, images, axes, base, folder, threads=threads, progress=update
        )
    common.write_json(found.to_json(), json_file)
    if csv_file is not None:
        write_atomically(csv_file, found.to_csv().encode())
    if report is not None:
        from bitwright.cli import crossbar_page  # noqa: PLC0415 - plotly only for a page

        command = shlex.join(["bitwright", *sys.argv[1:]])
        write_atomically(report, crossbar_page.render(found, command).encode())
    if json_file != "-":
        _print(found)
    stream = sys.stderr if json_file == "-" else sys.stdout
    print(f"points: {folder} ({found.reused} of {len(found.points)} from before)", file=stream)
    for what, written in (("table", csv_file), ("page", report)):
        if written is not None:
            print(f"{what}: {written.resolve()}", file=stream)


def _print(found: Sweep) -> None:
    from bitwright.report.numbers import interval, percent  # noqa: PLC0415 - imported when needed

    names = [axis.name for axis in found.axes]
    table = common.table(
        {
            **{axis.name: axis.numeric for axis in found.axes},
            "accuracy": True,
            "95 %": True,
            "as exact": True,
            "partial sums saved": True,
            "s": True,
        }
    )
    for p in found.points:
        at = [str(p.at[name]) for name in names]
        if p.found is None:
            table.add_row(*at, "flagged", "", "", "", "")
            continue
        table.add_row(
            *at,
            percent(p.accuracy),
            interval(p.correct, p.images),
            percent(p.agreeing / p.images),
            percent(p.saved),
            f"{p.found.seconds:,.1f}",
        )
    common.console.print(table)
    count = found.data.count
    print(
        f"exact network: {percent(found.ideal / count)} ({interval(found.ideal, count)}) of "
        f"{count:,} images of {found.data.name}"
    )
    for p in found.flagged:
        design = ", ".join(f"{name} = {value}" for name, value in p.at.items())
        print(f"flagged: {design}: {p.reason}")


@app.command("surrogate")
def surrogate(
    model: common.Model,
    config: Design,
    output: Output,
    calibration: Calibration = "fashion-mnist",
    images: Images = 100,
    data_dir: common.DataDir = None,
    threads: common.Threads = None,
) -> None:
    """What a design's arrays sense of partial sums, fitted: for [crossbar] in a training recipe."""
    check_writable(output)
    from bitwright import data, zoo  # noqa: PLC0415 - imported when needed
    from bitwright.ir import codec  # noqa: PLC0415
    from bitwright.targets import get_target  # noqa: PLC0415
    from bitwright.targets.crossbar.surrogate import fit  # noqa: PLC0415

    target = get_target("crossbar")
    settings = {"calibration": calibration}
    settings |= read_settings(config, ["crossbar"]).get("crossbar", {})
    configured = target.configure(settings)
    program = codec.load(zoo.locate(model))
    seen = data.load(calibration, split="train", data_dir=data_dir, limit=images).images
    with common.steps("surrogate") as update:
        design = target.lower(program, configured, lambda *at: update("lowering", *at))
        made = fit(design, seen, settings, threads, lambda *at: update("layers", *at))
    write_atomically(output, (json.dumps(made.to_json(), indent=1) + "\n").encode())
    _print_response(made)
    print(f"response: {output.resolve()}")


def _print_response(made: Response) -> None:
    table = common.table(
        {"layer": False, "reads": True, "cells on": True, "sensed": True, "deviation": True}
    )
    for name, layer in made.layers.items():
        numbers = (f"{number:.2f}" for number in layer.seen)
        table.add_row(name, str(len(layer.reads)), *numbers)
    common.console.print(table)
    print(f"means of a read's partial sums, in cells, on {made.images:,} images")
