"""What ONNX and QONNX say that their element-wise ops do, in NumPy float32.

Requirements:

- Each op is written as its specification computes it, in float32, in that order: thresholds are
  found by running these functions, so rounding at the boundary is the specification's.
- The channel axis is the last one; constants are vectors, one number a channel.
- Next to it stands what the op is in real numbers, as straight pieces, where it is such.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bitwright.frontends.lines import Lines, clipped, kinked, line
from bitwright.frontends.qonnx.file import Node

Array = npt.NDArray[Any]
Floats32 = npt.NDArray[np.float32]
Vectors = list[Floats32]

BATCH_NORM = ("gamma", "beta", "mean", "variance")
MAX_FOLDED = 2**26
REPAIR = "repair the checkpoint, or train again with a lower learning rate"
_ROUNDINGS = {"ROUND": np.rint, "HALF_EVEN": np.rint, "CEIL": np.ceil, "FLOOR": np.floor}


@dataclass(frozen=True, eq=False)
class Function:
    """An element-wise op: how it is run on (points, channels), and its straight pieces.

    `lines` is None for what has steps or bends: it can be tabulated for pixels, but nothing else.
    """

    run: Callable[[Floats32], Floats32]
    lines: Lines | None


# Ops of one value and constants, by name: (node, constants as vectors, the value's place) -> ...

Maker = Callable[[Node, Vectors, int], Function]


def _add(node: Node, c: Vectors, place: int) -> Function:
    return Function(lambda x: x + c[0], line(np.ones(len(c[0])), c[0]))


def _subtract(node: Node, c: Vectors, place: int) -> Function:
    if place == 0:
        return Function(lambda x: x - c[0], line(np.ones(len(c[0])), -c[0].astype(np.float64)))
    return Function(lambda x: c[0] - x, line(-np.ones(len(c[0])), c[0]))


def _multiply(node: Node, c: Vectors, place: int) -> Function:
    return Function(lambda x: x * c[0], line(c[0], np.zeros(len(c[0]))))


def _divide(node: Node, c: Vectors, place: int) -> Function:
    if place != 0:
        raise node.refuse("divides by an activation", "use steps that rise or fall")
    if (c[0] == 0).any():
        raise node.refuse("divides by zero", "repair the checkpoint")
    return Function(lambda x: x / c[0], line(1 / c[0].astype(np.float64), np.zeros(len(c[0]))))


def _negate(node: Node, c: Vectors, place: int) -> Function:
    return Function(lambda x: -x, line(np.array([-1.0]), np.array([0.0])))


def _relu(node: Node, c: Vectors, place: int) -> Function:
    return Function(lambda x: np.maximum(x, np.float32(0)), kinked(np.zeros(1), 0.0, 1.0))


def _prelu(node: Node, c: Vectors, place: int) -> Function:
    if place != 0:
        raise node.refuse("has a slope that is an activation", "use a constant slope")
    return Function(lambda x: np.where(x < 0, x * c[0], x), kinked(np.zeros(len(c[0])), c[0], 1.0))


def _clip(node: Node, c: Vectors, place: int) -> Function:
    low, high = c if len(c) == 2 else (node.get("min", None), node.get("max", None))
    if low is None or high is None or (np.asarray(low) > np.asarray(high)).any():
        raise node.refuse("has no bound at one side, or crossed ones", "give it min and max")
    least, most = (np.asarray(b, np.float32).reshape(-1) for b in (low, high))
    ends = (least.astype(np.float64), most.astype(np.float64))
    return Function(lambda x: np.minimum(np.maximum(x, least), most), clipped(*ends))


def _batch_norm(node: Node, c: Vectors, place: int) -> Function:
    if place != 0 or len(c) != 4:
        raise node.refuse("has statistics that are not constant", "export it in evaluation mode")
    if node.get("training_mode", 0) or len([o for o in node.outputs if o]) != 1:
        raise node.refuse("is in training mode", "export the network in evaluation mode")
    gamma, beta, mean, variance = c
    epsilon = np.float32(node.get("epsilon", 1e-5))
    if (variance < 0).any():
        raise node.refuse("has a variance below zero", "repair the checkpoint")
    if not np.isfinite(epsilon) or (variance + epsilon <= 0).any():
        raise node.refuse("divides by zero: variance and epsilon are 0", "give it an epsilon")

    def run(x: Floats32) -> Floats32:
        return np.asarray(gamma * (x - mean) / np.sqrt(variance + epsilon) + beta)

    g, b, m, v = (part.astype(np.float64) for part in c)
    slope = g / np.sqrt(v + float(epsilon))
    return Function(run, line(slope, b - m * slope))


def _bipolar(node: Node, c: Vectors, place: int) -> Function:
    _check_place(node, place)
    return Function(lambda x: np.where(x >= 0, c[0], -c[0]), None)


def _quant(node: Node, c: Vectors, place: int) -> Function:
    _check_place(node, place)
    return Function(lambda x: quantise(node, x, *c), None)


def quantise(node: Node, x: Array, scale: Array, zero: Array, bits: Array) -> Array:
    """Return what QONNX's Quant gives."""
    if bits.size == 0 or (bits != bits.flat[0]).any() or not 1 <= float(bits.flat[0]) <= 32:
        raise node.refuse("has no one bit width from 1 to 32", "quantise to 8 bits")
    if not (scale > 0).all():
        raise node.refuse("has a scale that is not positive", "repair the checkpoint")
    width = float(bits.flat[0])
    signed, narrow = bool(node.get("signed", 1)), bool(node.get("narrow", 1))
    rounding = _ROUNDINGS.get(str(node.get("rounding_mode", "ROUND")).upper())
    if rounding is None:
        raise node.refuse(
            f"rounds by {node.get('rounding_mode', '')}", "round by ROUND, CEIL or FLOOR"
        )
    y = x / scale + zero
    if width == 1 and signed:
        y = np.where(y >= 0, np.float32(1), np.float32(-1))
    else:
        most = 2 ** (width - 1) - 1 if signed else 2**width - 1 - narrow
        least = narrow - 2 ** (width - 1) if signed else 0.0
        y = rounding(np.minimum(np.maximum(y, np.float32(least)), np.float32(most)))
    return np.asarray((y - zero) * scale)


