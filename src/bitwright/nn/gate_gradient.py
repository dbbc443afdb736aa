"""The gradient of a circuit's first gates, for training with the circuit in the forward pass.

Requirements:

- A product p = w x of a weight and an input is +1 or -1, and so is a gate's output. That output is
  a polynomial in which each p has at most power one (the gate's Walsh expansion), and products of
  products factor: ``p_i p_j = (w_i w_j)(x_i x_j)``. So a layer of gates is an ordinary convolution
  of products of inputs with products of weights, and has that convolution's gradient: half of what
  a gate's output changes by when a bit flips, with all other bits as they are.
- What comes behind the first gates does not factor over neurons. Adders are linear as they are;
  another gate counts by its linear part, which of a majority of three is half of each input.
- Only the gradient is taken from the polynomial. The value is the circuit's.

The gradient of the exact layer, which "straight through" takes, is the polynomial's part of power
one. For ab + cd that is 4/7 of the variance of the gate's output at random bits; training sees the
rest here. There are 15 products of four inputs, so the backward pass costs 15/4 of the exact one's.
The leading ones, those whose coefficients are at least half of the gate's largest, are six of them
with 6/7 of the variance.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812  # torch's own name for it
from torch import Tensor

from bitwright.circuits import KINDS, Circuit
from bitwright.circuits.linear import Structure
from bitwright.errors import ConfigError
from bitwright.nn.binary_layers import BinaryConv2d, BinaryLinear

Terms = Literal["all", "leading"]

LARGEST = 4
"""The most inputs of a gate whose own gradient is taken."""


@dataclass(frozen=True)
class Gate:
    """One of a circuit's first gates, as it counts towards the dot product.

    Attributes
    ----------
    inputs
        The circuit's inputs that it depends on, in rising order.
    walsh
        (2 ** len(inputs),): the coefficient of each product of its inputs, +1 or -1 each, in the
        dot product; input j is in the product number s if bit j of s is 1.
    """

    inputs: tuple[int, ...]
    walsh: npt.NDArray[np.float64]


def first_gates(circuit: Circuit, terms: Terms = "all") -> tuple[Gate, ...]:
    """Return the gates whose sum stands for a circuit's dot product in the gradient.

    They are the wires of at most `LARGEST` inputs that the rest of the circuit is computed from;
    an input that is only added is one of its own.

    Parameters
    ----------
    terms
        Of each gate's products, "all", or the "leading" ones: those whose coefficients are at
        least half of the largest.

    Raises
    ------
    ConfigError
        If the circuit is linear in no gate, so that nothing would be learned.
    """
    structure = Structure(circuit)
    sums = {output.wire: output.weight for output in circuit.outputs if output.weight}
    slopes = {
        wire: weight / circuit.divisor for wire, weight in structure.linearise(sums).terms.items()
    }
    waiting = [-wire for wire in slopes]
    heapq.heapify(waiting)
    found = []
    while waiting:
        wire = -heapq.heappop(waiting)
        slope, cell = slopes[wire], structure.cell[wire]
        if structure.support[wire].bit_count() <= LARGEST:
            inputs, table = _table(structure, wire)
            walsh = slope * _walsh(table)
            walsh[0] = 0
            if terms == "leading":
                walsh[np.abs(walsh) < np.abs(walsh).max() / 2] = 0
            if walsh.any():
                found.append(Gate(inputs, walsh))
        elif cell is not None:
            fan_in = KINDS[cell.kind].fan_in
            word = KINDS[cell.kind].function(*_variables(fan_in))[wire - structure.first[wire]]
            linear = _walsh(_bits(word, fan_in))
            for j, source in enumerate(cell.inputs):
                if linear[1 << j]:
                    if source not in slopes:
                        slopes[source] = 0
                        heapq.heappush(waiting, -source)
                    slopes[source] += slope * linear[1 << j]
    if not found:
        raise ConfigError(
            "the circuit's value is linear in none of its first gates",
            "take the gradient 'straight'",
        )
    return tuple(found)


def _variables(count: int) -> list[np.uint64]:
    """Return the variables of a truth table: bit r of word j is bit j of the row number r."""
    rows = range(1 << LARGEST)
    return [np.uint64(sum((row >> j & 1) << row for row in rows)) for j in range(count)]


def _bits(word: Any, variables: int) -> npt.NDArray[np.int64]:
    return np.array([int(word) >> row & 1 for row in range(1 << variables)])


def _table(structure: Structure, wire: int) -> tuple[tuple[int, ...], npt.NDArray[np.int64]]:
    """Return the inputs that a wire depends on, and its value for each row of their bits."""
    mask = structure.support[wire]
    inputs = tuple(i for i in range(mask.bit_length()) if mask >> i & 1)
    known: dict[int, Any] = dict(zip(inputs, _variables(len(inputs)), strict=True))

    def value(at: int) -> Any:
        cell = structure.cell[at]
        if at not in known and cell is not None:
            results = KINDS[cell.kind].function(*(value(source) for source in cell.inputs))
            known.update(enumerate(results, structure.first[at]))
        return known[at]

    return inputs, _bits(value(wire), len(inputs))


def _walsh(table: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Return the coefficient of each product, inputs and the table's values being +1 and -1."""
    signs: npt.NDArray[np.float64] = np.ones((1, 1))
    for _ in range(len(table).bit_length() - 1):
        # of each input: no factor of the product, or one
        signs = np.asarray(np.kron([[1, 1], [-1, 1]], signs), np.float64)
    return np.asarray(signs @ (2.0 * table - 1) / len(table))


