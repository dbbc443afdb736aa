"""What tests of the commands share that make tables of pieces."""

from __future__ import annotations


def write_few(bitwright, monkeypatch, maker, command, few, folder):
    """Make a table of a few pieces by a command; return its file.

    Parameters
    ----------
    maker
        The module with the `measure_pieces` that the command runs.
    """
    defaults = {**maker.measure_pieces.__kwdefaults__, "pieces": few}
    monkeypatch.setattr(maker.measure_pieces, "__kwdefaults__", defaults)
    file = folder / "pieces.json"
    code, out, _ = bitwright("study", command, "--liberty", "osu018", "-o", file)
    assert code == 0
    assert f"{len(few) + 1} pieces of osu018_stdcells: {file}" in out
    code, _, error = bitwright("study", command, "-o", folder / "no" / "p.json")
    assert code == 2
    assert "p.json" in error
    return str(file)
