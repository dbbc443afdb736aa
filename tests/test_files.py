"""Folders that are made for files."""

import pytest

from bitwright.errors import ConfigError
from bitwright.files import make_folder


def test_a_folder_is_made_once_with_those_above_it_or_refused_with_a_way_out(tmp_path):
    folder = tmp_path / "new" / "folder"
    make_folder(folder, "no matter")
    (folder / "file").write_text("kept")
    make_folder(folder, "no matter")
    assert (folder / "file").read_text() == "kept"
    below = folder / "file" / "below"
    with pytest.raises(ConfigError) as refused:
        make_folder(below, "give another as --here")
    assert str(refused.value) == (
        f"cannot make the folder '{below}' (Not a directory): give another as --here"
    )
    with pytest.raises(ConfigError, match="File exists"):
        make_folder(folder / "file", "no matter")
