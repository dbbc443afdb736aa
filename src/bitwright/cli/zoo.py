"""``bitwright zoo``: the networks that come with the package."""

from __future__ import annotations

from typing import Annotated

import typer

from bitwright.cli import common

app = typer.Typer(help="Networks that come with Bitwright.", invoke_without_command=True)


@app.callback()
def list_networks(context: typer.Context, json_file: common.Json = None) -> None:
    """List the networks of the zoo."""
    if context.invoked_subcommand is not None:
        return
    from bitwright import zoo  # noqa: PLC0415 - imported when needed

    cards = [zoo.card(name) for name in zoo.names()]
    common.write_json([card.fields for card in cards], json_file)
    if json_file == "-":
        return
    columns = {"name": False, "trained on": False, "accuracy": True, "size": True, "date": False}
    table = common.table(columns)
    for card in cards:
        record = card.fields["record"]
        accuracy = next(m for m in record["measurements"] if m["metric"] == "accuracy")
        data = f"{record['data']['name']} ({record['data']['count']:,} test images)"
        size = f"{card.path.stat().st_size / 1000:.0f} kB"
        table.add_row(card.name, data, f"{accuracy['value']:.2%}", size, card.fields["date"])
    common.console.print(table)


@app.command("card")
def show_card(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A network of the zoo.")],
) -> None:
    """Print the card of a network: recipe, data, accuracy, date."""
    from bitwright import zoo  # noqa: PLC0415 - imported when needed

    common.write_json(zoo.card(name).fields, "-")
