"""How the weights move: the optimiser of a recipe, and the learning rate of each step.

- A step's learning rate is a function of its number alone: a resumed run goes on with the same.
- Latent weights decay by their own setting: decay drives them to where a small step flips them.
- BatchNorms, biases, scales and shifts never decay.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from bitwright.nn.layers import latent_weights
from bitwright.nn.recipe import Optimizer


def make_optimizer(network: nn.Module, settings: Optimizer) -> torch.optim.Optimizer:
    """Return the optimiser of all parameters of `network`.

    Parameters
    ----------
    network
        Its parameters may be on any device.
    settings
        The method and its constants.
    """
    groups = _groups(network, settings)
    match settings.name:
        case "adam":
            return torch.optim.Adam(groups, lr=settings.lr, fused=True)
        case "adamw":
            return torch.optim.AdamW(groups, lr=settings.lr, weight_decay=0.0, fused=True)
        case "sgd":
            return torch.optim.SGD(groups, lr=settings.lr, momentum=settings.momentum)


def _groups(network: nn.Module, settings: Optimizer) -> list[dict[str, Any]]:
    """Return the parameters by their decay; all in one group, in their order, if none decays."""
    if not (settings.weight_decay or settings.latent_decay):
        return [{"params": list(network.parameters())}]
    latent = {id(weight) for weight in latent_weights(network)}
    groups: dict[float, list[nn.Parameter]] = {}
    for parameter in network.parameters():
        if id(parameter) in latent:
            decay = settings.latent_decay
        else:
            decay = settings.weight_decay if parameter.dim() > 1 else 0.0
        groups.setdefault(decay, []).append(parameter)
    return [{"params": group, "weight_decay": decay} for decay, group in sorted(groups.items())]


def learning_rate(settings: Optimizer, step: int, steps_per_epoch: int, epochs: int) -> float:
    """Return the learning rate of a step, counted from 0 over the whole run.

    It rises linearly over the warm-up, then follows the schedule: half a cosine or a straight
    line to 0 at the step after the last, a fall by `gamma` at each milestone, or constant.
    """
    warmup = round(settings.warmup_epochs * steps_per_epoch)
    if step < warmup:
        return settings.lr * (step + 1) / warmup
    done = (step - warmup) / max(1, steps_per_epoch * epochs - warmup)
    match settings.schedule:
        case "constant":
            return settings.lr
        case "cosine":
            return settings.lr * 0.5 * (1.0 + math.cos(math.pi * done))
        case "linear":
            return settings.lr * (1.0 - done)
        case "step":
            passed = sum(step >= epoch * steps_per_epoch for epoch in settings.milestones)
            return settings.lr * math.pow(settings.gamma, passed)