def _round(node: Node, c: Vectors, place: int) -> Function:
    return Function({"Round": np.rint, "Floor": np.floor, "Ceil": np.ceil}[node.op], None)


def _check_place(node: Node, place: int) -> None:
    if place != 0:
        raise node.refuse("has parameters that are activations", "use constant ones")


FUNCTIONS: dict[str, Maker] = {
    "Add": _add,
    "Sub": _subtract,
    "Mul": _multiply,
    "Div": _divide,
    "Neg": _negate,
    "Relu": _relu,
    "PRelu": _prelu,
    "Clip": _clip,
    "BatchNormalization": _batch_norm,
    "BipolarQuant": _bipolar,
    "Quant": _quant,
    "IntQuant": _quant,
    "Round": _round,
    "Floor": _round,
    "Ceil": _round,
}
"""MultiThreshold has a matrix for a constant, so it is `multi_threshold`."""


def multi_threshold(node: Node, table: Floats32, channels: int) -> Function:
    """Return QONNX's MultiThreshold: bias + scale * how many thresholds (channels, steps) are <= x.

    With one threshold and two opposite outputs it is a sign.
    """
    if table.ndim != 2 or table.shape[0] not in (1, channels) or not table.shape[1]:
        raise node.refuse(
            f"has thresholds of the shape {table.shape} for {channels} channels",
            "give it (channels, steps)",
        )
    scale, bias = (np.float32(node.get(k, d)) for k, d in (("out_scale", 1.0), ("out_bias", 0.0)))

    def run(x: Floats32) -> Floats32:
        return np.asarray(scale * count_passed(table, x) + bias)

    return Function(run, None)


def count_passed(table: Floats32, x: Floats32) -> Floats32:
    """Count the thresholds (channels or 1, steps) that x (points, channels) reaches."""
    counts = np.empty(x.shape, np.float32)
    for c in range(x.shape[1]):
        row = np.sort(table[c if len(table) > 1 else 0])
        counts[:, c] = np.searchsorted(row, x[:, c], side="right")
    return counts


