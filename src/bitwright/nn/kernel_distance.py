"""Reuse-aware training: a penalty on the bits in which a layer's kernels differ.

A dot product can be made from another kernel's, or from its complement's, by adding up only the
inputs where the two differ: ``min(h, n - h)`` of them, h being the Hamming distance and n the
fan-in. A spanning tree over a layer's kernels leaves the fewest. Here training draws kernels that
are neighbours in that tree together.

Requirements:

- The penalty is `weight` times the share of the network's products that trees leave, each layer
  counted by its windows: a weight of a layer is drawn by as much as its flip would save.
- Its gradient goes through the weights' sign as the loss's does: a weight flips where that saves
  more than the loss minds.
- Trees are a function of the weights and are found anew at the start of each epoch, in each
  process: a resumed run finds the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from scipy.sparse.csgraph import minimum_spanning_tree  # type: ignore[import-untyped]
from torch import Tensor, nn

from bitwright.errors import ConfigError
from bitwright.nn.adabin import AdaBinConv2d
from bitwright.nn.binary_layers import BinaryConv2d, BinaryLinear
from bitwright.nn.recipe import Reuse
from bitwright.nn.summary import summary

Bits = npt.NDArray[np.int64]
BinaryLayer = BinaryConv2d | BinaryLinear | AdaBinConv2d


@dataclass(frozen=True)
class Distances:
    """How far apart a network's kernels are, complements counting as equal.

    Attributes
    ----------
    nearest
        Share of the fan-in by which a kernel differs from the nearest other one of its layer, mean
        over all kernels: 0 where each has its like; random kernels are somewhat below 0.5.
    left
        Share of the products, windows x neurons x fan-in of all layers, that is left if kernels
        are made from one another along a spanning tree, the root from all of its inputs.
    """

    nearest: float
    left: float


@dataclass(eq=False)
class _Layer:
    """A layer whose kernels can be made from one another.

    Attributes
    ----------
    layer
        It; of one group, because kernels of two groups see different inputs.
    windows
        How often an image uses each kernel.
    drawn
        Whether the penalty counts it.
    edges
        Of the tree found last, (2, kernels - 1).
    """

    layer: BinaryLayer
    windows: int
    drawn: bool
    edges: Tensor

    @property
    def products(self) -> int:
        """Products of an image where nothing is reused."""
        return self.windows * self.layer.weight.numel()


class KernelDistance:
    """The penalty of a recipe on one network.

    Parameters
    ----------
    network
        The network; its forward pass is run once, in evaluation mode, to count windows.
    wanted
        How strong the penalty is, and of which layers.
    input_shape
        (height, width, channels) of an image.

    Raises
    ------
    ConfigError
        If the kernels of a named layer, or those of any layer of the network, cannot be made from
        one another: weights are real, it has one kernel alone, or several groups.
    """

    def __init__(
        self, network: nn.Module, wanted: Reuse, input_shape: tuple[int, int, int]
    ) -> None:
        self.weight = wanted.weight
        macs = {row.name: row.binary_macs + row.other_macs for row in summary(network, input_shape)}
        layers = {
            name: layer
            for name, layer in network.named_modules()
            if isinstance(layer, BinaryLayer) and name in macs and _can_share(layer)
        }
        for name in wanted.layers:
            if name not in layers:
                raise ConfigError(
                    f"'{name}' is no layer whose kernels could be made from one another",
                    f"layers that can: {', '.join(layers) or 'none'}",
                )
        if not layers:
            raise ConfigError(
                "the network has no layer whose kernels could be made from one another",
                "leave out the table [reuse]",
            )
        self._layers = [
            _Layer(
                layer,
                macs[name] // layer.weight.numel(),
                name in (wanted.layers or layers),
                _edges(layer),
            )
            for name, layer in layers.items()
        ]
        self._products = sum(one.products for one in self._layers)

    def find_trees(self) -> None:
        """Find the spanning trees of the weights as they are now."""
        for one in self._layers:
            if one.drawn:
                one.edges = _edges(one.layer)

    def penalty(self) -> Tensor:
        """Return `weight` times the share of products that the trees leave, with its gradient."""
        left = [one.windows * tree_bits(one.layer, one.edges) for one in self._layers if one.drawn]
        return torch.stack(left).sum() * (self.weight / self._products)

    @torch.no_grad()
    def measure(self) -> Distances:
        """Return how far apart the kernels of all layers are now, by trees of their own."""
        nearest, left = [], 0
        for one in self._layers:
            bits = _distances(one.layer)
            left += one.windows * (one.layer.fan_in + _spanning_tree(bits)[1])
            np.fill_diagonal(bits, one.layer.fan_in)
            nearest.append(bits.min(1) / one.layer.fan_in)
        return Distances(float(np.concatenate(nearest).mean()), left / self._products)


def tree_bits(layer: BinaryLayer, edges: Tensor) -> Tensor:
    """Return the bits that a tree over a layer's kernels leaves of one window.

    Parameters
    ----------
    layer
        The layer.
    edges
        Of the tree, (2, kernels - 1) int64.

    Returns
    -------
    Tensor
        Exact up to 2**24 bits: ``n`` for the root, ``(n - abs(dot)) / 2`` for each edge, dot being
        the dot product of the two kernels. The gradient draws each kernel to its neighbour, or to
        the neighbour's complement if that is nearer.
    """
    rows = layer.binary_weight().flatten(1).float()
    # Products and sums, because autocast would take a matrix product in bfloat16.
    dots = (rows[edges[0]] * rows[edges[1]]).sum(1)
    return layer.fan_in + (layer.fan_in - dots.abs()).sum() / 2


def _can_share(layer: BinaryLayer) -> bool:
    """Whether a layer has several kernels that all see the same inputs."""
    return len(layer.weight) > 1 and getattr(layer, "groups", 1) == 1


def _distances(layer: BinaryLayer) -> Bits:
    """Return in how many bits each two kernels, or one and the complement, differ."""
    with torch.no_grad():
        rows = layer.binary_weight().flatten(1).float().cpu()
        bits: Bits = ((layer.fan_in - (rows @ rows.T).abs()) / 2).long().numpy()
    return bits


def _edges(layer: BinaryLayer) -> Tensor:
    """Return the edges of a layer's tree, where its weights are."""
    edges, _ = _spanning_tree(_distances(layer))
    return torch.from_numpy(edges).to(layer.weight.device)


def _spanning_tree(bits: Bits) -> tuple[Bits, int]:
    """Return the edges of the tree of fewest bits, (2, kernels - 1), and their bits."""
    tree = minimum_spanning_tree(bits + 1)  # scipy takes 0 for no edge
    edges: Bits = np.stack(tree.nonzero()).astype(np.int64)
    return edges, int(tree.sum()) - len(edges[0])
