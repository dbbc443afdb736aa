"""``bitwright study``: sweeps over designs, with a page that shows them."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bitwright.cli import common
from bitwright.files import check_writable, write_atomically

if TYPE_CHECKING:
    from bitwright.eda.pieces import Table
    from bitwright.explore import crossbar_precision
    from bitwright.explore.popcount_scaling import Study

app = typer.Typer(help="Sweeps over designs.", no_args_is_help=True)

Sides = Annotated[
    str, typer.Option("--sides", metavar="K,K,...", help="The kernel's sides k, in taps.")
]
Channels = Annotated[
    str, typer.Option("--channels", metavar="C,C,...", help="The numbers of channels C.")
]
Circuits = Annotated[
    list[str] | None,
    typer.Option(
        "--circuit",
        metavar="SPEC",
        help="A popcount beside the exact one; may be repeated. [maj, maj:L=2, maj:L=3]",
    ),
]
Seed = Annotated[int, typer.Option("--seed", metavar="S", min=0, help="Of the random vectors.")]
Folder = Annotated[
    Path | None,
    typer.Option("--folder", metavar="DIR", help="Where points are kept. [the user's cache]"),
]
Pieces = Annotated[
    Path, typer.Option("-o", "--output", metavar="FILE", help="Where the table goes (JSON).")
]
Bits = Annotated[
    str, typer.Option("--bits", metavar="B,B,...", help="Of weights and activations, 1 to 8.")
]
Wires = Annotated[
    str, typer.Option("--x", metavar="X,X,...", help="The wires: r G_on n^2, r of either rail.")
]
Codings = Annotated[
    str, typer.Option("--coding", metavar="C,C", help="Weights in cells: offset, differential.")
]
Rows = Annotated[int, typer.Option("--rows", metavar="N", min=1, help="Of an array.")]
Epochs = Annotated[int, typer.Option("--epochs", metavar="E", min=1, help="Of each training.")]
TrainingSeed = Annotated[int, typer.Option("--seed", metavar="S", min=0, help="Of the trainings.")]
TrainLimit = Annotated[
    int | None,
    typer.Option("--train-limit", metavar="N", min=1, help="Train on the first N images only."),
]
Report = Annotated[
    Path | None, typer.Option("--report", metavar="FILE", help="Write a page (HTML).")
]


@app.callback()
def _studies() -> None:
    """Sweeps over designs."""


@app.command("popcount-scaling")
def popcount_scaling(
    sides: Sides = "1,3,5,7",
    channels: Channels = "16,32,64",
    circuit: Circuits = None,
    liberty: common.Liberty = None,
    vectors: common.Vectors = 1000,
    seed: Seed = 0,
    folder: Folder = None,
    output: common.Page = None,
    json_file: common.Json = None,
) -> None:
    """Area, delay and energy of popcounts against the kernel's side and its channels.

    Points are kept as they are computed: an interrupted study goes on where it stopped.
    """
    for file in (output, None if json_file == "-" else json_file):
        if file is not None:
            check_writable(file)
    from bitwright.data.locate import cache_root  # noqa: PLC0415 - imported when needed
    from bitwright.eda import pdk  # noqa: PLC0415
    from bitwright.explore import popcount_scaling as study  # noqa: PLC0415

    specs = dict.fromkeys(("exact", *(circuit or ("maj", "maj:L=2", "maj:L=3"))))
    settings = study.Settings(
        sides=study.parse_numbers(sides, "kernel sides"),
        channels=study.parse_numbers(channels, "channels"),
        specs=tuple(specs),
        vectors=vectors,
        seed=seed,
    )
    chosen = pdk.choose(liberty or ())
    where = folder or cache_root() / "studies" / "popcount-scaling"
    with common.progress("popcounts") as update:
        found = study.run(settings, chosen, where, update)
    common.write_json(found.to_json(), json_file)
    if output is not None:
        from bitwright.cli import study_page  # noqa: PLC0415 - plotly only for a page

        command = shlex.join(["bitwright", *sys.argv[1:]])
        write_atomically(output, study_page.render(found, command).encode())
    if json_file != "-":
        _print(found)
    stream = sys.stderr if json_file == "-" else sys.stdout
    print(f"points: {where} ({found.reused} of {len(found.points)} from before)", file=stream)
    if output is not None:
        print(f"page: {output.resolve()}", file=stream)


def _print(found: Study) -> None:
    unit = found.chosen.area_unit
    table = common.table(
        {
            "circuit": False,
            "k": True,
            "C": True,
            "n": True,
            f"area {unit}".strip(): True,
            "delay ps": True,
            "energy fJ": True,
            "without input nets": True,
        }
    )
    for spec in found.settings.specs:
        for p in found.points:
            if p.circuit == spec:
                numbers = (p.area, p.delay_ps, p.energy_fj, p.without_input_nets_fj)
                table.add_row(
                    spec,
                    f"{p.side}",
                    f"{p.channels}",
                    f"{p.inputs:,}",
                    *(f"{number:,.1f}" for number in numbers),
                )
        table.add_section()
    common.console.print(table)
    for spec in found.settings.specs:
        grows = [
            f"{metric} ~ n^{n:.2f}, k^{k:.2f}"
            for metric in ("area", "delay", "energy")
            if (n := found.exponent(spec, metric, "n")) is not None
            and (k := found.exponent(spec, metric, "k")) is not None
        ]
        if grows:
            print(f"{spec}: {'; '.join(grows)}")


@app.command("reuse-pieces")
def reuse_pieces(
    output: Pieces,
    liberty: common.Liberty = None,
    vectors: common.Vectors = 300,
    seed: Seed = 0,
) -> None:
    """What the pieces of datapaths cost that share sums: the table that `reuse` prices with."""
    from bitwright.targets.reuse.price_list import measure_pieces  # noqa: PLC0415 - when needed

    _write_pieces(measure_pieces, output, liberty, vectors, seed)


@app.command("crossbar-pieces")
def crossbar_pieces(
    output: Pieces,
    liberty: common.Liberty = None,
    vectors: common.Vectors = 300,
    seed: Seed = 0,
) -> None:
    """What the logic around an array costs: the table that `crossbar` prices with."""
    from bitwright.targets.crossbar.cost.piece_list import measure_pieces  # noqa: PLC0415

    _write_pieces(measure_pieces, output, liberty, vectors, seed)


def _write_pieces(
    measure: Callable[..., Table[Any]],
    output: Path,
    liberty: list[str] | None,
    vectors: int,
    seed: int,
) -> None:
    """Make a table of pieces as a target's `measure_pieces` does, write it, and say so."""
    check_writable(output)
    from bitwright.eda import pdk  # noqa: PLC0415 - imported when needed

    chosen = pdk.choose(liberty or ())
    with common.progress("pieces") as update:
        found = measure(chosen, operations=vectors, seed=seed, progress=update)
    write_atomically(output, found.text.encode())
    print(f"{len(found.pieces)} pieces of {found.library}: {output.resolve()}")