def fold(node: Node, args: list[Array]) -> Array | None:
    """Return what a node makes of constants alone, or None if it is of no kind that is folded."""
    _check_size(node, args)
    try:
        with np.errstate(all="ignore"):
            made = _fold(node, args)
    except (ValueError, IndexError, TypeError) as error:
        raise node.refuse("has constants that do not fit together", "check the model") from error
    if made is not None and args and made.dtype.kind == "f" and args[0].dtype == np.float32:
        made = made.astype(np.float32, copy=False)
    return made


def _fold(node: Node, args: list[Array]) -> Array | None:
    match node.op, args:
        case "Constant", []:
            return _constant(node)
        case (("Identity" | "Dropout"), [x, *_]):
            return x
        case "BipolarQuant", [x, scale]:
            return np.asarray(np.where(x >= 0, 1, -1).astype(np.float32) * scale)
        case (("Quant" | "IntQuant"), [x, scale, zero, bits]):
            return quantise(node, x, scale, zero, bits)
        case "Transpose", [x]:
            return x.transpose(node.get("perm", None))
        case "Reshape", [x, shape]:
            return x.reshape(reshaped(x.shape, shape, bool(node.get("allowzero", 0))))
        case "Flatten", [x]:
            axis = int(node.get("axis", 1))
            return x.reshape(int(np.prod(x.shape[:axis], dtype=np.int64)), -1)
        case "Unsqueeze", [x, *axes]:
            return np.expand_dims(x, _axes(node, axes))
        case "Squeeze", [x, *axes]:
            return np.squeeze(x, _axes(node, axes) or None)
        case (("Add" | "Sub" | "Mul" | "Div" | "Pow"), [a, b]):
            ops = {"Add": np.add, "Sub": np.subtract, "Mul": np.multiply, "Pow": np.power}
            if node.op == "Div" and a.dtype.kind != "f":
                return None
            return np.asarray(ops.get(node.op, np.divide)(a, b))
        case (("Neg" | "Sqrt" | "Abs" | "Sign"), [x]):
            ops_of_one = {"Neg": np.negative, "Sqrt": np.sqrt, "Abs": np.abs, "Sign": np.sign}
            return np.asarray(ops_of_one[node.op](x))
    return None


def _constant(node: Node) -> Array | None:
    for key, kind in (("value_float", np.float32), ("value_int", np.int64)):
        for name in (key, f"{key}s"):
            if name in node.attributes:
                return np.asarray(node.attributes[name], kind)
    value = node.get("value", None)
    return value if isinstance(value, np.ndarray) else None


def _axes(node: Node, given: list[Array]) -> tuple[int, ...]:
    axes = given[0].reshape(-1) if given else node.get("axes", ())
    return tuple(int(axis) for axis in axes)


def _check_size(node: Node, args: list[Array]) -> None:
    shapes = [a.shape for a in args] if node.op in ("Add", "Sub", "Mul", "Div", "Pow") else []
    shapes = [a.shape for a in args] if node.op in ("BipolarQuant", "Quant", "IntQuant") else shapes
    try:
        size = int(np.prod([float(s) for s in np.broadcast_shapes(*shapes)]))
    except ValueError as error:
        raise node.refuse("has constants that do not fit together", "check the model") from error
    if size > MAX_FOLDED:
        raise node.refuse(f"makes a constant of {size} numbers", f"the limit is {MAX_FOLDED}")


def reshaped(shape: tuple[int, ...], target: Array, zero_is_zero: bool) -> tuple[int, ...]:
    """Return the shape that a Reshape gives; ValueError if there is none."""
    sizes = [int(size) for size in np.asarray(target).reshape(-1)]
    if not zero_is_zero:
        sizes = [shape[k] if size == 0 else size for k, size in enumerate(sizes)]
    total = int(np.prod(shape, dtype=np.int64))
    if sizes.count(-1) == 1:
        rest = int(np.prod([s for s in sizes if s != -1], dtype=np.int64))
        sizes = [total // max(rest, 1) if size == -1 else size for size in sizes]
    if min(sizes, default=1) < 0 or int(np.prod(sizes, dtype=np.int64)) != total:
        raise ValueError("no such shape")
    return tuple(sizes)
