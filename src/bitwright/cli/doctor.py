"""``bitwright doctor``: what this machine has, and what is missing for what."""

from __future__ import annotations

import importlib.util
import os
import platform
from importlib import metadata

from bitwright.cli import common

OPTIONAL = {
    "torch": "train",
    "lightning": "train",
    "torchmetrics": "train",
    "onnx": "onnx",
    "amaranth": "eda",
    "optuna": "cluster",
    "distributed": "cluster",
}


def doctor(data_dir: common.DataDir = None, json_file: common.Json = None) -> None:
    """Say which processor features, tools, packages and data sets are there."""
    from bitwright import data, eda, zoo  # noqa: PLC0415 - imported when needed
    from bitwright.eda import pdk  # noqa: PLC0415
    from bitwright.native import level  # noqa: PLC0415

    processor = {
        "machine": platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "vectors": level(),
    }
    packages = {
        name: metadata.version(name)
        if importlib.util.find_spec(name)
        else f"missing: pip install 'bitwright[{extra}]'"
        for name, extra in OPTIONAL.items()
    }
    tools = {
        tool.command: f"{found[1]} ({found[0]})"
        if found
        else f"missing: {tool.install} ({tool.purpose})"
        for tool, found in eda.find_tools().items()
    }
    sets = {
        name: str(where) if where else "not found: downloaded when first used"
        for name, where in data.available(data_dir)
    }
    libraries = {
        name: str(files[0].parent) if (files := pdk.find(name)) else f"not found: {kit.get}"
        for name, kit in pdk.PDKS.items()
    }
    found_all: dict[str, dict[str, object]] = {
        "python": {"version": platform.python_version()},
        "processor": {**processor},
        "packages": {**packages},
        "tools": {**tools},
        "libraries": {**libraries},
        "data": {**sets},
        "zoo": {name: str(zoo.locate(name)) for name in zoo.names()},
    }
    common.write_json(found_all, json_file)
    if json_file == "-":
        return
    for part, entries in found_all.items():
        print(part)
        for name, value in entries.items():
            print(f"  {name:<22} {value}")
