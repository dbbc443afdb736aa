"""Binary networks in PyTorch: layers, models and training. Needs the extra ``train``."""

from bitwright.errors import DependencyError

try:
    import torch as _torch  # noqa: F401  # imported for the error below
except ImportError:
    raise DependencyError("torch", "train", "bitwright.nn") from None

from bitwright.nn.layers import (
    LEAVES,
    BinaryConv2d,
    BinaryLinear,
    LogitScale,
    PixelLevels,
    Sign,
)
from bitwright.nn.models import MODELS, build
from bitwright.nn.progress import Progress
from bitwright.nn.recipe import Recipe, load_recipe, shipped_recipes
from bitwright.nn.train import TrainedNetwork, train

__all__ = [
    "LEAVES",
    "MODELS",
    "BinaryConv2d",
    "BinaryLinear",
    "LogitScale",
    "PixelLevels",
    "Progress",
    "Recipe",
    "Sign",
    "TrainedNetwork",
    "build",
    "load_recipe",
    "shipped_recipes",
    "train",
]
