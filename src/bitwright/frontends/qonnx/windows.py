"""Windows, paddings and weights as ONNX writes them, as a program has them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from bitwright.frontends.qonnx.file import Node
from bitwright.frontends.values import Window

Array = npt.NDArray[Any]


def window(node: Node, shape: Sequence[int], kernel: Sequence[int]) -> Window:
    """Return stride, padding and groups of a Conv or a pool.

    Parameters
    ----------
    node
        The layer.
    shape, kernel
        (channels, rows, columns) of its input, and (rows, columns) of its window.
    """
    if len(shape) != 3 or len(kernel) != 2:
        raise node.refuse("takes no two-dimensional map", "use a network of images")
    if tuple(node.get("kernel_shape", kernel)) != tuple(kernel):
        raise node.refuse("has a kernel_shape that its weights do not have", "check the model")
    if any(d != 1 for d in node.get("dilations", ())):
        raise node.refuse("is dilated", "use a plain one")
    if node.get("ceil_mode", 0) or node.get("storage_order", 0) or len(node.outputs) > 1:
        raise node.refuse("uses ceil_mode, storage_order or indices", "use a plain MaxPool")
    down, right = (int(s) for s in node.get("strides", (1, 1)))
    pads = [int(p) for p in node.get("pads", (0, 0, 0, 0))]
    automatic = node.get("auto_pad", "NOTSET")
    if automatic in ("SAME_UPPER", "SAME_LOWER"):
        missing = [
            max(0, (-(-size // s) - 1) * s + k - size)
            for size, s, k in zip(shape[1:], (down, right), kernel, strict=True)
        ]
        less = [m // 2 if automatic == "SAME_UPPER" else m - m // 2 for m in missing]
        pads = [*less, *(m - part for m, part in zip(missing, less, strict=True))]
    elif automatic not in ("NOTSET", "VALID"):
        raise node.refuse(f"has auto_pad {automatic}", "give its pads as numbers")
    if len(pads) != 4:
        raise node.refuse(f"has the pads {pads}", "give four numbers")
    top, left, bottom, right_pad = pads
    return Window((down, right), (top, bottom, left, right_pad), int(node.get("group", 1)))


def pad(node: Node, constants: list[Array]) -> tuple[tuple[int, int, int, int], float]:
    """Return (top, bottom, left, right) of a Pad, and what it pads with."""
    pads = [int(p) for p in (constants[0].reshape(-1) if constants else node.get("pads", ()))]
    if node.get("mode", "constant") != "constant" or len(pads) != 8 or len(constants) > 2:
        raise node.refuse("does not pad a map with a constant", "use mode = constant")
    if any(pads[k] for k in (0, 1, 4, 5)) or min(pads) < 0:
        raise node.refuse("pads the batch or the channels, or crops", "pad rows and columns only")
    number = constants[1].reshape(-1)[0] if len(constants) > 1 else node.get("value", 0.0)
    return (pads[2], pads[6], pads[3], pads[7]), float(number)


def integers(node: Node, weights: Array) -> tuple[Array, npt.NDArray[np.float32]]:
    """Return weights as bool (+-1) or int8 numbers, and a scale for each output.

    Parameters
    ----------
    node
        The layer.
    weights
        (out, ...), finite.
    """
    rows = weights.reshape(len(weights), -1).astype(np.float32)
    sizes = np.abs(rows)
    scale = np.where(sizes > 0, sizes, np.inf).min(axis=1)
    scale = np.where(np.isfinite(scale), scale, np.float32(1)).astype(np.float32)
    whole = np.rint(rows / scale[:, None])
    if (np.abs(whole) == 1).all() and (whole * scale[:, None] == rows).all():
        return (whole > 0).reshape(weights.shape), scale
    # Not +-1: integers times one scale, the least step between weights.
    steps = np.diff(np.unique(rows))
    step = np.float32(min(steps.min(initial=np.inf), scale.min()))
    for candidate in (np.float32(1), np.float32(step)):
        whole = np.rint(rows / candidate)
        if np.abs(whole).max() <= 127 and (whole * candidate == rows).all():
            scales = np.full(len(rows), candidate, np.float32)
            return whole.astype(np.int8).reshape(weights.shape), scales
    raise node.refuse(
        "has weights that are neither +-1 nor 8-bit integers times a scale",
        "quantise them with BipolarQuant or Quant",
    )
