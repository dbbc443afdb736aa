"""The AVX-512, AVX2 and portable paths: each compiled anew, each equal to the reference.

Numba takes its target from ``NUMBA_CPU_NAME``; ``NUMBA_CPU_FEATURES`` must be given too (here: no
more than the name implies), or Numba adds all that the machine has. The empty cache makes sure that
what is tested is what is written: Numba's cache knows the file of a kernel, not what it imports.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import llvmlite.binding as llvm
import pytest

ROOT = Path(__file__).parents[2]
X86 = platform.machine().lower() in ("x86_64", "amd64")
FEATURES = llvm.get_host_cpu_features()
AVX512 = ("avx512f", "avx512bw", "avx512dq", "avx512vl")


def requires(*features: str) -> pytest.MarkDecorator:
    lacking = [name for name in features if not FEATURES.get(name, False)]
    reason = f"this processor lacks {', '.join(lacking)}" if X86 else "this is no x86-64 machine"
    return pytest.mark.skipif(not X86 or bool(lacking), reason=reason)


def level_of(cpu: str | None, cache: Path) -> str:
    """Compare all kernels for a processor, and return the level that was reached."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("NUMBA_CPU")}
    environment |= {"NUMBA_CACHE_DIR": str(cache), "OPENBLAS_NUM_THREADS": "1"}
    if cpu:
        environment |= {"NUMBA_CPU_NAME": cpu, "NUMBA_CPU_FEATURES": ""}
    run = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.native.level_worker"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    return run.stdout.strip()


def test_this_processor(tmp_path: Path) -> None:
    expected = "portable"
    if X86 and all(FEATURES.get(name, False) for name in (*AVX512, "avx512vpopcntdq")):
        expected = "avx512"
    elif X86 and FEATURES.get("avx2", False):
        expected = "avx2"
    assert level_of(None, tmp_path) == expected


@requires(*AVX512, "avx512vpopcntdq")
def test_avx512(tmp_path: Path) -> None:
    assert level_of("icelake-server", tmp_path) == "avx512"


@requires(*AVX512)
def test_avx512_without_a_popcount_for_vectors_does_as_avx2(tmp_path: Path) -> None:
    assert level_of("x86-64-v4", tmp_path) == "avx2"


@requires("avx2", "fma", "bmi", "bmi2")
def test_avx2(tmp_path: Path) -> None:
    assert level_of("haswell", tmp_path) == "avx2"


@requires()
def test_portable(tmp_path: Path) -> None:
    assert level_of("x86-64", tmp_path) == "portable"
