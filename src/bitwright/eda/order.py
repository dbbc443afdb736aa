"""Sorting cells so that each follows those that drive it."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from bitwright.errors import CircuitError


def sort_cells(
    design: str,
    names: Sequence[str],
    inputs: Sequence[Sequence[Hashable]],
    outputs: Sequence[Sequence[Hashable]],
) -> list[int]:
    """Return the indices of cells in an order in which each follows those that drive it.

    Parameters
    ----------
    design
        What messages call it.
    names
        Of the cells.
    inputs, outputs
        The nets that each cell reads and drives.

    Raises
    ------
    CircuitError
        If there is a loop; the message names a cell in it.
    """
    driver = {net: index for index, nets in enumerate(outputs) for net in nets}
    before = [{driver[net] for net in nets if net in driver} for nets in inputs]
    after: list[list[int]] = [[] for _ in names]
    for index, drivers in enumerate(before):
        for other in drivers:
            after[other].append(index)
    waiting = [len(drivers) for drivers in before]
    order = [index for index, count in enumerate(waiting) if count == 0]
    for index in order:
        for follower in after[index]:
            waiting[follower] -= 1
            if waiting[follower] == 0:
                order.append(follower)
    if len(order) < len(names):
        index = next(index for index, count in enumerate(waiting) if count)
        seen: set[int] = set()
        while index not in seen:  # upstream of a stuck cell there is a loop
            seen.add(index)
            index = next(other for other in before[index] if waiting[other])
        raise CircuitError(
            f"{design}: cell {names[index]} is in a loop", "give a design without loops"
        )
    return order
