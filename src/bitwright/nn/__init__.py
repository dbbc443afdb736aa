"""Binary networks in PyTorch: layers, models and training. Needs the extra ``train``."""

from bitwright.errors import DependencyError

try:
    import torch as _torch  # noqa: F401  # imported for the error below
except ImportError:
    raise DependencyError("torch", "train", "bitwright.nn") from None

from bitwright.nn.approximate import approximate, layer_circuits
from bitwright.nn.layers import (
    LEAVES,
    AdaBinConv2d,
    BinaryConv2d,
    BinaryLinear,
    ChannelAffine,
    ChannelShortcut,
    LearnableBias,
    LogitScale,
    Maxout,
    Normalise,
    PixelLevels,
    PixelOffset,
    Quantise,
    RPReLU,
    Sign,
)
from bitwright.nn.models import MODELS, build
from bitwright.nn.processes import leads
from bitwright.nn.progress import Progress
from bitwright.nn.quantise import quantise, quantised_form
from bitwright.nn.recipe import Recipe
from bitwright.nn.recipe_file import load_recipe, shipped_recipes, with_options
from bitwright.nn.sites import Site, find_sites
from bitwright.nn.summary import Row, Summary, summary
from bitwright.nn.train import TrainedNetwork, train

__all__ = [
    "LEAVES",
    "MODELS",
    "AdaBinConv2d",
    "BinaryConv2d",
    "BinaryLinear",
    "ChannelAffine",
    "ChannelShortcut",
    "LearnableBias",
    "LogitScale",
    "Maxout",
    "Normalise",
    "PixelLevels",
    "PixelOffset",
    "Progress",
    "Quantise",
    "RPReLU",
    "Recipe",
    "Row",
    "Sign",
    "Site",
    "Summary",
    "TrainedNetwork",
    "approximate",
    "build",
    "find_sites",
    "layer_circuits",
    "leads",
    "load_recipe",
    "quantise",
    "quantised_form",
    "shipped_recipes",
    "summary",
    "train",
    "with_options",
]