@dataclass(frozen=True, eq=False)
class _Family:
    """The gates of one number of inputs, those of all taps of a window together.

    Attributes
    ----------
    inputs
        (inputs, gates): the channels of the map that each gate reads.
    masks
        Which products of a gate's inputs occur, numbered as in `Gate.walsh`.
    """

    inputs: Tensor
    masks: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class _Plan:
    """The polynomial of a layer.

    Attributes
    ----------
    families
        Their products follow each other, for each mask those of all gates.
    coefficients
        (products, rows, columns) of a window.
    in_taps
        Whether each gate lies within one tap of the window. Otherwise the window is taken as one
        tap with all its inputs as channels.
    by_channel
        Whether the products are the channels themselves, one by one: the circuit only adds.
    """

    families: tuple[_Family, ...]
    coefficients: Tensor
    in_taps: bool
    by_channel: bool

    def products(self, x: Tensor) -> Tensor:
        """Return the products of channels of +1 and -1: (..., channels) to (..., products)."""
        if self.by_channel:
            return x
        blocks = []
        for family in self.families:
            known = {
                1 << j: x.index_select(-1, row) for j, row in enumerate(family.inputs.to(x.device))
            }
            blocks += [_product(mask, known) for mask in family.masks]
        return torch.cat(blocks, dim=-1)

    def sums(self, terms: Tensor, channels: int) -> Tensor:
        """Return for each channel the sum of the terms of products that it is in."""
        if self.by_channel:
            return terms
        found = terms.new_zeros((*terms.shape[:-1], channels))
        start = 0
        for family in self.families:
            size, count = family.inputs.shape
            parts: list[Tensor | None] = [None] * size
            for mask in family.masks:
                term = terms.narrow(-1, start, count)
                start += count
                for j in range(size):
                    if mask >> j & 1:
                        old = parts[j]
                        parts[j] = term if old is None else old + term
            for row, part in zip(family.inputs.to(terms.device), parts, strict=True):
                if part is not None:
                    found.index_add_(-1, row, part)
        return found


def _product(mask: int, known: dict[int, Tensor]) -> Tensor:
    """Return the product of the factors whose bits are set, and keep it and what it took."""
    if mask not in known:
        lowest = mask & -mask
        known[mask] = _product(mask ^ lowest, known) * known[lowest]
    return known[mask]


