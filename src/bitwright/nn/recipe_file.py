"""Reading recipes: shipped ones by name, files, and what a command line changes in them.

- No key is ignored: an unknown one is an error that names it and the nearest known one.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import get_args

from pydantic import BaseModel, ValidationError

from bitwright.errors import ConfigError, UnknownNameError
from bitwright.nn.recipe import Recipe
from bitwright.nn.settings import explain


def shipped_recipes() -> tuple[str, ...]:
    """Return the names of the recipes that come with the package."""
    folder = resources.files("bitwright.nn") / "recipes"
    names = (Path(entry.name) for entry in folder.iterdir())
    return tuple(sorted(name.stem for name in names if name.suffix == ".toml"))


def load_recipe(name_or_path: str | Path) -> Recipe:
    """Read a recipe.

    Parameters
    ----------
    name_or_path
        The name of a shipped recipe (see `shipped_recipes`), or the path of a TOML file. A string
        that ends in ``.toml`` or holds a separator is a path.

    Raises
    ------
    UnknownNameError
        If no shipped recipe has that name.
    ConfigError
        If the file cannot be read, is not TOML, or has an unknown key or impossible value.
    """
    if isinstance(name_or_path, str) and not _is_path(name_or_path):
        if name_or_path not in shipped_recipes():
            raise UnknownNameError("recipe", name_or_path, shipped_recipes(), "; or a .toml file")
        shipped = resources.files("bitwright.nn") / "recipes" / f"{name_or_path}.toml"
        return parse_recipe(shipped.read_text(encoding="utf-8"), f"recipe '{name_or_path}'")
    path = Path(name_or_path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(
            f"{path}: no such file",
            f"check the path, or name a shipped recipe: {', '.join(shipped_recipes())}",
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read ({error})", "give a TOML file") from error
    return parse_recipe(text, str(path))


def parse_recipe(text: str, where: str = "recipe") -> Recipe:
    """Read a recipe from TOML text.

    Parameters
    ----------
    text
        The TOML.
    where
        What an error calls it.

    Raises
    ------
    ConfigError
        If it is not TOML, or has an unknown key or impossible value.
    """
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{where}: not TOML ({error})", "correct the file") from None
    try:
        return Recipe.model_validate(table)
    except ValidationError as error:
        raise explain(error, where, _known_keys) from None


def with_options(
    recipe: Recipe, *, method: str | None, circuit: str | None, start: str | None
) -> Recipe:
    """Return a recipe with other approximate popcounts, or another start, than its file says.

    Parameters
    ----------
    recipe
        The recipe.
    method, circuit
        Of its `Approximation`; None leaves each as it is. A recipe without one gets one.
    start
        The run that it starts from; None leaves it as it is.

    Raises
    ------
    ConfigError
        If there is no such method.
    """
    table = recipe.model_dump()
    given = {"method": method, "circuit": circuit}
    given = {key: value for key, value in given.items() if value is not None}
    if given:
        table["approximate"] = (table["approximate"] or {}) | given
    if start is not None:
        table["start"] = start
    try:
        return Recipe.model_validate(table)
    except ValidationError as error:
        raise explain(error, "options", _known_keys) from None


def _is_path(text: str) -> bool:
    return text.endswith(".toml") or "/" in text or "\\" in text


def _known_keys(path: tuple[int | str, ...]) -> Sequence[str]:
    """Return the keys allowed in the table at `path` of a recipe."""
    table: type[BaseModel] = Recipe
    for part in path:
        kind = table.model_fields[str(part)].annotation
        choices = (kind, *get_args(kind))  # a table, or a table or nothing
        tables = [one for one in choices if isinstance(one, type) and issubclass(one, BaseModel)]
        if not tables:
            return ()
        table = tables[0]
    return tuple(table.model_fields)
