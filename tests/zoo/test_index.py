"""The index says of the folder ``zoo/`` what is in it, and the folder has what belongs there."""

import hashlib
import runpy
from pathlib import Path

import pytest
from tests.zoo.material import BIG, write_network

from bitwright.errors import ConfigError
from bitwright.zoo import index

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "bitwright" / "zoo"


def test_the_index_is_that_of_the_folder():
    found = index.scan(ROOT / "zoo")  # refuses what could ship in the wheel
    assert index.read(PACKAGE / index.FILE) == found
    assert (PACKAGE / index.FILE).read_text() == index.to_toml(found), "run scripts/zoo-index"


def test_what_ships_in_the_wheel_is_small():
    sizes = {path.name: path.stat().st_size for path in PACKAGE.iterdir() if path.is_file()}
    assert len(sizes) > 5
    assert {name: size for name, size in sizes.items() if size > 500_000} == {}
    assert index.SHIPPED_BYTES == 500_000


def test_no_network_is_in_both():
    shipped = {path.stem for path in PACKAGE.glob("*.safetensors")}
    assert shipped.isdisjoint(index.read(PACKAGE / index.FILE))


def test_an_index_is_read_as_it_was_written(elsewhere, tmp_path):
    write_network(elsewhere, "a_second", certified=False)
    made = index.scan(elsewhere)
    assert list(made) == ["a_second", BIG]
    assert [file.name for file in made["a_second"]] == ["a_second.json", "a_second.safetensors"]
    for file in (file for files in made.values() for file in files):
        content = (elsewhere / file.name).read_bytes()
        assert (file.size, file.sha256) == (len(content), hashlib.sha256(content).hexdigest())
        assert file.is_in(elsewhere)
        assert not file.is_in(tmp_path)
    (tmp_path / "index.toml").write_text(index.to_toml(made))
    assert index.read(tmp_path / "index.toml") == made


def test_a_folder_without_networks_has_an_empty_index(tmp_path):
    assert index.scan(tmp_path / "nowhere") == index.scan(tmp_path) == {}
    (tmp_path / "index.toml").write_text(index.to_toml({}))
    assert index.read(tmp_path / "index.toml") == {}


def test_what_does_not_belong_in_the_folder_is_refused(elsewhere, monkeypatch):
    (elsewhere / f"{BIG}.json").rename(elsewhere / "kept")
    with pytest.raises(ConfigError, match=f"put {BIG}.json beside it"):
        index.scan(elsewhere)
    (elsewhere / "kept").rename(elsewhere / f"{BIG}.json")
    monkeypatch.setattr(index, "SHIPPED_BYTES", (elsewhere / f"{BIG}.safetensors").stat().st_size)
    with pytest.raises(ConfigError, match="move it, its card and its certificate to src/bitwright"):
        index.scan(elsewhere)
    monkeypatch.setattr(index, "SHIPPED_BYTES", 1000)
    write_network(elsewhere, "a.b")
    with pytest.raises(ConfigError, match=r"'a\.b' is no name"):
        index.scan(elsewhere)


def test_the_script_writes_the_index(tmp_path, package, elsewhere, capsys):
    script = tmp_path / "root" / "scripts" / "zoo-index"
    script.parent.mkdir()
    script.write_bytes((ROOT / "scripts" / "zoo-index").read_bytes())
    elsewhere.rename(tmp_path / "root" / "zoo")
    (package / index.FILE).unlink()
    runpy.run_path(str(script), run_name="__main__")
    assert list(index.read(package / index.FILE)) == [BIG]
    assert capsys.readouterr().out.endswith(f"index.toml: {BIG}\n")
