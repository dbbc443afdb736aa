"""What the commands share: options, tables, progress, JSON files."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from bitwright.files import write_atomically

Model = Annotated[
    str, typer.Argument(metavar="MODEL", help="A network of the zoo, or a program file.")
]
Data = Annotated[
    str,
    typer.Option(
        "--data",
        metavar="NAME|PATH",
        help="fashion-mnist, mnist, cifar10, fashion-mnist-sample, an .npz file with x and y, "
        "or a folder of images by class.",
    ),
]
DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", metavar="DIR", help="Where to look for data sets first."),
]
Limit = Annotated[
    int | None, typer.Option("--limit", metavar="N", help="Use only the first N images.")
]
Json = Annotated[
    str | None,
    typer.Option("--json", metavar="FILE", help="Write the result as JSON; - is standard output."),
]
Threads = Annotated[
    int | None,
    typer.Option("--threads", metavar="N", min=1, help="Threads to use; by default all cores."),
]
LIBERTY_HELP = "A Liberty file, a folder of such, osu018 or asap7; repeated, all are one library."
Liberty = Annotated[
    list[str] | None, typer.Option("--liberty", metavar="FILE|NAME", help=LIBERTY_HELP)
]
Vectors = Annotated[
    int, typer.Option("--vectors", metavar="N", min=1, help="Operations an energy is taken over.")
]
Page = Annotated[
    Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write a page (HTML).")
]

console = Console(highlight=False)
if not console.is_terminal:
    console.width = 160  # a file or a pipe folds nothing


def write_json(value: Any, file: str | None) -> None:
    """Write JSON to a file, to standard output for ``-``, or nowhere for None."""
    text = json.dumps(value, indent=2) + "\n"
    if file == "-":
        sys.stdout.write(text)
    elif file is not None:
        write_atomically(file, text.encode())


def table(columns: dict[str, bool]) -> Table:
    """Return an empty table; `columns` says of each heading whether it holds numbers."""
    made = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    for heading, numbers in columns.items():
        made.add_column(heading, justify="right" if numbers else "left", overflow="fold")
    return made


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar on standard error if it is a terminal; yield ``(done, total) -> None``."""
    with _bars() as bars:
        task = bars.add_task(what, total=None)

        def update(done: int, total: int) -> None:
            bars.update(task, completed=done, total=total)

        yield update


@contextmanager
def steps(title: str) -> Iterator[Callable[[str, int, int], None]]:
    """Show one bar for steps that follow each other; yield ``(step, done, total) -> None``."""
    with _bars() as bars:
        task = bars.add_task(title, total=None)
        now = [""]

        def update(what: str, done: int, total: int) -> None:
            if what != now[0]:
                now[0] = what
                # Time that is left is of this step alone.
                bars.reset(task, total=total, description=f"{title}: {what}")
            bars.update(task, completed=done, total=total)

        yield update


def _bars() -> Progress:
    """Return bars on standard error, which are shown if it is a terminal."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    screen = Console(stderr=True)
    return Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal)


def load_data(name: str, data_dir: Path | None, limit: int | None) -> Any:
    """Load a test set, with a bar."""
    from bitwright import data  # noqa: PLC0415 - quick commands do without

    with progress(f"reading {name}") as update:
        return data.load(
            name,
            data_dir=data_dir,
            limit=limit,
            progress=lambda what, done, total: update(done, total),
        )
