"""Random circuits and patterns, and slow twins of what the tests of `bitwright.circuits` test."""

from __future__ import annotations

from typing import Any

import numpy as np

from bitwright.circuits import KINDS, Cell, Circuit, Joint, Output, evaluate

Array = np.ndarray[Any, Any]

# What each kind computes, by arithmetic on single bits.
MEANING = {
    "CONST0": lambda: (0,),
    "CONST1": lambda: (1,),
    "NOT": lambda a: (1 - a,),
    "AND2": lambda a, b: (int(a + b == 2),),
    "OR2": lambda a, b: (int(a + b > 0),),
    "XOR2": lambda a, b: ((a + b) % 2,),
    "NAND2": lambda a, b: (int(a + b < 2),),
    "NOR2": lambda a, b: (int(a + b == 0),),
    "XNOR2": lambda a, b: (int(a == b),),
    "AND3": lambda a, b, c: (int(a + b + c == 3),),
    "OR3": lambda a, b, c: (int(a + b + c > 0),),
    "XOR3": lambda a, b, c: ((a + b + c) % 2,),
    "NAND3": lambda a, b, c: (int(a + b + c < 3),),
    "NOR3": lambda a, b, c: (int(a + b + c == 0),),
    "XNOR3": lambda a, b, c: ((a + b + c + 1) % 2,),
    "MAJ3": lambda a, b, c: (int(a + b + c >= 2),),
    "MUX2": lambda s, a, b: (a if s else b,),
    "HA": lambda a, b: ((a + b) % 2, (a + b) // 2),
    "FA": lambda a, b, c: ((a + b + c) % 2, (a + b + c) // 2),
}


def slow_value(circuit: Circuit, bits: Array) -> int:
    """Return the value for one sample, wire by wire."""
    wires = [int(bit) for bit in bits]
    for cell in circuit.cells:
        wires += MEANING[cell.kind](*(wires[wire] for wire in cell.inputs))
    return circuit.offset + sum(output.weight * wires[output.wire] for output in circuit.outputs)


def random_circuit(rng: np.random.Generator, inputs: int, cells: int) -> Circuit:
    """Return a circuit of random cells with random weights, some negative, some 0."""
    made, wires = [], inputs
    for kind in rng.choice(list(KINDS), cells):
        reads = rng.integers(max(0, wires - 12), wires, KINDS[kind].fan_in)
        made.append(Cell(str(kind), tuple(reads.tolist())))
        wires += KINDS[kind].fan_out
    chosen = rng.permutation(wires)[: rng.integers(1, 7)]
    outputs = tuple(Output(int(wire), int(rng.integers(-9, 10))) for wire in chosen)
    return Circuit(inputs, tuple(made), outputs, offset=int(rng.integers(-20, 20)))


def all_patterns(inputs: int) -> Array:
    """Return (2**inputs, inputs), every pattern of bits."""
    return (np.arange(1 << inputs)[:, None] >> np.arange(inputs) & 1).astype(np.bool_)


def random_bits(seed: int, samples: int, inputs: int) -> Array:
    """Return random bits whose density differs from sample to sample."""
    rng = np.random.default_rng(seed)
    return rng.random((samples, inputs)) < rng.random((samples, 1))


def enumerated(circuit: Circuit, p: Array) -> Joint:
    """Return the joint distribution of value and count by all patterns."""
    bits = all_patterns(circuit.inputs)
    values = evaluate(circuit, bits)
    weight = np.prod(np.where(bits, p, 1 - np.asarray(p)), axis=1)
    distinct = np.unique(values)
    table = np.zeros((len(distinct), circuit.inputs + 1))
    np.add.at(table, (np.searchsorted(distinct, values), bits.sum(1)), weight)
    return Joint(distinct, table, circuit.divisor)
