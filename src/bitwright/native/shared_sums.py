"""Dot products from shared sums: a graph of additions as tables that a kernel walks.

Requirements:

- A node's value v is a sum of inputs of -1 and +1 with whole coefficients, r of them in all (each
  counted as often as it is added). It is kept as ``u = (v + r) / 2``, a number from 0 to r: with
  inputs ``2 b - 1`` and other nodes ``2 u - r``, u is the same sum of the bits b and of the other
  nodes' u, plus a constant.
- All numbers of a graph have as many planes as the largest needs, and are exact modulo their range.
  So minus u is the complement of its planes, plus 1.
- A node here may be the negative of the graph's: whichever makes the first other node that it reads
  a positive one. Then in a tree nothing is ever taken away. Thresholds take it into account.
- The room of a sum is free again when its last reader has run. Nodes run in the graph's order: one
  that goes depth first keeps few sums in the cache.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from bitwright.native import shared_kernel as kernel
from bitwright.native import simd
from bitwright.native.shared_kernel import GROUP, PLANE_BYTES

Array = npt.NDArray[Any]
Integers = npt.NDArray[np.integer[Any]]


class Adders(Protocol):
    """What is added up for each neuron of a layer.

    Wires are numbered: inputs 0 .. inputs - 1, then nodes. Node k adds ``coefficient * source``
    over its terms ``starts[k] .. starts[k + 1] - 1``; sources come before it, coefficients are -2,
    -1, 1 or 2. Neuron j is ``signs[j]``, -1 or 1, times the wire ``outputs[j]``.
    """

    @property
    def inputs(self) -> int:
        """The fan-in."""

    @property
    def starts(self) -> Integers:
        """(nodes + 1,)."""

    @property
    def sources(self) -> Integers:
        """(terms,)."""

    @property
    def coefficients(self) -> Integers:
        """(terms,)."""

    @property
    def outputs(self) -> Integers:
        """(neurons,)."""

    @property
    def signs(self) -> Integers:
        """(neurons,)."""


@dataclass(frozen=True, eq=False)
class _Node:
    """A node of the tables.

    `inputs` and `weights`, `others` and `factors` are its terms; `size` is r, `sign` is -1 where it
    is the negative of the graph's.
    """

    inputs: Integers
    weights: Integers
    others: Integers
    factors: Integers
    size: int
    sign: int


class SharedSums:
    """The neurons of a layer from a graph's sums, 512 windows at a time.

    Parameters
    ----------
    adders
        The graph.
    places
        The plane of the array in which each input lies, (inputs,); by default that of its number.
    kept
        The array keeps so many planes for inputs, those that nothing reads too; by default those
        up to the last input.

    Attributes
    ----------
    width
        Planes of a sum.
    size
        Planes of the array.
    nodes, lists, constants, carries
        The graph as `shared_kernel.decide` takes it.
    """

    def __init__(
        self, adders: Adders, places: Integers | None = None, kept: int | None = None
    ) -> None:
        self.inputs = adders.inputs
        self.neurons = len(adders.outputs)
        self.places = np.arange(self.inputs) if places is None else np.asarray(places, np.int64)
        wires, copies = _wires(adders)
        nodes = list(_nodes(adders, copies))
        self._neurons = np.full(len(nodes), self.neurons)
        self._neurons[wires - self.inputs] = np.arange(self.neurons)
        self._sizes = np.array([node.size for node in nodes], np.int64)
        self._signs = np.array([node.sign for node in nodes], np.int64)
        self._signs *= np.append(adders.signs, 1)[self._neurons]
        self.width = int(self._sizes.max(initial=1)).bit_length()
        self._pack(nodes, int(self.places.max(initial=-1)) + 1 if kept is None else kept)

    @property
    def planes(self) -> tuple[int, ...]:
        """A tuple as long as a sum has planes, as the kernel takes it."""
        return (0,) * self.width

    def allocate(self) -> Array:
        """Return an array, uint64 (size, 8), in which input i goes to plane ``places[i]``."""
        array = simd.aligned((self.size, simd.LANES), np.uint64)
        array[self._ones] = ~np.uint64(0)
        return array

    def limits(self, thresholds: Integers, rising: npt.NDArray[np.bool_]) -> Array:
        """Return what the kernel compares with, int64 (..., nodes, width + 1).

        Parameters
        ----------
        thresholds
            (..., neurons), of dot products.
        rising
            A neuron's bit is ``dot >= threshold`` where it is rising, ``dot <= threshold``
            elsewhere; (neurons,).
        """
        spare = [(0, 0)] * (np.ndim(thresholds) - 1) + [(0, 1)]
        limit = np.pad(np.asarray(thresholds, np.int64), spare)[..., self._neurons]
        upwards = np.append(np.asarray(rising, np.bool_), True)[self._neurons] ^ (self._signs < 0)
        limit = limit * self._signs
        # v >= t is u >= (t + r) / 2, rounded up; v <= t is not u >= what is above (t + r) / 2.
        total = limit + self._sizes
        bound = np.where(upwards, -(-total // 2), total // 2 + 1)
        never = bound >= 1 << self.width
        bound = np.where(never | (bound < 0), 0, bound)
        zeros = ~bound[..., None] >> np.arange(self.width) & 1
        flips = np.broadcast_to(never ^ ~upwards, bound.shape)
        return np.ascontiguousarray(-np.concatenate([zeros, flips[..., None]], axis=-1))

    def decide(self, array: Array, limits: Array, out: Array) -> None:
        """Work out the bits of 512 windows.

        Parameters
        ----------
        array
            From `allocate`, its inputs filled in.
        limits
            From `limits`, (nodes, width + 1).
        out
            uint64 (neurons or more, 8), aligned; a vector a neuron.
        """
        kernel.decide(
            self.planes, self.nodes, self.lists, self.constants, limits, self.carries, array, out
        )

    def decide_plainly(self, bits: npt.NDArray[np.bool_], limits: Array) -> npt.NDArray[np.bool_]:
        """Return what `decide` makes of the same tables, in NumPy.

        Parameters
        ----------
        bits
            (inputs, windows).
        limits
            From `limits`, (nodes, width + 1).

        Returns
        -------
        array
            (neurons, windows).
        """
        windows = bits.shape[1]
        array = np.zeros((self.size, windows), np.int64)
        array[self.places] = bits
        array[self._ones] = 1
        powers = 1 << np.arange(self.width)
        found = np.zeros((self.neurons, windows), np.bool_)
        for record, constant, limit in zip(self.nodes, self.constants, limits, strict=True):
            total = np.full(windows, -constant @ powers)
            entry = record[kernel.LIST] // 4
            for column, first in enumerate((kernel.PAIRS0, kernel.PAIRS1)):
                pairs, mixed, plain, odd, even = record[first : first + 5].tolist()
                groups = [2 * pairs + mixed, mixed + 2 * plain]
                for negative, count in ((1, groups[0] + odd), (0, groups[1] + even)):
                    places = self.lists[entry : entry + GROUP * count] // PLANE_BYTES
                    total += (array[places] ^ negative).sum(axis=0) << column
                    entry += GROUP * count
            for negative, count in ((0, record[kernel.ADDED]), (1, record[kernel.TAKEN])):
                for place in self.lists[entry : entry + count] // PLANE_BYTES:
                    total += powers @ (array[place : place + self.width] ^ negative)
                entry += count
            total %= 1 << self.width
            room = record[kernel.SLOT] // PLANE_BYTES
            if room:
                array[room : room + self.width] = total >> np.arange(self.width)[:, None] & 1
            if record[kernel.OUT] >= 0:
                bound = (1 + limit[:-1]) @ powers
                found[record[kernel.OUT] // PLANE_BYTES] = (total >= bound) ^ bool(limit[-1])
        return found

    def _pack(self, nodes: list[_Node], zero: int) -> None:
        self._zero, self._ones = zero, zero + 1
        self.carries = PLANE_BYTES * (zero + 2)
        # At most a carry for each group, and what fills up the last four.
        most = max((len(node.inputs) for node in nodes), default=0) // GROUP + 8
        taken, count = _rooms(nodes)
        self.size = zero + 2 + most + self.width * count
        slots = zero + 2 + most + self.width * taken
        self.nodes = np.zeros((len(nodes), kernel.FIELDS), np.int64)
        self.constants = np.zeros((len(nodes), self.width), np.int64)
        lists = [
            self._pack_node(*one, slots)
            for one in zip(nodes, self.nodes, self.constants, strict=True)
        ]
        self.nodes[1:, kernel.LIST] = 4 * np.cumsum([len(part) for part in lists[:-1]])
        read = taken >= 0
        self.nodes[read, kernel.SLOT] = PLANE_BYTES * slots[read]
        out = np.where(self._neurons < self.neurons, PLANE_BYTES * self._neurons, -1)
        self.nodes[:, kernel.OUT] = out
        self.lists = (PLANE_BYTES * np.concatenate([np.zeros(0, np.int64), *lists])).astype(
            np.int32
        )

    def _pack_node(
        self, node: _Node, record: Integers, constant: Integers, slots: Integers
    ) -> Integers:
        """Fill in a node's fields and its constant; return its list of planes."""
        # u = sum(c * u of each term) + (r - sum(c * r of each term)) / 2
        others = node.factors @ self._sizes[node.others]
        start = int(node.size - node.weights.sum() - others) // 2
        parts = []
        for column, field in enumerate((kernel.PAIRS0, kernel.PAIRS1)):
            negative, positive = (
                self.places[node.inputs[node.weights == sign << column]] for sign in (-1, 1)
            )
            # -b is the complement of b, minus 1.
            start -= len(negative) << column
            counts, places = _groups(negative, positive, self._zero, self._ones)
            record[field : field + len(counts)] = counts
            parts.append(places)
        for field, sign in ((kernel.ADDED, 1), (kernel.TAKEN, -1)):
            chosen = np.repeat(node.others, np.maximum(sign * node.factors, 0))
            record[field] = len(chosen)
            parts.append(slots[chosen])
        start += int(record[kernel.TAKEN])
        constant[:] = -(start >> np.arange(self.width) & 1)
        return np.concatenate(parts)


