"""``bitwright pdk``: the cell libraries that are known by name, and how to get them."""

from __future__ import annotations

from typing import Annotated

import typer

from bitwright.cli import common

app = typer.Typer(help="Cell libraries that are known by name.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="A library that 'pdk list' names.")]
From = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="URL",
        help="The folder that has its files: https://... [$BITWRIGHT_PDK_URL].",
    ),
]


@app.command("list")
def list_libraries(json_file: common.Json = None) -> None:
    """List the cell libraries, and say which are on this machine."""
    from bitwright.eda import pdk  # noqa: PLC0415 - imported when needed

    found = {name: pdk.find(name) for name in pdk.PDKS}
    listed = [
        {
            "name": name,
            "about": kit.about,
            "files": [str(file) for file in found[name] or ()],
            "get": kit.get,
        }
        for name, kit in pdk.PDKS.items()
    ]
    common.write_json(listed, json_file)
    if json_file == "-":
        return
    table = common.table({"name": False, "what": False, "where": False})
    for name, kit in pdk.PDKS.items():
        files = found[name]
        where = str(files[0].parent) if files else f"not on this machine: {kit.get}"
        table.add_row(name, kit.about, where)
    common.console.print(table)


@app.command("get")
def get(name: Name, address: From = None, json_file: common.Json = None) -> None:
    """Download a cell library; its files are checked by their SHA-256."""
    from bitwright.eda import pdk  # noqa: PLC0415 - imported when needed

    with common.progress(f"getting {name}") as update:
        files = pdk.get(name, address, progress=lambda what, done, total: update(done, total))
    common.write_json({"name": name, "files": [str(file) for file in files]}, json_file)
    if json_file != "-":
        print(f"{files[0].parent}: {len(files)} files; use them as --liberty {name}")
