"""What happens in the cells when inputs change and nothing takes time.

Requirements:

- Between two settled states an output changes at most once: there are no glitches. This bounds the
  energy from below, and it is fast.
- Several inputs of a cell then change at once, but the library knows one change at a time. Such a
  transition counts as the mean over all orders of single changes; where an order would change an
  output more often than it does, its changes count in proportion.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import permutations

import numpy as np

from bitwright.eda.liberty.tables import Floats
from bitwright.eda.logic import Bits, simulate, unpack
from bitwright.eda.netlist import Netlist


@dataclass(frozen=True, eq=False)
class Activity:
    """Transitions over a sequence of input vectors.

    Parameters
    ----------
    operations
        The number of changes from one vector to the next.
    toggles
        Of each net, of shape (nets, 2): how often it falls and rises.
    input_events
        For each instance, how often each event happened at its inputs; of shape (events,).
    output_events
        For each instance, how often each event changed each output; of shape (outputs, events).
    states
        For each instance, the share of the vectors in each state of its inputs.
    """

    operations: int
    toggles: Floats
    input_events: tuple[Floats, ...]
    output_events: tuple[Floats, ...]
    states: tuple[Floats, ...]


def zero_delay_activity(netlist: Netlist, vectors: Bits) -> Activity:
    """Count what changes between settled states.

    Parameters
    ----------
    vectors
        At least two, of shape (vectors, inputs), applied one after the other.

    Raises
    ------
    CircuitError
        If the vectors are not of the design's width.
    """
    values = unpack(simulate(netlist, vectors), len(vectors))
    before, after = values[:-1], values[1:]
    toggles = np.stack([(before & ~after).sum(0), (~before & after).sum(0)], axis=1).astype(float)
    input_events, output_events, states = [], [], []
    for instance in netlist.instances:
        cell = instance.cell
        count = len(cell.inputs)
        place = (1 << np.arange(count)).astype(np.int64)
        code = values[:, list(instance.input_nets)] @ place
        pairs, often = np.unique(code[:-1] << count | code[1:], return_counts=True)
        happened = np.zeros(count << count)
        changed = np.zeros((len(cell.outputs), count << count))
        for pair, times in zip(pairs.tolist(), often.tolist(), strict=True):
            at_inputs, at_outputs = transition(
                tuple(cell.tables.values()), count, pair >> count, pair & ((1 << count) - 1)
            )
            happened += times * at_inputs
            changed += times * at_outputs
        input_events.append(happened)
        output_events.append(changed)
        states.append(np.bincount(code, minlength=1 << count) / len(code))
    return Activity(
        len(vectors) - 1, toggles, tuple(input_events), tuple(output_events), tuple(states)
    )


@lru_cache(maxsize=65536)
def transition(
    tables: tuple[int, ...], inputs: int, before: int, after: int
) -> tuple[Floats, Floats]:
    """Resolve a change of several inputs of a cell into events.

    Parameters
    ----------
    tables
        The truth table of each output.
    before, after
        The states of the inputs: bit j is input j.

    Returns
    -------
    inputs : array
        The mean number of times that each event happens, of shape (events,).
    outputs : array
        The mean number of times that each changes each output, of shape (outputs, events).
    """
    happens = np.zeros(inputs << inputs)
    changes = np.zeros((len(tables), inputs << inputs))
    orders = list(permutations(j for j in range(inputs) if (before ^ after) >> j & 1))
    for order in orders:
        state = before
        events: list[int] = []
        toggles = np.zeros((len(tables), len(order)))
        for step, j in enumerate(order):
            events.append(state * inputs + j)
            following = state ^ (1 << j)
            toggles[:, step] = [(table >> state ^ table >> following) & 1 for table in tables]
            state = following
        net = np.array([(table >> before ^ table >> after) & 1 for table in tables])
        happens[events] += 1
        changes[:, events] += toggles * (net / np.maximum(toggles.sum(1), 1))[:, None]
    return happens / len(orders), changes / len(orders)
