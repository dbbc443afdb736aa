"""Analog-to-digital converters: energy, time and area of a conversion, by published models.

============ ====================================================================================
model        what it is
============ ====================================================================================
``sar``      a successive-approximation converter for columns of an array, simulated in SPICE by
             the authors of DNN+NeuroSim, by node: ``P = a bits + b + V I``, a step of 1 ns a bit
             and one more, and a number of transistors. ``V I`` is what a column's current draws
             in the converter's input while it converts.
``walden``   energy by a figure of merit: ``E = F 2**bits``; time and area as ``sar``.
``survey``   the best that published converters do, after B. Murmann's ADC Performance Survey:
             ``E = 1 / (2 * 10**((FOM - SNDR) / 10))``, with the Schreier figure of merit that falls
             with the rate above a corner, and an area by regression (T. Andrulis, R. Chen, H.-S.
             Lee, J. S. Emer, V. Sze, "Modeling analog-digital-converter energy and area for
             compute-in-memory accelerator design", arXiv 2404.06553); time as ``sar``.
============ ====================================================================================
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from bitwright.errors import ConfigError, UnknownNameError
from bitwright.targets.crossbar.devices.provenance import Parameter

Model = Literal["sar", "walden", "survey"]
MAX_BITS = 24

_NEUROSIM = (
    "DNN+NeuroSim V1.4, SarADC.cpp, low-power devices (github.com/neurosim/DNN_NeuroSim_V1.4)"
)


@dataclass(frozen=True)
class Converter:
    """A converter of so many bits.

    Parameters
    ----------
    joule
        Of a conversion, but for what its input draws.
    second
        Of a conversion.
    input_volt
        Times a column's current: what its input draws while it converts, in watt.
    area_m2
        In square metres.
    """

    joule: float
    second: float
    input_volt: float
    area_m2: float


@dataclass(frozen=True)
class Sar:
    """A node's coefficients of ``sar``: watt a bit, watt, volt, and the area of a transistor."""

    bit_watt: float
    fixed_watt: float
    input_volt: float
    transistor_m2: float


SAR = {
    "7nm": Sar(0.1061e-6, 0.8847e-6, 0.087110, 0.02736e-12),
    "10nm": Sar(0.1823e-6, 1.5073e-6, 0.103160, 0.04224e-12),
    "14nm": Sar(0.3132e-6, 2.5681e-6, 0.122170, 0.08984e-12),
    "22nm": Sar(0.538e-6, 4.3753e-6, 0.144682, 0.10300e-12),
    "45nm": Sar(2.1691e-6, 16.693e-6, 0.200450, 0.43092e-12),
}
"""By technology node. The source has ``c / R`` for the input, R being 0.5 V by the current."""

STEP_SECOND = 1e-9
TRANSISTORS = (478, 182)
"""Of a converter of one bit, and of each further bit."""

WALDEN_JOULE = 2.2e-15
SURVEY_FOM_DB = 180.14159078904734
SURVEY_FOM_AT_1_HZ_DB = 302.7387019052544
SURVEY_FOM_BY_LOG_HZ_DB = -6.460790934271676
SURVEY_AREA = (
    4.850567073004403,
    0.06665851895885958,
    0.797323960429599,
    -0.13437278622014803,
    0.4236571760437834,
)
"""ln of the area in um2: constant, then by ln(Hz), ln(nm), bits and ln(pJ)."""


def converter(model: Model, bits: int, node: str = "7nm") -> Converter:
    """Return a converter of a model.

    Raises
    ------
    ConfigError
        If the bits are not in 1 to 24.
    UnknownNameError
        If there is no such model or node.
    """
    if not 1 <= bits <= MAX_BITS:
        raise ConfigError(f"a converter has {bits} bits", f"give 1 to {MAX_BITS}")
    if model not in get_args(Model):
        raise UnknownNameError("converter model", model, get_args(Model))
    if node not in SAR:
        raise UnknownNameError("technology node", node, SAR)
    sar = SAR[node]
    seconds = (bits + 1) * STEP_SECOND
    first, further = TRANSISTORS
    area = sar.transistor_m2 * (first + (bits - 1) * further)
    if model == "sar":
        watt = sar.bit_watt * bits + sar.fixed_watt
        return Converter(watt * seconds, seconds, sar.input_volt, area)
    if model == "walden":
        return Converter(WALDEN_JOULE * 2**bits, seconds, 0.0, area)
    return _survey(bits, seconds, float(node.removesuffix("nm")))


def _survey(bits: int, seconds: float, nanometre: float) -> Converter:
    log_hz = -math.log(seconds)
    fom = min(SURVEY_FOM_DB, SURVEY_FOM_AT_1_HZ_DB + SURVEY_FOM_BY_LOG_HZ_DB * log_hz)
    sndr = 6.02 * bits + 1.76
    joule = 0.5 * 10 ** ((sndr - fom) / 10)
    logs = (1.0, log_hz, math.log(nanometre), bits, math.log(joule * 1e12))
    area = math.exp(sum(a * b for a, b in zip(SURVEY_AREA, logs, strict=True)))
    return Converter(joule, seconds, 0.0, area * 1e-12)


def _parameters() -> dict[str, Parameter]:
    found = {}
    for node, sar in SAR.items():
        found[f"adc.sar.{node}.bit"] = Parameter(sar.bit_watt, "W/bit", "published", _NEUROSIM)
        found[f"adc.sar.{node}.fixed"] = Parameter(sar.fixed_watt, "W", "published", _NEUROSIM)
        found[f"adc.sar.{node}.input"] = Parameter(
            sar.input_volt, "V", "derived",
            f"{_NEUROSIM}: c * exp(-2.303 log10 R), so c / R, with R = 0.5 V by the current",
        )  # fmt: skip
        found[f"adc.sar.{node}.transistor"] = Parameter(
            sar.transistor_m2, "m2", "derived",
            "DNN+NeuroSim V1.4, formula.cpp: height of the node's cells by two contacted gate "
            "pitches",
        )  # fmt: skip
    survey = (
        "arXiv 2404.06553; coefficients of its model.yaml "
        "(github.com/Accelergy-Project/accelergy-adc-plug-in, 2136e9e)"
    )
    return found | {
        "adc.step": Parameter(
            STEP_SECOND, "s", "published", f"{_NEUROSIM}: bits + 1 steps of 1 ns at every node"
        ),
        "adc.transistors": Parameter(
            TRANSISTORS[0], "1", "published", f"{_NEUROSIM}: 269 n and 209 p of one bit"
        ),
        "adc.transistors_per_bit": Parameter(
            TRANSISTORS[1], "1", "published", f"{_NEUROSIM}: 109 n and 73 p for each further bit"
        ),
        "adc.walden": Parameter(
            WALDEN_JOULE, "J/step", "published",
            "P. Harpe, E. Cantatore, A. van Roermund, ISSCC 2013: 2.2 fJ a conversion step, the "
            "record then; converters of few bits at this rate need more",
        ),
        "adc.survey.fom": Parameter(SURVEY_FOM_DB, "dB", "published", survey),
        "adc.survey.fom_at_1_hz": Parameter(SURVEY_FOM_AT_1_HZ_DB, "dB", "published", survey),
        "adc.survey.fom_by_log_hz": Parameter(SURVEY_FOM_BY_LOG_HZ_DB, "dB", "published", survey),
        "adc.survey.area": Parameter(
            SURVEY_AREA[0], "ln um2", "published", f"{survey}; the regression's constant"
        ),
    }  # fmt: skip


PARAMETERS = _parameters()
"""The numbers of this module and where they come from."""
