"""The plain twin: NumPy, bits as bools, and only what is still undecided is ever touched.

It takes the windows of many pools and images together, one neuron after the other, and narrows the
rows that it works on from tile to tile. It shares no packing and no gathering with the kernel.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from bitwright.native.convolution import window_view
from bitwright.targets.reuse.dynamic.kernel import Sums
from bitwright.targets.reuse.dynamic.schedule import Schedule

Array = npt.NDArray[Any]
Integers = npt.NDArray[np.int64]


class PlainRun:
    """One run of a layer; the arguments are those of the kernel, but `bits` are the source's bools.

    Parameters
    ----------
    schedule
        The layer, prepared.
    bits
        bool (images, *shape of the source).
    members, outcomes, used, sums, steps
        As `bitwright.targets.reuse.dynamic.kernel.run` takes them.
    """

    def __init__(
        self,
        schedule: Schedule,
        bits: npt.NDArray[np.bool_],
        members: Integers,
        outcomes: npt.NDArray[np.bool_],
        used: Array,
        sums: Integers,
        steps: Integers,
    ) -> None:
        self.schedule, self.tables = schedule, schedule.tables
        view = window_view(schedule.layer.dot, bits)
        layer = schedule.layer
        self.windows = view.reshape(len(bits), layer.windows, layer.fan_in)
        self.members, self.outcomes, self.used = members, outcomes, used
        self.sums, self.steps = sums, steps
        constant = self.tables.constant[self.tables.classes]
        self.state = np.repeat(constant[None], len(bits), axis=0)

    def run(self) -> None:
        """Decide every neuron."""
        shared = len(np.unique(self.members[self.members >= 0])) < (self.members >= 0).sum()
        every = np.arange(len(self.members))
        # A window that two pools share is done for the first one; so one pool at a time.
        for pools in every[:, None] if shared else every[None]:
            images = len(self.state)
            stopped = np.zeros((images, len(pools), self.schedule.layer.neurons), np.bool_)
            for windows in self.members[pools].T:
                inside = np.flatnonzero(windows >= 0)
                image, place = (a.reshape(-1) for a in np.mgrid[:images, : len(inside)])
                chosen = stopped[image, inside[place]]
                self._visit(image, windows[inside[place]], chosen)
                stopped[image, inside[place]] = chosen
            self.outcomes[:, pools] = stopped == self.tables.stops

    def _visit(self, image: Integers, window: Integers, stopped: npt.NDArray[np.bool_]) -> None:
        """Look at one window a row."""
        known = self.state[image, window]
        stopped |= known == self.tables.stops
        visit = _Visit(self, image, window)
        for neuron in self.tables.order:
            rows = np.flatnonzero(~stopped[:, neuron] & (known[:, neuron] < 0))
            known[rows, neuron] = visit.decide(neuron, rows, known)
            stopped[:, neuron] |= known[:, neuron] == self.tables.stops[neuron]
        self.sums[Sums.SLOWEST_STEPS] += visit.slowest.sum()
        if self.schedule.skips.bounds in ("tight", "parent"):
            left = self.tables.left[visit.classes, 0]
            self.sums[Sums.ACTIVATION_BITS] += left[visit.touched].sum()
        self.state[image, window] = known


class _Visit:
    """A visit of some windows, one a row."""

    def __init__(self, run: PlainRun, image: Integers, window: Integers) -> None:
        self.run, self.tables = run, run.tables
        self.image, self.window = image, window
        self.classes = self.tables.classes[window]
        self.slowest = np.zeros(len(image), np.int64)
        self.touched = np.zeros(len(image), np.bool_)
        self.bounds = run.schedule.skips.bounds
        first, last = self.tables.taps.T
        width = run.schedule.skips.width
        shifts = np.arange(width, dtype=np.uint64)
        live = (self.tables.masks[..., None] >> shifts & np.uint64(1)).astype(np.bool_)
        self.live = [live[:, t, : last[t] - first[t]] for t in range(len(first))]
        self.kernels = [run.schedule.layer.kernels[:, a:b] for a, b in self.tables.taps]
        self.inputs = [run.windows[image, window, a:b] for a, b in self.tables.taps]
        masked = [x & m[self.classes] for x, m in zip(self.inputs, self.live, strict=True)]
        ones = np.stack([x.sum(axis=1) for x in masked], axis=1)
        self.ones = np.pad(ones[:, ::-1].cumsum(axis=1)[:, ::-1], ((0, 0), (0, 1)))
        kept = len(self.tables.kernels) if self.bounds == "parent" else 0
        self.prefix = np.zeros((len(image), kept, len(first) + 1), np.int64)
        self.reach = np.full((len(image), kept), -1)

    def decide(self, neuron: int, rows: Integers, known: npt.NDArray[np.int8]) -> Integers:
        """Return the outcomes of a neuron in some rows."""
        sums, every = self.run.sums, self.tables.left[self.classes, 0]
        sums[Sums.AFTER_POOL] += every[rows].sum()
        outcomes = self._implied(neuron, rows, known)
        sums[Sums.IMPLIED] += (outcomes >= 0).sum()
        open_ = np.flatnonzero(outcomes < 0)
        rows = rows[open_]
        sums[Sums.AFTER_INCLUSION] += every[rows].sum()
        self.touched[rows] = True
        outcomes[open_], steps = self._evaluate(neuron, rows)
        sums[Sums.TILE_STEPS] += steps.sum()
        self.run.steps += np.bincount(steps, minlength=len(self.run.steps))
        self.slowest[rows] = np.maximum(self.slowest[rows], steps)
        if self.run.used.size:
            self.run.used[self.image[rows], self.window[rows], neuron] = steps
        return outcomes

    def _implied(self, neuron: int, rows: Integers, known: npt.NDArray[np.int8]) -> Integers:
        outcomes = np.full(len(rows), -1)
        for row in np.unique(self.classes[rows]):
            begin, end = self.tables.starts[row, neuron : neuron + 2]
            open_ = np.flatnonzero(self.classes[rows] == row)
            for other, given, follows in self.tables.implied[begin:end]:
                self.run.sums[Sums.IMPLICATION_CHECKS] += len(open_)
                holds = known[rows[open_], other] == given
                outcomes[open_[holds]] = follows
                open_ = open_[~holds]
        return outcomes

    def _evaluate(self, neuron: int, rows: Integers) -> tuple[Integers, Integers]:
        """Return outcomes and how many tiles they took; what is decided drops out."""
        tables, count = self.tables, len(self.tables.taps)
        outcomes, steps = np.full(len(rows), -1), np.zeros(len(rows), np.int64)
        open_ = np.arange(len(rows))
        matches = np.zeros(len(rows), np.int64)
        for t in range(count):
            self._keep(neuron, t, rows[open_], matches[open_])
            left = tables.left[self.classes[rows]]
            working = (left[:, t] > left[:, t + 1])[open_]
            if self.bounds != "none":
                checked = open_[working]
                found = self._bounded(neuron, t, rows[checked], matches[checked])
                outcomes[checked] = found
                open_ = open_[outcomes[open_] < 0]
                working = (left[:, t] > left[:, t + 1])[open_]
            busy = open_[working]
            equal = self.inputs[t][rows[busy]] == self.kernels[t][neuron]
            matches[busy] += (equal & self.live[t][self.classes[rows[busy]]]).sum(axis=1)
            steps[busy] += 1
            self.run.sums[Sums.DONE] += (left[busy, t] - left[busy, t + 1]).sum()
        self._keep(neuron, count, rows[open_], matches[open_])
        limits = tables.limits[self.classes[rows[open_]], neuron]
        outcomes[open_] = matches[open_] >= limits
        return outcomes, steps

    def _keep(self, neuron: int, t: int, rows: Integers, matches: Integers) -> None:
        if self.bounds == "parent":
            self.prefix[rows, neuron, t] = matches
            self.reach[rows, neuron] = t

    def _bounded(self, neuron: int, t: int, rows: Integers, matches: Integers) -> Integers:
        tables, row = self.tables, self.classes[rows]
        self.run.sums[Sums.BOUND_CHECKS] += len(rows)
        low, high = matches, matches + tables.left[row, t]
        if self.bounds != "naive":
            least, most = self._tight(neuron, rows, np.full(len(rows), t))
            low, high = matches + least, matches + most
        parent = tables.parents[neuron]
        if self.bounds == "parent" and parent >= 0:
            use = np.flatnonzero(self.reach[rows, parent] > t)
            self.run.sums[Sums.PARENT_CHECKS] += len(use)
            least, most = self._from_parent(neuron, parent, t, rows[use])
            low[use] = np.maximum(low[use], matches[use] + least)
            high[use] = np.minimum(high[use], matches[use] + most)
        limits = tables.limits[row, neuron]
        return np.where(low >= limits, 1, np.where(high < limits, 0, -1))

    def _tight(self, neuron: int, rows: Integers, t: Integers) -> tuple[Integers, Integers]:
        """Bounds of the matches in tiles t and later."""
        row = self.classes[rows]
        left, kernel = self.tables.left[row, t], self.tables.ones[row, neuron, t]
        ones = self.ones[rows, t]
        return np.abs(ones + kernel - left), left - np.abs(ones - kernel)

    def _from_parent(
        self, neuron: int, parent: int, t: int, rows: Integers
    ) -> tuple[Integers, Integers]:
        """Bounds of the same matches, from the parent as far as it was done."""
        row, end = self.classes[rows], self.reach[rows, parent]
        known = self.prefix[rows, parent, end] - self.prefix[rows, parent, t]
        far = self.tables.far[row, neuron, t] - self.tables.far[row, neuron, end]
        inputs = self.tables.left[row, t] - self.tables.left[row, end]
        least, most = self._tight(neuron, rows, end)
        return np.abs(known - far) + least, inputs - np.abs(inputs - far - known) + most