@lru_cache(maxsize=256)
def _plan(_digest: str, circuit: Circuit, kernel: tuple[int, int, int], terms: Terms) -> _Plan:
    gates = first_gates(circuit, terms)
    rows, columns, channels = kernel
    in_taps = all(len({i // channels for i in gate.inputs}) == 1 for gate in gates)
    if not in_taps:
        rows, columns, channels = 1, 1, rows * columns * channels
    families, coefficients = [], []
    for size in sorted({len(gate.inputs) for gate in gates}):
        ours = [gate for gate in gates if len(gate.inputs) == size]
        places = sorted({tuple(i % channels for i in gate.inputs) for gate in ours})
        number = {place: k for k, place in enumerate(places)}
        table = np.zeros((1 << size, len(places), rows, columns), np.float32)
        for gate in ours:
            row, column = divmod(gate.inputs[0] // channels, columns)
            table[:, number[tuple(i % channels for i in gate.inputs)], row, column] += gate.walsh
        masks = tuple(s for s in range(1, 1 << size) if table[s].any())
        families.append(_Family(torch.tensor(places).T.contiguous(), masks))
        coefficients.append(table[list(masks)].reshape(-1, rows, columns))
    by_channel = len(families) == 1 and families[0].inputs.tolist() == [list(range(channels))]
    return _Plan(
        tuple(families), torch.from_numpy(np.concatenate(coefficients)), in_taps, by_channel
    )


class _GatesGradient(torch.autograd.Function):
    """Takes one tensor's values, and the gradient of a polynomial of inputs and weights.

    Since each of them is +1 or -1, a product's derivative by one of its factors is the product
    times that factor. Products are made in the backward pass only, which saves their memory.
    """

    @staticmethod
    def forward(
        context: Any, x: Tensor, weight: Tensor, value: Tensor, plan: _Plan, stride: int
    ) -> Tensor:
        context.save_for_backward(x, weight)
        context.plan, context.stride = plan, stride
        return value.view_as(value)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = context.saved_tensors
        plan: _Plan = context.plan
        of_x, of_weight = plan.products(x), plan.products(weight)
        scaled = of_weight * plan.coefficients.permute(1, 2, 0).to(weight)
        by_x, by_weight, _ = torch.ops.aten.convolution_backward(
            gradients[0].to(x.dtype),
            of_x.permute(0, 3, 1, 2),
            scaled.permute(0, 3, 1, 2),
            None,
            (context.stride,) * 2,
            (0, 0),
            (1, 1),
            False,
            (0, 0),
            1,
            [*context.needs_input_grad[:2], False],
        )
        found: list[Tensor | None] = [None, None]
        if by_x is not None:
            found[0] = plan.sums(by_x.permute(0, 2, 3, 1) * of_x, x.shape[-1]) * x
        if by_weight is not None:
            terms = by_weight.permute(0, 2, 3, 1) * scaled
            found[1] = plan.sums(terms, weight.shape[-1]) * weight
        return (*found, None, None, None)


def with_gates_gradient(
    layer: BinaryConv2d | BinaryLinear,
    circuit: Circuit,
    x: Tensor,
    kernel: tuple[int, int, int],
    value: Tensor,
    terms: Terms = "all",
) -> Tensor:
    """Return what a circuit counted, with the gradient of the circuit's first gates.

    Parameters
    ----------
    layer, circuit, x, kernel
        As for `bitwright.nn.circuit_dot.circuit_dot`.
    value
        What that returned.
    terms
        Which products of a gate's polynomial are taken (see `first_gates`).

    Returns
    -------
    Tensor
        The value; its gradient goes to `x` and the layer's latent weights.

    Raises
    ------
    ConfigError
        If the circuit is linear in no gate.
    """
    weight = layer.binary_weight()
    rows, columns, channels = kernel
    plan = _plan(circuit.digest, circuit, kernel, terms)
    stride, border = 1, None
    if isinstance(layer, BinaryLinear):
        weight = weight.reshape(-1, channels, rows, columns)
        x = x.reshape(-1, channels, rows, columns)
    else:
        stride, halo = layer.stride, (layer.padding,) * 4
        if layer.padding and not layer.pad_value:
            border = F.conv2d(F.pad(torch.zeros_like(x[:1]), halo, value=1.0), weight, None, stride)
        if layer.padding:
            x = F.pad(x, halo, value=float(layer.pad_value or -1))
    kind = x.device.type
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else weight.dtype
    x, weight = (one.to(dtype).permute(0, 2, 3, 1) for one in (x, weight))
    if not plan.in_taps:
        x = x.unfold(1, rows, stride).unfold(2, columns, stride)
        x, stride = x.permute(0, 1, 2, 4, 5, 3).flatten(3), 1
        weight = weight.reshape(len(weight), 1, 1, -1)
    found = value.reshape(*value.shape[:2], *(value.shape[2:] or (1, 1)))
    dot: Tensor = _GatesGradient.apply(x, weight, found, plan, stride)  # type: ignore[no-untyped-call]
    dot = dot.reshape(value.shape)
    return dot if border is None else dot + (border - border.detach())
