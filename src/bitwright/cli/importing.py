"""``bitwright import``: networks of other tools as program files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from bitwright.errors import ConfigError
from bitwright.files import check_writable

app = typer.Typer(help="Import a network of another tool.", no_args_is_help=True)

Output = Annotated[
    Path, typer.Option("-o", "--output", metavar="FILE", help="The program file to write.")
]

Name = Annotated[str, typer.Option("--name", help="The network's name.")]
Checkpoint = Annotated[
    Path, typer.Argument(metavar="FILE", help="A checkpoint that torch.save wrote; weights only.")
]


def _save(program: Any, output: Path) -> None:
    from bitwright.ir import codec  # noqa: PLC0415 - imported when needed

    codec.save(program, output)
    print(f"{output}: {len(program.ops)} ops, digest {program.digest[:16]}")


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
    name: Name = "",
) -> None:
    """Import a folder of folded FINN/BNN-PYNQ parameters."""
    from bitwright.frontends import finn  # noqa: PLC0415 - imported when needed
    from bitwright.frontends.topology import load_topology  # noqa: PLC0415

    check_writable(output)
    program = finn.import_finn(folder, load_topology(topology), name=name)
    _save(program, output)


def _checkpoint(repository: str, file: Path, output: Path, name: str) -> None:
    from importlib import import_module  # noqa: PLC0415

    check_writable(output)
    adapter = import_module(f"bitwright.frontends.checkpoints.{repository}")
    _save(getattr(adapter, f"import_{repository}")(file, name=name), output)


@app.command("adabin")
def import_adabin(file: Checkpoint, output: Output, name: Name = "") -> None:
    """Import the ResNet-20 of huawei-noah/Efficient-Computing's AdaBin."""
    _checkpoint("adabin", file, output, name)


@app.command("irnet")
def import_irnet(file: Checkpoint, output: Output, name: Name = "") -> None:
    """Import the ResNet-18, ResNet-20 or VGG-Small for CIFAR-10 of htqin/IR-Net."""
    _checkpoint("irnet", file, output, name)


@app.command("recu")
def import_recu(file: Checkpoint, output: Output, name: Name = "") -> None:
    """Import the ResNet-18, ResNet-20 or VGG-Small for CIFAR-10 of z-hXu/ReCU."""
    _checkpoint("recu", file, output, name)


@app.command("qonnx")
def import_qonnx(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A QONNX (.onnx) file.")],
    output: Output,
    input_scale: Annotated[
        str | None,
        typer.Option(
            "--input-scale",
            metavar="S|raw",
            help="The graph's input is pixel / S; raw is 1. By default 255, or what the file says.",
        ),
    ] = None,
    name: Name = "",
) -> None:
    """Import a QONNX file, such as brevitas exports."""
    from bitwright.frontends import qonnx  # noqa: PLC0415 - imported when needed

    check_writable(output)
    scale = None if input_scale is None else _scale(input_scale)
    program = qonnx.import_qonnx(file, input_scale=scale, name=name)
    _save(program, output)


def _scale(text: str) -> float:
    if text == "raw":
        return 1.0
    try:
        return float(text)
    except ValueError as error:
        raise ConfigError(
            f"'{text}' is no input scale", "give a positive number, or raw"
        ) from error
