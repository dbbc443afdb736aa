"""What all tests share: the folder of material, tests that need a system tool, the environment.

Numba keeps compiled kernels by the file that defines them, not by the files that they are built
from: tests keep theirs by the hash of all that emits code, so that none is ever stale. BLAS
threads that spin while the cores are busy make the reference ten times slower: it gets one.

Drawn examples have no deadline: the first one that needs a kernel compiles it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings

PACKAGE = Path(__file__).parents[1] / "src" / "bitwright"
_emitting = [*PACKAGE.glob("native/*.py"), *PACKAGE.glob("targets/crossbar/solver/*.py")]
_sources = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(_emitting)))
_cache = Path(tempfile.gettempdir()) / f"bitwright-test-kernels-{_sources.hexdigest()[:16]}"
os.environ.setdefault("NUMBA_CACHE_DIR", str(_cache))
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

settings.register_profile("bitwright", deadline=None)
settings.load_profile("bitwright")

SHARED = Path(os.environ.get("BITWRIGHT_SHARED") or Path(__file__).parents[2] / "shared")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Leave out what is marked ``tool(name)`` if there is no such tool; in CI, fail instead."""
    for marker in item.iter_markers("tool"):
        (name,) = marker.args
        if shutil.which(name) is None:
            if os.environ.get("CI"):
                pytest.fail(f"{name} is not installed, and CI tests everything", pytrace=False)
            pytest.skip(f"{name} is not installed")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of data sets, models and libraries that checkouts on this machine share."""
    if not SHARED.is_dir():
        pytest.skip(f"no {SHARED}: set $BITWRIGHT_SHARED")
    return SHARED


@pytest.fixture
def bitwright(monkeypatch, capsys):
    """Run the command line in this process: (exit code, standard output, standard error)."""
    from bitwright.cli.main import main  # noqa: PLC0415 - after the environment is set

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["bitwright", *map(str, arguments)])
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = stop.code or 0
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run
