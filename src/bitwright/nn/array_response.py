"""Networks that are trained with what crossbars sense in place of exact partial sums.

Requirements:

- What arrays do comes in a file, which ``bitwright crossbar surrogate`` writes. By it, a read of
  rows whose weights and inputs are both 1 in c of them senses r(c) on average, with a deviation.
- With bits W and A, a layer's sensed dot product is ``4 sum r(c) - 2 sum W - 2 sum A + n``: one r
  for each read, of ``c = sum(W A)`` over its inputs in (row, column, channel) order; the other sums
  over all inputs, n of them. Padding of zeros is in none of the sums. If r(c) = c, this is the
  exact dot product.
- Its gradient is that of this expression, with W and A as (w + 1) / 2 and (x + 1) / 2, and r' the
  slope of r over its neighbourhood.
- Reads' deviations are taken as normal and independent: one draw for an output, whose variance is
  the sum of theirs.

Nothing in torch is patched; taking the hooks off gives the network back as it was.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812  # torch's own name for it
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from torch import Tensor, nn

from bitwright.errors import ConfigError
from bitwright.nn.binary_layers import BinaryConv2d, BinaryLinear
from bitwright.nn.recipe import ArrayResponse
from bitwright.nn.settings import explain
from bitwright.nn.sites import Site, find_sites

MAX_ROWS = 4096
EXACT_IN_BFLOAT16 = 256
"""The largest count up to which bfloat16 has all."""

REACH = 5
"""A curve's slope at a count is that of the line through so many on both sides."""

Whole = Annotated[int, Field(ge=0, le=2**53)]


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Curve(_Table):
    """What is sensed of 0, 1, 2, ... cells that conduct.

    Attributes
    ----------
    number
        How often each count was seen.
    mean, deviation
        Of what is sensed, in cells.
    """

    number: Annotated[tuple[Whole, ...], Field(min_length=2, max_length=MAX_ROWS + 1)]
    mean: Annotated[tuple[float, ...], Field(max_length=MAX_ROWS + 1)]
    deviation: Annotated[tuple[Annotated[float, Field(ge=0)], ...], Field(max_length=MAX_ROWS + 1)]

    @model_validator(mode="after")
    def _of_one_length(self) -> Self:
        if not len(self.number) == len(self.mean) == len(self.deviation):
            raise ValueError("number, mean and deviation are not of one length")
        return self


class Part(_Table):
    """The inputs of a read, from `start` up to `stop`, and which curve it has."""

    start: Whole
    stop: Whole
    curve: Whole


