"""Lowering to approximate popcounts: which layers get the circuit, and what they compare with."""

from __future__ import annotations

import numpy as np

from bitwright.circuits import Circuit, error_statistics, exact_joint, make, parse, sampled_joint
from bitwright.data import load
from bitwright.errors import CircuitError, ConfigError
from bitwright.ir import ops as o
from bitwright.ir.program import Program
from bitwright.native.convolution import dot_of
from bitwright.native.fusion import find_fused
from bitwright.native.sliced_network import CircuitNetwork
from bitwright.targets.majority.calibrate import match_thresholds
from bitwright.targets.majority.design import Config, Design

SAMPLES = 100_000
"""Random inputs from which a mean error is estimated where it cannot be had exactly."""


def lower(program: Program, config: Config) -> Design:
    """Return the design of a program.

    Raises
    ------
    ConfigError
        If a layer does not exist or cannot have a circuit, or calibration images are needed and
        none are named.
    CircuitError
        If there is no such circuit for a layer's fan-in.
    DataError
        If the calibration images cannot be had.
    """
    dots = {
        op.output: dot_of(program, op) for op in program.ops if isinstance(op, o.Conv2d | o.Dense)
    }
    fused = find_fused(program, program.outputs, dots)
    possible = [f.dot.op.output for f in fused.values() if f.dot.method == "binary"]
    names = config.layers or tuple(possible)
    spec = parse(config.circuit)
    circuits = {}
    for name in names:
        if name not in possible:
            raise ConfigError(
                f"'{name}' is no layer of bits with a threshold behind it",
                f"layers that circuits can do: {', '.join(possible) or 'none'}",
            )
        weights = dots[name].weights
        rows, columns, channels = weights.shape[1:]
        circuits[name] = make(spec, weights[0].size, (rows, columns, channels))
    if not circuits:
        raise ConfigError(
            "the network has no layer of bits with a threshold behind it",
            "give a network with binary layers",
        )
    network = CircuitNetwork(program, circuits, exact)
    if config.thresholds in ("mean", "rate"):
        if not config.calibration:
            raise ConfigError(
                f"thresholds = '{config.thresholds}' needs calibration images",
                "name a data set: calibration = 'cifar10'",
            )
        images = load(config.calibration, "train", limit=config.calibration_images).images
        thresholds = match_thresholds(network, program, images, config.thresholds, exact)
    else:
        thresholds = {
            stage.name: stage.exact[0] + _shift(circuits[stage.name], config.thresholds)
            for stage in network.layers
            if stage.name in circuits
        }
    return Design(program, config, circuits, thresholds)


def exact(inputs: int) -> Circuit:
    """Return the exact popcount of a fan-in."""
    return make("exact", inputs)


def _shift(circuit: Circuit, how: str) -> int:
    """Return how much a circuit's values are too high on average, on random bits."""
    if how == "unchanged":
        return 0
    try:
        joint = exact_joint(circuit)
    except CircuitError:  # its inputs meet in too many ways
        joint = sampled_joint(circuit, SAMPLES, np.random.default_rng(0))
    return round(error_statistics(joint).bias * circuit.divisor)
