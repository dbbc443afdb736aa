"""Where a network is looked for: the package, then the clone, then what the index knows of."""

import shutil

import pytest
from tests.zoo.material import BIG, write_network

from bitwright import zoo
from bitwright.errors import ConfigError, DataError, UnknownNameError
from bitwright.zoo import index, places

PROJECT = '[project]\nname = "bitwright"\n'


@pytest.fixture
def clone(package):
    """The folder ``zoo/`` of a clone that `package` lies in, with one network."""
    root = package.parents[2]
    (root / "pyproject.toml").write_text(PROJECT)
    write_network(root / "zoo", "from-clone")
    return root / "zoo"


def test_the_package_comes_first_then_the_clone(package, clone):
    assert places.clone() == clone
    assert zoo.names() == ("from-clone", "small-net")
    assert zoo.locate("from-clone") == clone / "from-clone.safetensors"
    write_network(clone, "small-net")
    assert zoo.locate("small-net") == package / "small-net.safetensors"
    assert zoo.card("from-clone").certificate["holds"] is True
    assert zoo.card("small-net").certificate is None


def test_the_cache_comes_last(elsewhere, clone):
    places.cache().mkdir(parents=True)
    for path in elsewhere.iterdir():
        shutil.copy(path, places.cache())
    assert zoo.locate(BIG) == places.cache() / f"{BIG}.safetensors"
    assert zoo.names() == (BIG, "from-clone", "small-net")
    assert zoo.downloadable() == {}
    write_network(clone, BIG)
    assert zoo.locate(BIG) == clone / f"{BIG}.safetensors"


@pytest.mark.parametrize(
    "project", [PROJECT.replace("bitwright", "other"), "[project", "project = 3", "", None]
)
def test_a_folder_of_another_project_is_no_clone(package, clone, project):
    file = package.parents[2] / "pyproject.toml"
    file.unlink() if project is None else file.write_text(project)
    assert places.clone() is None
    assert zoo.names() == ("small-net",)
    with pytest.raises(UnknownNameError, match="no model named 'from-clone'"):
        zoo.locate("from-clone")


def test_a_package_installed_below_a_clone_is_not_the_clone(package, clone, monkeypatch):
    installed = shutil.copytree(package, package.parents[2] / "vendor" / "bitwright" / "zoo")
    monkeypatch.setattr(places, "PACKAGE", installed)
    assert places.clone() is None
    assert zoo.names() == ("small-net",)


def test_a_clone_without_the_folder_has_none(package, clone):
    shutil.rmtree(clone)
    assert places.clone() is None
    assert zoo.names() == ("small-net",)


def test_a_program_without_a_card_does_not_count(package, clone):
    (clone / "from-clone.json").unlink()
    assert zoo.names() == ("small-net",)
    assert places.find("from-clone") is None


@pytest.mark.parametrize("suffix", [".safetensors", ".json", ".certificate.json"])
def test_the_cache_has_only_what_the_index_knows(elsewhere, suffix):
    places.cache().mkdir(parents=True)
    for path in elsewhere.iterdir():
        shutil.copy(path, places.cache())
    assert places.find(BIG) is not None
    file = places.cache() / f"{BIG}{suffix}"
    file.write_bytes(file.read_bytes()[::-1])  # as long as before
    assert places.find(BIG) is None
    assert BIG not in zoo.names()
    write_network(places.cache(), "unknown-to-the-index")
    assert places.find("unknown-to-the-index") is None


def test_a_network_that_can_be_got_says_how(elsewhere):
    with pytest.raises(
        DataError, match=f"not on this machine: get it with 'bitwright zoo get {BIG}'"
    ):
        zoo.locate(BIG)
    with pytest.raises(DataError, match="not on this machine"):
        zoo.card(BIG)
    assert zoo.downloadable() == {BIG: sum(path.stat().st_size for path in elsewhere.iterdir())}


def test_an_unknown_name_lists_what_is_known(elsewhere):
    with pytest.raises(UnknownNameError) as caught:
        zoo.locate("big-ne")
    assert str(caught.value) == (
        "no model named 'big-ne': did you mean 'big-net'? known: big-net, small-net "
        "(big-net by 'bitwright zoo get NAME'), or a file made by 'bitwright import'"
    )
    with pytest.raises(UnknownNameError, match="no network in the zoo named 'x'"):
        zoo.card("x")


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../zoo/small-net", "/small-net", "a\0b", "x" * 999]
)
def test_a_name_is_no_path(package, name):
    assert places.find(name) is None
    with pytest.raises(UnknownNameError, match="network in the zoo"):
        zoo.card(name)


def test_a_path_is_taken_as_it_is(package, tmp_path):
    path = write_network(tmp_path / "mine", "mine")
    assert zoo.locate(path) == path
    assert zoo.locate(str(path)) == path


@pytest.mark.parametrize("text", ["{", "[]"])
def test_a_damaged_card_is_named(package, text):
    (package / "small-net.json").write_text(text)
    with pytest.raises(ConfigError, match=r"small-net\.json"):
        zoo.card("small-net")


@pytest.mark.parametrize("text", ["[[", "x = 3", '[[x]]\nfile = "x"', "[[x]]\nbytes = 'many'"])
def test_a_damaged_index_is_named(package, text):
    (package / index.FILE).write_text(text)
    with pytest.raises(ConfigError, match=r"index\.toml, cannot be read"):
        zoo.names()
