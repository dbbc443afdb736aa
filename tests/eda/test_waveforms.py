"""The compiled simulation against a plain one, and activity against what it must add up to."""

from __future__ import annotations

import heapq
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.eda.netlists import netlist

from bitwright.eda import logic, waveforms
from bitwright.eda.activity import transition, zero_delay_activity
from bitwright.eda.cell_events import cell_events
from bitwright.eda.compiled import compile_design
from bitwright.eda.netlist import Netlist
from bitwright.eda.timing import Boundary, net_loads

AT = Boundary(20e-12, 3e-15)
KINDS = ("INV", "NAND2", "NOR2", "XOR2", "FAI", "HAI", "MAJI")


def random_netlist(library, seed: int) -> Netlist:
    """Return two dozen cells wired at random, without loops, on four inputs."""
    rng = np.random.default_rng(seed)
    nets, cells, free = [2, 3, 4, 5], [], 6
    for _ in range(24):
        cell = library.cells[str(rng.choice(KINDS))]
        pins = dict(zip(cell.inputs, rng.choice(nets, len(cell.inputs)).tolist(), strict=True))
        for pin in cell.outputs:
            pins[pin] = free
            free += 1
        cells.append((cell.name, pins))
        nets += range(free - len(cell.outputs), free)
    return netlist(library, [2, 3, 4, 5], nets[-6:], cells)


def plain_run(design, vectors, boundary):
    """Simulate with a queue that keeps what was withdrawn, and look every value up anew."""
    loads = net_loads(design, boundary)
    events = []
    for instance in design.instances:
        at = np.array([[loads[instance.nets[pin]] for pin in instance.cell.outputs]])
        events.append(cell_events(instance.cell, at))
    values = logic.unpack(logic.simulate(design, vectors[:1]), 1)[0].astype(int)
    toggles = np.zeros((design.nets, 2))
    energy = hidden = 0.0
    for vector in vectors[1:]:
        ticket = itertools.count()
        pending = {}
        queue = [
            (0.0, -1, next(ticket), net, int(new), boundary.input_slew_s, 0.0)
            for net, new in zip(design.input_nets, vector, strict=True)
        ]
        queue.sort(key=lambda entry: entry[2])
        while queue:
            time, _, number, net, new, slew, joules = heapq.heappop(queue)
            if net in pending and pending[net] != number:
                continue
            if net not in design.input_nets and pending.pop(net, None) is None:
                continue
            if values[net] == new:
                continue
            energy += joules
            toggles[net, new] += 1
            for index, instance in enumerate(design.instances):
                cell = instance.cell
                for position, pin in enumerate(cell.inputs):
                    if instance.nets[pin] != net:
                        continue
                    told = {p for p in cell.inputs[:position] if instance.nets[p] == net}
                    pins = {p: new if p in told else values[instance.nets[p]] for p in cell.inputs}
                    state = sum(pins[p] << j for j, p in enumerate(cell.inputs))
                    event = state * len(cell.inputs) + position
                    lines = events[index]
                    hidden += on(lines.slews, lines.hidden_j[event], slew)
                    after = state ^ (1 << position)
                    for k, out in enumerate(cell.outputs):
                        target = cell.tables[out] >> after & 1
                        out_net = instance.nets[out]
                        if target == values[out_net]:
                            pending.pop(out_net, None)
                        elif out_net not in pending:
                            number = next(ticket)
                            pending[out_net] = number
                            delay = max(on(lines.slews, lines.delay_s[0, k, event], slew), 0)
                            entry = (
                                time + delay,
                                position_of(design, out_net),
                                number,
                                out_net,
                                target,
                                max(on(lines.slews, lines.slew_s[0, k, event], slew), 0),
                                on(lines.slews, lines.energy_j[0, k, event], slew),
                            )
                            heapq.heappush(queue, entry)
            values[net] = new
    return toggles, energy, hidden, values


def position_of(design, net):
    """Return the place of an output among all: what decides between two at the same time."""
    outputs = [out for instance in design.instances for out in instance.output_nets]
    return outputs.index(net)


def on(points, line, x):
    piece = int(np.clip(np.searchsorted(points, x, side="right") - 1, 0, len(points) - 2))
    part = (x - points[piece]) / (points[piece + 1] - points[piece])
    return line[piece] * (1 - part) + line[piece + 1] * part


@pytest.mark.parametrize("seed", range(12))
def test_the_compiled_simulation_is_the_plain_one(seed, tiny):
    design = random_netlist(tiny, seed)
    vectors = np.random.default_rng(seed).random((20, 4)) < 0.5
    toggles, energy, hidden, values = plain_run(design, vectors, AT)
    found = waveforms.Totals(
        np.zeros((design.nets + 1, 2)),
        np.zeros(len(design.instances)),
        np.zeros(len(design.instances)),
        np.zeros(len(vectors) - 1),
    )
    state = np.zeros(design.nets + 1, np.uint8)
    state[:-1] = logic.unpack(logic.simulate(design, vectors[:1]), 1)[0]
    compiled = compile_design(design, net_loads(design, AT))
    waveforms.run(compiled, vectors.astype(np.uint8), AT.input_slew_s, state, found)
    assert np.array_equal(found.toggles[:-1], toggles)
    assert found.output_energy.sum() == pytest.approx(energy)
    assert found.hidden_energy.sum() == pytest.approx(hidden)
    settled = logic.unpack(logic.simulate(design, vectors), len(vectors))
    assert np.array_equal(state[:-1], settled[-1])
    assert np.array_equal(state[:-1], values)
    # Glitches come in pairs: what a net does beyond its settled values is up and down.
    quiet = zero_delay_activity(design, vectors).toggles
    assert np.array_equal(np.diff(found.toggles[:-1]), np.diff(quiet))


@settings(deadline=None)
@given(
    st.integers(1, 4).flatmap(
        lambda inputs: st.tuples(
            st.just(inputs),
            st.lists(st.integers(0, (1 << (1 << inputs)) - 1), min_size=1, max_size=2),
            st.integers(0, (1 << inputs) - 1),
            st.integers(0, (1 << inputs) - 1),
        )
    )
)
def test_a_transition_has_each_input_once_and_each_output_as_it_settles(case):
    inputs, tables, before, after = case
    happened, changed = transition(tuple(tables), inputs, before, after)
    by_pin = happened.reshape(-1, inputs).sum(0)
    assert by_pin == pytest.approx([(before ^ after) >> j & 1 for j in range(inputs)])
    for table, events in zip(tables, changed, strict=True):
        net = (table >> before ^ table >> after) & 1
        assert events.sum() == pytest.approx(net)
        assert (events >= 0).all()
        for event in np.flatnonzero(events):
            state, pin = divmod(int(event), inputs)
            assert (table >> state ^ table >> (state ^ 1 << pin)) & 1, "only what it answers to"


def test_activity_counts_states_and_toggles(tiny):
    gate = netlist(tiny, [2, 3], [4], [("NAND2", {"A": 2, "B": 3, "Y": 4})])
    vectors = np.array([[0, 0], [1, 1], [1, 1], [0, 1]], bool)
    activity = zero_delay_activity(gate, vectors)
    assert activity.operations == 3
    assert activity.toggles[2:].tolist() == [[1, 1], [0, 1], [1, 1]]
    assert activity.states[0].tolist() == [0.25, 0, 0.25, 0.5]
    assert activity.output_events[0].sum() == 2
