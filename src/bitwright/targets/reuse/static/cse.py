"""Common subexpressions: sums and differences of two wires that several nodes add up.

The strong baseline of constant multiplication, for a matrix of -1 and +1: as long as some x_a + x_b
or x_a - x_b is in two nodes or more, the one that saves most is made once, and takes the place of
its two terms in all of them. da4ml (arXiv 2507.04535) does that for FPGAs.

What saves most additions comes first, of equals what has the fewest bits: narrow sums are cheaper,
and make for a shallower graph at as many additions.

Cost. A step seeks the best partners of a few wires among all of them, at a word for 64 nodes: with
s steps and n nodes about ``s * (inputs + s) * n / 64`` in all. On one core 64 nodes of 576 inputs
take 0.1 s, 128 of 1,152 one second, 256 of 2,304 seven, 512 of 4,608 two minutes. `affordable`
says how many steps take seconds; later ones save least, and make graphs deep.
"""
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit

from bitwright.errors import ConfigError
from bitwright.targets.reuse.graph import AdderGraph, GraphBuilder, Integers
from bitwright.targets.reuse.static.operations import node_sums
from bitwright.targets.reuse.static.rooted import Indices, distinct
from bitwright.targets.reuse.static.words import Words, pack, popcount, unpack

STEPS = 1024
"""So many steps lie between two reports of progress."""
WORTH = 64
"""What an addition is worth, in bits of a sum: more than any sum has."""
WORK = 2**34
"""So many words are looked at by as many steps as are `affordable`: about 15 seconds."""
Progress = Callable[[int], None]
Bits = npt.NDArray[np.bool_]


def common_subexpressions(
    weights: Integers, *, most: int | None = None, progress: Progress | None = None
) -> AdderGraph:
    """Return a layer whose neurons share sums and differences of two.

    Parameters
    ----------
    weights
        (neurons, fan-in) of -1 and +1.
    most, progress
        See `share_pairs`.

    Raises
    ------
    ConfigError
        If the weights are no such thing.
    """
    kernels = distinct(weights)
    builder = GraphBuilder(kernels.inputs)
    wires = np.array([builder.root(row) for row in kernels.rows])
    graph = builder.finish(wires[kernels.which], kernels.signs)
    return share_pairs(graph, most=most, progress=progress)


def share_pairs(
    graph: AdderGraph, *, most: int | None = None, progress: Progress | None = None
) -> AdderGraph:
    """Return a graph of the same neurons whose nodes share sums and differences of two wires.

    Parameters
    ----------
    graph
        Whose nodes read no wire twice.
    most
        Make so many sums and differences at most. The first save most.
    progress
        Is called with how many are made, now and then.

    Raises
    ------
    ConfigError
        If a node reads a wire twice.
    """
    rows = _rows(graph)
    sizes = np.concatenate([np.ones(graph.inputs, np.int64), node_sums(graph)])[rows.wires]
    search = _Search(rows, sizes)
    while most is None or search.made < most:
        wanted = STEPS if most is None else min(STEPS, most - search.made)
        if search.run(wanted) < wanted:
            break
        if progress:
            progress(search.made)
    return _rebuilt(graph, rows, search)


