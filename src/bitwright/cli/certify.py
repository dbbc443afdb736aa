"""``bitwright certify``: whether a program is what the framework's own model is."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from bitwright.cli import common
from bitwright.files import check_writable

Source = Annotated[
    Path,
    typer.Argument(
        metavar="SOURCE",
        help="The folder of a training run, a checkpoint of AdaBin, IR-Net or ReCU, "
        "or a QONNX file (.onnx).",
    ),
]
Report = Annotated[
    Path | None, typer.Option("--report", metavar="FILE", help="Write a page (HTML).")
]


def certify(
    source: Source,
    model: common.Model,
    data: common.Data = "fashion-mnist-sample",
    limit: common.Limit = None,
    data_dir: common.DataDir = None,
    json_file: common.Json = None,
    report: Report = None,
) -> None:
    """Run a framework's model and its program side by side; exit code 1 if they part."""
    from bitwright import zoo  # noqa: PLC0415 - imported when needed
    from bitwright.certify import certify as compare  # noqa: PLC0415
    from bitwright.frontends.sources import open_source  # noqa: PLC0415
    from bitwright.ir import codec  # noqa: PLC0415

    for file in (report, None if json_file == "-" else json_file):
        if file is not None:
            check_writable(file)
    program = codec.load(zoo.locate(model))
    opened = open_source(source, program)
    images = common.load_data(data, data_dir, limit)
    with common.progress("certifying") as update:
        certificate = compare(opened, program, images, progress=update)
    common.write_json(certificate.to_json(), json_file)
    if json_file != "-":
        print(f"{opened.name} and {program.name or model} on {images.name} ({len(images)} images)")
        _print(certificate)
    if report is not None:
        from bitwright import flow  # noqa: PLC0415
        from bitwright.report import write_report  # noqa: PLC0415 - plotly only for a page

        command = shlex.join(["bitwright", *sys.argv[1:]])
        evaluation = flow.evaluate(program, images)
        write_report([evaluation], report, command=command, certificate=certificate)
        print(f"report: {report.resolve()}", file=sys.stderr if json_file == "-" else sys.stdout)
    if not certificate.holds:
        raise typer.Exit(1)


def _print(certificate: Any) -> None:
    columns = {"layer": False, "kind": False}
    numbers = ("elements", "differ", "ties", "rounding", "following", "unexplained", "alone")
    table = common.table(columns | dict.fromkeys((*numbers, "largest error"), True))
    for layer in certificate.layers:
        counts = (layer.differing, layer.ties, layer.rounding, layer.following, layer.unexplained)
        stored = layer.kind == "stored"
        alone, error = layer.given_equal_inputs, layer.largest_error
        table.add_row(
            layer.name,
            layer.kind,
            f"{layer.elements:,}",
            *("" if stored else f"{count:,}" for count in counts),
            "" if alone is None else f"{alone:,}",
            "" if error is None else f"{error:.3g}",
        )
    common.console.print(table)
    print(f"differences are against {certificate.reference}; alone: given the program's own input")
    for name, agreed in certificate.agreement.items():
        what = "float32 and float64" if name == "between" else f"program and {name}"
        low, high = agreed.interval
        print(f"same decision, {what}: {agreed.share:.2%} (95 %: {low:.2%} to {high:.2%})")
    right = (f"{name} {found.share:.2%}" for name, found in certificate.accuracy.items())
    print(f"accuracy: {', '.join(right)}")
    print(f"first divergence: {certificate.first_divergence or 'none'}")
    if certificate.not_compared:
        print(f"not compared: {', '.join(certificate.not_compared)}")
    print(f"rule: {certificate.rule}")
    for objection in certificate.objections:
        print(f"objection: {objection}")
    print("the certificate holds" if certificate.holds else "the certificate does NOT hold")
