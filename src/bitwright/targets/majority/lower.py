"""Lowering to approximate popcounts: which layers get which circuit, and how errors are mended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from bitwright.circuits import Circuit, Spec, error_statistics, joint, make, parse
from bitwright.data import load
from bitwright.errors import ConfigError
from bitwright.ir import ops as o
from bitwright.ir.program import Program
from bitwright.native.circuit_graph import CircuitDot, dot_tables
from bitwright.native.convolution import Dot, dot_of
from bitwright.native.sliced_network import CircuitNetwork
from bitwright.native.sliced_stage import Stage
from bitwright.targets.base import Progress
from bitwright.targets.majority import held_out, mitigate
from bitwright.targets.majority.calibrate import calibrate
from bitwright.targets.majority.costs import choose, map_all
from bitwright.targets.majority.design import CALIBRATED, THRESHOLDS_ONLY, Config, Design
from bitwright.targets.majority.distil import distil
from bitwright.targets.majority.networks import Network, Settings, build
from bitwright.targets.majority.orders import Layers, check_free, learn_orders

Array = npt.NDArray[Any]


def lower(program: Program, config: Config, progress: Progress | None = None) -> Design:
    """Return the design of a program.

    Raises
    ------
    ConfigError
        If a layer does not exist or cannot have a circuit, or calibration images are needed and
        none are named, or the network has no thresholds where the mitigation needs them.
    CircuitError
        If there is no such circuit for a layer's fan-in.
    DataError
        If the calibration images cannot be had.
    LibertyError, ToolError
        If circuits are to be mapped to cells, and cannot be.
    """
    chosen = choose(config.liberty)
    layers = _layers(program, config)
    if config.order == "learned":
        check_free(layers)
    circuits = _circuits(layers)
    network = build(program, circuits)
    how = config.thresholds
    if how in THRESHOLDS_ONLY and not isinstance(network, CircuitNetwork):
        raise ConfigError(
            f"thresholds = '{how}' needs a threshold behind each circuit; here "
            f"'{network.layers[0].name}' or a later one feeds arithmetic",
            "take 'mean', 'affine' or 'table'",
        )
    images = None
    if how in CALIBRATED or config.order == "learned":
        images = _images(config)
        if config.order == "learned":
            circuits = _circuits(learn_orders(program, layers, images[0]))
            network = build(program, circuits)
    costs = {} if chosen is None else map_all(circuits, chosen, progress)
    if images is None:
        design = _design(program, config, circuits, network, _uncalibrated(network, how))
    else:
        design = _calibrated(program, config, circuits, network, *images)
    return replace(design, costs=costs)


def _calibrated(
    program: Program,
    config: Config,
    circuits: Mapping[str, Circuit],
    network: Network,
    calibrating: Array,
    checking: Array,
) -> Design:
    """Return the design that some images choose, checked on others."""
    how = config.thresholds
    if how not in CALIBRATED:
        tuned = _uncalibrated(network, how)
    elif isinstance(network, CircuitNetwork) and how == "distilled":
        tuned = distil(network, calibrating, config.epochs)
    else:
        tuned = calibrate(network, calibrating, how)
    settings: dict[str, Settings] = {"tuned": tuned}
    for other in ("expected", "unchanged"):
        settings[other] = _uncalibrated(network, other)
    found = held_out.check(network, checking, settings)
    return replace(
        _design(program, config, circuits, network, tuned),
        calibration_images=len(calibrating),
        held_out=found,
        warnings=held_out.warnings(how, len(calibrating), found),
    )


def _images(config: Config) -> tuple[Array, Array]:
    """Return the images that calibrate, and those that check the result."""
    if not config.calibration:
        setting = "thresholds" if config.thresholds in CALIBRATED else "order"
        raise ConfigError(
            f"{setting} = '{getattr(config, setting)}' needs calibration images",
            "name a data set: calibration = 'cifar10'",
        )
    wanted = config.calibration_images + config.held_out_images
    images = load(config.calibration, "train", limit=wanted).images
    # Where there are fewer images than asked for, each part gets its share.
    count = min(config.calibration_images, len(images) * config.calibration_images // wanted)
    if not 0 < count < len(images):
        raise ConfigError(
            f"'{config.calibration}' has {len(images)} training images, too few to calibrate on "
            "some and check on others",
            "name a larger data set",
        )
    return images[:count], images[count:]


def _design(
    program: Program,
    config: Config,
    circuits: Mapping[str, Circuit],
    network: Network,
    settings: Settings,
) -> Design:
    integers = {name: np.asarray(setting, np.int64) for name, setting in settings.items()}
    if isinstance(network, CircuitNetwork):
        return Design(program, config, circuits, integers)
    return Design(program, config, circuits, {}, integers)


def _layers(program: Program, config: Config) -> dict[str, tuple[Dot, Spec]]:
    """Return the layers that get circuits, and which, in the program's order."""
    dots = _possible(program)
    specs = dict.fromkeys(config.layers or tuple(dots), config.circuit) | dict(config.circuits)
    for name in specs:
        if name not in dots:
            raise ConfigError(
                f"'{name}' is no layer of bits that decides later bits",
                f"layers that circuits can do: {', '.join(dots) or 'none'}",
            )
    if not specs:
        raise ConfigError(
            "the network has no layer of bits that decides later bits",
            "give a network with binary layers",
        )
    return {name: (dot, parse(specs[name])) for name, dot in dots.items() if name in specs}


