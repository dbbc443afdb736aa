"""A program's weights and thresholds in a network that can be trained.

- Networks are those of `bitwright.nn.stacks`: pixels, then one binary layer after the other.
- Where a program takes pixels for the numbers that the network takes them for, the network decides
  as the program does, to the bit. Other numbers will do if a straight line comes within two
  pixel values of them (FINN's networks have such); the network then decides nearly as the program.
- A program has no real weights. Those drawn for the network are stretched to the size that trained
  ones have, and take its signs.
- A BatchNorm takes the mean and variance of its input over images, and the shift that puts its
  zero on the threshold, so that training begins where the program stands.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from bitwright.errors import ConfigError
from bitwright.ir.ops import ArgMax, Conv2d, Dense, Flatten, Lookup, MaxPool2d, Threshold
from bitwright.ir.program import Program
from bitwright.nn.activations import Sign
from bitwright.nn.binary_layers import BinaryConv2d, BinaryLinear
from bitwright.nn.fixed import LogitScale, PixelLevels

STATISTICS_IMAGES = 256
"""Images that means and variances are taken over."""

LATENT_SIZE = 0.4
"""Mean size of the real weights: in `fmnist-cnn` as trained 0.3 to 0.45, in its first layer 0.7.

Left in the size that they are drawn in, below 0.1, they change signs within a few steps, and the
network is forgotten.
"""

_HINT = "give a program of the same layers, or the folder of a training run"


def take_program(network: nn.Module, program: Program, images: Tensor) -> None:
    """Give a network, in place, the weights and thresholds of a program.

    Parameters
    ----------
    network
        A network of `bitwright.nn.stacks`, with weights as drawn.
    program
        One with the same layers. Pooling may come before its thresholds or behind them. Its
        thresholds are compared with exact counts, also where it was trained for circuits.
    images
        uint8, (N, height, width, channels); `STATISTICS_IMAGES` of them, evenly spread, are
        looked at.

    Raises
    ------
    ConfigError
        If the network is none of those, or the program has other layers.
    """
    layers = _layers(network)
    stages = _stages(program)
    if len(stages) != len(layers):
        _refuse(program, f"has {len(stages)} layers with weights, the network {len(layers)}")
    fitted = [
        _fitted(program, stage, layer, first=number == 0)
        for number, (stage, layer) in enumerate(zip(stages, layers, strict=True))
    ]
    cuts = {}
    for layer, (weights, cut) in zip(layers, fitted, strict=True):
        _write(layer.dot.weight, weights)
        if layer.norm is not None and cut is not None:
            cuts[layer.norm] = cut
    count = min(len(images), STATISTICS_IMAGES)
    spread = images[torch.arange(count) * len(images) // count]
    _normalise(network, cuts, spread.permute(0, 3, 1, 2))


@dataclass
class _Layer:
    """A layer with weights of a network, and what comes behind it."""

    name: str
    dot: BinaryConv2d | BinaryLinear
    pool: nn.MaxPool2d | None = None
    norm: nn.BatchNorm1d | nn.BatchNorm2d | None = None


@dataclass
class _Stage:
    """The same of a program."""

    dot: Conv2d | Dense
    flattened: tuple[int, ...] | None
    pool: MaxPool2d | None = None
    threshold: Threshold | None = None
    pooled_bits: bool = False


@dataclass(frozen=True)
class _Cut:
    """Where a channel's bit changes, between two values of its sum; gain +1 where it rises."""

    at: npt.NDArray[np.float64]
    gain: npt.NDArray[np.float64]


def _refuse(program: Program, why: str) -> NoReturn:
    raise ConfigError(
        f"the network cannot take the weights of '{program.name}', which {why}", _HINT
    )


def _layers(network: nn.Module) -> list[_Layer]:
    """Return the layers of a stack."""
    layers: list[_Layer] = []
    for name, module in network.named_children():
        match module:
            case BinaryConv2d() | BinaryLinear():
                layers.append(_Layer(name, module))
            case nn.MaxPool2d() if layers:
                layers[-1].pool = module
            case nn.BatchNorm1d() | nn.BatchNorm2d() if layers:
                layers[-1].norm = module
            case PixelLevels() | Sign() | nn.Flatten() | LogitScale():
                pass
            case _:
                kind = type(module).__name__
                raise ConfigError(
                    f"the network's '{name}', a {kind}, cannot take a program's weights",
                    "start from the folder of a training run; programs fit mlp, cnn and cnv",
                )
    return layers


