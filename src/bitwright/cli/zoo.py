"""``bitwright zoo``: the networks that Bitwright has, and how to get those that it lacks."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from bitwright.cli import common
from bitwright.errors import DataError

app = typer.Typer(help="Networks that Bitwright has trained.", invoke_without_command=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="A network of the zoo.")]
From = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="URL",
        help="The folder that has it: https://, file:// or a path [$BITWRIGHT_ZOO_URL].",
    ),
]


@app.callback()
def list_networks(context: typer.Context, json_file: common.Json = None) -> None:
    """List the networks of the zoo."""
    if context.invoked_subcommand is not None:
        return
    from bitwright import zoo  # noqa: PLC0415 - imported when needed

    cards = [zoo.card(name) for name in zoo.names()]
    listed = [card.fields | {"certificate": _certified(card.certificate)} for card in cards]
    common.write_json(listed, json_file)
    if json_file == "-":
        return
    columns = {"name": False, "trained on": False, "accuracy": True, "size": True}
    table = common.table(columns | {"certificate": False, "date": False})
    for card in cards:
        record = card.fields["record"]
        accuracy = next(m for m in record["measurements"] if m["metric"] == "accuracy")
        table.add_row(
            card.name,
            f"{record['data']['name']} ({record['data']['count']:,} test images)",
            f"{accuracy['value']:.2%}",
            _size(card.path.stat().st_size),
            _in_words(_certified(card.certificate)),
            card.fields["date"],
        )
    common.console.print(table)
    for name, size in zoo.downloadable().items():
        print(f"not on this machine: {name} ({_size(size)}), by 'bitwright zoo get {name}'")


@app.command("card")
def show_card(name: Name) -> None:
    """Print the card of a network: recipe, data, accuracy, date."""
    from bitwright import zoo  # noqa: PLC0415 - imported when needed

    common.write_json(zoo.card(name).fields, "-")


@app.command("certificate")
def show_certificate(name: Name) -> None:
    """Print the certificate of a network: the program beside its source, layer by layer."""
    from bitwright import zoo  # noqa: PLC0415 - imported when needed

    certificate = zoo.card(name).certificate
    if certificate is None:
        raise DataError(
            f"the network '{name}' has no certificate",
            f"make one of its training run: bitwright certify DIR {name} --json FILE",
        )
    common.write_json(certificate, "-")


@app.command("get")
def get(name: Name, address: From = None, json_file: common.Json = None) -> None:
    """Get a network that does not ship with Bitwright; its files are checked by their SHA-256."""
    from bitwright import zoo  # noqa: PLC0415 - imported when needed

    with common.progress(f"getting {name}") as update:
        path = zoo.get(name, address, progress=lambda what, done, total: update(done, total))
    common.write_json({"name": name, "path": str(path)}, json_file)
    if json_file != "-":
        print(f"{path}: {_size(path.stat().st_size)}")


def _certified(certificate: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return the certificate in short."""
    if certificate is None:
        return None
    return {"holds": certificate["holds"], "images": certificate["data"]["count"]}


def _in_words(certified: dict[str, Any] | None) -> str:
    if certified is None:
        return "none"
    verdict = "holds" if certified["holds"] else "does NOT hold"
    return f"{verdict} ({certified['images']:,} images)"


def _size(count: int) -> str:
    return f"{count / 1000:,.0f} kB"
