"""Polarities: never worse than trying everything, on circuits small enough for that."""

from __future__ import annotations

import itertools
import random

import pytest

from bitwright.eda.polarity import Mode, Node, choose_modes

INVERTING = (Mode((False,) * 3, (True, True), 5.0), Mode((True,) * 3, (False, False), 5.0))
STRAIGHT = (*INVERTING, Mode((False,) * 3, (False, False), 5.6))
AREA = 1.0


def cost(nodes, modes, comes, wanted):
    """Return the area of cells and inverters, counted from scratch."""
    comes = dict(comes)
    needs = {net: {False} for net in wanted}
    total = 0.0
    for node, index in zip(nodes, modes, strict=True):
        mode = node.modes[index]
        total += mode.area
        comes.update(zip(node.outputs, mode.inverted_outputs, strict=True))
        for net, inverted in zip(node.inputs, mode.inverted_inputs, strict=True):
            needs.setdefault(net, set()).add(inverted)
    for net, polarities in needs.items():
        if net in comes:
            total += AREA * ((not comes[net]) in polarities)
        else:
            total += AREA * (len(polarities) == 2)
    return total


def tree(levels):
    """Return rows of adders that feed each other: every row can be of one polarity."""
    nodes, width, net = [], 3**levels, 3**levels
    row = list(range(width))
    while len(row) >= 3:
        following = []
        for i in range(0, len(row), 3):
            nodes.append(Node(INVERTING, tuple(row[i : i + 3]), (net, net + 1)))
            following.append(net)
            net += 2
        row = following
    return nodes, dict.fromkeys(range(width), False), row


def test_rows_in_alternating_polarity_need_no_inverter():
    nodes, inputs, last = tree(4)
    modes = choose_modes(nodes, inputs, (), AREA)
    assert cost(nodes, modes, inputs, ()) == 5 * len(nodes)
    assert modes[:27] == (0,) * 27
    assert modes[27:36] == (1,) * 9
    assert cost(nodes, choose_modes(nodes, inputs, last, AREA), inputs, last) == 5 * len(nodes)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("modes", [INVERTING, STRAIGHT])
def test_small_circuits_come_out_best(seed, modes):
    rng = random.Random(seed)  # noqa: S311 - not for secrets
    comes = dict.fromkeys(range(6), False)
    comes |= {100: True, 101: False, 102: True}
    nets = [*comes, 103]
    nodes = []
    for i in range(9):
        nodes.append(Node(modes, tuple(rng.sample(nets, 3)), (200 + 2 * i, 201 + 2 * i)))
        nets += nodes[-1].outputs
    wanted = set(rng.sample(nets, 3))
    least = min(
        cost(nodes, choice, comes, wanted)
        for choice in itertools.product(range(len(modes)), repeat=len(nodes))
    )
    chosen = choose_modes(nodes, comes, wanted, AREA)
    assert cost(nodes, chosen, comes, wanted) == pytest.approx(least)


@pytest.mark.parametrize("inverted", [False, True])
def test_cells_take_the_nets_before_them_as_they_come(inverted):
    # Nine nets, three cells, one cell: only the last row can leave an inverter, at the output.
    nodes, inputs, _ = tree(2)
    comes = dict.fromkeys(inputs, inverted)
    total = nodes[-1].outputs[0]
    modes = choose_modes(nodes, comes, {total}, AREA)
    assert modes == ((1, 1, 1, 0) if inverted else (0, 0, 0, 1))
    assert cost(nodes, modes, comes, {total}) == 5 * len(nodes) + inverted * AREA


def test_nothing_to_choose():
    assert choose_modes([], {}, (), AREA) == ()
    only = Node(INVERTING[:1], (0, 1, 2), (3, 4))
    assert choose_modes([only], dict.fromkeys(range(3), False), {3}, AREA) == (0,)
