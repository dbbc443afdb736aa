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
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

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
        The method: "adam", "adamw", or "sgd" with momentum.
    lr
        Highest learning rate.
    momentum
        Of "sgd".
    weight_decay
        Of the real weights of convolutions and fully connected layers: added to the gradient
        with "adam" and "sgd", taken off the weight with "adamw".
    latent_decay
        The same for latent weights. 0 is right unless they are centred or normalised: decay
        drives latent weights to where a small step flips them.
    warmup_epochs
        Length of the linear rise to ``lr``, in epochs.
    schedule
        What follows: "cosine" and "linear" fall to 0 at the last step, "step" falls at
        `milestones`, "constant" stays.
    milestones, gamma
        Epochs after which the learning rate of "step" is multiplied by ``gamma``.
    latent_clip
        After each step latent weights are clipped to [-latent_clip, latent_clip]; 0 for never.
    gradient_clip
        Before each step the gradient of all parameters is shortened to this norm; 0 for never.
    """

    name: Literal["adam", "adamw", "sgd"] = "adam"
    lr: float = Field(default=1e-2, gt=0, le=100)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    weight_decay: float = Field(default=0.0, ge=0, le=1)
    latent_decay: float = Field(default=0.0, ge=0, le=1)
    warmup_epochs: float = Field(default=0.1, ge=0)
    schedule: Literal["cosine", "linear", "step", "constant"] = "cosine"
    milestones: Annotated[tuple[float, ...], Field(max_length=64)] = ()
    gamma: float = Field(default=0.1, gt=0, le=1)
    latent_clip: float = Field(default=1.0, ge=0)
    gradient_clip: float = Field(default=0.0, ge=0)

    @model_validator(mode="after")
    def _milestones_belong_to_steps(self) -> Self:
        if bool(self.milestones) != (self.schedule == "step"):
            raise ValueError("give milestones with schedule = 'step', and only with it")
        return self


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


class Distillation(_Table):
    """Learning from the outputs of a float network beside the labels.

    Attributes
    ----------
    teacher
        A float network's name, such as "resnet18-float", which is trained first, in the
        sub-folder ``teacher`` of the run; or the path of a ``network.safetensors`` of another
        run. Without it, the float twin of the recipe's own network.
    params
        The parameters of the teacher's builder; for the network's own twin, the network's if
        none are given.
    epochs
        How long the teacher is trained; without it, as long as the network.
    optimizer
        How the teacher's weights move.
    temperature
        What both networks' logits are divided by.
    weight
        Share of the loss that comes from the teacher; the rest comes from the labels.

    Notes
    -----
    Hinton, Vinyals and Dean, Distilling the Knowledge in a Neural Network (2015).
    """

    teacher: str | None = None
    params: dict[str, Any] = {}
    epochs: int | None = Field(default=None, ge=1, le=100_000)
    optimizer: Optimizer = Optimizer(lr=1e-3)
    temperature: float = Field(default=4.0, gt=0, le=1000)
    weight: float = Field(default=0.5, gt=0, le=1)


class Approximation(_Table):
    """Approximate popcounts that a network is trained with (`bitwright.nn.approximate`).

    At the end the BatchNorms take their statistics, and the network its accuracy, from the
    circuits themselves, whatever stood for them in the training.

    Attributes
    ----------
    circuit
        Which popcount, as `bitwright.circuits.parse` reads it: "maj:L=2,keep=0.6".
    method
        What stands for it in the training: "uniform" or "margin" flips, the "table" P(value |
        count), or the "circuit" itself; "none" for exact counts.
    gradient
        Whose gradient the layers have: "straight", their own as if they counted exactly; or, with
        the method "circuit", that of the circuit's first "gates", which takes three times as long
        and learns more an epoch.
    layers
        The layers that have it; all layers of bits with a sign behind them if none is named.
    circuits
        Layers that have another popcount.
    """

    circuit: str = "maj"
    method: Literal["none", "uniform", "margin", "table", "circuit"] = "circuit"
    gradient: Literal["straight", "gates"] = "straight"
    layers: tuple[str, ...] = ()
    circuits: dict[str, str] = {}

    @model_validator(mode="after")
    def _gates_belong_to_circuits(self) -> Self:
        if self.gradient == "gates" and self.method != "circuit":
            raise ValueError("gradient = 'gates' goes with method = 'circuit' only")
        return self


class ArrayResponse(_Table):
    """Crossbars that a network is trained for (`bitwright.nn.array_response`).

    In the training, and at the end where BatchNorms take their statistics and the network its
    accuracy, the layers sense what the fitted response of their arrays gives; on the arrays
    themselves the network is evaluated by the target ``crossbar``.

    Attributes
    ----------
    response
        The file that ``bitwright crossbar surrogate`` wrote.
    noise
        Whether what is sensed is drawn with the response's deviation, or is its mean.
    """

    response: str
    noise: bool = True


class Reuse(_Table):
    """Drawing a layer's kernels together, so that they can be made from one another.

    This makes another network than plain training does: one with fewer operations for the target
    ``reuse``, and usually of less accuracy. See `bitwright.nn.kernel_distance`.

    Attributes
    ----------
    weight
        What all products of an image are worth, in units of the loss: the loss is raised by
        ``weight`` times the share of them that spanning trees leave. 0 only measures it.
    layers
        The layers that are drawn; all with binary weights if none is named.
    """

    weight: float = Field(default=1.0, ge=0, le=1e6)
    layers: tuple[str, ...] = ()


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
    start
        The folder of another run, or its ``network.safetensors``, whose weights the network
        starts with; without it, they are drawn.
    approximate
        Approximate popcounts to train for; without it, counts are exact.
    crossbar
        Crossbars to train for, without approximate popcounts.
    reuse
        How kernels are drawn together; without it, they are not.
    loss
        "cross-entropy", or the modified "hinge" loss: for each class how far the logit, with the
        other sign for wrong classes, falls short of `hinge_margin`.
    hinge_margin
        In logits: integers times a network's constant. Buschjaeger et al., Margin-Maximization in
        Binarized Neural Networks (DATE 2021), take 128 on the integers, which is 8 where a
        network divides by the root of a fan-in of 256.
    label_smoothing
        Share of the target probability that is spread over all classes.
    distillation
        Learning from a float network; without it, from the labels alone.
    precision
        Arithmetic of the training steps: "bf16-mixed" or "32". Evaluation is always float32,
        because bfloat16 rounds popcounts above 256.
    recalibrate
        Re-estimate the BatchNorm statistics at the end, in float32, over this many training
        images; 0 keeps those of the training steps.
    quantise
        At the very end put the real-valued layers on grids of binary fractions, with these many
        training images for calibration (see `bitwright.nn.quantise`); 0 leaves them as they are.
    seed
        Decides the initial weights, the order of the images and their augmentation.
    threads
        CPU threads of a process; without it, as many as torch takes.
    devices, strategy
        Processes, each with a device and its share of every batch, by Lightning's "ddp"; each
        takes the BatchNorm statistics of its own share. "auto" is "ddp" for several devices.
    log
        "csv" writes ``log.csv``; "tensorboard" also writes the same numbers for TensorBoard.
    """

    data: str
    model: ModelChoice
    epochs: int = Field(ge=1, le=100_000)
    batch_size: int = Field(default=128, ge=2)
    optimizer: Optimizer = Optimizer()
    augmentation: Augmentation = Augmentation()
    start: str | None = None
    approximate: Approximation | None = None
    crossbar: ArrayResponse | None = None
    reuse: Reuse | None = None
    loss: Literal["cross-entropy", "hinge"] = "cross-entropy"
    hinge_margin: float = Field(default=8.0, gt=0, le=1e6)
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    distillation: Distillation | None = None
    precision: Literal["bf16-mixed", "32"] = "bf16-mixed"
    recalibrate: int = Field(default=0, ge=0)
    quantise: int = Field(default=0, ge=0)
    seed: Annotated[int, Field(ge=0, lt=1 << 63)] = 0
    threads: int | None = Field(default=None, ge=1, le=1024)
    devices: int = Field(default=1, ge=1, le=1024)
    strategy: Literal["auto", "ddp"] = "auto"
    log: Literal["csv", "tensorboard"] = "csv"

    @model_validator(mode="after")
    def _counts_in_one_way(self) -> Self:
        if self.approximate is not None and self.crossbar is not None:
            raise ValueError("a layer counts by circuits or on crossbars: leave one of them out")
        return self

    @model_validator(mode="after")
    def _devices_share_a_batch(self) -> Self:
        if self.batch_size % self.devices:
            raise ValueError(f"{self.devices} devices cannot share batches of {self.batch_size}")
        return self


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
