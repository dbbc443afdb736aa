"""The check of a calibrated design on images that it was not calibrated on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from bitwright.circuits.jit import SAMPLES
from bitwright.native import NativeProgram
from bitwright.targets.majority.design import HeldOut
from bitwright.targets.majority.networks import Network, Settings, set_all

Array = npt.NDArray[Any]

FEW = 100
"""Of so many images a share of one half is known to within 5 points (one standard error)."""


def check(network: Network, images: Array, settings: Mapping[str, Settings]) -> HeldOut:
    """Compare a network with the exact one, under several settings.

    Parameters
    ----------
    network
        The network with circuits; has the last settings afterwards.
    images
        Held-out images (N, *input shape).
    settings
        Thresholds or tables of its layers, by what they are called.
    """
    program = network.program
    exact = NativeProgram(program, [*network.bits, *program.outputs]).run(images, packed=True)
    agreement, flip_rate = {}, {}
    for name, setting in settings.items():
        set_all(network, setting)
        found = _run(network, images)
        flips = sum(_ones(found[bits] ^ exact[bits]) for bits in network.bits)
        total = len(images) * sum(program.types[bits].size for bits in network.bits)
        flip_rate[name] = flips / max(total, 1)
        if program.decision is not None:
            same = found[program.decision] == exact[program.decision]
            agreement[name] = float(same.mean())
    return HeldOut(len(images), agreement, flip_rate)


def warnings(how: str, calibration_images: int, held_out: HeldOut) -> tuple[str, ...]:
    """Return what a reader should know of a calibration; no text has a semicolon."""
    found = []
    checking = f"{held_out.images} held-out image{'s' if held_out.images > 1 else ''}"
    if calibration_images < FEW:
        found.append(
            f"only {calibration_images} calibration images: firing rates and means of layers with "
            f"one window are of as few values, so give at least {FEW}"
        )
    if held_out.images < FEW:
        found.append(
            f"only {checking} check the design, which says little of other images, so give at "
            f"least {FEW}"
        )
    measured = held_out.agreement or {k: 1 - v for k, v in held_out.flip_rate.items()}
    what = "agrees with the exact network" if held_out.agreement else "has the exact bits"
    for other in ("expected", "unchanged"):
        if measured["tuned"] < measured[other]:
            found.append(
                f"thresholds = '{how}' {what} less often than '{other}' on {checking}: "
                f"{measured['tuned']:.2%} against {measured[other]:.2%}"
            )
    return tuple(found)


def _run(network: Network, images: Array) -> dict[str, Array]:
    """Return the outputs and the packed bits of all images."""
    parts: list[dict[str, Array]] = []
    for start in range(0, len(images), SAMPLES):
        block = images[start : start + SAMPLES]
        seen: dict[str, Array] = {}

        def observe(
            stage: Any, values: dict[str, Array], seen: Any = seen, count: int = len(block)
        ) -> None:
            if stage is None:
                seen |= {name: network.words(name, values, count) for name in network.bits}

        outputs = network.run(block, threads=1, observe=observe)
        parts.append(outputs | seen)
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _ones(words: Array) -> int:
    return int(np.unpackbits(np.ascontiguousarray(words).view(np.uint8)).sum())
