"""Networks to fill a zoo with, and a look at what is in a folder."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from tests.networks import classifier

from bitwright.ir import codec

BIG = "big-net"
"""The network that the package does not have."""


def write_network(folder: Path, name: str, *, certified: bool = True) -> Path:
    """Write a program with its card and certificate; return the program's path."""
    folder.mkdir(parents=True, exist_ok=True)
    program = replace(classifier(), name=name)
    codec.save(program, folder / f"{name}.safetensors")
    accuracy = {"metric": "accuracy", "value": 0.5, "unit": "share", "method": "simulated"}
    record = {"data": {"name": "noise", "count": 60}, "measurements": [accuracy]}
    card = {"name": name, "digest": program.digest, "record": record, "date": "2026-01-01"}
    (folder / f"{name}.json").write_text(json.dumps(card))
    if certified:
        certificate = {"holds": True, "program": program.digest, "data": {"count": 1234}}
        (folder / f"{name}.certificate.json").write_text(json.dumps(certificate))
    return folder / f"{name}.safetensors"


def content(folder: Path) -> dict[str, bytes]:
    """What a folder holds: bytes by name."""
    return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.exists() else {}
