"""`Recipe`: everything that decides a training run, read from a TOML file.

- Two runs of one recipe on one machine with one number of threads give the same network.
- No key is ignored: an unknown one is an error that names it and the nearest known one.
- The file names the network and the data set; neither is loaded or built here.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bitwright.errors import ConfigError, UnknownNameError
from bitwright.nn.settings import explain


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ModelChoice(_Table):
    """The network: a name of `bitwright.nn.models.MODELS` and its builder's parameters.

    Attributes
    ----------
    name
        Which network.
    params
        The parameters of its builder that differ from the defaults.
    """

    name: str
    params: dict[str, Any] = {}


class Optimizer(_Table):
    """How the weights move.

    Attributes
    ----------
    name
        The method: "adam", or "sgd" with momentum 0.9. Neither decays weights: decay drives
        latent weights to where a small step flips them.
    lr
        Highest learning rate.
    warmup_epochs
        Length of the linear rise to ``lr``, in epochs.
    schedule
        What follows: "cosine" falls to 0 at the last step, "constant" stays.
    latent_clip
        After each step latent weights are clipped to [-latent_clip, latent_clip].
    """

    name: Literal["adam", "sgd"] = "adam"
    lr: float = Field(default=1e-2, gt=0, le=100)
    warmup_epochs: float = Field(default=0.1, ge=0)
    schedule: Literal["cosine", "constant"] = "cosine"
    latent_clip: float = Field(default=1.0, gt=0)


class Augmentation(_Table):
    """What happens to each training image anew in each epoch.

    Attributes
    ----------
    flip
        Mirror it left to right, half of the time.
    shift
        Move it by up to so many pixels in both directions; pixels of 0 come in.
    """

    flip: bool = False
    shift: int = Field(default=0, ge=0, le=64)


class Recipe(_Table):
    """A training run.

    Attributes
    ----------
    data
        Name of the data set, as `bitwright.data.load` knows it.
    model
        The network.
    epochs
        Passes over the training images.
    batch_size
        Images a step; the last incomplete batch of an epoch is left out.
    optimizer
        How the weights move.
    augmentation
        What happens to the images.
    label_smoothing
        Share of the target probability that is spread over all classes.
    precision
        Arithmetic of the training steps: "bf16-mixed" or "32". Evaluation is always float32,
        because bfloat16 rounds popcounts above 256.
    recalibrate
        Re-estimate the BatchNorm statistics at the end, in float32, over this many training
        images; 0 keeps those of the training steps.
    seed
        Decides the initial weights, the order of the images and their augmentation.
    threads
        CPU threads; without it, as many as torch takes.
    """

    data: str
    model: ModelChoice
    epochs: int = Field(ge=1, le=100_000)
    batch_size: int = Field(default=128, ge=2)
    optimizer: Optimizer = Optimizer()
    augmentation: Augmentation = Augmentation()
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    precision: Literal["bf16-mixed", "32"] = "bf16-mixed"
    recalibrate: int = Field(default=0, ge=0)
    seed: Annotated[int, Field(ge=0, lt=1 << 63)] = 0
    threads: int | None = Field(default=None, ge=1, le=1024)


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


def _is_path(text: str) -> bool:
    return text.endswith(".toml") or "/" in text or "\\" in text


def _known_keys(path: tuple[int | str, ...]) -> Sequence[str]:
    """Return the keys allowed in the table at `path` of a recipe."""
    table: type[BaseModel] = Recipe
    for part in path:
        inner = table.model_fields[str(part)].annotation
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return ()
        table = inner
    return tuple(table.model_fields)
