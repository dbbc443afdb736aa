"""What a network weighs and works: a table of its layers, like Larq's.

- Weights are counted as a deployed network stores them: latent weights one bit each; a real
  layer's weights 8 bits each if they are 8-bit multiples of a power of two a channel; all other
  parameters, BatchNorm's running statistics and analytic scales 32 bits each.
- A multiply-accumulate (MAC) is counted for each product of a convolution or fully connected
  layer, those with padded zeros included. It is a binary one if the weights and the inputs of the
  layer are binary.
- The precision of inputs is read off a random image: 1 bit if each is +1 or -1 (AdaBin: one of its
  two values), 8 if they lie on 256 numbers a power of two apart, as pixels do; 32 otherwise.
- 1 kB is 1024 bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from bitwright.errors import ConfigError
from bitwright.nn.layers import LEAVES, AdaBinConv2d, BinaryConv2d, BinaryLinear, ChannelAffine

BINARY = (AdaBinConv2d, BinaryConv2d, BinaryLinear)
"""The layers with binary weights."""


@dataclass(frozen=True)
class Row:
    """One layer, or all of them.

    Attributes
    ----------
    name, kind
        The layer's path in the network, and its class.
    input_bits
        Precision of what its weights are multiplied by: 1, 8 or 32 bits; None if it multiplies
        none.
    output
        Shape of its output for one image: (height, width, channels), or (features,).
    binary_weights, byte_weights, other_weights
        Numbers stored with 1, 8 and 32 bits.
    binary_macs, other_macs
        Multiply-accumulates an image.
    """

    name: str
    kind: str
    input_bits: int | None
    output: tuple[int, ...]
    binary_weights: int
    byte_weights: int
    other_weights: int
    binary_macs: int
    other_macs: int

    @property
    def kilobytes(self) -> float:
        """Memory of the weights, in kB."""
        return (self.binary_weights / 8 + self.byte_weights + self.other_weights * 4) / 1024

    @property
    def float32_kilobytes(self) -> float:
        """Memory of the weights with 32 bits for each, in kB."""
        return (self.binary_weights + self.byte_weights + self.other_weights) * 4 / 1024

    def to_json(self) -> dict[str, Any]:
        """Return the row as JSON data, its memory included."""
        return {**asdict(self), "output": list(self.output), "kilobytes": self.kilobytes}


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
            None,
            self.rows[-1].output if self.rows else (),
            sum(row.binary_weights for row in self.rows),
            sum(row.byte_weights for row in self.rows),
            sum(row.other_weights for row in self.rows),
            sum(row.binary_macs for row in self.rows),
            sum(row.other_macs for row in self.rows),
        )

    @property
    def compression(self) -> float:
        """How many times smaller the network is than with 32 bits for every weight."""
        total = self.total
        return total.float32_kilobytes / total.kilobytes if total.kilobytes else 1.0

    @property
    def binary_share(self) -> float:
        """Share of the multiply-accumulates that are binary; 0 if there are none."""
        total = self.total
        macs = total.binary_macs + total.other_macs
        return total.binary_macs / macs if macs else 0.0

    def to_json(self) -> dict[str, Any]:
        """Return the table as JSON data: a row a layer, their sums, and the two ratios."""
        return {
            "layers": [row.to_json() for row in self.rows],
            "total": {**self.total.to_json(), "float32_kilobytes": self.total.float32_kilobytes},
            "compression": self.compression,
            "binary_share": self.binary_share,
        }


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
        macs = _macs(layer, output)
        bits = _input_bits(layer, inputs[0]) if macs else None
        binary_macs = macs if bits == 1 and isinstance(layer, BINARY) else 0
        before = self.found.get(self.name)  # a layer used again works again, and weighs once
        if before and before.input_bits and bits:
            bits = max(bits, before.input_bits)
        self.found[self.name] = Row(
            self.name,
            type(layer).__name__,
            bits,
            (*output.shape[2:], output.shape[1]) if output.dim() > 2 else tuple(output.shape[1:]),
            *_weights(layer),
            binary_macs + (before.binary_macs if before else 0),
            macs - binary_macs + (before.other_macs if before else 0),
        )


def _weights(layer: nn.Module) -> tuple[int, int, int]:
    """Return the numbers stored with 1, 8 and 32 bits."""
    total = sum(parameter.numel() for parameter in layer.parameters())
    match layer:
        case nn.modules.batchnorm._BatchNorm():
            running = (layer.running_mean, layer.running_var)
            return 0, 0, total + sum(values.numel() for values in running if values is not None)
        case ChannelAffine():
            return 0, 0, total + layer.scale.numel() + layer.shift.numel()
        case AdaBinConv2d():
            return layer.weight.numel(), 0, total - layer.weight.numel() + 2 * layer.out_channels
        case BinaryConv2d() | BinaryLinear():
            scales = layer.scales()
            return layer.weight.numel(), 0, 0 if scales is None else scales.numel()
        case nn.Conv2d() | nn.Linear() if _on_a_grid(layer.weight.flatten(1), 127):
            return 0, layer.weight.numel(), total - layer.weight.numel()
    return 0, 0, total


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


def _input_bits(layer: nn.Module, x: Tensor) -> int:
    """Return the fewest of 1, 8 and 32 bits that hold what the weights are multiplied by."""
    if isinstance(layer, AdaBinConv2d) or bool((x.abs() == 1).all()):
        return 1
    return 8 if _on_a_grid((x.double() - x.min()).flatten()[None], 255) else 32


def _on_a_grid(numbers: Tensor, most: int) -> bool:
    """Whether each row of numbers is a power of two times integers of magnitude up to `most`."""
    peak = numbers.detach().double().abs().amax(1, keepdim=True).clamp_min(2.0**-126)
    integers = numbers / torch.exp2(torch.ceil(torch.log2(peak / most)))
    return bool((integers == integers.round()).all())
