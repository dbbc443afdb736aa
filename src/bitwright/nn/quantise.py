"""`quantise`: a trained network's real-valued layers on grids of binary fractions.

- Real convolutions and fully connected layers get 8-bit weights, one power of two a channel, and
  8-bit inputs. What lies on shortcuts has as many integer bits as it needs and `FRACTION_BITS`
  fraction bits. BatchNorms become a scale of few significant bits and a shift.
- The signs, what only a sign sees, and the bits between them are left as they are.
- What a program of integers computes is then what the module computes, to the last bit, and cheap:
  products fit 32 bits, and 8-bit layers run on the instructions made for them.

Source: uniform symmetric post-training quantisation with power-of-two steps, as in Jain et al.,
Trained Quantization Thresholds (MLSys 2020), without the training.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from bitwright.errors import ConfigError
from bitwright.nn.activations import Maxout, RPReLU, Sign
from bitwright.nn.adabin import AdaBinConv2d
from bitwright.nn.binary_layers import BinaryConv2d, BinaryLinear
from bitwright.nn.evaluate import batches_of
from bitwright.nn.fixed import Normalise
from bitwright.nn.quantised import PIXEL_BITS, ChannelAffine, PixelOffset, Quantise

WEIGHT_BITS = 8
INPUT_BITS = 8
FRACTION_BITS = 8
SCALE_BITS = 11
"""With the at most 13 bits of a binary sum, products have 24 bits: exact in float32."""

REAL_SCALE_BITS = 8
"""Behind 8-bit weights, whose sums have up to 22 bits: products fit 32 bits."""

STEP_IMAGES = 1000
"""The steps of 8-bit inputs are chosen on so many images."""

SLOPE_STEP = 2.0**-8
SHIFT_STEP = 2.0**-12

_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)
_BENT = (nn.PReLU, RPReLU, Maxout)
_REAL = (nn.Conv2d, nn.Linear)


def quantise(network: nn.Module, images: Tensor) -> nn.Module:
    """Return a quantised copy of a trained network.

    Parameters
    ----------
    network
        Takes pixels (batch, channels, height, width), begins with `Normalise` if its first
        convolution is real. It is left as it is.
    images
        uint8, (N, height, width, channels): training images. The steps of 8-bit inputs are those
        with the least mean squared error on the first `STEP_IMAGES`.

    Raises
    ------
    ConfigError
        If there are no images, or the network holds real layers but does not begin with
        `Normalise`.

    Notes
    -----
    The copy is in evaluation mode. `quantised_form` builds a module of the same shape, without the
    numbers, for a ``state_dict`` of the copy.
    """
    if not len(images):
        raise ConfigError("quantise: no images", "give some training images")
    rounded = copy.deepcopy(network).float()
    for layer, previous in _real_layers(rounded):
        if isinstance(previous, Normalise):
            scale = (255.0 * previous.std.double()).reshape(1, -1, 1, 1)
            layer.weight.data = (layer.weight.double() * 2.0**PIXEL_BITS / scale).float()
    zero = _pixel_offset(rounded)
    for layer, _ in _real_layers(rounded):
        _round_weights(layer)
    if zero is not None:
        _replace(rounded, lambda m: zero if isinstance(m, Normalise) else None)
    made = _with_layers(rounded, filled=True)
    _choose_steps(made, images[:STEP_IMAGES])
    return made.eval()


def quantised_form(network: nn.Module) -> nn.Module:
    """Return a copy of an untrained network in the form that `quantise` gives trained ones."""
    copied = copy.deepcopy(network)
    zero = _pixel_offset(copied)
    if zero is not None:
        _replace(copied, lambda m: zero if isinstance(m, Normalise) else None)
    return _with_layers(copied, filled=False).eval()


def _real_layers(network: nn.Module) -> list[tuple[Any, nn.Module | None]]:
    """The real convolutions and dense layers in order, the first with the input layer before it."""
    layers = [layer for layer in network.modules() if isinstance(layer, _REAL)]
    inputs = [layer for layer in network.modules() if isinstance(layer, Normalise)]
    if layers and inputs and not isinstance(layers[0], nn.Conv2d):
        raise ConfigError(
            "quantise: Normalise is followed by no convolution", "begin with PixelLevels"
        )
    first: list[nn.Module | None] = [*inputs[:1]] or [None]
    return list(zip(layers, [*first, *[None] * len(layers)], strict=False))


def _pixel_offset(network: nn.Module) -> PixelOffset | None:
    for layer in network.modules():
        if isinstance(layer, Normalise):
            return PixelOffset([round(255 * float(mean)) for mean in layer.mean.flatten()])
    return None


def _replace(network: nn.Module, change: Callable[[nn.Module], nn.Module | None]) -> None:
    """Replace layers in place, those within a replacement excepted."""
    for name, child in network.named_children():
        new = change(child)
        if new is None:
            _replace(child, change)
        else:
            setattr(network, name, new)


def _with_layers(network: nn.Module, *, filled: bool) -> nn.Module:
    """Put the layers of a quantised network in place; `filled` with the trained numbers."""
    starts_real = any(isinstance(layer, PixelOffset) for layer in network.modules())
    first = _real_layers(network)[0][0] if starts_real else None

    signed = _only_signed(network)

    bits = SCALE_BITS

    def change(layer: nn.Module) -> nn.Module | None:
        nonlocal bits
        if isinstance(layer, _REAL):
            bits = REAL_SCALE_BITS
        elif isinstance(layer, BinaryConv2d | BinaryLinear | AdaBinConv2d):
            bits = SCALE_BITS
        if layer in signed:
            return None
        if isinstance(layer, _BATCH_NORMS):
            affine = ChannelAffine(layer.num_features)
            if filled:
                _fold(layer, affine, bits)
            return nn.Sequential(affine, Quantise(None, FRACTION_BITS))
        if isinstance(layer, _BENT):
            if filled:
                _round_bends(layer)
            return nn.Sequential(layer, Quantise(None, FRACTION_BITS))
        if isinstance(layer, _REAL) and layer is not first:
            return nn.Sequential(Quantise(INPUT_BITS), layer)
        return None

    _replace(network, change)
    return network


def _only_signed(network: nn.Module) -> set[nn.Module]:
    """The layers of which only a sign sees the outputs: thresholds take them in as they are."""
    found: set[nn.Module] = set()
    for sequence in network.modules():
        if isinstance(sequence, nn.Sequential):
            ahead = False
            for layer in reversed(sequence):
                if isinstance(layer, Sign):
                    ahead = True
                elif ahead and isinstance(layer, (*_BATCH_NORMS, *_BENT)):
                    found.add(layer)
                elif not isinstance(layer, (nn.Hardtanh, nn.MaxPool2d, nn.Identity)):
                    ahead = False
    return found


@torch.no_grad()
def _round_weights(layer: nn.Conv2d | nn.Linear) -> None:
    """Round weights to 8-bit multiples of a power of two a channel, in place."""
    weight = layer.weight.double()
    peak = weight.abs().amax(tuple(range(1, weight.dim())), keepdim=True).clamp_min(2.0**-40)
    step = torch.exp2(torch.ceil(torch.log2(peak / (2 ** (WEIGHT_BITS - 1) - 1))))
    layer.weight.copy_(torch.round(weight / step) * step)
    if layer.bias is not None:
        layer.bias.copy_(_to_step(layer.bias, SHIFT_STEP))


@torch.no_grad()
def _fold(norm: nn.BatchNorm1d | nn.BatchNorm2d, affine: ChannelAffine, bits: int) -> None:
    """Write what a BatchNorm computes in evaluation mode as a rounded scale and shift."""
    if norm.running_mean is None or norm.running_var is None:
        raise ConfigError(
            "quantise: a BatchNorm has no running statistics", "train with track_running_stats=True"
        )
    scale = (norm.running_var.double() + norm.eps).rsqrt()
    if norm.weight is not None:
        scale = scale * norm.weight.double()
    mantissa, exponent = torch.frexp(scale)
    scale = torch.ldexp(torch.round(mantissa * 2**bits), exponent - bits)
    shift = -norm.running_mean.double() * scale
    if norm.bias is not None:
        shift = shift + norm.bias.double()
    affine.scale.copy_(scale)
    affine.shift.copy_(_to_step(shift, SHIFT_STEP))


@torch.no_grad()
def _round_bends(layer: nn.Module) -> None:
    """Round slopes to multiples of `SLOPE_STEP` and shifts to the grid, in place."""
    for name, parameter in layer.named_parameters():
        step = 2.0**-FRACTION_BITS if name.startswith("shift") else SLOPE_STEP
        parameter.copy_(_to_step(parameter, step))


def _to_step(numbers: Tensor, step: float) -> Tensor:
    return torch.round(numbers.double() / step) * step


@torch.no_grad()
def _choose_steps(network: nn.Module, images: Tensor) -> None:
    """Give each limited `Quantise` the step of least squared error, from first to last."""
    limited = [m for m in network.modules() if isinstance(m, Quantise) and m.bits is not None]
    network.eval()
    choices = range(-4, 16)
    errors = {layer: torch.zeros(len(choices), dtype=torch.float64) for layer in limited}

    def look(layer: Quantise, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        x = inputs[0].double()
        trials = [Quantise(layer.bits, bits)(x) for bits in choices]
        errors[layer] += torch.stack([(trial - x).square().sum() for trial in trials])
        return inputs[0]  # the layers behind see the value as it is

    handles = [layer.register_forward_hook(look) for layer in limited]
    try:
        for pixels in batches_of(images):
            network(pixels)
    finally:
        for handle in handles:
            handle.remove()
    for layer in limited:
        layer.fraction_bits.fill_(choices[int(errors[layer].argmin())])
