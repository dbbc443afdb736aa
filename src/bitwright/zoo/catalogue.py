"""What is in the zoo: a program with its card and its certificate beside it."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bitwright.errors import BitwrightError, ConfigError, DataError, UnknownNameError
from bitwright.zoo import places
from bitwright.zoo.index import CARD, CERTIFICATE


@dataclass(frozen=True)
class Card:
    """Where a network comes from: recipe, data and its hash, accuracy, date.

    `path` is the program's file and `fields` the JSON of the card as it stands. `certificate` is
    that of the certificate, as `bitwright.certificate.Certificate.to_json` gives it; None if the
    network has none.
    """

    name: str
    path: Path
    fields: dict[str, Any]
    certificate: dict[str, Any] | None


def names() -> tuple[str, ...]:
    """Return the names of all networks of the zoo that are on this machine."""
    return places.names()


def downloadable() -> dict[str, int]:
    """Return the networks that are not on this machine but can be got: bytes by name."""
    return {
        name: sum(file.size for file in files)
        for name, files in places.indexed().items()
        if places.find(name) is None
    }


def card(name: str) -> Card:
    """Return the card of a network.

    Raises
    ------
    UnknownNameError
        If the zoo has none of that name.
    DataError
        If it has, but not on this machine.
    ConfigError
        If the card or the certificate is damaged.
    """
    path = places.find(name)
    if path is None:
        raise absent(name)
    certificate = path.with_name(f"{name}{CERTIFICATE}")
    return Card(
        name,
        path,
        _read(path.with_name(f"{name}{CARD}")),
        _read(certificate) if certificate.is_file() else None,
    )


def own_settings(model: str | os.PathLike[str], target: str) -> dict[str, Any]:
    """Return the settings of a target that a network was trained for, as the card beside it says.

    Empty if it was trained for no hardware, or for other hardware, or what is beside it is no card:
    the card of a network that was trained for none records the target ``exact``.

    Raises
    ------
    UnknownNameError, DataError
        As `locate` does.
    """
    try:
        record = _read(locate(model).with_suffix(CARD)).get("record")
    except ConfigError:
        return {}
    if not isinstance(record, dict) or target == "exact" or record.get("target") != target:
        return {}
    return dict(record.get("config") or {})


def locate(model: str | os.PathLike[str]) -> Path:
    """Return the file of a network: a zoo name, or a path as it is.

    Raises
    ------
    UnknownNameError
        If it is neither a zoo name nor a file.
    DataError
        If it is a network of the zoo that is not on this machine.
    """
    name = os.fspath(model)
    found = places.find(name)
    if found is not None:
        return found
    if os.path.exists(name):
        return Path(name)
    raise absent(name, "model", also=", or a file made by 'bitwright import'")


def absent(name: str, kind: str = "network in the zoo", also: str = "") -> BitwrightError:
    """Return the error for a name that no network on this machine has."""
    others = downloadable()
    if name in others:
        return DataError(
            f"the network '{name}' is not on this machine",
            f"get it with 'bitwright zoo get {name}'",
        )
    if others:
        also = f" ({', '.join(sorted(others))} by 'bitwright zoo get NAME'){also}"
    return UnknownNameError(kind, name, [*names(), *others], also=also)


def _read(path: Path) -> dict[str, Any]:
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read ({error})", "restore the file") from error
    if not isinstance(fields, dict):
        raise ConfigError(f"{path} is no JSON object", "restore the file")
    return fields
