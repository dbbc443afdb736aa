"""``bitwright import``: networks of other tools as program files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bitwright.files import check_writable

app = typer.Typer(help="Import a network of another tool.", no_args_is_help=True)

Output = Annotated[
    Path, typer.Option("-o", "--output", metavar="FILE", help="The program file to write.")
]


@app.callback()
def _importing() -> None:
    """Import a network of another tool."""


@app.command("finn")
def import_finn(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of FINN parameters.")],
    output: Output,
    topology: Annotated[
        str,
        typer.Option("--topology", metavar="NAME|FILE", help="cnv, lfc, or a TOML file."),
    ] = "cnv",
    name: Annotated[str, typer.Option("--name", help="The network's name.")] = "",
) -> None:
    """Import a folder of folded FINN/BNN-PYNQ parameters."""
    from bitwright.frontends import finn  # noqa: PLC0415 - imported when needed
    from bitwright.frontends.topology import load_topology  # noqa: PLC0415
    from bitwright.ir import codec  # noqa: PLC0415

    check_writable(output)
    program = finn.import_finn(folder, load_topology(topology), name=name)
    codec.save(program, output)
    print(f"{output}: {len(program.ops)} ops, digest {program.digest[:16]}")