class LayerResponse(_Table):
    """What a layer's arrays do: its reads, in the order of its inputs, and their curves."""

    inputs: Annotated[int, Field(ge=1)]
    outputs: Annotated[int, Field(ge=1)]
    reads: Annotated[tuple[Part, ...], Field(min_length=1)]
    curves: Annotated[tuple[Curve, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _reads_take_all_inputs(self) -> Self:
        at = 0
        for read in self.reads:
            if read.start != at or read.curve >= len(self.curves):
                raise ValueError("reads do not follow one another, or have no curve")
            if len(self.curves[read.curve].mean) != read.stop - read.start + 1:
                raise ValueError("a read's curve is of another number of rows")
            at = read.stop
        if at != self.inputs:
            raise ValueError("reads do not take all inputs")
        return self


class Response(_Table):
    """What the arrays of a network do.

    Attributes
    ----------
    program, settings, images
        The network and the design that it was fitted on, and on how many images.
    layers
        By name.
    """

    format: Literal["bitwright-crossbar-response"]
    version: Literal[1]
    program: str
    settings: dict[str, Any]
    images: Whole
    layers: dict[str, LayerResponse]


def load_response(path: Path) -> Response:
    """Read what ``bitwright crossbar surrogate`` wrote.

    Raises
    ------
    ConfigError
        If it cannot be read, or is not such a file.
    """
    way_out = "give a file that 'bitwright crossbar surrogate' wrote"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: cannot be read as JSON ({error})", way_out) from None
    if not isinstance(content, dict) or content.get("format") != "bitwright-crossbar-response":
        raise ConfigError(f"{path}: no response of crossbars", way_out)
    try:
        return Response.model_validate_json(json.dumps(content))
    except ValidationError as error:
        raise explain(error, str(path), lambda _: ()) from None


@contextmanager
def sensed_by(
    sites: Mapping[str, Site], layers: Mapping[str, LayerResponse], *, noise: bool = True
) -> Iterator[None]:
    """Let a network's layers sense as arrays do, as long as the context lasts.

    Parameters
    ----------
    sites
        The network's layers of bits.
    layers
        What their arrays do, by name.
    noise
        Whether deviations are drawn, by torch's generator, or left out.

    Raises
    ------
    ConfigError
        If a layer of that name and size is not in the network.
    """
    handles = []
    try:
        for name, response in layers.items():
            if name not in sites:
                raise ConfigError(
                    f"the response is of a layer '{name}', which is no layer of bits",
                    f"give one of this network, whose layers are: {', '.join(sites) or 'none'}",
                )
            site = sites[name]
            size = (site.layer.fan_in, len(site.layer.weight))
            if size != (response.inputs, response.outputs):
                raise ConfigError(
                    f"'{name}' has {size[0]} inputs and {size[1]} outputs, the response's "
                    f"{response.inputs} and {response.outputs}",
                    "give the response of this network",
                )
            handles.append(site.layer.register_forward_hook(_hook(site, response, noise)))
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def responding(network: nn.Module, wanted: ArrayResponse, images: Tensor) -> Iterator[None]:
    """Let a network sense as a recipe has it.

    Parameters
    ----------
    images
        Some that it takes, uint8 (N, height, width, channels).

    Raises
    ------
    ConfigError
        If the response cannot be read, or is not of this network.
    """
    response = load_response(Path(wanted.response))
    sites = find_sites(network, images[:2].permute(0, 3, 1, 2))
    with sensed_by(sites, response.layers, noise=wanted.noise):
        yield


@dataclass(frozen=True, eq=False)
class _Tables:
    """Of a read: its inputs; and what is sensed, its slope and its variance, by the count."""

    inputs: slice
    mean: Tensor
    slope: Tensor
    variance: Tensor

    def to(self, device: torch.device) -> _Tables:
        moved = (table.to(device) for table in (self.mean, self.slope, self.variance))
        return _Tables(self.inputs, *moved)


def _hook(
    site: Site, response: LayerResponse, noise: bool
) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], Tensor]:
    layer = site.layer
    tables = [
        _Tables(slice(read.start, read.stop), *_read_tables(response.curves[read.curve], noise))
        for read in response.reads
    ]
    exact = max(read.stop - read.start for read in response.reads) <= EXACT_IN_BFLOAT16

    def hook(_module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        x = inputs[0]
        coarse = exact and torch.is_autocast_enabled(x.device.type)
        kind = torch.bfloat16 if coarse else torch.float32
        with torch.autocast(x.device.type, enabled=False):
            dot = sensed_dot(layer, site.kernel, x.to(kind), tables)
            return layer.scaled(dot).to(output.dtype)

    return hook


def sensed_dot(
    layer: BinaryConv2d | BinaryLinear,
    kernel: tuple[int, int, int],
    x: Tensor,
    tables: list[_Tables],
) -> Tensor:
    """Return a layer's dot product, scales left out, as arrays sense it.

    Parameters
    ----------
    kernel
        (rows, columns, channels) of a window; of a fully connected layer, the map that its input
        was before it was flattened.
    x
        +1 and -1, shaped as the layer takes it; in which type counts are taken.
    tables
        Of the layer's reads.

    Returns
    -------
    Tensor
        In float32, shaped as the layer's output.
    """
    rows, columns, channels = kernel
    weight = layer.binary_weight().to(x.dtype)
    weight = weight.reshape(-1, channels, rows, columns).permute(2, 3, 1, 0)
    weights = (weight.reshape(-1, weight.shape[-1]) + 1) / 2
    bits = (x.reshape(-1, channels, rows, columns) if isinstance(layer, BinaryLinear) else x) + 1
    bits = (bits / 2).permute(0, 2, 3, 1)
    stride, border, zeros = 1, 0, False
    if isinstance(layer, BinaryConv2d):
        stride, border, zeros = layer.stride, layer.padding, not layer.pad_value
    if border:
        one = isinstance(layer, BinaryConv2d) and layer.pad_value > 0
        bits = F.pad(bits, (0, 0) + (border,) * 4, value=float(one))
    windows = _windows(bits, rows, columns, stride)
    shape = windows.shape[:-1]
    tables = [table.to(x.device) for table in tables]
    sums: Tensor = _Sensed.apply(windows.flatten(0, 2), weights, tables)  # type: ignore[no-untyped-call]
    ones = windows.sum(-1, keepdim=True, dtype=torch.float32)
    full = weights.float()
    if border and zeros:
        inside = torch.zeros_like(bits[:1])
        inside[:, border:-border, border:-border] = 1
        known = _windows(inside, rows, columns, stride).float()
        constant = known.sum(-1, keepdim=True) - 2 * (known @ full)
    else:
        constant = len(full) - 2 * full.sum(0)
    dot = 4 * sums.reshape(*shape, -1) - 2 * ones + constant
    return dot.flatten(1) if isinstance(layer, BinaryLinear) else dot.permute(0, 3, 1, 2)


def _windows(maps: Tensor, rows: int, columns: int, stride: int) -> Tensor:
    """Return what windows of (N, height, width, channels) hold, (N, rows, columns, inputs)."""
    high, wide = (maps.shape[1] - rows) // stride + 1, (maps.shape[2] - columns) // stride + 1
    parts = [
        maps[:, i : i + stride * high : stride, j : j + stride * wide : stride]
        for i in range(rows)
        for j in range(columns)
    ]
    return torch.cat(parts, dim=-1)


class _Sensed(torch.autograd.Function):
    """Sums over reads of what is sensed of windows (M, inputs) and weights (inputs, outputs).

    Bits 0 and 1 in both; (M, outputs) in float32.
    """

    @staticmethod
    def forward(context: Any, windows: Tensor, weights: Tensor, tables: list[_Tables]) -> Tensor:
        total = torch.zeros(len(windows), weights.shape[1], device=windows.device)
        variance = torch.zeros_like(total) if any(t.variance.any() for t in tables) else None
        slopes = []
        for table in tables:
            count = windows[:, table.inputs] @ weights[table.inputs]
            at = count.flatten().int()
            total += table.mean.index_select(0, at).view_as(total)
            if variance is not None:
                variance += table.variance.index_select(0, at).view_as(total)
            if any(context.needs_input_grad):
                slopes.append(table.slope.index_select(0, at).view_as(total).to(windows.dtype))
        if variance is not None:
            total += variance.sqrt_() * torch.randn_like(total)
        context.save_for_backward(windows, weights, *slopes)
        context.inputs = [table.inputs for table in tables]
        return total

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        windows, weights, *slopes = context.saved_tensors
        given = gradients[0].to(windows.dtype)
        by_windows, by_weights = torch.empty_like(windows), torch.empty_like(weights)
        for inputs, slope in zip(context.inputs, slopes, strict=True):
            through = given * slope
            by_windows[:, inputs] = through @ weights[inputs].T
            by_weights[inputs] = windows[:, inputs].T @ through
        return by_windows, by_weights, None


def _read_tables(curve: Curve, noise: bool) -> tuple[Tensor, Tensor, Tensor]:
    mean, deviation = np.array(curve.mean), np.array(curve.deviation)
    variance = deviation**2 if noise else np.zeros_like(deviation)
    slope = slopes(mean, np.array(curve.number))
    return _tensor(mean), _tensor(slope), _tensor(variance)


def _tensor(table: npt.NDArray[Any]) -> Tensor:
    return torch.from_numpy(table.astype(np.float32))


def slopes(mean: npt.NDArray[Any], number: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return a curve's slope at each count: of the line through its neighbours.

    Parameters
    ----------
    mean, number
        (rows + 1,): the curve, and how often each count was seen, which is what it weighs.
    """
    found = np.empty(len(mean))
    for k in range(len(mean)):
        near = slice(max(k - REACH, 0), k + REACH + 1)
        counts = np.arange(len(mean))[near]
        weight = number[near] + 1e-3 * number[near].max() + 1e-3  # what was not seen counts little
        from_middle = counts - np.average(counts, weights=weight)
        found[k] = np.sum(weight * from_middle * mean[near]) / np.sum(weight * from_middle**2)
    return found
