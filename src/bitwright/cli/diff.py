"""``bitwright diff``: whether two engines agree, and where they first do not."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from bitwright.cli import common
from bitwright.errors import ConfigError

Engines = Annotated[
    list[str],
    typer.Option("--engine", metavar="E", help="native or reference; give two."),
]


def diff(
    model: common.Model,
    data: common.Data = "fashion-mnist-sample",
    engine: Engines = ["native", "reference"],  # noqa: B006 - typer's way of a repeatable option
    limit: common.Limit = 1000,
    data_dir: common.DataDir = None,
    json_file: common.Json = None,
) -> None:
    """Compare two engines value by value; exit code 1 if they differ."""
    from bitwright import zoo  # noqa: PLC0415 - imported when needed
    from bitwright.diff import compare  # noqa: PLC0415
    from bitwright.ir import codec  # noqa: PLC0415

    if len(engine) != 2:
        raise ConfigError(f"{len(engine)} engines are given", "give --engine twice")
    program = codec.load(zoo.locate(model))
    images = common.load_data(data, data_dir, limit).images
    with common.progress("comparing") as update:
        result = compare(program, images, (engine[0], engine[1]), progress=update)
    common.write_json(asdict(result), json_file)
    found = result.difference
    if json_file != "-":
        if found is None:
            print(
                f"identical: {result.elements:,} values "
                f"({len(result.values)} of {len(program.ops)} ops, {result.images} images)"
            )
        else:
            image, *index = found.position
            print(
                f"differ first at op '{found.value}' ({found.kind}), image {image}, "
                f"position {tuple(index)}: {engine[0]} {found.found[0]}, "
                f"{engine[1]} {found.found[1]} ({found.differing} differ there)"
            )
    if found is not None:
        raise typer.Exit(1)