def _circuits(layers: Layers) -> dict[str, Circuit]:
    """Return the circuit of each layer."""
    circuits = {}
    for name, (dot, spec) in layers.items():
        rows, columns, channels = dot.weights.shape[1:]
        circuits[name] = make(spec, dot.weights[0].size, (rows, columns, channels))
    return circuits


def _possible(program: Program) -> dict[str, Dot]:
    """Return the dot products of bits with a threshold somewhere behind them."""
    decides: set[str] = set()
    for op in reversed(program.ops):
        if isinstance(op, o.Threshold) or op.output in decides:
            decides.update(op.inputs)
    dots = {
        op.output: dot_of(program, op)
        for op in program.ops
        if isinstance(op, o.Conv2d | o.Dense) and op.output in decides
    }
    return {name: dot for name, dot in dots.items() if dot.method == "binary"}


def _uncalibrated(network: Network, how: str) -> Settings:
    """Return the thresholds or tables of a mitigation that looks at the circuits alone."""
    return {stage.name: _from_circuit(stage, how) for stage in network.layers}


def _from_circuit(stage: Stage | CircuitDot, how: str) -> mitigate.Integers:
    code = stage.layer.code
    circuit = code.circuit
    values = code.least + np.arange(1 << code.planes)
    if how == "expected_table":
        at, samples, counts = _mean_counts(circuit)
        every = np.zeros((2, len(values)))
        every[:, at - code.least] = samples, counts
        table = mitigate.count_table(every[0], every[1], circuit.divisor)
        if isinstance(stage, CircuitDot):
            return dot_tables(stage, table)[None]
        return mitigate.fold(table, code.least, stage.exact, stage.rising)
    shift = _bias(circuit) if how == "expected" else 0
    if isinstance(stage, CircuitDot):
        return dot_tables(stage, (values - shift) // circuit.divisor)[None]
    return np.asarray(stage.naive[0] + shift, np.int64)


@lru_cache(maxsize=64)
def _bias(circuit: Circuit) -> int:
    """Return how much a circuit's values are too high on average, on random bits."""
    return round(error_statistics(joint(circuit)).bias * circuit.divisor)


@lru_cache(maxsize=64)
def _mean_counts(circuit: Circuit) -> tuple[mitigate.Integers, mitigate.Floats, mitigate.Floats]:
    """Return the values that occur, how often, and the sum of the counts that go with them."""
    found = joint(circuit)
    return found.values, found.p.sum(axis=1), found.p @ np.arange(found.inputs + 1)
