"""The accelerator as a plain loop over cycles: slow, and easy to see right.

Each element has a state, each cycle moves it by one step, and what every element did is counted.
"""

from __future__ import annotations

from collections import Counter


class Element:
    """A PE with one channel of one window: fetches tiles until it is told to stop."""

    def __init__(self, needed, tiles, stages):
        self.needed, self.tiles, self.stages = needed, tiles, stages
        self.fetched = 0
        # Tiles on their way from the fetch to the decision. What needs no tile was decided by the
        # tile before its first one.
        self.pipe = [None] * (stages - 1)
        if needed == 0 and stages > 1:
            self.pipe[0] = "decided"
        self.stopped = False

    @property
    def finished(self):
        return self.stopped or self.fetched == self.tiles

    def cycle(self):
        """Do one cycle; return what it was good for."""
        self.fetched += 1
        self.pipe.insert(0, self.fetched)
        arrived = self.pipe.pop()
        if arrived == "decided" or (isinstance(arrived, int) and arrived >= self.needed):
            self.stopped = True
        return "useful" if self.fetched <= self.needed else "decision"


def batches(windows, lanes, pool):
    """Return for each batch the window of each lane, None for none."""
    found = []
    pools = [range(first, first + pool) for first in range(0, windows, pool)]
    for first in range(0, len(pools), lanes):
        block = pools[first : first + lanes]
        for step in range(pool):
            found.append([w[step] for w in block] + [None] * (lanes - len(block)))
    return found


def run_elements(done, tiles, geometry, stages, queue, pool):
    """Run the (windows, channels) tiles that are needed; return counts of PE cycles."""
    windows, channels = done.shape
    seen = Counter()
    for lanes in batches(windows, geometry.lanes, pool):
        if queue == "none":
            for first in range(0, channels, geometry.columns):
                waiting = [
                    [[c] if w is not None and c < channels else [] for c in columns]
                    for w in lanes
                    for columns in [range(first, first + geometry.columns)]
                ]
                batch(done, tiles, stages, lanes, waiting, None, seen)
        elif queue == "own":
            waiting = [
                [list(range(q, channels, geometry.columns)) for q in range(geometry.columns)]
                if w is not None
                else [[] for _ in range(geometry.columns)]
                for w in lanes
            ]
            batch(done, tiles, stages, lanes, waiting, None, seen)
        else:
            waiting = [[[] for _ in range(geometry.columns)] for _ in lanes]
            shared = [list(range(channels)) if w is not None else [] for w in lanes]
            batch(done, tiles, stages, lanes, waiting, shared, seen)
    for _ in range(stages - 1):
        seen["cycles"] += 1
        seen["fill_drain"] += geometry.pes
    return seen


def batch(done, tiles, stages, lanes, waiting, shared, seen):
    """Run until no PE has work; `waiting` are each PE's channels, `shared` are a lane's."""
    elements = [[None] * len(columns) for columns in waiting]
    ever = [[False] * len(columns) for columns in waiting]
    ledger = Counter()
    while True:
        for lane, window in enumerate(lanes):
            for column in range(len(elements[lane])):
                element = elements[lane][column]
                if element is None or element.finished:
                    source = waiting[lane][column] or (shared[lane] if shared else [])
                    if source:
                        needed = int(done[window, source.pop(0)])
                        elements[lane][column] = Element(needed, tiles, stages)
                        ever[lane][column] = True
        if all(e is None or e.finished for columns in elements for e in columns):
            break
        seen["cycles"] += 1
        for lane, columns in enumerate(elements):
            for column, element in enumerate(columns):
                busy = element is not None and not element.finished
                ledger[lane, column, element.cycle() if busy else "idle"] += 1
    for (lane, column, what), count in ledger.items():
        idle = "imbalance" if ever[lane][column] else "unassigned"
        seen[idle if what == "idle" else what] += count


def run_patterns(load, geometry, stages):
    """Run a layer whose patterns tile units count; return counts of PE cycles."""
    seen = Counter()
    steps = [
        (lanes, tile) for lanes in batches(load.windows, geometry.lanes, 1)
        for tile in range(load.tiles)
    ]  # fmt: skip
    produced = None  # the step whose counts lie in the half that PEs read
    coming = list(steps)
    while coming or produced is not None:
        making = coming.pop(0) if coming else None
        left = int(load.distinct[making[1]]) if making is not None else 0
        channels = list(range(load.channels)) if produced is not None else []
        while left > 0 or channels:
            seen["cycles"] += 1
            if left > 0:
                counted = min(left, geometry.tile_units)
                seen["counted"] += counted * sum(w is not None for w in making[0])
                left -= counted
            if produced is None:
                seen["fill_drain"] += geometry.pes
            elif channels:
                taken, channels = channels[: geometry.columns], channels[geometry.columns :]
                busy = len(taken) * sum(w is not None for w in produced[0])
                seen["useful"] += busy
                seen["unassigned"] += geometry.pes - busy
            else:
                seen["tile_units"] += geometry.pes
        produced = making
    for _ in range(stages - 1):
        seen["cycles"] += 1
        seen["fill_drain"] += geometry.pes
    return seen
