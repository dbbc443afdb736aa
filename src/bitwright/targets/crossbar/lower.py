"""Lowering to crossbars: layers in tiles, flips, row order, and what calibration images say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from bitwright.data import load
from bitwright.errors import ConfigError, UnknownNameError
from bitwright.ir import reference
from bitwright.ir.program import Program
from bitwright.targets.base import Progress
from bitwright.targets.crossbar.calibrate import calibrate
from bitwright.targets.crossbar.cost import settings_of
from bitwright.targets.crossbar.cost.pieces import load_pieces
from bitwright.targets.crossbar.design import Config, Design, ideal_amp
from bitwright.targets.crossbar.devices.cells import Cell
from bitwright.targets.crossbar.devices.presets import cell_preset, read_volt
from bitwright.targets.crossbar.devices.wires import ROOM_KELVIN, wire_ohm
from bitwright.targets.crossbar.flips import scatter, sparsify
from bitwright.targets.crossbar.mapping import (
    Layer,
    Tile,
    binary_dots,
    cut,
    reorder,
    windows_of,
)
from bitwright.targets.crossbar.sensing import Sensing
from bitwright.targets.crossbar.solver.ladder import Ladder


def lower(program: Program, config: Config, progress: Progress | None = None) -> Design:
    """Return the design of a program; progress is told while layers are calibrated.

    Raises
    ------
    ConfigError
        If no layer is binary, a setting of the device or the wires is unknown or out of range, or
        what is asked for takes calibration images and no data set is named.
    UnknownNameError
        If there is no such node.
    DataError
        If the calibration images cannot be had.
    """
    dots = binary_dots(program)
    if not dots:
        raise ConfigError(
            f"the network '{program.name}' has no layer of bits with weights of one bit",
            "give a binary network",
        )
    load_pieces(settings_of(config.cost).pieces)  # what is wrong there is told before the work
    for name in config.gains:
        if name not in dots:
            raise ConfigError(
                f"'{name}' of [gains] is no layer on arrays", f"those are {', '.join(dots)}"
            )
    rows = _inputs_of_an_array(config)
    images = _calibration(config)
    layers = {name: cut(name, dot, rows, config.word_lines) for name, dot in dots.items()}
    if config.row_order == "active" and images is not None:
        layers = _by_activity(program, layers, images)
    if config.flips in ("static", "both"):
        layers = {n: sparsify(layer, config.flip_granularity) for n, layer in layers.items()}
    elif config.flips == "random":
        layers = {
            name: scatter(layer, np.random.default_rng([config.seed, index]))
            for index, (name, layer) in enumerate(layers.items())
        }
    cell, ladder = circuit(config)
    plain = Sensing(
        unit_amp=ideal_amp(cell, ladder),
        bits=config.adc_bits,
        full_scale=float(min(config.word_lines or rows, rows)),
        offset=config.adc_offset,
        noise=config.adc_noise,
    )
    sensing = dict.fromkeys(layers, plain) | {
        name: replace(plain, unit_amp=gain * plain.unit_amp) for name, gain in config.gains.items()
    }
    design = Design(program, config, layers, cell, ladder, sensing)
    if images is None or not (config.calibrate or config.adc_range == "data"):
        return design
    return calibrate(design, images, progress)


def circuit(config: Config) -> tuple[Cell | None, Ladder | None]:
    """Return the cell and the ladder of every column, or None of each if cells are ideal.

    Raises
    ------
    ConfigError, UnknownNameError
        If a setting is unknown or out of range, or there is no such node.
    """
    if config.technology == "ideal":
        return None, None
    cell = cell_preset(config.technology, config.node)
    cell = _changed(cell, config.device, "device")
    kelvin = config.device.get("temperature_kelvin", ROOM_KELVIN)
    source, bit = wire_ohm(config.node, config.technology, kelvin)
    ladder = Ladder(
        rows=config.rows,
        source_ohm=source,
        bit_ohm=bit,
        read_volt=read_volt(config.technology, config.node),
    )
    if "rows" in config.wires:
        raise ConfigError("'rows' is no setting of wires", "set rows beside technology")
    return cell, _changed(ladder, config.wires, "wires")


def _changed(thing: Any, settings: Mapping[str, Any], table: str) -> Any:
    known = set(thing.__dataclass_fields__)
    for name in settings:
        if name not in known:
            unknown = UnknownNameError(f"setting of [{table}]", name, known)
            raise ConfigError(unknown.cause, unknown.way_out)
    return replace(thing, **settings)


def _inputs_of_an_array(config: Config) -> int:
    if config.mapping == "and":
        return config.rows
    if config.flips != "none":
        raise ConfigError(
            "complementary cells conduct as much whatever is flipped",
            "use mapping = 'and' with flips, or flips = 'none'",
        )
    if config.rows < 2:
        raise ConfigError("an array of one row has no complementary cells", "give rows = 2 or more")
    return config.rows // 2


def _calibration(config: Config) -> npt.NDArray[Any] | None:
    wanted = {
        "calibrate": bool(config.calibrate),
        "adc_range = 'data'": config.adc_range == "data",
        "row_order = 'active'": config.row_order == "active",
    }
    needed = [name for name, needs in wanted.items() if needs]
    if not needed:
        return None
    if config.adc_range == "data" and config.adc_bits is None:
        raise ConfigError("a converter without bits has no range", "set adc_bits")
    if not config.calibration:
        raise ConfigError(
            f"{needed[0]} needs calibration images", "name a data set: calibration = 'cifar10'"
        )
    return load(config.calibration, "train", limit=config.calibration_images).images


def _by_activity(
    program: Program, layers: Mapping[str, Layer], images: npt.NDArray[Any]
) -> dict[str, Layer]:
    """Return layers whose inputs are sorted by how often they are 1, times how many weights are."""
    rates: dict[str, npt.NDArray[np.float64]] = {}
    wanted = {layer.dot.op.input for layer in layers.values()}
    values = reference.run(program, images, wanted)
    for name, layer in layers.items():
        bits, _ = windows_of(layer.dot, values[layer.dot.op.input])
        rates[name] = bits.mean(axis=0)
    return {
        name: replace(
            layer,
            tiles=tuple(_sorted(tile, rates[name]) for tile in layer.tiles),
        )
        for name, layer in layers.items()
    }


def _sorted(tile: Tile, rates: npt.NDArray[np.float64]) -> Tile:
    current = np.zeros_like(rates)
    current[tile.inputs] = rates[tile.inputs] * tile.weights.mean(axis=1)
    return reorder(tile, current)
