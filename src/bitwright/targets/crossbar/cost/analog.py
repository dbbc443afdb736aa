"""Energy, time and area of an array with its drivers and converters, by formulas.

With n rows, m columns, capacitances C, currents I and conversions as `Activity` counts them:

    word lines    pulses * arrays of a tile * C_word V_word^2, and a 1/(ratio - 1) of it in drivers
    bit lines     conversions * rails * C_rail V_read^2
    cells         V_read * sum(I) * (settling, and the conversion or the time of a sample)
    ADC           conversions * E(bits)
    ADC inputs    V_in * sum(I) * conversion, if a column conducts through it

A word line rises in 0.38 R C behind its driver (T. Sakurai, "Approximation of wiring delay in
MOSFET LSI", IEEE JSSC 18 (1983)), whose delay is that of ln(C / C_first) / ln(ratio) stages. A
column settles in ``ln(2**bits / step)`` time constants, each rail's being (R_end + R_wire / 2) C.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from bitwright.targets.crossbar.cost.activity import Activity
from bitwright.targets.crossbar.cost.adc import Converter, converter
from bitwright.targets.crossbar.cost.settings import Settings
from bitwright.targets.crossbar.cost.technology import Technology

_DISTRIBUTED = 0.38
"""Half of the swing at the end of a distributed RC line, by its R C."""


@dataclass(frozen=True)
class Array:
    """An array of a layer.

    Parameters
    ----------
    activity, technology, settings
        What it does, is made of, and how it is read.
    """

    activity: Activity
    technology: Technology
    settings: Settings

    @property
    def converter(self) -> Converter:
        """One of its converters."""
        return converter(self.settings.adc, self.activity.adc_bits, self.technology.node)

    @property
    def converters(self) -> int:
        """How many it has."""
        return -(-self.activity.columns // self.settings.columns_per_adc)

    @property
    def turns(self) -> int:
        """Columns that a converter converts one after another, of a read."""
        return -(-self.activity.used_columns // self.converters)

    @property
    def word_line_second(self) -> float:
        """From the input register to the far end of a word line."""
        t, c = self.technology, self.settings.coefficients
        farad = t.word_line_farad(self.activity.columns)
        ratio = farad / c.first_stage_farad.value
        stages = max(math.log(ratio) / math.log(c.stage_ratio.value), 1.0) if ratio > 0 else 1.0
        wire = _DISTRIBUTED * self.activity.columns * t.word_line_ohm * farad
        return stages * c.stage_second.value + wire

    @property
    def settling_second(self) -> float:
        """Until a column's current is within a part of a converter's step."""
        t, rows = self.technology, self.activity.rows
        ends, along = t.driver_ohm + t.sink_ohm, (rows - 1) * (t.source_ohm + t.bit_ohm)
        step = self.settings.coefficients.steps_of_settling.value
        constants = max(math.log(2**self.activity.adc_bits / step), 0.0)
        return constants * (ends + along / 2) * t.rail_farad(rows)

    @property
    def conducting_second(self) -> float:
        """How long a column's current flows for a conversion."""
        if self.settings.sensing == "current":
            return self.settling_second + self.converter.second
        return self.settling_second + self.settings.coefficients.sample_second.value

    def energy(self) -> Mapping[str, float]:
        """Return the energy of an image, all arrays of the layer, in joule by item."""
        a, t, c = self.activity, self.technology, self.settings.coefficients
        line = a.word_lines * a.column_tiles * t.word_line_farad(a.columns) * t.word_line_volt**2
        rails = c.rails.value * t.rail_farad(a.rows) * t.read_volt**2
        ampere = a.current * t.read_volt / t.on_ohm
        one = self.converter
        through = self.settings.sensing == "current"
        return {
            "word lines": line,
            "word-line drivers": line / (c.stage_ratio.value - 1),
            "bit lines": a.conversions * rails,
            "cells": t.read_volt * ampere * self.conducting_second,
            "ADC": a.conversions * one.joule,
            "ADC inputs": one.input_volt * ampere * one.second * through,
        }

    def latency(self) -> Mapping[str, float]:
        """Return the time of one window's reads, in seconds by item."""
        groups, sampled = self.activity.groups, self.settings.sensing == "sampled"
        settlings = 1 if sampled else self.turns
        found = {
            "word lines": groups * self.word_line_second,
            "settling": groups * settlings * self.settling_second,
            "ADC": groups * self.turns * self.converter.second,
        }
        if sampled:
            found["sampling"] = groups * self.settings.coefficients.sample_second.value
        return found

    def area(self) -> Mapping[str, float]:
        """Return the area of all arrays of the layer, in square metres by item."""
        a, t, c = self.activity, self.technology, self.settings.coefficients
        # Stages of C / ratio, C / ratio^2, ... at their inputs.
        drivers = t.word_line_farad(a.columns) / (c.stage_ratio.value - 1)
        switches = a.columns * c.switch_m2.value if self.settings.columns_per_adc > 1 else 0.0
        return {
            "cells": a.arrays * a.rows * a.columns * t.cell_m2,
            "word-line drivers": a.arrays * a.rows * drivers * c.driver_m2_per_farad.value,
            "column switches": a.arrays * switches,
            "ADC": a.arrays * self.converters * self.converter.area_m2,
        }