def _stages(program: Program) -> list[_Stage]:
    """Return the layers of a program whose ops follow one another."""
    stages: list[_Stage] = []
    before, flattened = program.input_name, None
    for op in program.ops:
        if op.inputs != (before,):
            _refuse(program, f"does not go from layer to layer at '{op.output}'")
        match op:
            case Lookup() if not stages:
                pass
            case Conv2d() | Dense():
                stages.append(_Stage(op, flattened))
                flattened = None
            case Flatten():
                flattened = program.types[before].shape
            case MaxPool2d() if stages and stages[-1].pool is None:
                stages[-1].pool = op
                stages[-1].pooled_bits = stages[-1].threshold is not None
            case Threshold() if stages and stages[-1].threshold is None:
                stages[-1].threshold = op
            case ArgMax():
                pass
            case _:
                _refuse(program, f"has '{op.output}', a {op.kind}, where no such network has one")
        before = op.output
    return stages


def _fitted(
    program: Program, stage: _Stage, layer: _Layer, first: bool
) -> tuple[npt.NDArray[np.float64], _Cut | None]:
    """Return the weights and cuts of a program's layer as the network's layer takes them."""
    _check(program, stage, layer)
    weights = _weights(program, stage, layer)
    cut = _cut(program, stage, weights, first)
    if cut is None or not stage.pooled_bits:
        return weights, cut
    # The OR of bits that fall with their sums: those of the negated sums rise.
    turned = weights * cut.gain.reshape(-1, *[1] * (weights.ndim - 1))
    return turned, _Cut(cut.at * cut.gain, np.ones_like(cut.gain))


def _write(latent: nn.Parameter, weights: npt.NDArray[np.float64]) -> None:
    """Give real weights the signs of `weights`, and a trained network's size."""
    with torch.no_grad():
        size = (latent.abs() * (LATENT_SIZE / latent.abs().mean())).clamp(1e-6, 1.0)
        latent.copy_(size * torch.from_numpy(weights).to(latent))


def _check(program: Program, stage: _Stage, layer: _Layer) -> None:
    """Refuse a layer of another kind or shape."""
    found, wanted = _shape(program, stage), _wanted(layer)
    for what, here in found.items():
        if here != wanted[what]:
            _refuse(
                program,
                f"has {what} {here} in '{stage.dot.output}', the network's '{layer.name}' "
                f"{wanted[what]}",
            )


def _shape(program: Program, stage: _Stage) -> dict[str, Any]:
    """Return what decides whether a program's layer fits, by its name in an error."""
    dot, pool = stage.dot, stage.pool
    shape = tuple(program.tensors[dot.weights].shape)
    found: dict[str, Any] = {"a kernel of shape (out, ...)": shape}
    if isinstance(dot, Conv2d):
        padded = any(dot.padding)
        found |= {
            "stride": dot.stride,
            "padding": dot.padding,
            "pad value": dot.pad_value if padded else 0,
            "groups": dot.groups,
        }
    return found | {
        "pooling": (pool.kernel, pool.stride, pool.padding) if pool else None,
        "thresholds": stage.threshold is not None,
    }


def _wanted(layer: _Layer) -> dict[str, Any]:
    """Return the same of a network's layer."""
    dot, pool = layer.dot, layer.pool
    shape = tuple(dot.weight.shape)
    wanted: dict[str, Any] = {"a kernel of shape (out, ...)": shape}
    if isinstance(dot, BinaryConv2d):
        out, channels, rows, columns = shape
        wanted = {
            "a kernel of shape (out, ...)": (out, rows, columns, channels),
            "stride": (dot.stride, dot.stride),
            "padding": (dot.padding,) * 4,
            "pad value": dot.pad_value if dot.padding else 0,
            "groups": dot.groups,
        }
    side = pool.kernel_size if pool else 0
    return wanted | {
        "pooling": ((side, side), (side, side), (0, 0, 0, 0)) if pool else None,
        "thresholds": layer.norm is not None,
    }