@app.command("accelerator-pieces")
def accelerator_pieces(output: Pieces) -> None:
    """What the pieces of the FPGA accelerator take in look-up tables: the table that ships."""
    check_writable(output)
    from bitwright.targets.reuse.accelerator.pieces import table_text  # noqa: PLC0415

    with common.progress("pieces") as update:
        text = table_text(update)
    write_atomically(output, text.encode())
    print(output.resolve())


@app.command("crossbar-precision")
def precision_study(
    data: common.Data = "fashion-mnist",
    limit: common.Limit = 1000,
    bits: Bits = "1,2,4,8",
    wires: Wires = "0.05,0.1,0.2,0.5,1,2,5,10,20",
    coding: Codings = "offset,differential",
    rows: Rows = 64,
    epochs: Epochs = 10,
    train_limit: TrainLimit = None,
    seed: TrainingSeed = 0,
    folder: Folder = None,
    data_dir: common.DataDir = None,
    threads: common.Threads = None,
    json_file: common.Json = None,
    report: Report = None,
) -> None:
    """A perceptron of 1, 2, 4 and 8 bits on crossbars: which precision wires hurt first.

    Networks and points are kept as they are made: an interrupted study goes on where it stopped.
    """
    for file in (report, None if json_file == "-" else json_file):
        if file is not None:
            check_writable(file)
    from bitwright.cli.explore import TRAINING  # noqa: PLC0415 - imported when needed
    from bitwright.data import load  # noqa: PLC0415
    from bitwright.data.locate import cache_root  # noqa: PLC0415
    from bitwright.errors import DataError  # noqa: PLC0415
    from bitwright.explore import crossbar_precision as study  # noqa: PLC0415
    from bitwright.explore.popcount_scaling import parse_numbers  # noqa: PLC0415

    settings = study.Settings(
        bits=parse_numbers(bits, "precisions"),
        codings=study.parse_codings(coding),
        x=study.parse_x(wires),
        rows=rows,
        epochs=epochs,
        seed=seed,
    )
    test = common.load_data(data, data_dir, limit)
    train = load(TRAINING.get(data, data), "train", data_dir=data_dir, limit=train_limit)
    if train.split == "all":
        raise DataError(f"'{data}' has no training images of its own", "give data with a split")
    where = folder or cache_root() / "studies" / "crossbar-precision"
    with common.steps("study") as update:
        found = study.run(settings, train, test, where, threads=threads, progress=update)
    common.write_json(found.to_json(), json_file)
    if report is not None:
        from bitwright.cli import precision_page  # noqa: PLC0415 - plotly only for a page

        command = shlex.join(["bitwright", *sys.argv[1:]])
        write_atomically(report, precision_page.render(found, command).encode())
    if json_file != "-":
        _print_precision(found)
    stream = sys.stderr if json_file == "-" else sys.stdout
    count = len(found.exact) + len(found.points)
    print(f"networks and points: {where} ({found.reused} of {count} from before)", file=stream)
    if report is not None:
        print(f"page: {report.resolve()}", file=stream)


def _print_precision(found: crossbar_precision.Study) -> None:
    from bitwright.report.numbers import interval, percent  # noqa: PLC0415 - imported when needed

    count = found.data.count
    for bits, correct in found.exact.items():
        print(f"{bits} bit, exact: {percent(correct / count)} ({interval(correct, count)})")
    heads = {"bits": True, "coding": False, "flips": False, "sensing": False, "cells on": True}
    heads |= {f"x = {x:g}": True for x in found.settings.x} | {"5 points lost at x": True}
    table = common.table(heads)
    for coding in found.settings.codings:
        for way in found.ways:
            if way.coding == coding:
                sign, x = found.tolerated(way)
                table.add_row(
                    f"{way.bits}",
                    coding,
                    "flips" if way.flips else "",
                    "gain" if way.gain else "raw",
                    percent(found.conducting[way.bits, coding, way.flips]),
                    *(percent(p.accuracy) for p in found.line(way)),
                    f"{'' if sign == '=' else sign}{x:.2g}",
                )
        table.add_section()
    common.console.print(table)
    for coding in found.settings.codings:
        for gain in (False, True):
            order = ", ".join(f"{bits}" for bits in found.first_to_fail(coding, gain))
            which = f"{coding}, {'gain' if gain else 'raw'}, no flips"
            print(f"{which}: the first to lose 5 points, in bits: {order}")
