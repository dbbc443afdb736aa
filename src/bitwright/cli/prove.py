"""``bitwright prove``: that a design which leaves work out changes no output."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from bitwright.cli import common, evaluate
from bitwright.errors import ConfigError
from bitwright.files import check_writable

if TYPE_CHECKING:
    from bitwright.prove import Proof

Target = Annotated[str, typer.Option("--target", metavar="T", help="The target: reuse.")]
Slices = Annotated[
    int,
    typer.Option("--sat", metavar="N", min=0, help="Slices of each layer that yosys proves equal."),
]
Width = Annotated[
    int,
    typer.Option(
        "--sat-inputs", metavar="N", min=1, max=32,
        help="Inputs of a slice; the solver's time grows steeply.",
    ),
]  # fmt: skip


def prove(
    model: common.Model,
    data: common.Data = "fashion-mnist-sample",
    target: Target = "reuse",
    config: evaluate.Config = None,
    limit: common.Limit = None,
    data_dir: common.DataDir = None,
    threads: common.Threads = None,
    slices: Slices = 0,
    width: Width = 9,
    json_file: common.Json = None,
) -> None:
    """Prove that a design computes its network bit for bit; exit code 1 if it does not."""
    if target != "reuse":
        raise ConfigError(
            f"target '{target}' leaves no work out that could be proved superfluous",
            "prove --target reuse",
        )
    from bitwright import zoo  # noqa: PLC0415 - imported when needed
    from bitwright.ir import codec  # noqa: PLC0415
    from bitwright.prove import prove as run  # noqa: PLC0415

    if json_file not in (None, "-"):
        check_writable(str(json_file))
    program = codec.load(zoo.locate(model))
    settings = evaluate.read_settings(config, [target])
    images = common.load_data(data, data_dir, limit)
    with common.steps("proving") as update:
        found = run(
            program, images, config=settings.get(target, {}), slices=slices, width=width,
            threads=threads, progress=update,
        )  # fmt: skip
    common.write_json(found.to_json(), json_file)
    if json_file != "-":
        _print(found)
    if not found.holds:
        raise typer.Exit(1)


def _print(found: Proof) -> None:
    heads = {"layer": False, "plan": False, "rows": True, "rows that differ": True}
    rows = common.table(heads | {"slices proved": True})
    for layer in found.layers:
        counts = (layer.neurons, len(layer.wrong), layer.slices)
        rows.add_row(layer.name, layer.method, *(f"{count:,}" for count in counts))
    common.console.print(rows)
    print(
        f"{found.data.count:,} images of {found.data.name}: {found.differing:,} of "
        f"{found.outputs:,} outputs differ ({found.seconds:.0f} s)"
    )
    print("proved" if found.holds else "NOT proved")
