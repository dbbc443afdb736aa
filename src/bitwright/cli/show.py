"""``bitwright show``: what a network consists of and where its work lies.

A program is shown op by op, a torch module layer by layer. A name that both a program of the zoo
and a recipe have is the program's, unless the module is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

import typer

from bitwright.cli import common
from bitwright.errors import DataError, UnknownNameError

Model = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="A program: of the zoo, or a file. Or a torch module: a recipe's name or file (TOML), "
        "or the folder of a training run.",
    ),
]
Module = Annotated[
    bool,
    typer.Option("--module", help="Show the torch module where a program has the same name."),
]

RECIPE = ".toml"
_ALSO_MODULES = ", a recipe file (.toml), or the folder of a training run"

_NUMBERS = {
    "input bits": "input_bits",
    "1-bit weights": "binary_weights",
    "8-bit weights": "byte_weights",
    "32-bit weights": "other_weights",
    "kB": "kilobytes",
    "binary MACs": "binary_macs",
    "other MACs": "other_macs",
}
"""Columns of a module's table: what each number is called in `bitwright.nn.Row`."""


def show(model: Model, module: Module = False, json_file: common.Json = None) -> None:
    """Show what a network consists of, weighs, and computes for an image.

    A program is shown op by op, a torch module layer by layer.
    """
    recipes = _recipes()
    if module:
        if model not in recipes and not model.endswith(RECIPE) and not Path(model).exists():
            raise UnknownNameError("recipe", model, recipes, also=_ALSO_MODULES)
        file = None
    else:
        file = _program(model, recipes)
    if file is None:
        _show_module(model, json_file)
    else:
        _show_program(file, model, json_file)


def _program(model: str, recipes: tuple[str, ...]) -> Path | None:
    """Return the file of a program; None if `model` is a module."""
    from bitwright import zoo  # noqa: PLC0415 - imported when needed

    try:
        found = zoo.locate(model)
    except UnknownNameError:
        if model in recipes or model.endswith(RECIPE):
            return None
        also = f", a file made by 'bitwright import'{_ALSO_MODULES}"
        raise UnknownNameError("model", model, {*zoo.names(), *recipes}, also) from None
    except DataError as error:  # of the zoo, but not on this machine
        if model not in recipes:
            raise
        way_out = f"{error.way_out}, or see the module that trains it with --module"
        raise DataError(error.cause, way_out) from None
    return None if found.is_dir() or found.suffix == RECIPE else found


def _recipes() -> tuple[str, ...]:
    """Return the names of the shipped recipes; `bitwright.nn` says them too, but loads torch."""
    folder = resources.files("bitwright") / "nn" / "recipes"
    files = (Path(entry.name) for entry in folder.iterdir())
    return tuple(sorted(file.stem for file in files if file.suffix == RECIPE))


def _show_module(source: str, json_file: str | None) -> None:
    from bitwright.nn import summary  # noqa: PLC0415 - torch only for modules
    from bitwright.nn.open_module import open_module  # noqa: PLC0415

    opened = open_module(source)
    table = summary(opened.module, opened.input_shape)
    if json_file is not None:
        about = {"model": opened.model, "params": opened.params, "trained": opened.trained}
        common.write_json({"name": source, **about, **table.to_json()}, json_file)
        if json_file == "-":
            return
    state = "trained" if opened.trained else "not trained"
    print(f"{source}  torch module {opened.model}, {state}")
    print(f"input: pixels {_by(opened.input_shape)}; counted per image; 1 kB is 1024 bytes")
    total = table.total
    columns = dict(_NUMBERS)
    if not total.byte_weights:
        del columns["8-bit weights"]
    printed = common.table(
        dict.fromkeys(("layer", "kind", "output"), False) | dict.fromkeys(columns, True)
    )
    for row in (*table, total):
        if row is total:
            printed.add_section()
        numbers = (getattr(row, key) for key in columns.values())
        output = "" if row is total else _by(row.output)
        printed.add_row(row.name, row.kind, output, *map(_number, numbers))
    common.console.print(printed)
    print(
        f"memory: {total.kilobytes:,.1f} kB, {table.compression:.1f} times less than "
        f"{total.float32_kilobytes:,.1f} kB with 32 bits a weight"
    )
    print(f"binary: {table.binary_share:.2%} of the multiply-accumulates (MACs)")


def _number(value: float | None) -> str:
    """Write a cell of a module's table; nothing for 0."""
    return "" if not value else f"{value:,.2f}" if isinstance(value, float) else f"{value:,}"


def _by(shape: Sequence[int]) -> str:
    return "x".join(str(n) for n in shape)


def _show_program(path: Path, model: str, json_file: str | None) -> None:
    from bitwright.ir import codec, count_work  # noqa: PLC0415 - imported when needed

    program = codec.load(path)
    work = count_work(program)
    total = sum(w.operations for w in work)
    rows: list[dict[str, Any]] = [
        {
            "op": w.op.output,
            "kind": w.op.kind,
            "shape": list(program.types[w.op.output].shape),
            "values": _values(program.types[w.op.output]),
            "binary_operations": w.binary_operations,
            "integer_operations": w.integer_operations,
            "weight_bits": w.weight_bits,
            "thresholds": w.thresholds,
            "share": w.operations / total if total else 0.0,
        }
        for w in work
    ]
    sums = {
        key: sum(getattr(w, key) for w in work)
        for key in ("binary_operations", "integer_operations", "weight_bits", "thresholds")
    }
    if json_file is not None:
        about = {
            "name": program.name,
            "digest": program.digest,
            "input": str(program.input_type),
            "classes": list(program.classes),
            "metadata": dict(program.metadata),
        }
        common.write_json({**about, "ops": rows, "total": sums}, json_file)
        if json_file == "-":
            return
    print(f"{program.name or model}  digest {program.digest[:16]}")
    print(f"input: {program.input_type}; counted per image")
    for key, value in program.metadata.items():
        if key != "fraction_bits":  # one number for each stored value: for programs, not people
            print(f"{key}: {value}")
    columns = {
        "op": False,
        "kind": False,
        "shape": False,
        "values": False,
        "binary ops": True,
        "integer ops": True,
        "weight bits": True,
        "thresholds": True,
        "share": True,
    }
    table = common.table(columns)
    for row in rows:
        numbers = [row[key] for key in sums]
        table.add_row(
            str(row["op"]),
            str(row["kind"]),
            _by(row["shape"]),
            str(row["values"]),
            *(f"{n:,}" if n else "" for n in numbers),
            f"{row['share']:.1%}" if row["share"] else "",
        )
    table.add_section()
    table.add_row("total", "", "", "", *(f"{n:,}" for n in sums.values()), "")
    common.console.print(table)


def _values(value: Any) -> str:
    from bitwright.ir import Bits  # noqa: PLC0415 - imported when needed

    return "bits" if isinstance(value, Bits) else f"{value.lo:,}..{value.hi:,}"
