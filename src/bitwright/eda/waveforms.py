# mypy: disable-error-code="no-untyped-def"
"""Timed simulation of a netlist: every transition, glitches and all.

Event-driven: a change at an input of a cell schedules the change of an output after the delay that
the library has for that input, state, slew and load, and the transition passes its own slew on. A
change back before that time withdraws it (inertial delay, as Verilog's): a pulse shorter than the
delay of the cell does not pass.

At most one change of an output is pending at a time, so the queue is a heap of outputs that each
know their place in it, and nothing is allocated while it runs.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit


class Design(NamedTuple):
    """A netlist as arrays. What is said to begin somewhere ends where the next one begins.

    Parameters
    ----------
    input_nets
        Of shape (inputs,).
    first_sink
        Where the sinks of each net begin, of shape (nets + 1,).
    sink_instance, sink_pin
        The instance and the number of its input, of shape (sinks,).
    first_output
        Where the outputs of each instance begin, of shape (instances + 1,).
    output_net, tables
        The net and the truth table (uint64) of each output, of shape (outputs,).
    arity
        The number of inputs of each instance.
    first_point, point_count
        Where the slews of each instance begin in `points`, and how many they are.
    first_event
        Where the lines of each output begin in `delays`, `slews` and `energies`.
    first_hidden
        Where the lines of each instance begin in `hidden`.
    """

    input_nets: Any
    first_sink: Any
    sink_instance: Any
    sink_pin: Any
    first_output: Any
    output_net: Any
    tables: Any
    arity: Any
    first_point: Any
    point_count: Any
    points: Any
    first_event: Any
    delays: Any
    slews: Any
    energies: Any
    first_hidden: Any
    hidden: Any


class Totals(NamedTuple):
    """What a run adds up.

    Parameters
    ----------
    toggles
        Falls and rises of each net, of shape (nets, 2).
    output_energy, hidden_energy
        Of each instance, in joules.
    settled
        When the last change came after each vector but the first, in seconds.
    """

    toggles: Any
    output_energy: Any
    hidden_energy: Any
    settled: Any


class _State(NamedTuple):
    """Where a run stands: inputs of instances; of each output its value and its pending change."""

    inputs: Any
    value: Any
    owner: Any
    due: Any
    slew: Any
    energy: Any
    heap: Any
    place: Any  # in the heap; -1 if nothing is pending
    size: Any


@njit(cache=True, nogil=True)
def run(design, vectors, input_slew, values, totals):
    """Apply vectors one after the other, each when all is quiet, and add up what happens.

    Parameters
    ----------
    design
        A `Design`.
    vectors
        Of shape (vectors, inputs), uint8.
    input_slew
        The transition time of the inputs, in seconds.
    values
        The settled value of each net under the first vector, uint8; changed.
    totals
        A `Totals` of zeros; filled.
    """
    state = _start(design, values)
    for vector in range(1, len(vectors)):
        for k in range(len(design.input_nets)):
            net = design.input_nets[k]
            if vectors[vector, k] != values[net]:
                _change(design, state, values, totals, net, vectors[vector, k], 0.0, input_slew)
        while state.size[0] > 0:
            o = state.heap[0]
            _remove(state, 0)
            state.value[o] ^= 1
            totals.output_energy[state.owner[o]] += state.energy[o]
            totals.settled[vector - 1] = state.due[o]
            net = design.output_net[o]
            _change(design, state, values, totals, net, state.value[o], state.due[o], state.slew[o])


@njit(cache=True, nogil=True)
def _start(design, values):
    instances, outputs = len(design.arity), len(design.output_net)
    inputs = np.zeros(instances, np.int64)
    for net in range(len(design.first_sink) - 1):
        for k in range(design.first_sink[net], design.first_sink[net + 1]):
            inputs[design.sink_instance[k]] |= np.int64(values[net]) << design.sink_pin[k]
    value = np.zeros(outputs, np.uint8)
    owner = np.zeros(outputs, np.int64)
    for i in range(instances):
        for o in range(design.first_output[i], design.first_output[i + 1]):
            owner[o] = i
            value[o] = _bit(design.tables[o], inputs[i])
    return _State(
        inputs,
        value,
        owner,
        np.zeros(outputs),
        np.zeros(outputs),
        np.zeros(outputs),
        np.zeros(outputs, np.int64),
        np.full(outputs, -1, np.int64),
        np.zeros(1, np.int64),
    )


@njit(cache=True, nogil=True)
def _change(design, state, values, totals, net, new, time, slew):
    """Let a net change: schedule, or withdraw, what follows from it."""
    values[net] = new
    totals.toggles[net, new] += 1
    for k in range(design.first_sink[net], design.first_sink[net + 1]):
        i, pin = design.sink_instance[k], design.sink_pin[k]
        event = state.inputs[i] * design.arity[i] + pin
        state.inputs[i] ^= 1 << pin
        first, count = design.first_point[i], design.point_count[i]
        piece, part = _piece(design.points, first, count, slew)
        at = event * count + piece
        totals.hidden_energy[i] += _line(design.hidden, design.first_hidden[i] + at, part)
        for o in range(design.first_output[i], design.first_output[i + 1]):
            changes = _bit(design.tables[o], state.inputs[i]) != state.value[o]
            pending = state.place[o] >= 0
            if pending and not changes:
                _remove(state, state.place[o])
            elif changes and not pending:
                line = design.first_event[o] + at
                state.due[o] = time + max(_line(design.delays, line, part), 0.0)
                state.slew[o] = max(_line(design.slews, line, part), 0.0)
                state.energy[o] = _line(design.energies, line, part)
                _insert(state, o)


@njit(cache=True, nogil=True, inline="always")
def _bit(table, state):
    return (table >> np.uint64(state)) & np.uint64(1)


@njit(cache=True, nogil=True, inline="always")
def _piece(points, first, count, x):
    """Return the piece of a line that holds, or is nearest to, x, and how far x is into it."""
    piece = 0
    while piece < count - 2 and x >= points[first + piece + 1]:
        piece += 1
    start = points[first + piece]
    return piece, (x - start) / (points[first + piece + 1] - start)


@njit(cache=True, nogil=True, inline="always")
def _line(values, at, part):
    return values[at] * (1 - part) + values[at + 1] * part


@njit(cache=True, nogil=True)
def _insert(state, o):
    state.heap[state.size[0]] = o
    state.place[o] = state.size[0]
    state.size[0] += 1
    _up(state, state.place[o])


@njit(cache=True, nogil=True)
def _remove(state, at):
    """Take the entry at a place out of the heap."""
    state.place[state.heap[at]] = -1
    state.size[0] -= 1
    last = state.size[0]
    if at < last:
        moved = state.heap[last]
        state.heap[at] = moved
        state.place[moved] = at
        _up(state, at)
        _down(state, state.place[moved])


@njit(cache=True, nogil=True)
def _earlier(state, a, b):
    """Compare two places of the heap; of outputs at the same time the lower one comes first."""
    first, second = state.heap[a], state.heap[b]
    if state.due[first] == state.due[second]:
        return first < second
    return state.due[first] < state.due[second]


@njit(cache=True, nogil=True)
def _up(state, at):
    while at > 0 and _earlier(state, at, (at - 1) // 2):
        _swap(state, at, (at - 1) // 2)
        at = (at - 1) // 2


@njit(cache=True, nogil=True)
def _down(state, at):
    while True:
        least = at
        for child in (2 * at + 1, 2 * at + 2):
            if child < state.size[0] and _earlier(state, child, least):
                least = child
        if least == at:
            return
        _swap(state, at, least)
        at = least


@njit(cache=True, nogil=True)
def _swap(state, a, b):
    state.heap[a], state.heap[b] = state.heap[b], state.heap[a]
    state.place[state.heap[a]] = a
    state.place[state.heap[b]] = b
