"""What calibration images say: each layer's gain and range, each neuron's scale and shift.

Layers are fitted one after another; each sees what the layers before it, fitted already, make of
the images, as in re-estimating a BatchNorm's statistics. The exact network says what is wanted.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from bitwright.ir import reference
from bitwright.targets.base import Progress
from bitwright.targets.crossbar.arrays import CHUNK, Arrays
from bitwright.targets.crossbar.design import Correction, Design
from bitwright.targets.crossbar.distributions import threshold_of
from bitwright.targets.crossbar.sensing import Sensing
from bitwright.targets.crossbar.simulate import arrays_for

Array = npt.NDArray[Any]
LEAST_GAIN = 1e-6
"""Of a layer that has no current at all."""


@dataclass(frozen=True, eq=False)
class _Wanted:
    """Of a layer in the exact network: each neuron's mean and deviation, and what reads them."""

    mean: Array
    deviation: Array
    threshold: _Threshold | None


@dataclass(frozen=True, eq=False)
class _Threshold:
    """The threshold behind a layer, and how often each neuron's bit is 1."""

    thresholds: Array
    rising: Array
    rate: Array


def calibrate(design: Design, images: Array, progress: Progress | None = None) -> Design:
    """Return a design whose sensing and corrections are fitted.

    Parameters
    ----------
    images
        (N, *input shape).
    progress
        Told after each layer.
    """
    wanted = _exact(design, images)
    sensing = dict(design.sensing)
    corrections: dict[str, Correction] = {}
    done = 0

    def fit(name: str) -> reference.Compute:
        def compute(value: Array) -> Array:
            nonlocal done
            arrays = arrays_for(design, name)
            parts = [value[start : start + CHUNK] for start in range(0, len(value), CHUNK)]
            fitted = sensing[name] = _sensing(design, arrays, parts, pool)
            found = pool.map(lambda part: arrays.dots(part, fitted)[0], parts)
            dots = np.concatenate(list(found))
            correction = _correction(design.config.calibrate, dots, wanted[name])
            if correction is not None:
                corrections[name] = correction
                dots = np.rint(dots * correction.scale + correction.shift)
            done += 1
            if progress is not None:
                progress(done, len(design.layers))
            return dots.astype(np.int64).reshape(len(value), *design.program.types[name].shape)

        return compute

    made = {name: fit(name) for name in design.layers}
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for _ in reference.trace(design.program, images, made):
            pass
    return replace(design, sensing=sensing, corrections=corrections)


def _exact(design: Design, images: Array) -> dict[str, _Wanted]:
    found = {}
    for name, value in reference.trace(design.program, images):
        if name not in design.layers:
            continue
        dots = value.reshape(-1, value.shape[-1])
        behind = threshold_of(design.program, name)
        threshold = None
        if behind is not None:
            at, rising = behind[0], np.broadcast_to(behind[1], behind[0].shape)
            bits = np.where(rising, dots >= at, dots <= at)
            threshold = _Threshold(at, rising, bits.mean(axis=0))
        found[name] = _Wanted(dots.mean(axis=0), dots.std(axis=0), threshold)
    return found


def _sensing(
    design: Design, arrays: Arrays, parts: list[Array], pool: ThreadPoolExecutor
) -> Sensing:
    config, name = design.config, arrays.layer.name
    plain = design.sensing[name]
    fits_gain = "gain" in config.calibrate and name not in config.gains
    if not (fits_gain or config.adc_range == "data"):
        return plain
    products, squares, highest = np.array(list(pool.map(partial(_moments, arrays), parts))).T
    unit = plain.unit_amp
    if fits_gain and squares.sum():
        unit = max(float(products.sum() / squares.sum()), LEAST_GAIN * unit)
    if config.adc_range == "data":
        return replace(plain, unit_amp=unit, full_scale=max(float(highest.max()) / unit, 1.0))
    return replace(plain, unit_amp=unit)


def _moments(arrays: Arrays, value: Array) -> tuple[float, float, float]:
    """Return the sums of current by count and of squared counts, and the highest current."""
    products = squares = highest = 0.0
    for read in arrays.reads(value):
        ideal = read.ideal()
        products += float((read.currents * ideal).sum())
        squares += float((ideal * ideal).sum())
        highest = max(highest, float(read.currents.max(initial=0.0)))
    return products, squares, highest


def _correction(how: tuple[str, ...], dots: Array, wanted: _Wanted) -> Correction | None:
    neurons = dots.shape[1]
    if "thresholds" in how and wanted.threshold is not None:
        shift = _matching_shift(dots, wanted.threshold)
        return Correction(np.ones(neurons), shift)
    if "thresholds" in how and "batchnorm" not in how:
        return Correction(np.ones(neurons), wanted.mean - dots.mean(axis=0))
    if "batchnorm" in how:
        deviation = dots.std(axis=0)
        scale = np.where(deviation > 0, wanted.deviation / np.where(deviation > 0, deviation, 1), 1)
        return Correction(scale, wanted.mean - scale * dots.mean(axis=0))
    return None


def _matching_shift(dots: Array, threshold: _Threshold) -> Array:
    """Return what to add to dot products so that bits are 1 as often as they should be."""
    ordered = np.sort(dots, axis=0)
    count = len(ordered)
    shift = np.zeros(dots.shape[1])
    for k in range(dots.shape[1]):
        high = threshold.rate[k] if threshold.rising[k] else 1 - threshold.rate[k]
        ones = round(high * count)
        if 0 < ones < count:
            # Between the last value below and the first one that counts.
            cut = (ordered[count - ones - 1, k] + ordered[count - ones, k]) / 2
            edge = threshold.thresholds[k] - (0.5 if threshold.rising[k] else -0.5)
            shift[k] = np.rint(edge - cut)
    return shift
