"""``bitwright export``: programs as files of other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bitwright.cli.common import Model
from bitwright.files import check_writable

app = typer.Typer(help="Export a network for another tool.", no_args_is_help=True)


@app.callback()
def _exporting() -> None:
    """Export a network for another tool."""


@app.command("qonnx")
def export_qonnx(
    model: Model,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE", help="The .onnx file to write.")
    ],
) -> None:
    """Export a network as a QONNX file that gives equal logits."""
    from bitwright import zoo  # noqa: PLC0415 - imported when needed
    from bitwright.frontends.qonnx import export  # noqa: PLC0415
    from bitwright.ir import codec  # noqa: PLC0415

    check_writable(output)
    program = codec.load(zoo.locate(model))
    export.export_qonnx(program, output)
    print(f"{output}: {len(program.ops)} ops, takes pixels 0..255 (N, channels, rows, columns)")
