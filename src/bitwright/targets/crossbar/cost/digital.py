"""Energy, time and area of the logic around arrays: what any array needs, and what flips add.

With 0/1 cells the array counts S = sum(W'A'), and half of the dot product is

    sum over tiles of s_w s_a (2 S - A' + K),  K = n/2 - sum(W').

Without flips the K are constants of a neuron, in its threshold, and sum(A) is one number a window:
S is accumulated as it is, and sum(A) subtracted once. Where columns are flipped, the sign s_w
differs from column to column and tile to tile, so ``s_w (2 S - A)`` is formed for each conversion;
the K stay constants. Where activations are flipped, s_a changes from window to window, so K must be
added each time: a column holds it.

What is flipped is decided from the count A, which an array without flips needs as well, but not
before its read: that is what dynamic flips take in latency.

Where all tiles of a kernel share a flip, its sign stands before the whole sum: S is accumulated as
without flips. Static flips then are a matter of the threshold, and cost nothing; dynamic ones take
K once for each result, and a decision that waits for the counts of all tiles.

Columns that share a converter share its logic; what a column holds is selected for it. Bits that
columns hold do not change and are not clocked, so they take no energy but what the selection takes.
The exclusive or of the two signs and leakage are left out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from bitwright.targets.crossbar.cost.activity import DYNAMIC, STATIC, Activity
from bitwright.targets.crossbar.cost.analog import Array
from bitwright.targets.crossbar.cost.pieces import Kind, Price, load_pieces
from bitwright.targets.crossbar.cost.technology import digital_scale


@dataclass(frozen=True)
class Logic:
    """The logic around a layer's arrays.

    Parameters
    ----------
    array
        One of them, with what the layer does.
    """

    array: Array

    @property
    def activity(self) -> Activity:
        """What the layer does."""
        return self.array.activity

    @property
    def static(self) -> bool:
        """Whether columns are flipped."""
        return self.activity.flips in STATIC

    @property
    def dynamic(self) -> bool:
        """Whether activations are."""
        return self.activity.flips in DYNAMIC

    @property
    def each(self) -> bool:
        """Whether conversions are corrected one by one, before they are added up."""
        return self.activity.granularity != "kernel" and (self.static or self.dynamic)

    @property
    def counts_ones(self) -> bool:
        """Whether the dot product takes the number of activations that are 1."""
        return self.activity.mapping == "and"

    @property
    def sum_bits(self) -> int:
        """Bits of the number that conversions are added to."""
        return self.activity.fan_in.bit_length() + self.each

    @property
    def result_bits(self) -> int:
        """Bits that S and A' have on their way into a sum."""
        return max(self.activity.adc_bits, self.activity.inputs_at_once.bit_length())

    @property
    def held_bits(self) -> tuple[int, int]:
        """Bits that a column holds for each of its reads: its flip, and its constant."""
        if not self.each:
            return 0, 0
        # K has one bit more where columns may hold more than half ones.
        constant = self.result_bits + 1 + (not self.static)
        return int(self.static), constant * self.dynamic

    @property
    def levels(self) -> int:
        """Additions one after another until the reads of a window are one number."""
        return math.ceil(math.log2(self.activity.row_tiles * self.activity.groups))

    def price(self, kind: Kind, size: float, width: float = 1) -> Price:
        """Return what a piece costs at the arrays' node."""
        found = load_pieces(self.array.settings.pieces).price(kind, size, width)
        scale = digital_scale(self.array.technology.node)
        return Price(
            found.energy_j * scale.energy, found.delay_s * scale.delay, found.area_m2 * scale.area
        )

    @property
    def _correct(self) -> Price:
        if not self.each:
            return Price()
        return self.price("correct" if self.dynamic else "signed", self.result_bits)

    @property
    def _select(self) -> Price:
        inputs = min(self.array.settings.columns_per_adc, self.activity.columns)
        return self.price("select", inputs) if self.each and inputs > 1 else Price()

    @property
    def _add(self) -> Price:
        if self.each:
            return self.price("add", self.sum_bits, self.result_bits + 2)
        return self.price("accumulate", self.sum_bits, self.activity.adc_bits)

    @property
    def _add_counts(self) -> Price:
        """A count of activations to others, where what counts is that of a window."""
        if self.each or not self.counts_ones:
            return Price()
        bits = self.activity.inputs_at_once.bit_length()
        return self.price("accumulate", self.activity.fan_in.bit_length(), bits)

    @property
    def _finish(self) -> Price:
        """``2 S - sum(A)`` of a whole window; and K, where activations are flipped."""
        if self.each or not self.counts_ones:
            return Price()
        one = self.price("add", self.sum_bits + 2, self.sum_bits + 1)
        times = 1 + self.dynamic
        return Price(times * one.energy_j, times * one.delay_s, times * one.area_m2)

    def energy(self) -> Mapping[str, float]:
        """Return the energy of an image, in joule by item."""
        a = self.activity
        inputs, register = a.inputs_at_once, self.price("register", 1).energy_j
        results = a.windows * a.outputs
        found = {"input registers": a.reads * a.column_tiles * inputs * register}
        if self.counts_ones:
            found["popcount"] = a.reads * self.price("popcount", inputs).energy_j
        if self.dynamic:
            found["flip decision"] = a.reads * self.price("decide", inputs).energy_j
            found["activation flips"] = a.reads * self.price("flip", inputs).energy_j
        flip, constant = self.held_bits
        if flip:
            found["flip registers"] = a.conversions * flip * self._select.energy_j
        if constant:
            found["constants"] = a.conversions * constant * self._select.energy_j
        if self.each:
            found["correction"] = a.conversions * self._correct.energy_j
        found["partial sums"] = max(a.conversions - results, 0) * self._add.energy_j
        found["sum registers"] = a.conversions * self.sum_bits * register
        if self.counts_ones and not self.each:
            counts = max(a.reads - a.windows, 0) * self._add_counts.energy_j
            found["activation sums"] = counts + results * self._finish.energy_j
        found["thresholds"] = results * self.price("compare", self.sum_bits).energy_j
        return found

    @property
    def before_second(self) -> float:
        """What must be done before word lines rise."""
        if not self.dynamic:
            return 0.0
        inputs = self.activity.inputs_at_once
        ready = sum(self.price(kind, inputs).delay_s for kind in ("popcount", "decide", "flip"))
        return ready + self.levels * self._add_counts.delay_s

    @property
    def conversion_second(self) -> float:
        """From a conversion's result to its place in a sum."""
        return self._select.delay_s + self._correct.delay_s + self._add.delay_s

    @property
    def after_second(self) -> float:
        """From the last conversion to the neuron's bit: tiles are added up in a tree."""
        further = max(self.levels - 1, 0) * self._add.delay_s + self._finish.delay_s
        return self.conversion_second + further + self.price("compare", self.sum_bits).delay_s

    def area(self) -> Mapping[str, float]:
        """Return the area of the layer, in square metres by item."""
        a = self.activity
        inputs, register = a.inputs_at_once, self.price("register", 1).area_m2
        lanes = a.arrays * self.array.converters
        flips, constants = (a.arrays * a.columns * a.groups * bits for bits in self.held_bits)
        found = {"input registers": a.arrays * a.inputs * register}
        if self.counts_ones:
            found["popcount"] = a.row_tiles * self.price("popcount", inputs).area_m2
        if self.dynamic:
            found["flip decision"] = a.row_tiles * self.price("decide", inputs).area_m2
            found["activation flips"] = a.row_tiles * self.price("flip", inputs).area_m2
        if self.each and self.static:
            found["flip registers"] = flips * register + lanes * self._select.area_m2
        if self.dynamic:
            bit = register
            if self.array.settings.constants == "cells":
                bit = self.array.technology.cell_m2
            if not self.each:
                constants = a.outputs * (self.sum_bits + 1)
            found["constants"] = constants * bit + lanes * self.held_bits[1] * self._select.area_m2
        if self.each:
            found["correction"] = lanes * self._correct.area_m2
        found["partial sums"] = lanes * self._add.area_m2
        # Reads one after another leave a sum for every column; else one is enough for a converter.
        sums = a.arrays * a.columns if a.groups > 1 else lanes
        found["sum registers"] = sums * self.sum_bits * register
        last = a.column_tiles * self.array.converters
        if self.counts_ones and not self.each:
            counts = max(a.row_tiles * a.groups - 1, 0) * self._add_counts.area_m2
            found["activation sums"] = counts + last * self._finish.area_m2
        found["thresholds"] = last * self.price("compare", self.sum_bits).area_m2
        return found
