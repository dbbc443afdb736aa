"""Pareto fronts: of points, and of all combinations where costs and losses add up over layers.

Requirements:

- Losses are integers (images). So a front has at most as many points as there are losses, and the
  front of all combinations is exact at any number of layers.
- Of equal points the first stays: the same input gives the same front.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Option:
    """One way of making a layer.

    Parameters
    ----------
    name
        What it is called.
    cost
        In any unit, the same for all.
    loss
        How many images it loses.
    """

    name: str
    cost: float
    loss: int


@dataclass(frozen=True)
class Combination:
    """One option for each layer, with the sums of their costs and losses."""

    names: tuple[str, ...]
    cost: float
    loss: int


def front(points: Iterable[T], key: Callable[[T], tuple[float, float]]) -> list[T]:
    """Return the points that no other beats, by rising cost.

    Parameters
    ----------
    key
        A point's cost and loss, both to be small. A point is beaten by one that is no worse in
        both and not equal to it; of equal ones the first stays.
    """
    kept: list[T] = []
    best = float("inf")
    for point in sorted(points, key=key):
        loss = key(point)[1]
        if loss < best:
            kept.append(point)
            best = loss
    return kept


def additive_front(layers: Sequence[Sequence[Option]]) -> list[Combination]:
    """Return the Pareto front of all combinations of one option for each layer.

    Parameters
    ----------
    layers
        The options of each layer, at least one.

    Returns
    -------
    list
        By rising cost and falling loss.

    Notes
    -----
    Dynamic programming over layers: a partial combination that another one beats can be left out,
    since whatever follows adds the same to both. Exact, in O(layers x options x losses) steps but
    for the sorting.
    """
    found = [Combination((), 0.0, 0)]
    for options in layers:
        longer = [
            Combination((*one.names, option.name), one.cost + option.cost, one.loss + option.loss)
            for one in found
            for option in options
        ]
        found = front(longer, lambda one: (one.cost, one.loss))
    return found


def spread(points: Sequence[T], count: int, key: Callable[[T], tuple[float, float]]) -> list[T]:
    """Return at most `count` points of a front that lie far from each other, in its order.

    Parameters
    ----------
    count
        At least 1.
    key
        A point's cost and loss; distances are in shares of their ranges.

    Notes
    -----
    The two ends, then always the point that is farthest from those already chosen.
    """
    if len(points) <= count:
        return list(points)
    pairs = [key(point) for point in points]
    spans = [max(axis) - min(axis) or 1.0 for axis in zip(*pairs, strict=True)]
    scaled = [(cost / spans[0], loss / spans[1]) for cost, loss in pairs]

    def apart(i: int, j: int) -> float:
        return (scaled[i][0] - scaled[j][0]) ** 2 + (scaled[i][1] - scaled[j][1]) ** 2

    chosen = [0, len(points) - 1][:count]
    nearest = [min(apart(i, j) for j in chosen) for i in range(len(points))]
    while len(chosen) < count:
        farthest = max(range(len(points)), key=nearest.__getitem__)
        chosen.append(farthest)
        nearest = [min(near, apart(i, farthest)) for i, near in enumerate(nearest)]
    return [points[i] for i in sorted(chosen)]
