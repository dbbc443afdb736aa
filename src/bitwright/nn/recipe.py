"""`Recipe`: everything that decides a training run, as `recipe_file` reads it.

- Two runs of one recipe on one machine with one number of threads give the same network.
- It names the network and the data set; neither is loaded or built here.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


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
        run; or a program that the recipe's own network could start from, its file or its name in
        the zoo. Without it, the float twin of the recipe's own network.
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
        and learns more an epoch, or of the "leading" terms of those gates.
    layers
        The layers that have it; all layers of bits with a sign behind them if none is named.
    circuits
        Layers that have another popcount.
    """

    circuit: str = "maj"
    method: Literal["none", "uniform", "margin", "table", "circuit"] = "circuit"
    gradient: Literal["straight", "gates", "leading"] = "straight"
    layers: tuple[str, ...] = ()
    circuits: dict[str, str] = {}

    @model_validator(mode="after")
    def _gates_belong_to_circuits(self) -> Self:
        if self.gradient != "straight" and self.method != "circuit":
            raise ValueError(f"gradient = {self.gradient!r} goes with method = 'circuit' only")
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
        starts with; or the file of a program, or the name of one of the zoo, where the network is
        binary throughout (see `bitwright.nn.from_program`). Without it, weights are drawn.
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
