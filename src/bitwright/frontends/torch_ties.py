"""How often a sign of a torch module meets an exact zero, where frameworks disagree."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from bitwright.nn.layers import Sign


def count_ties(module: nn.Module, images: npt.NDArray[np.uint8]) -> dict[str, int]:
    """Count the exact zeros that reach each sign of a module.

    Parameters
    ----------
    module
        As for `lower`.
    images
        uint8 (images, rows, columns, channels).

    Returns
    -------
    dict
        For each `Sign` layer by name, how many of its inputs are 0.0 on these images.
    """
    network = copy.deepcopy(module).eval().float().cpu()
    ties: dict[str, int] = {}

    def hook(name: str) -> Callable[..., None]:
        def count(layer: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
            ties[name] = ties.get(name, 0) + int((inputs[0] == 0).sum())

        return count

    for name, layer in network.named_modules():
        if isinstance(layer, Sign):
            layer.register_forward_hook(hook(name))
    with torch.inference_mode():
        for start in range(0, len(images), 256):
            batch = torch.from_numpy(np.ascontiguousarray(images[start : start + 256]))
            network(batch.permute(0, 3, 1, 2).float())
    return ties