def _wires(adders: Adders) -> tuple[Integers, list[int]]:
    """Return for each neuron a node of its own, by its wire, and the wires that nodes must copy.

    A neuron that is an input, or the same sum as one before it, gets a copy behind the last node.
    """
    used: set[int] = set()
    copies: list[int] = []
    wires = np.array(adders.outputs, np.int64)
    for neuron, wire in enumerate(wires.tolist()):
        if wire < adders.inputs or wire in used:
            wires[neuron] = adders.inputs + len(adders.starts) - 1 + len(copies)
            copies.append(wire)
        used.add(wire)
    return wires, copies


def _nodes(adders: Adders, copies: Iterable[int]) -> Iterator[_Node]:
    """Yield a graph's nodes, then one for each wire of `copies`."""
    inputs = adders.inputs
    terms = [
        (adders.sources[start:stop], adders.coefficients[start:stop])
        for start, stop in zip(adders.starts[:-1], adders.starts[1:], strict=True)
    ] + [(np.array([wire]), np.array([1])) for wire in copies]
    last = {int(wire): k for k, (sources, _) in enumerate(terms) for wire in sources}
    rows: dict[int, Integers] = {}
    signs = np.ones(len(terms), np.int64)
    for number, (sources, coefficients) in enumerate(terms):
        inner = sources >= inputs
        others = sources[inner].astype(np.int64) - inputs
        factors = coefficients[inner] * signs[others]
        weights = coefficients[~inner].astype(np.int64)
        if len(factors) and factors[0] < 0:
            signs[number], factors, weights = -1, -factors, -weights
        row = np.zeros(inputs, np.int64)
        np.add.at(row, sources[~inner], weights)
        for other, factor in zip(others.tolist(), factors, strict=True):
            row += factor * rows[other]
        if inputs + number in last:
            rows[number] = row
        for other in set(others.tolist()):
            if last[inputs + other] == number:
                del rows[other]
        size, sign = int(np.abs(row).sum()), int(signs[number])
        yield _Node(sources[~inner], weights, others, factors, size, sign)


