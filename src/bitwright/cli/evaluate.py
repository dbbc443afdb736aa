"""``bitwright eval``: accuracy and cost of a network on one or more targets."""

from __future__ import annotations

import os
import shlex
import sys
import tomllib
from pathlib import Path
from typing import Annotated, Any

import typer

from bitwright.cli import common
from bitwright.errors import ConfigError
from bitwright.files import check_writable

Targets = Annotated[
    list[str], typer.Option("--target", metavar="T", help="Hardware target; may be repeated.")
]
Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="Settings (TOML), by default those that the network was trained for; "
        "tables by target if there are several.",
    ),
]
Report = Annotated[
    Path | None, typer.Option("--report", metavar="FILE", help="Write a page (HTML).")
]

Resume = Annotated[
    Path | None,
    typer.Option(
        "--resume", metavar="DIR", help="Keep each batch there, and go on where a run was stopped."
    ),
]

Layers = Annotated[
    bool, typer.Option("--layers", help="Print what is measured of single layers, too.")
]


def evaluate(
    model: common.Model,
    data: common.Data = "fashion-mnist-sample",
    limit: common.Limit = None,
    target: Targets = ["exact"],  # noqa: B006 - typer's way of a repeatable option
    config: Config = None,
    data_dir: common.DataDir = None,
    threads: common.Threads = None,
    json_file: common.Json = None,
    report: Report = None,
    resume: Resume = None,
    layers: Layers = False,
) -> None:
    """Evaluate a network: how accurate, and what it costs, on each target."""
    from bitwright import flow, zoo  # noqa: PLC0415 - imported when needed
    from bitwright.ir import codec  # noqa: PLC0415

    for file in (report, None if json_file == "-" else json_file):
        if file is not None:
            check_writable(file)
    program = codec.load(zoo.locate(model))
    settings = read_settings(config, target)
    if config is None:
        settings = {name: zoo.own_settings(model, name) for name in target}
        for name in (name for name, own in settings.items() if own):
            print(f"bitwright: {name} as {model} was trained for (its card)", file=sys.stderr)
    images = common.load_data(data, data_dir, limit)
    evaluations = []
    for name in dict.fromkeys(target):
        with common.steps(f"evaluating on {name}") as update:
            evaluations.append(
                flow.evaluate(
                    program,
                    images,
                    target=name,
                    config=settings.get(name, {}),
                    threads=threads,
                    progress=update,
                    resume=resume,
                )
            )
    common.write_json([e.record.to_json() for e in evaluations], json_file)
    if json_file != "-":
        print(f"{program.name or model} on {images.name} ({images.split}, {len(images)} images)")
        print(f"data: {_places(images.sources)}")
        _print(evaluations, layers)
    for evaluation in evaluations:
        for text in evaluation.record.warnings:
            print(f"bitwright: warning: {text}", file=sys.stderr)
    if report is not None:
        from bitwright.report import write_report  # noqa: PLC0415 - plotly only for a page

        write_report(evaluations, report, command=shlex.join(["bitwright", *sys.argv[1:]]))
        print(f"report: {report.resolve()}", file=sys.stderr if json_file == "-" else sys.stdout)


def _places(files: tuple[Path, ...]) -> str:
    """Name the files of a data set, or the folder if they are many."""
    if len(files) > 4:
        return f"{os.path.commonpath(files)} ({len(files):,} files)"
    return ", ".join(str(file) for file in files)


def read_settings(config: Path | None, targets: list[str]) -> dict[str, dict[str, Any]]:
    """Return the settings of each target that a TOML file has, if one is given.

    Raises
    ------
    ConfigError
        If it cannot be read, or does not say which target it is for.
    """
    if config is None:
        return {}
    try:
        settings = tomllib.loads(config.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(
            f"config '{config}' cannot be read ({error})", "check the file"
        ) from error
    if settings.keys() & set(targets):
        unknown = settings.keys() - set(targets)
        if unknown:
            raise ConfigError(
                f"config '{config}' has the table '{min(unknown)}' for no --target",
                f"name a table for one of: {', '.join(targets)}",
            )
        return settings
    if len(set(targets)) > 1:
        raise ConfigError(
            f"config '{config}' does not say which target it is for", "use a table for each target"
        )
    return {targets[0]: settings}


def _print(evaluations: list[Any], layers: bool) -> None:
    """Print what was measured; of single layers, whose metrics end in ``/NAME``, if wanted."""
    table = common.table(
        {"target": False, "metric": False, "value": True, "unit": False, "method": False}
    )
    left_out = 0
    for evaluation in evaluations:
        names = {op.output for op in evaluation.program.ops}
        for m in evaluation.record.measurements:
            if m.detail:
                continue
            if not layers and m.metric.partition("/")[2] in names:
                left_out += 1
                continue
            unit = "" if m.unit == "share" else m.unit
            table.add_row(evaluation.record.target, m.metric, _value(m), unit, m.method)
        table.add_section()
    common.console.print(table)
    if left_out:
        print(f"of single layers: {left_out} more, with --layers, --report FILE or --json FILE")


def _value(measurement: Any) -> str:
    """Return a number to read; a share in percent, unless two digits of that would say nothing."""
    from bitwright.report.numbers import plain  # noqa: PLC0415 - imported when needed

    value = measurement.value
    if measurement.unit == "share" and (value == 0 or abs(value) >= 1e-3):
        return f"{value:.2%}"
    return plain(value)
