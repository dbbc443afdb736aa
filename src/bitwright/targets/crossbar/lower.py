"""Lowering to crossbars: layers in tiles, flips, row order, and what calibration images say."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from bitwright.data import load
from bitwright.errors import ConfigError, DataError, UnknownNameError
from bitwright.ir import reference
from bitwright.ir.program import Program, check_batch
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
        If no layer is binary, one that is named is not, a setting of the device or the wires is
        unknown or out of range, or what is asked for takes calibration images and no data set of
        such images is named.
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
    _check_names("layers", config.layers, dots)
    _check_names("[gains]", config.gains, dots)
    rows = _inputs_of_an_array(config)
    images = _calibration(program, config)
    layers = {
        name: cut(name, dot, rows, config.word_lines)
        for name, dot in dots.items()
        if name in config.layers or not config.layers
    }
    if config.row_order == "active" and images is not None:
        layers = _by_activity(program, layers, images)
    if config.flips in ("static", "both"):
        layers = {n: sparsify(layer, config.flip_granularity) for n, layer in layers.items()}
    elif config.flips == "random":
        # By its place in the network, a layer's flips do not depend on which others are on arrays.
        rngs = {name: np.random.default_rng([config.seed, k]) for k, name in enumerate(dots)}
        layers = {
            name: scatter(layer, rngs[name], config.flip_granularity)
            for name, layer in layers.items()
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
        name: replace(plain, unit_amp=gain * plain.unit_amp)
        for name, gain in config.gains.items()
        if name in layers
    }
    design = Design(program, config, layers, cell, ladder, sensing)
    if images is None or not (config.calibrate or config.adc_range == "data"):
        return design
    return calibrate(design, images, progress)


def _check_names(setting: str, names: Iterable[str], dots: Iterable[str]) -> None:
    known = tuple(dots)
    for name in names:
        if name not in known:
            raise ConfigError(
                f"'{name}' of {setting} is no layer that arrays can have",
                f"those are {', '.join(known)}",
            )


def circuit(config: Config) -> tuple[Cell | None, Ladder | None]:
    """Return the cell and the ladder of every column, or None of each if cells are ideal.

    Raises
    ------
    ConfigError, UnknownNameError
        If a setting is unknown or out of range, or there is no such node.
    """
    if config.technology == "ideal":
        return None, None
    # Linear cells have no temperature of their own; their wires do.
    cell = _changed(
        cell_preset(config.technology, config.node), config.device, "device", {"temperature_kelvin"}
    )
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
    ladder = _changed(ladder, config.wires, "wires")
    cell.numbers(ladder.read_volt)  # refuses what does not fit together
    return cell, ladder


def _changed(
    thing: Any, settings: Mapping[str, Any], table: str, also: Collection[str] = ()
) -> Any:
    """Return a thing with the settings that are its own; `also` names what others may be there."""
    own = {field.name for field in fields(thing)} - {"rows"}
    known = own | set(also)
    for name in settings:
        if name not in known:
            unknown = UnknownNameError(f"setting of [{table}]", name, known)
            raise ConfigError(unknown.cause, unknown.way_out)
    return replace(thing, **{name: value for name, value in settings.items() if name in own})


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


def _calibration(program: Program, config: Config) -> npt.NDArray[Any] | None:
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
    images = load(config.calibration, "train", limit=config.calibration_images).images
    try:
        return check_batch(program, images)
    except DataError as error:
        raise ConfigError(
            f"the images of calibration = '{config.calibration}' do not fit: {error.cause}",
            "name the data set that the network was trained on",
        ) from error


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