def _weights(program: Program, stage: _Stage, layer: _Layer) -> npt.NDArray[np.float64]:
    """Return the weights of a program's layer, +1 and -1, in torch's order."""
    stored = program.tensors[stage.dot.weights]
    weights = np.where(stored, 1.0, -1.0) if stored.dtype == np.bool_ else stored.astype(np.float64)
    if not np.all(np.abs(weights) == 1):
        _refuse(program, f"has weights other than +1 and -1 in '{stage.dot.output}'")
    if isinstance(layer.dot, BinaryConv2d):
        return np.ascontiguousarray(weights.transpose(0, 3, 1, 2))
    if stage.flattened is not None and len(stage.flattened) == 3:
        in_maps = weights.reshape(len(weights), *stage.flattened)
        return np.ascontiguousarray(in_maps.transpose(0, 3, 1, 2)).reshape(len(weights), -1)
    return weights


def _cut(
    program: Program, stage: _Stage, weights: npt.NDArray[np.float64], first: bool
) -> _Cut | None:
    """Return where the bits of a layer change, in sums as the network makes them."""
    if stage.threshold is None:
        return None
    rising = program.tensors[stage.threshold.rising].astype(bool)
    limits = program.types[stage.dot.output]
    at = program.tensors[stage.threshold.thresholds] + np.where(rising, -0.5, 0.5)
    at = np.clip(at, limits.lo - 0.5, limits.hi + 0.5)
    if first:
        slope, offset = _line(program)
        padded = isinstance(stage.dot, Conv2d) and any(stage.dot.padding)
        if padded and abs(offset) > 2 * slope:
            _refuse(program, f"pads its images with another grey in '{stage.dot.output}'")
        at = (at - offset * weights.reshape(len(weights), -1).sum(1)) / slope
    return _Cut(at, np.where(rising, 1.0, -1.0))


def _line(program: Program) -> tuple[float, float]:
    """Return slope and offset of the line from the network's levels of pixels to a program's."""
    first = program.ops[0]
    own = np.array(PixelLevels.table, dtype=np.float64)
    if program.input_type.lo != 0 or program.input_type.hi != 255:
        _refuse(program, f"takes other images than of 8 bits ({program.input_type})")
    table = program.tensors[first.table] if isinstance(first, Lookup) else np.arange(256)
    if table.dtype == np.bool_ or table.shape != own.shape:
        _refuse(program, "makes of pixels other things than one number each")
    slope, offset = (float(part) for part in np.polyfit(own, table, 1))
    step = 2 * slope  # of the network's levels, from one pixel value to the next
    if not step > 1e-6 or np.abs(slope * own + offset - table).max() > 2 * step:
        _refuse(program, "makes of pixels what no straight line makes of them")
    if np.array_equal(table, np.rint(slope) * own + np.rint(offset)):
        return float(np.rint(slope)), float(np.rint(offset))
    return slope, offset


def _normalise(
    network: nn.Module, cuts: dict[nn.BatchNorm1d | nn.BatchNorm2d, _Cut], images: Tensor
) -> None:
    """Set each BatchNorm by what comes to it, one layer after the other."""
    training = network.training
    network.eval()
    maps = images
    with torch.no_grad():
        for module in network.children():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                _place(module, maps, cuts[module])
            maps = module(maps)
    network.train(training)


def _place(norm: nn.BatchNorm1d | nn.BatchNorm2d, maps: Tensor, cut: _Cut) -> None:
    """Make a BatchNorm normalise `maps` and change sign where a cut is."""
    over = [axis for axis in range(maps.dim()) if axis != 1]
    mean, variance = maps.double().mean(over), maps.double().var(over, correction=0)
    at, gain = torch.from_numpy(cut.at), torch.from_numpy(cut.gain)
    norm.running_mean.copy_(mean)  # type: ignore[union-attr]
    norm.running_var.copy_(variance)  # type: ignore[union-attr]
    norm.weight.copy_(gain)
    norm.bias.copy_(gain * (mean - at) / torch.sqrt(variance + norm.eps))