def _rooms(nodes: list[_Node]) -> tuple[Integers, int]:
    """Return the room of each node, -1 for those that none reads, and how many rooms there are."""
    last = {int(other): k for k, node in enumerate(nodes) for other in node.others}
    rooms = np.full(len(nodes), -1)
    free: list[int] = []
    count = 0
    for number, node in enumerate(nodes):
        if number in last:
            rooms[number] = free.pop() if free else count
            count = max(count, int(rooms[number]) + 1)
        free += [int(rooms[k]) for k in set(node.others.tolist()) if last[k] == number]
    return rooms, count


def _groups(
    negative: Integers, positive: Integers, zero: int, ones: int
) -> tuple[tuple[int, int, int, int, int], Integers]:
    """Return the counts of groups as a node's fields hold them, and the planes in their order.

    Groups are filled up with planes of zeros, of ones where they are complemented.
    """
    filled = [
        np.concatenate([places, np.full(-len(places) % GROUP, spare)])
        for places, spare in ((negative, ones), (positive, zero))
    ]
    groups = [len(places) // GROUP for places in filled]
    mixed = int(groups[0] % 2 and groups[1] > 0)
    odd = groups[0] % 2 - mixed
    plain, even = divmod(groups[1] - mixed, 2)
    return (groups[0] // 2, mixed, plain, odd, even), np.concatenate(filled)
