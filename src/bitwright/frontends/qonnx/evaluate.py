"""A QONNX graph run as it is, in float32 or float64: by ONNX's own reference evaluator.

Requirements:

- Only graphs that `bitwright.frontends.qonnx.importer` takes come here: their ops are known, small
  and without subgraphs, and nothing else of the file is run.
- QONNX's own ops are written here as its specification defines them, in the arithmetic of their
  input, and share nothing with the importer.
- In float64 the constants are those of the file, widened.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from bitwright.frontends.qonnx.file import STANDARD_DOMAINS, load_onnx

Array = npt.NDArray[Any]

DOMAIN = "qonnx.custom_op.general"
_ROUNDINGS = {"ROUND": np.rint, "HALF_EVEN": np.rint, "CEIL": np.ceil, "FLOOR": np.floor}


class Evaluator:
    """A graph in one arithmetic.

    Parameters
    ----------
    model
        A ``ModelProto`` that can be imported; it is left as it is.
    dtype
        float32 or float64.
    """

    def __init__(self, model: Any, dtype: type[np.floating[Any]]) -> None:
        onnx = load_onnx()
        from onnx.reference import ReferenceEvaluator  # noqa: PLC0415 - an optional package
        from onnx.reference.op_run import OpRun  # noqa: PLC0415

        ops = [
            type(name, (OpRun,), {"op_domain": domain, "_run": run})
            for (domain, name), run in _OPS.items()
        ]
        self.dtype = dtype
        self._evaluator = ReferenceEvaluator(_normalised(onnx, model, dtype), new_ops=ops)
        self._entry = next(name for name in self._evaluator.input_names)

    def run(self, x: Array, names: Collection[str]) -> dict[str, Array]:
        """Run the graph image by image, since it may be made for a batch of 1.

        Parameters
        ----------
        x
            The graph's input, (images, ...).
        names
            Tensors of the graph.

        Returns
        -------
        dict
            Each tensor, (images, ...).
        """
        wanted = list(names)
        rows = [
            self._evaluator.run(wanted, {self._entry: x[i : i + 1].astype(self.dtype)})
            for i in range(len(x))
        ]
        return {
            name: np.concatenate(list(parts))
            for name, parts in zip(wanted, zip(*rows, strict=True), strict=True)
        }


def _normalised(onnx: Any, model: Any, dtype: type[np.floating[Any]]) -> Any:
    """Return a copy with the usual names of domains, and constants of one type."""
    made = onnx.ModelProto()
    made.CopyFrom(model)
    versions = {item.domain: item.version for item in model.opset_import}
    version = next(versions[d] for d in STANDARD_DOMAINS if d in versions)
    custom = {name for domain, name in _OPS if domain == DOMAIN}
    del made.opset_import[:]
    for domain, number in (("", version), (DOMAIN, 1)):
        made.opset_import.append(onnx.helper.make_opsetid(domain, number))
    graph = made.graph
    for node in graph.node:
        node.domain = DOMAIN if node.op_type in custom else ""
        if node.op_type == "Constant":
            _constant(onnx, node, dtype)
    stored = {tensor.name for tensor in graph.initializer}
    for tensor in graph.initializer:
        tensor.CopyFrom(_typed(onnx, tensor, tensor.name, dtype))
    entries = [value for value in graph.input if value.name not in stored]
    for values in (graph.input, graph.value_info):
        del values[:]
    kind = onnx.TensorProto.DOUBLE if dtype is np.float64 else onnx.TensorProto.FLOAT
    for entry in entries:
        entry.type.tensor_type.elem_type = kind
    graph.input.extend(entries)
    return made


def _typed(onnx: Any, tensor: Any, name: str, dtype: type[np.floating[Any]]) -> Any:
    array = onnx.numpy_helper.to_array(tensor)
    array = array.astype(dtype) if array.dtype.kind == "f" else array
    return onnx.numpy_helper.from_array(array, name)


def _constant(onnx: Any, node: Any, dtype: type[np.floating[Any]]) -> None:
    (item,) = node.attribute
    if item.name == "value":
        tensor = _typed(onnx, item.t, item.t.name, dtype)
    elif item.name in ("value_float", "value_floats"):
        number = item.f if item.name == "value_float" else list(item.floats)
        tensor = onnx.numpy_helper.from_array(np.asarray(number, np.float32).astype(dtype))
    else:
        return
    del node.attribute[:]
    node.attribute.append(onnx.helper.make_attribute("value", tensor))


# The ops, as methods of onnx.reference's OpRun: attributes are named arguments.


def _bipolar_quant(_: Any, x: Array, scale: Array) -> tuple[Array, ...]:
    return (np.where(x >= 0, 1, -1).astype(x.dtype) * scale,)


def _quant(
    _: Any,
    x: Array,
    scale: Array,
    zero: Array,
    bits: Array,
    signed: int = 1,
    narrow: int = 1,
    rounding_mode: str = "ROUND",
) -> tuple[Array, ...]:
    y = x / scale + zero
    width = float(bits.reshape(-1)[0])
    if signed and width == 1:
        y = np.where(y >= 0, 1, -1).astype(x.dtype)
    else:
        most = 2 ** (width - 1) - 1 if signed else 2**width - 1 - bool(narrow)
        least = bool(narrow) - 2 ** (width - 1) if signed else 0
        y = _ROUNDINGS[rounding_mode.upper()](np.clip(y, least, most))
    return (((y - zero) * scale).astype(x.dtype),)


def _multi_threshold(
    _: Any,
    x: Array,
    thresholds: Array,
    out_dtype: str = "",
    out_scale: float = 1.0,
    out_bias: float = 0.0,
    data_layout: str = "",
) -> tuple[Array, ...]:
    axis = data_layout.index("C") if "C" in data_layout else 1
    last = np.moveaxis(x, axis, -1)
    count = (last[..., None] >= thresholds).sum(axis=-1)
    made = (out_scale * count + out_bias).astype(x.dtype)
    return (np.moveaxis(made, -1, axis),)


def _batch_norm(
    _: Any,
    x: Array,
    gamma: Array,
    beta: Array,
    mean: Array,
    variance: Array,
    epsilon: float = 1e-5,
    momentum: float = 0.9,
    training_mode: int = 0,
) -> tuple[Array, ...]:
    # onnx.reference runs the versions of opsets 9 to 13 as in training.
    shape = (-1, *[1] * (x.ndim - 2))
    g, b, m, v = (part.reshape(shape) for part in (gamma, beta, mean, variance))
    return ((g * (x - m) / np.sqrt(v + x.dtype.type(epsilon)) + b).astype(x.dtype),)


def _max_pool(
    _: Any,
    x: Array,
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    dilations: Sequence[int] | None = None,
    kernel_shape: Sequence[int] = (),
    pads: Sequence[int] | None = None,
    storage_order: int = 0,
    strides: Sequence[int] | None = None,
) -> tuple[Array, ...]:
    # onnx.reference mixes up unequal pads; the importer refuses what is left out here.
    steps = tuple(strides or (1, 1))
    before, behind = tuple(pads or (0,) * 4)[:2], tuple(pads or (0,) * 4)[2:]
    if auto_pad in ("SAME_UPPER", "SAME_LOWER"):
        sizes = zip(x.shape[2:], kernel_shape, steps, strict=True)
        total = tuple(max(0, (-(-size // s) - 1) * s + k - size) for size, k, s in sizes)
        less, more = tuple(t // 2 for t in total), tuple(t - t // 2 for t in total)
        before, behind = (less, more) if auto_pad == "SAME_UPPER" else (more, less)
    margins = ((0, 0), (0, 0), (before[0], behind[0]), (before[1], behind[1]))
    padded = np.pad(x, margins, constant_values=-np.inf)
    windows = np.lib.stride_tricks.sliding_window_view(padded, tuple(kernel_shape), axis=(2, 3))
    return (windows[:, :, :: steps[0], :: steps[1]].max(axis=(4, 5)),)


_OPS: dict[tuple[str, str], Callable[..., tuple[Array, ...]]] = {
    (DOMAIN, "BipolarQuant"): _bipolar_quant,
    (DOMAIN, "Quant"): _quant,
    (DOMAIN, "IntQuant"): _quant,
    (DOMAIN, "MultiThreshold"): _multi_threshold,
    ("", "BatchNormalization"): _batch_norm,
    ("", "MaxPool"): _max_pool,
}
