"""Where in a network popcounts can be approximate: its layers of bits, and the signs behind them.

What a layer sees is read off a forward pass over example pixels, so that any module tree will do.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bitwright.nn.binary_layers import BinaryConv2d, BinaryLinear
from bitwright.nn.layers import Sign

Norm = nn.BatchNorm1d | nn.BatchNorm2d


@dataclass(frozen=True, eq=False)
class Site:
    """A layer whose popcounts a circuit can do.

    Attributes
    ----------
    name
        Of the layer, in the network.
    layer
        The layer; its inputs are +1 and -1, and it has one group.
    kernel
        (rows, columns, channels) of a window.
    norm, sign
        The BatchNorm and the sign behind it, with nothing but pooling between: None where the
        dot product goes into other arithmetic first.
    """

    name: str
    layer: BinaryConv2d | BinaryLinear
    kernel: tuple[int, int, int]
    norm: Norm | None
    sign: Sign | None


@dataclass(frozen=True, eq=False)
class _Call:
    """A leaf module's call; the tensors are kept so that none takes another's identity."""

    name: str
    module: nn.Module
    source: Tensor
    result: Tensor


def find_sites(network: nn.Module, pixels: Tensor) -> dict[str, Site]:
    """Return the layers of bits of a network by name, in the order of computation.

    Parameters
    ----------
    network
        The network; left in the mode that it was in.
    pixels
        Some images as it takes them, (batch, channels, height, width).
    """
    calls = _calls(network, pixels)
    made = {id(call.result): call for call in calls}
    read: dict[int, list[_Call]] = {}
    for call in calls:
        read.setdefault(id(call.source), []).append(call)
    found = {}
    for call in calls:
        layer = call.module
        if not isinstance(layer, BinaryConv2d | BinaryLinear) or not _is_bits(call.source):
            continue
        if isinstance(layer, BinaryConv2d):
            if layer.groups > 1:
                continue
            kernel = (layer.kernel_size, layer.kernel_size, layer.in_channels)
        else:
            before = made.get(id(call.source))
            kernel = (1, 1, layer.in_features)
            if before is not None and isinstance(before.module, nn.Flatten):
                channels, rows, columns = before.source.shape[1:]
                kernel = (rows, columns, channels)
        found[call.name] = Site(call.name, layer, kernel, *_behind(call, read))
    return found


def _calls(network: nn.Module, pixels: Tensor) -> list[_Call]:
    calls: list[_Call] = []

    def note(name: str):  # type: ignore[no-untyped-def]  # a hook's type is torch's business
        def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            calls.append(_Call(name, module, inputs[0], output))

        return hook

    handles = [
        module.register_forward_hook(note(name))
        for name, module in network.named_modules()
        if not any(True for _ in module.children())
    ]
    mode = network.training
    network.eval()
    try:
        with torch.no_grad():
            network(pixels)
    finally:
        network.train(mode)
        for handle in handles:
            handle.remove()
    return calls


def _behind(call: _Call, read: dict[int, list[_Call]]) -> tuple[Norm | None, Sign | None]:
    """Follow a dot product to its sign, as long as nothing but a norm and pools lies between."""
    norm: Norm | None = None
    while len(read.get(id(call.result), [])) == 1:
        call = read[id(call.result)][0]
        if isinstance(call.module, Norm) and norm is None:
            norm = call.module
        elif isinstance(call.module, Sign):
            return (norm, call.module) if norm is not None else (None, None)
        elif not isinstance(call.module, nn.MaxPool2d):
            break
    return None, None


def _is_bits(x: Tensor) -> bool:
    return bool((x.abs() == 1).all())
