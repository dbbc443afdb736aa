"""The data tests see no data but what they make or are shown, and no network."""

from __future__ import annotations

from pathlib import Path

import pytest

from bitwright.data import locate


@pytest.fixture(autouse=True)
def _bare_machine(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch):
    """No $BITWRIGHT_DATA, no Debian packages, an empty cache, no proxy."""
    monkeypatch.delenv("BITWRIGHT_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(locate, "DEBIAN", tmp_path_factory.mktemp("debian"))


@pytest.fixture
def debian() -> Path:
    """Debian's real folder with Fashion-MNIST."""
    folder = Path("/usr/share/datasets")
    if not (folder / "fashion-mnist").is_dir():
        pytest.skip("Debian's package dataset-fashion-mnist is not installed")
    return folder


@pytest.fixture
def shared(shared: Path) -> Path:
    """The data sets of the shared folder: CIFAR-10 and the test set of MNIST."""
    folder = shared / "datasets"
    if not folder.is_dir():
        pytest.skip(f"no {folder}: set $BITWRIGHT_SHARED")
    return folder
