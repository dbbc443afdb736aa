"""``bitwright classify``: the classes of single images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import typer

from bitwright.cli import common
from bitwright.errors import DataError, ProgramError

Images = Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="PNG or JPEG files.")]
Fit = Annotated[
    bool,
    typer.Option(
        "--fit", help="Convert to the network's colours and resize (bilinear) to its size."
    ),
]
Top = Annotated[int, typer.Option("--top", metavar="K", min=1, help="Classes to show an image.")]


def classify(
    model: common.Model,
    images: Images,
    fit: Fit = False,
    top: Top = 3,
    json_file: common.Json = None,
) -> None:
    """Classify images: names and scores of the best classes."""
    from bitwright.network import load  # noqa: PLC0415 - imported when needed

    network = load(model)
    program = network.program
    if program.logits is None:
        raise ProgramError(f"'{model}' is no classifier", "give a network with a decision")
    shape = program.input_type.shape
    loaded = [_read(path, shape, fit) for path in images]
    results = network.run(np.stack([pixels for pixels, _ in loaded]))
    scores, decisions = results[program.logits], results[program.decision or ""]
    names = program.classes or tuple(str(i) for i in range(scores.shape[1]))
    rows = []
    for path, (_, done), row, decision in zip(images, loaded, scores, decisions, strict=True):
        order = np.argsort(-row, kind="stable")[:top]
        best = [{"class": names[i], "score": int(row[i])} for i in order]
        rows.append(
            {"image": str(path), "class": names[decision], "preprocessing": done, "top": best}
        )
    common.write_json(rows, json_file)
    if json_file == "-":
        return
    print(f"preprocessing: {program.metadata.get('preprocessing', '8-bit pixels as they are')}")
    table = common.table({"image": False, "class": False, "scores": False, "fitted": False})
    for entry in rows:
        listed = ", ".join(f"{b['class']} {b['score']}" for b in entry["top"])
        table.add_row(entry["image"], entry["class"], listed, entry["preprocessing"])
    common.console.print(table)


def _read(path: Path, shape: tuple[int, ...], fit: bool) -> tuple[npt.NDArray[Any], str]:
    from PIL import Image, UnidentifiedImageError  # noqa: PLC0415 - imported when needed

    if len(shape) != 3 or shape[2] not in (1, 3):
        raise ProgramError(f"the network takes no images but {shape}", "use the Python interface")
    mode = "L" if shape[2] == 1 else "RGB"
    try:
        with Image.open(path) as image:
            image.load()
            have = (image.height, image.width, image.mode)
            if have == (*shape[:2], mode):
                return np.asarray(image).reshape(shape), "no"
            if not fit:
                raise DataError(
                    f"'{path}' is {have[0]}x{have[1]} {have[2]}; "
                    f"the network takes {shape[0]}x{shape[1]} {mode}",
                    "give --fit to convert it",
                )
            fitted = image.convert(mode).resize((shape[1], shape[0]), Image.Resampling.BILINEAR)
            done = f"from {have[0]}x{have[1]} {have[2]}"
            return np.asarray(fitted).reshape(shape), done
    except (OSError, UnidentifiedImageError, ValueError, Image.DecompressionBombError) as error:
        reason = " ".join(str(error).split())[:120]
        raise DataError(f"'{path}' cannot be read ({reason})", "give PNG or JPEG files") from error
