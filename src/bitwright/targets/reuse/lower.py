"""Lowering to shared sums: a plan for each layer, and what a tile-serial machine would skip."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from bitwright.data import load
from bitwright.errors import ConfigError
from bitwright.ir.program import Program
from bitwright.targets.base import Progress
from bitwright.targets.reuse.accelerated import run_on
from bitwright.targets.reuse.design import Config, Design
from bitwright.targets.reuse.dynamic.network import SkipNetwork
from bitwright.targets.reuse.dynamic.skips import CALIBRATED
from bitwright.targets.reuse.planner import plan_layer, plannable
from bitwright.targets.reuse.prices import load_pieces


def lower(program: Program, config: Config, progress: Progress | None = None) -> Design:
    """Return the design of a program; progress is told after each layer.

    Raises
    ------
    ConfigError
        If no layer has weights of one bit, there is no such table of pieces, an order of tiles or
        channels needs calibration images and no data set is named, or the network does not fit the
        part.
    UnknownNameError
        If there is no such part.
    DataError
        If the calibration images cannot be had.
    """
    dots = plannable(program)
    if not dots:
        raise ConfigError(
            f"the network '{program.name}' has no layer with weights of one bit",
            "give a binary network",
        )
    table = load_pieces(config.pieces)
    images = _calibration(config)
    plans = {}
    for done, (name, dot) in enumerate(dots.items()):
        plans[name] = plan_layer(program, name, dot, config, table)
        if progress is not None:
            progress(done + 1, len(dots))
    skipping = SkipNetwork(program, config.skips, calibration=images)
    runs = None
    if config.part:
        runs = run_on(config.part, config.skips.width, dots, skipping, images)
    return Design(program, config, plans, table, skipping, runs)


def _calibration(config: Config) -> npt.NDArray[Any] | None:
    if not config.calibration:
        if not config.skips.needs_calibration:
            return None
        tiles = config.skips.tile_order in CALIBRATED
        which = "tile_order" if tiles else "channel_order"
        raise ConfigError(
            f"{which} = '{getattr(config.skips, which)}' needs calibration images",
            "name a data set: calibration = 'cifar10'",
        )
    return load(config.calibration, "train", limit=config.calibration_images).images
