"""Runs the peers' benchmarks: each in an environment of its own, one JSON line back.

A peer's packages never enter ours: its script runs in a subprocess, under the Python of
``benchmarks/peers/PEER/venv``, which ``benchmarks/peers/setup PEER`` builds.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

PEERS = Path(__file__).resolve().parent / "peers"


def run_peer(peer: str, script: str, args: Sequence[object] = ()) -> dict[str, Any]:
    """Run a peer's benchmark and read its result.

    Parameters
    ----------
    peer
        The folder under ``benchmarks/peers``, such as ``onnxruntime``.
    script
        The file in that folder, such as ``conv_int8.py``.
    args
        Its arguments; each is turned into text.

    Returns
    -------
    dict
        The last line of its output that is a JSON object.

    Raises
    ------
    SystemExit
        If there is no such script, the peer's environment is not built, or the script fails;
        the message says what to do.

    Examples
    --------
    >>> run_peer("onnxruntime", "conv_int8.py", ["--batch", 64])["ms"]  # doctest: +SKIP
    """
    path = PEERS / peer / script
    python = PEERS / peer / "venv" / "bin" / "python"
    if not path.is_file():
        peers = sorted(found.parent.name for found in PEERS.glob("*/requirements.txt"))
        raise SystemExit(
            f"no peer script {path}; the peers are {', '.join(peers)},"
            " their scripts are in benchmarks/peers/README.md"
        )
    if not python.exists():
        raise SystemExit(f"the peer '{peer}' is not installed; run: benchmarks/peers/setup {peer}")
    # Its errors go straight to our own stderr.
    done = subprocess.run(
        [python, path, *map(str, args)], stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode != 0:
        raise SystemExit(f"{peer}/{script} failed (exit {done.returncode}); see its message above")
    return _last_object(done.stdout, f"{peer}/{script}")


def _last_object(output: str, source: str) -> dict[str, Any]:
    for line in reversed(output.splitlines()):
        if line.startswith("{"):
            result: dict[str, Any] = json.loads(line)
            return result
    raise SystemExit(f"{source} printed no JSON line; run it by itself to see what it does")