def affordable(neurons: int, inputs: int) -> int:
    """Return so many sums and differences as take seconds to find in a layer of any size."""
    words = -(-neurons // 64)
    return int((inputs**2 + 4 * WORK / words) ** 0.5 - inputs) // 2


@dataclass(frozen=True, eq=False)
class _Rows:
    """What nodes read with one factor, 1 or 2: a node has a row for each.

    Parameters
    ----------
    wires
        (wires,): those that are read.
    plus, minus
        (wires, rows): which rows read a wire with a coefficient above and below 0.
    nodes, factors
        (rows,): a row is the node's terms of coefficients plus and minus the factor.
    """

    wires: Indices
    plus: Bits
    minus: Bits
    nodes: Indices
    factors: Indices


def _rows(graph: AdderGraph) -> _Rows:
    nodes = np.repeat(np.arange(graph.nodes), np.diff(graph.starts))
    keys, row = np.unique(2 * nodes + np.abs(graph.coefficients) - 1, return_inverse=True)
    wires, wire = np.unique(graph.sources.astype(np.int64), return_inverse=True)
    plus, minus = np.zeros((2, len(wires), len(keys)), np.bool_)
    plus[wire, row] = graph.coefficients > 0
    minus[wire, row] = graph.coefficients < 0
    if np.count_nonzero(plus | minus) < len(wire):
        raise ConfigError(
            "a node of the adder graph reads a wire twice", "add its coefficients up first"
        )
    return _Rows(wires, plus, minus, keys // 2, keys % 2 + 1)


class _Search:
    """The search for pairs, and the wires that it has made: the next after those of the rows.

    Parameters
    ----------
    rows
        Where pairs are sought.
    sizes
        (wires,): each wire is a count up to this.
    """

    def __init__(self, rows: _Rows, sizes: Indices) -> None:
        self.wires = self.count = len(rows.wires)
        self.readers: Words = np.stack([pack(rows.plus), pack(rows.minus)], axis=1)
        self.sizes = sizes
        self.pairs: Indices = np.zeros((self.wires, 3), np.int64)
        """Of each wire that is made: two wires, and the sign of the second."""
        self._often: Indices = (rows.plus | rows.minus).sum(1).astype(np.int64)
        """How many rows read a wire."""
        self._scores: Indices = np.zeros(self.wires, np.int64)
        _first_scores(self.readers, self.sizes, self._often, self._scores)

    @property
    def made(self) -> int:
        """How many wires there are beside those of the rows."""
        return self.count - self.wires

    def run(self, steps: int) -> int:
        """Make so many wires, or as many as there are to make; return how many."""
        room = self.count + steps - len(self.sizes)
        if room > 0:
            room = max(room, len(self.sizes) // 2)
            self.readers = np.pad(self.readers, ((0, room), (0, 0), (0, 0)))
            self.pairs = np.pad(self.pairs, ((0, room), (0, 0)))
            grown = (np.pad(a, (0, room)) for a in (self.sizes, self._often, self._scores))
            self.sizes, self._often, self._scores = grown
        before = self.count
        self.count = _share(
            self.readers, self.sizes, self._often, self.pairs, self._scores, before, steps
        )
        return self.count - before


def _rebuilt(graph: AdderGraph, rows: _Rows, search: _Search) -> AdderGraph:
    """Return the graph whose rows read what the search left in them.

    A node that is another, or its opposite, is that other one.
    """
    builder = GraphBuilder(graph.inputs)
    known = [(wire, 1) for wire in range(graph.inputs)]
    """Of each wire of the old graph: the wire in the new one, and its sign."""
    made: dict[int, tuple[int, int]] = {}

    def find(wire: int) -> tuple[int, int]:
        """Return the wire, and its sign, of a wire of the search; make it if need be."""
        waiting = [wire]
        while waiting:
            top = waiting[-1]
            if top in made:
                waiting.pop()
            elif top < search.wires:
                made[top] = known[rows.wires[top]]
            else:
                one, two, sign = search.pairs[top].tolist()
                missing = [part for part in (two, one) if part not in made]
                waiting += missing
                if not missing:
                    sources, signs = zip(made[one], made[two], strict=True)
                    made[top] = builder.add(sources, (signs[0], sign * signs[1])), 1
        return made[wire]

    reads = [unpack(search.readers[: search.count, i], len(rows.nodes)).T for i in (0, 1)]
    terms: list[list[tuple[int, int]]] = [[] for _ in range(graph.nodes)]
    for row, (node, factor) in enumerate(zip(rows.nodes, rows.factors, strict=True)):
        for sign, read in zip((1, -1), reads, strict=True):
            terms[node] += [(int(wire), sign * int(factor)) for wire in np.flatnonzero(read[row])]
    for reads_of in terms:
        sources = []
        coefficients = []
        for wire, coefficient in reads_of:
            source, sign = find(wire)
            sources.append(source)
            coefficients.append(sign * coefficient)
        if len(sources) == 1 and sources[0] >= graph.inputs and abs(coefficients[0]) == 1:
            known.append((sources[0], coefficients[0]))
        else:
            known.append((builder.add(sources, coefficients), 1))
    outputs = [known[wire] for wire in graph.outputs]
    signs = graph.signs * np.array([sign for _, sign in outputs])
    return builder.finish([wire for wire, _ in outputs], signs)


@njit(cache=True, nogil=True)
def _first_scores(readers, sizes, often, scores):
    for wire in range(len(scores)):
        scores[wire] = _best_partner(readers, sizes, often, wire)[0]


@njit(cache=True, nogil=True)
def _share(readers, sizes, often, pairs, scores, count, steps):
    """Make so many pairs, the best first; return how many wires there are then.

    ``scores[i]`` is at least what a pair of wire i and one before it is worth: pairs only lose
    nodes, so a score that is still the highest when it is found anew is the best of all.
    """
    last = count + steps
    while count < last:
        wire = 0
        for i in range(count):
            if scores[i] > scores[wire]:
                wire = i
        if scores[wire] <= 0:
            break
        score, other, sign = _best_partner(readers, sizes, often, wire)
        if score < scores[wire]:
            scores[wire] = score
            continue
        pairs[count, 0], pairs[count, 1], pairs[count, 2] = other, wire, sign
        sizes[count] = sizes[wire] + sizes[other]
        turned = 0 if sign > 0 else 1
        for side in range(2):
            for w in range(readers.shape[2]):
                both = readers[other, side, w] & readers[wire, side ^ turned, w]
                readers[count, side, w] = both
                readers[other, side, w] ^= both
                readers[wire, side ^ turned, w] ^= both
                often[count] += popcount(both)
        often[wire] -= often[count]
        often[other] -= often[count]
        scores[count] = _best_partner(readers, sizes, often, count)[0]
        count += 1
    return count


@njit(cache=True, nogil=True)
def _best_partner(readers, sizes, often, wire):
    """Return what a wire is worth with the best wire before it, that wire, and its sign."""
    best, partner, sign = 0, 0, 1
    for other in range(wire):
        if WORTH * (min(often[wire], often[other]) - 1) <= best:
            continue
        same = opposite = 0
        for w in range(readers.shape[2]):
            plus, minus = readers[wire, 0, w], readers[wire, 1, w]
            same += popcount((plus & readers[other, 0, w]) | (minus & readers[other, 1, w]))
            opposite += popcount((plus & readers[other, 1, w]) | (minus & readers[other, 0, w]))
        common = max(same, opposite)
        if common > 1:
            bits, size = 0, sizes[wire] + sizes[other]
            while size:
                bits += 1
                size >>= 1
            if WORTH * (common - 1) - bits > best:
                best, partner = WORTH * (common - 1) - bits, other
                sign = 1 if same >= opposite else -1
    return best, partner, sign
