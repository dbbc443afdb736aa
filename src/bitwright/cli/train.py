"""``bitwright train``: from a recipe to a packed network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from bitwright.cli import common

Recipe = Annotated[
    str, typer.Argument(metavar="RECIPE", help="fmnist-cnn, or a recipe file (TOML).")
]
Output = Annotated[
    Path | None,
    typer.Option("-o", "--output", metavar="DIR", help="Folder of the run [runs/<recipe>]."),
]
Fresh = Annotated[bool, typer.Option("--fresh", help="Start anew over a run that was cut off.")]
Accelerator = Annotated[
    str, typer.Option("--accelerator", help="cpu, gpu or auto, as Lightning names them.")
]


def train(
    recipe: Recipe,
    output: Output = None,
    fresh: Fresh = False,
    data_dir: common.DataDir = None,
    accelerator: Accelerator = "cpu",
    json_file: common.Json = None,
) -> None:
    """Train a network by a recipe, lower it to integers, and evaluate those.

    A run that was cut off goes on where it stopped when the same command is given again.
    """
    from bitwright.nn import leads, load_recipe  # noqa: PLC0415 - torch only for training
    from bitwright.training import make  # noqa: PLC0415

    chosen = load_recipe(recipe)
    name = Path(recipe).stem
    folder = output or Path("runs") / name
    columns = (
        TextColumn("epoch {task.fields[epoch]}  loss {task.fields[loss]}"),
        BarColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    screen = Console(stderr=True)
    with Progress(*columns, console=screen, disable=not screen.is_terminal) as bars:
        task = bars.add_task("", total=None, epoch="-", loss="-")

        def update(at: Any) -> None:
            bars.update(
                task,
                completed=(at.epoch - 1) * at.steps + at.step,
                total=at.epochs * at.steps,
                epoch=f"{at.epoch}/{at.epochs}",
                loss=f"{at.loss:.4f}",
            )

        made = make(
            name,
            chosen,
            folder,
            data_dir=data_dir,
            resume=not fresh,
            progress=update,
            accelerator=accelerator,
        )
    if not leads():
        return  # another process of this run prints
    common.write_json(made.card, json_file)
    if json_file == "-":
        return
    values = {m["metric"]: m["value"] for m in made.card["record"]["measurements"]}
    print(
        f"{made.path}: {values['correct']:,} of {values['images']:,} test images right "
        f"({values['accuracy']:.2%}), digest {made.program.digest[:16]}"
    )
