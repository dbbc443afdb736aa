"""The exact joint distribution of count and value, by dynamic programming over independent parts.

Requirements: inputs are independent, input i is 1 with probability p_i. Three things make it exact
for circuits of a thousand inputs:

- The value is linear in inputs and in gates that lose something (`bitwright.circuits.linear`).
  Terms that depend on different inputs are independent: their distributions convolve.
- A gate that follows from a few wires which depend on different inputs is a tree: so are levels of
  majorities.
- Where sum bits are dropped, or compared with a threshold, what is left are digits of an exact
  sum: bits of different weight 2**i have one sum V, and V has the bits. So the distribution
  of V, which is a sum over independent terms again, decides all.

Where none of these holds, parts of up to 18 inputs are enumerated; beyond that the circuit is
refused (`bitwright.circuits.sampling` estimates it).
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bitwright.circuits.cells import KINDS
from bitwright.circuits.circuit import Circuit
from bitwright.circuits.digits import Digits, find_digits
from bitwright.circuits.evaluate import slice_bits, unslice_bits
from bitwright.circuits.linear import Structure
from bitwright.circuits.statistics import Joint
from bitwright.errors import CircuitError

MOST_ENUMERATED = 18
"""Inputs of a part that is enumerated: 2**18 patterns."""

MOST_CUT = 8
"""Independent wires that a gate further up may follow from: a majority of seven has seven."""

Floats = npt.NDArray[np.float64]


def exact_joint(circuit: Circuit, p: float | Iterable[float] = 0.5) -> Joint:
    """Return the joint distribution of a circuit's value and the count of ones at its inputs.

    Parameters
    ----------
    circuit
        The circuit.
    p
        The probability that an input is 1, of all or one for each. Inputs are independent.

    Raises
    ------
    CircuitError
        If a probability is out of range, or if more than `MOST_ENUMERATED` inputs meet in a way
        that is neither a sum nor a tree.
    """
    rates = np.broadcast_to(np.asarray(p, np.float64), (circuit.inputs,))
    if not ((rates >= 0) & (rates <= 1)).all():
        raise CircuitError("an input's probability is not in 0..1", "give shares between 0 and 1")
    solver = _Solver(circuit, rates)
    terms = {output.wire: output.weight for output in circuit.outputs if output.weight}
    part = solver.distribution(terms)
    if part is None:
        raise CircuitError(
            f"more than {MOST_ENUMERATED} inputs meet in a way that is neither a sum nor a tree",
            "estimate its statistics from random or real inputs (bitwright.circuits.sampling)",
        )
    whole = _merge(part, solver.unread(part.support))
    return Joint(whole.values + circuit.offset, whole.p, circuit.divisor)


@dataclass(frozen=True, eq=False)
class _Part:
    """The joint distribution of a value and the count of the inputs that it depends on.

    Parameters
    ----------
    values
        (V,) ascending.
    p
        (V, counts), the probability of value and count; counts start at 0.
    support
        The inputs as a bit mask.
    """

    values: npt.NDArray[np.int64]
    p: Floats
    support: int


def _merge(a: _Part, b: _Part) -> _Part:
    """Return the distribution of the sums of two independent parts."""
    if np.count_nonzero(a.p) < np.count_nonzero(b.p):
        a, b = b, a
    values = np.unique(np.add.outer(a.values, b.values))
    p = np.zeros((len(values), a.p.shape[1] + b.p.shape[1] - 1))
    width = a.p.shape[1]
    for i, value in enumerate(b.values):
        at = np.searchsorted(values, a.values + value)
        # Rows that follow each other are a slice, which adds without a copy.
        rows = slice(at[0], at[-1] + 1) if at[-1] - at[0] == len(at) - 1 else at
        for count in np.flatnonzero(b.p[i]):
            p[rows, count : count + width] += b.p[i, count] * a.p
    return _Part(values, p, a.support | b.support)


class _Solver:
    """The distributions of a circuit's wires, each found once."""

    def __init__(self, circuit: Circuit, rates: Floats) -> None:
        self.rates = rates
        self.structure = Structure(circuit)
        self._keys: dict[tuple[object, ...], int] = {}
        self._key: dict[int, int] = {}
        self._tables: dict[int, Floats | None] = {}

    def unread(self, support: int) -> _Part:
        """Return the count of the inputs that are not in `support`, at value 0."""
        missing = [i for i in range(len(self.rates)) if not support >> i & 1]
        return _Part(np.zeros(1, np.int64), self._counts(missing)[None], 0)

    def distribution(self, terms: Mapping[int, int]) -> _Part | None:
        """Return the distribution of ``sum(weight * wire)``, or None if it is not found."""
        form = self.structure.linearise(terms)
        part = self._sum(form.terms)
        if part is None:
            return self._by_digits(terms)
        return _Part(part.values + form.offset, part.p, part.support)

    def _sum(self, terms: Mapping[int, int]) -> _Part | None:
        by_weight: dict[int, list[int]] = {}
        parts: list[_Part] = []
        for group in self._independent(terms):
            if len(group) == 1 and self.structure.cell[group[0]] is None:
                by_weight.setdefault(terms[group[0]], []).append(group[0])
                continue
            part = self._together({wire: terms[wire] for wire in group})
            if part is None:
                return None
            parts.append(part)
        whole = _Part(np.zeros(1, np.int64), np.ones((1, 1)), 0)
        # Inputs come first: their sums are as long as they are many, and merge into nothing.
        for weight, wires in by_weight.items():
            whole = _merge(whole, self._inputs(weight, wires))
        for part in parts:
            whole = _merge(whole, part)
        return whole

    def _independent(self, terms: Iterable[int]) -> list[list[int]]:
        """Return wires in groups that share no input with each other."""
        groups: list[tuple[int, list[int]]] = []
        seen = 0
        for wire in terms:
            mask, members = self.structure.support[wire], [wire]
            if mask & seen:
                met = [group for group in groups if group[0] & mask]
                groups = [group for group in groups if not group[0] & mask]
                for other, wires in met:
                    mask |= other
                    members = wires + members
            seen |= mask
            groups.append((mask, members))
        return [wires for _, wires in groups]

    def _inputs(self, weight: int, wires: list[int]) -> _Part:
        order = slice(None, None, 1 if weight > 0 else -1)
        values = weight * np.arange(len(wires) + 1, dtype=np.int64)[order]
        return _Part(values, np.diag(self._counts(wires))[order], sum(1 << wire for wire in wires))

    def _counts(self, inputs: Iterable[int]) -> Floats:
        """Return the distribution of the number of ones among inputs."""
        p = np.ones(1)
        for i in inputs:
            p = np.convolve(p, (1 - self.rates[i], self.rates[i]))
        return p

    def _together(self, terms: Mapping[int, int]) -> _Part | None:
        """Return the distribution of terms that may share inputs."""
        support = 0
        for wire in terms:
            support |= self.structure.support[wire]
        if len(terms) == 1:
            ((wire, weight),) = terms.items()
            table = self._bit(wire)
            if table is not None:
                order = slice(None, None, 1 if weight > 0 else -1)
                return _Part(np.array((0, weight))[order], table[order], support)
        if support.bit_count() <= MOST_ENUMERATED:
            return self._enumerate(terms, support)
        return None

    def _bit(self, wire: int) -> Floats | None:
        """Return (2, counts): the joint distribution of a wire and the count of its inputs."""
        key = self._shape(wire)
        if key not in self._tables:
            self._tables[key] = self._find_bit(wire)
        return self._tables[key]

    def _shape(self, wire: int) -> int:
        """Return a number that trees of the same gates over the same rates have in common."""
        if wire not in self._key:
            cell = self.structure.cell[wire]
            name: tuple[object, ...]
            if cell is None:
                name = ("input", float(self.rates[wire]))
            elif self._tree(wire):
                output = wire - self.structure.first[wire]
                name = (cell.kind, output, *(self._shape(w) for w in cell.inputs))
            else:
                name = ("wire", wire)
            self._key[wire] = self._keys.setdefault(name, len(self._keys))
        return self._key[wire]

    def _tree(self, wire: int) -> bool:
        """Return whether the inputs of a wire's cell depend on different inputs."""
        cell = self.structure.cell[wire]
        return cell is not None and self._apart(cell.inputs)

    def _apart(self, wires: Iterable[int]) -> bool:
        """Return whether no two wires depend on the same input."""
        seen = 0
        for wire in wires:
            if seen & self.structure.support[wire]:
                return False
            seen |= self.structure.support[wire]
        return True

    def _find_bit(self, wire: int) -> Floats | None:
        if self.structure.cell[wire] is None:
            return np.diag((1 - self.rates[wire], self.rates[wire]))
        cut = self._cut(wire)
        if cut is not None:
            tables = [self._bit(w) for w in cut]
            if all(table is not None for table in tables):
                return self._gate(wire, cut, [table for table in tables if table is not None])
        support = self.structure.support[wire]
        if support.bit_count() <= MOST_ENUMERATED:
            part = self._enumerate({wire: 1}, support)
        else:
            found = self._by_digits({wire: 1})
            if found is None:
                return None
            part = found
        table = np.zeros((2, part.p.shape[1]))
        table[part.values] = part.p
        return table

    def _cut(self, wire: int) -> list[int] | None:
        """Return a few independent wires that a wire follows from, or None."""
        cell = self.structure.cell[wire]
        cut = set(cell.inputs) if cell is not None else set()
        while not self._apart(cut):
            top = max(w for w in cut if self.structure.cell[w] is not None)
            below = self.structure.cell[top]
            cut.remove(top)
            cut.update(below.inputs if below is not None else ())
            if len(cut) > MOST_CUT:
                return None
        return sorted(cut)

    def _gate(self, wire: int, cut: list[int], tables: list[Floats]) -> Floats:
        """Return (2, counts) of a wire from those of the independent wires that it follows from."""
        sums = [np.ones(1)]
        for table in tables:
            sums = [np.convolve(p, table[bit]) for bit in (0, 1) for p in sums]
        result = np.zeros((2, len(sums[0])))
        for value, p in zip(self._values({wire: 1}, _patterns(cut)), sums, strict=True):
            result[value] += p
        return result

    def _by_digits(self, terms: Mapping[int, int]) -> _Part | None:
        """Return the distribution of terms that follow from the digits of a sum."""
        for digits in find_digits(self.structure, terms):
            part = self._of_digits(digits, terms)
            if part is not None:
                return part
        return None

    def _of_digits(self, digits: Digits, terms: Mapping[int, int]) -> _Part | None:
        """Return the distribution of terms that are a function of the digits of one sum."""
        whole = self._sum(digits.terms)
        if whole is None:
            return None
        total = whole.values + digits.offset
        bits = {
            wire: (total >> place & 1).astype(np.bool_) for wire, place in digits.places.items()
        }
        return self._grouped(self._values(terms, bits), whole.p, whole.support)

    def _enumerate(self, terms: Mapping[int, int], support: int) -> _Part:
        """Return the distribution of terms by all patterns of their inputs."""
        inputs = [i for i in range(len(self.rates)) if support >> i & 1]
        p, count = np.ones(1), np.zeros(1, np.int64)
        for i in inputs:
            p = np.concatenate((p * (1 - self.rates[i]), p * self.rates[i]))
            count = np.concatenate((count, count + 1))
        rows = np.zeros((len(p), len(inputs) + 1))
        rows[np.arange(len(p)), count] = p
        return self._grouped(self._values(terms, _patterns(inputs)), rows, support)

    def _values(
        self, terms: Mapping[int, int], bits: Mapping[int, npt.NDArray[np.bool_]]
    ) -> npt.NDArray[np.int64]:
        """Return ``sum(weight * wire)`` from samples of wires that all terms follow from."""
        words = slice_bits(np.stack(list(bits.values()), axis=1))
        known = dict(zip(bits, words, strict=True))
        for wire in self._between(terms, known):
            cell = self.structure.cell[wire]
            if cell is not None:
                results = KINDS[cell.kind].function(*(known[w] for w in cell.inputs))
                word = results[wire - self.structure.first[wire]]
                known[wire] = np.broadcast_to(word, words.shape[1:])
        samples = len(next(iter(bits.values())))
        values = np.zeros(samples, np.int64)
        for wire, weight in terms.items():
            values += weight * unslice_bits(known[wire], samples)
        return values

    def _between(self, terms: Iterable[int], known: Container[int]) -> list[int]:
        """Return the wires that terms follow from and that are not known, in ascending order."""
        waiting, found = list(terms), set()
        while waiting:
            wire = waiting.pop()
            cell = self.structure.cell[wire]
            if wire not in known and wire not in found and cell is not None:
                found.add(wire)
                waiting.extend(cell.inputs)
        return sorted(found)

    def _grouped(self, values: npt.NDArray[np.int64], p: Floats, support: int) -> _Part:
        """Return rows of probabilities with those of equal value added up."""
        distinct, row = np.unique(values, return_inverse=True)
        grouped = np.zeros((len(distinct), p.shape[1]))
        np.add.at(grouped, row, p)
        return _Part(distinct, grouped, support)


def _patterns(wires: list[int]) -> dict[int, npt.NDArray[np.bool_]]:
    """Return for each wire its bit in all patterns: bit i of the pattern's number."""
    if not wires:  # one pattern all the same: what is asked for is constant
        return {-1: np.zeros(1, np.bool_)}
    pattern = np.arange(1 << len(wires))
    return {wire: (pattern >> i & 1).astype(np.bool_) for i, wire in enumerate(wires)}
