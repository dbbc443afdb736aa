"""What a network weighs and works: a table of its layers, like Larq's.

- Weights are counted as a deployed network stores them: latent weights one bit each; all other
  parameters, BatchNorm's running statistics and analytic scales 32 bits each.
- A multiply-accumulate (MAC) is counted for each product of a convolution or fully connected
  layer, those with padded zeros included. It is a binary one if the weights are binary and every
  input of the layer is +1 or -1 (AdaBin: one of its two values) on a random image.
- 1 kB is 1024 bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bitwright.errors import ConfigError
from bitwright.nn.layers import LEAVES, AdaBinConv2d, BinaryConv2d, BinaryLinear


@dataclass(frozen=True)
class Row:
    """One layer, or all of them.

    Attributes
    ----------
    name, kind
        The layer's path in the network, and its class.
    output
        Shape of its output for one image: (height, width, channels), or (features,).
    binary_weights, other_weights
        Numbers stored with 1 and with 32 bits.
    binary_macs, other_macs
        Multiply-accumulates an image.
    """

    name: str
    kind: str
    output: tuple[int, ...]
    binary_weights: int
    other_weights: int
    binary_macs: int
    other_macs: int

    @property
    def kilobytes(self) -> float:
        """Memory of the weights, in kB."""
        return (self.binary_weights / 8 + self.other_weights * 4) / 1024


@dataclass(frozen=True)
class Summary:
    """The layers of a network, in the order in which they are first computed.

    Attributes
    ----------
    rows
        One a layer.
    """

    rows: tuple[Row, ...]

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def total(self) -> Row:
        """The sums over all layers, and the network's output."""
        return Row(
            "total",
            "",
            self.rows[-1].output if self.rows else (),
            sum(row.binary_weights for row in self.rows),
            sum(row.other_weights for row in self.rows),
            sum(row.binary_macs for row in self.rows),
            sum(row.other_macs for row in self.rows),
        )

    @property
    def compression(self) -> float:
        """How many times smaller the network is than with 32 bits for every weight."""
        total = self.total
        if not total.kilobytes:
            return 1.0
        return (total.binary_weights + total.other_weights) * 4 / 1024 / total.kilobytes


def summary(module: nn.Module, input_shape: tuple[int, int, int]) -> Summary:
    """Tabulate the layers of `module`.

    Parameters
    ----------
    module
        Takes pixels 0..255, shaped (batch, channels, height, width). It is run once on a random
        image and left as it is.
    input_shape
        (height, width, channels) of an image.

    Raises
    ------
    ConfigError
        If the module does not take such images.
    """
    found: dict[str, Row] = {}
    hooks = [
        layer.register_forward_hook(_Counter(found, name)) for name, layer in _leaves(module, "")
    ]
    height, width, channels = input_shape
    random = torch.Generator().manual_seed(0)
    image = torch.randint(0, 256, (1, channels, height, width), generator=random)
    first = next(module.parameters(), None)
    modes = {layer: layer.training for layer in module.modules()}
    module.eval()
    try:
        with torch.inference_mode():
            module(image.to(None if first is None else first.device, torch.float32))
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:160]
        raise ConfigError(
            f"the module does not take an image of {height}x{width}x{channels} ({reason})",
            "give (height, width, channels) of the images that it was built for",
        ) from error
    finally:
        for layer, mode in modes.items():
            layer.training = mode
        for hook in hooks:
            hook.remove()
    return Summary(tuple(found.values()))


def _leaves(module: nn.Module, path: str) -> Iterator[tuple[str, nn.Module]]:
    """Give the layers that compute, by name."""
    inner = list(module.named_children())
    if isinstance(module, LEAVES) or not inner:
        yield path, module
        return
    for name, child in inner:
        yield from _leaves(child, f"{path}.{name}" if path else name)


class _Counter:
    """Writes the row of one layer when it is computed."""

    def __init__(self, found: dict[str, Row], name: str) -> None:
        self.found = found
        self.name = name

    def __call__(self, layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        binary, other = _weights(layer)
        macs = _macs(layer, output)
        bits = _multiplies_bits(layer, inputs[0])
        before = self.found.get(self.name)  # a layer used again works again, and weighs once
        self.found[self.name] = Row(
            self.name,
            type(layer).__name__,
            (*output.shape[2:], output.shape[1]) if output.dim() > 2 else tuple(output.shape[1:]),
            binary,
            other,
            macs * bits + (before.binary_macs if before else 0),
            macs * (not bits) + (before.other_macs if before else 0),
        )


def _weights(layer: nn.Module) -> tuple[int, int]:
    """Return the numbers stored with 1 and with 32 bits."""
    total = sum(parameter.numel() for parameter in layer.parameters())
    if isinstance(layer, nn.modules.batchnorm._BatchNorm):
        running = (layer.running_mean, layer.running_var)
        return 0, total + sum(values.numel() for values in running if values is not None)
    if isinstance(layer, AdaBinConv2d):
        return layer.weight.numel(), total - layer.weight.numel() + 2 * layer.out_channels
    if isinstance(layer, BinaryConv2d | BinaryLinear):
        scales = layer.scales()
        return layer.weight.numel(), 0 if scales is None else scales.numel()
    return 0, total


def _macs(layer: nn.Module, output: Tensor) -> int:
    """Return the products of one image."""
    match layer:
        case BinaryConv2d() | BinaryLinear() | AdaBinConv2d():
            fan_in = layer.fan_in
        case nn.Conv2d() | nn.Linear():
            fan_in = layer.weight[0].numel()
        case _:
            return 0
    return output[0].numel() * fan_in


def _multiplies_bits(layer: nn.Module, x: Tensor) -> bool:
    if isinstance(layer, AdaBinConv2d):
        return True
    return isinstance(layer, BinaryConv2d | BinaryLinear) and bool((x.abs() == 1).all())
