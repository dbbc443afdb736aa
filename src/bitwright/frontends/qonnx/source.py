"""A QONNX graph beside its program: what each tensor is, by the names of the program's values.

Requirements:

- The graph runs as it is (`bitwright.frontends.qonnx.evaluate`). The importer only says which
  tensor of the graph is which value of the program, and by which scale.
- The graph is given ``pixel / input_scale`` in float32, in float64 too: that is its input.
- Sums times a scale come back as whole numbers where the arithmetic leaves them within rounding.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from bitwright.frontends.qonnx.evaluate import Evaluator
from bitwright.frontends.qonnx.file import graph_of, load, load_onnx
from bitwright.frontends.qonnx.importer import lower_graph, pixel_scale
from bitwright.frontends.qonnx.tensors import Origin
from bitwright.frontends.source import Array, Precision, SourceValue, SourceValues

ROUNDING = 2.0**-16
"""How far from a whole number a sum over its scale may be, of the largest: as in certificates."""


class QonnxSource:
    """A QONNX file as a `bitwright.frontends.source.Source`.

    Parameters
    ----------
    path
        The file.
    input_scale
        As for `bitwright.frontends.qonnx.import_qonnx`.

    Raises
    ------
    DependencyError
        If the package `onnx` is not installed.
    FrontendError
        If the file is damaged or no import takes it: what cannot be imported is not run.
    """

    channels_first = False

    def __init__(self, path: str | os.PathLike[str], input_scale: float | None = None) -> None:
        model = load(path)
        graph = graph_of(model)
        self.name = os.fspath(path)
        self.versions: Mapping[str, str] = {"onnx": str(load_onnx().__version__)}
        self._scale = pixel_scale(graph, input_scale)
        _, self._origins = lower_graph(graph, self._scale, "")
        self._leave = graph.leave
        self._runs: dict[Precision, Evaluator] = {
            "float32": Evaluator(model, np.float32),
            "float64": Evaluator(model, np.float64),
        }

    def run(self, images: Array, precision: Precision, names: Collection[str]) -> SourceValues:
        """Run the graph on uint8 (images, rows, columns, channels); see `Source.run`."""
        pixels = np.moveaxis(images, -1, 1) if images.ndim == 4 else images
        x = pixels.astype(np.float32) / np.float32(self._scale)
        origins = {name: self._origins[name] for name in names if name in self._origins}
        wanted = {name for o in origins.values() for name in (o.tensor, o.sign_of) if name}
        tensors = self._runs[precision].run(x, wanted | {self._leave})
        values = {name: _value(origin, tensors) for name, origin in origins.items()}
        return SourceValues(tensors[self._leave], values)

    def decide(self, name: str, real: Array) -> npt.NDArray[np.bool_] | None:
        """Take the sign of given inputs in float64; see `Source.decide`."""
        origin = self._origins.get(name)
        return np.asarray(real >= 0) if origin is not None and origin.sign_of else None


def _value(origin: Origin, tensors: Mapping[str, Array]) -> SourceValue:
    before = tensors[origin.sign_of or origin.tensor]
    if origin.shift is not None:
        maps = before.ndim == 4 and not origin.last
        before = before - origin.shift.reshape((-1, 1, 1) if maps else -1).astype(before.dtype)
    if origin.kind == "stored":
        return SourceValue("stored", _arranged(origin, before))
    numbers = _arranged(origin, tensors[origin.tensor]) / origin.scale
    if origin.kind == "bits":
        real = _arranged(origin, before) if origin.sign_of else numbers
        return SourceValue("bits", real, numbers > 0)
    whole = np.rint(numbers)
    near = np.abs(numbers - whole) <= min(0.25, ROUNDING * float(np.abs(numbers).max(initial=0.0)))
    return SourceValue("integers", np.where(near, whole, numbers))


def _arranged(origin: Origin, x: Array) -> npt.NDArray[Any]:
    """Put channels last, and vectors in the program's order."""
    if x.ndim == 4:
        return x if origin.last else np.moveaxis(x, 1, -1)
    return x if origin.order is None else x[:, origin.order]
