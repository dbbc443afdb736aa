"""What is in the zoo, and where: ``<name>.safetensors`` with the card ``<name>.json`` beside it."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bitwright.errors import UnknownNameError

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Card:
    """Where a network comes from: recipe, data and its hash, accuracy, date.

    `fields` is the JSON of the card as it stands.
    """

    name: str
    path: Path
    fields: dict[str, Any]


def names() -> tuple[str, ...]:
    """Return the names of all networks in the zoo."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.safetensors")))


def card(name: str) -> Card:
    """Return the card of a network.

    Raises
    ------
    UnknownNameError
        If the zoo has none of that name.
    """
    if name not in names():
        raise UnknownNameError("network in the zoo", name, names())
    fields = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return Card(name, FOLDER / f"{name}.safetensors", fields)


def locate(model: str | os.PathLike[str]) -> Path:
    """Return the file of a network: a zoo name, or a path as it is.

    Raises
    ------
    UnknownNameError
        If it is neither a zoo name nor a file.
    """
    name = os.fspath(model)
    if name in names():
        return FOLDER / f"{name}.safetensors"
    if Path(name).exists():
        return Path(name)
    raise UnknownNameError("model", name, names(), also=", or a file made by 'bitwright import'")
