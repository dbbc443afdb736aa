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
Aware = Annotated[
    str | None,
    typer.Option(
        "--aware",
        metavar="METHOD",
        help="Train for approximate popcounts, injected as uniform or margin flips, by a value "
        "table, or as the circuit itself; none trains with exact counts.",
    ),
]
Circuit = Annotated[
    str | None,
    typer.Option("--circuit", metavar="SPEC", help="Which popcount: maj:L=2,keep=0.6 [maj]."),
]
Start = Annotated[
    str | None,
    typer.Option(
        "--start",
        metavar="RUN|MODEL",
        help="What to start from: the folder of a run; or, for mlp, cnn and cnv, a program's file "
        "or a name of the zoo.",
    ),
]
Accelerator = Annotated[
    str, typer.Option("--accelerator", help="cpu, gpu or auto, as Lightning names them.")
]


def train(
    recipe: Recipe,
    output: Output = None,
    fresh: Fresh = False,
    aware: Aware = None,
    circuit: Circuit = None,
    start: Start = None,
    data_dir: common.DataDir = None,
    accelerator: Accelerator = "cpu",
    json_file: common.Json = None,
) -> None:
    """Train a network by a recipe, lower it to integers, and evaluate those.

    A run that was cut off goes on where it stopped when the same command is given again.
    """
    # Torch is needed for training only.
    from bitwright.nn import leads, load_recipe, with_options  # noqa: PLC0415
    from bitwright.training import make  # noqa: PLC0415

    chosen = with_options(load_recipe(recipe), method=aware, circuit=circuit, start=start)
    name = Path(recipe).stem + (f"-{aware}" if aware else "")
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
    circuits = " with its circuits" if chosen.approximate else ""
    if chosen.crossbar is not None:
        circuits = " with exact sums, not those of its arrays: see eval --target crossbar"
    print(
        f"{made.path}: {values['correct']:,} of {values['images']:,} test images right "
        f"({values['accuracy']:.2%}{circuits}), digest {made.program.digest[:16]}"
    )
    changed = made.card.get("changed_by")
    if changed is not None:
        print(
            f"changed by reuse-aware training of weight {changed['weight']:g}: spanning trees "
            f"leave {changed['products_left']:.1%} of the products"
        )
