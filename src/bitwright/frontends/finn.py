"""Folders of folded FINN/BNN-PYNQ parameters.

Requirements:

- Weight word ``fold_row * SF + fold_column`` of file ``layer-pe`` holds, lowest bit first, SIMD
  weights of neuron ``fold_row * PE + pe``; 1 is +1. Threshold word ``fold_row`` is that neuron's.
- The hardware fires when ``accumulator > threshold``, strictly. The accumulator of bits counts
  equal pairs, so with n inputs ``(n + d) / 2 > T`` is ``d >= 2 T - n + 1``; that of the 8-bit
  input counts in halves, so ``2 d > T`` is ``d >= floor(T / 2) + 1``.
- Max-pool is the OR of bits, after the threshold, as in the hardware.
- There is no tie to break: thresholds are integers and the comparison is strict.

Source: Xilinx/BNN-PYNQ (host loader, hw/config.h, finnthesizer.py) and finn-hlslib's mvau.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bitwright.errors import FrontendError
from bitwright.frontends.topology import Layer, Topology, check_shapes
from bitwright.ir import ops as o
from bitwright.ir.program import Program
from bitwright.ir.types import MAX_INT, Int

_WAY_OUT = "check that the folder is complete and that --topology is the one it was made for"


def import_finn(folder: str | Path, topology: Topology, *, name: str = "") -> Program:
    """Return the program of a folder of folded parameters.

    Parameters
    ----------
    folder
        Holds ``<layer>-<pe>-weights.bin``, ``<layer>-<pe>-thres.bin`` and ``classes.txt``.
    topology
        The layers and their folding, from `bitwright.frontends.topology.load_topology`.
    name
        The program's name; by default the folder's.

    Raises
    ------
    FrontendError
        If a file is missing, truncated, or does not fit the topology.
    """
    root = Path(folder)
    if not root.is_dir():
        raise FrontendError(f"'{root}' is no folder", "give the folder of .bin files")
    check_shapes(topology, f"the topology for '{root.name}'")
    return _Importer(root, topology).program(name or root.name)


class _Importer:
    def __init__(self, root: Path, topology: Topology) -> None:
        self.root = root
        self.topology = topology
        self.classes = self._classes()
        self.ops: list[o.Op] = []
        self.tensors: dict[str, npt.NDArray[Any]] = {}
        self.value = "image"
        self.shape = topology.input
        self.is_map = True

    def program(self, name: str) -> Program:
        self._input()
        last = len(self.topology.layer) - 1
        for index, layer in enumerate(self.topology.layer):
            self._layer(index, layer, last=index == last)
        self._decision()
        return Program(
            input_name="image",
            input_type=Int(self.topology.input, 0, 255),
            ops=tuple(self.ops),
            tensors=self.tensors,
            outputs=("scores", "class"),
            name=name,
            classes=self.classes,
            metadata={
                "source": "FINN/BNN-PYNQ folded parameters",
                "preprocessing": _PREPROCESSING[self.topology.input_encoding],
                "tie_rule": "none needed: a bit is set where accumulator > threshold, in integers",
            },
        )

    def _classes(self) -> tuple[str, ...]:
        path = self.root / "classes.txt"
        where, names = f"'{path}'", self.topology.classes
        if path.is_file():
            try:
                lines = path.read_text(encoding="utf-8-sig").splitlines()
            except (OSError, UnicodeDecodeError) as error:
                raise FrontendError(
                    f"{where} cannot be read ({error})", "check the file"
                ) from error
            names = tuple(line.strip() for line in lines if line.strip())
        elif not names:
            raise FrontendError(
                f"{where} is missing",
                "write one class name a line there, or set 'classes' in the topology",
            )
        else:
            where = "the topology"
        rows = self.topology.layer[-1].rows
        if not 1 <= len(names) <= rows:
            raise FrontendError(
                f"{where} names {len(names)} classes for {rows} outputs", "give 1 to that many"
            )
        return names

    def _input(self) -> None:
        if self.topology.input_encoding == "signed8":
            pixel = np.arange(256)
            # floor((2p/255 - 1) * 128 + 1/2), in integers.
            table = np.clip(((2 * pixel - 255) * 256 + 255) // 510, -128, 127)
            self._emit(o.Lookup(output="pixels", inputs=("image",), table="pixels.table"))
            self.tensors["pixels.table"] = table.astype(np.int32)
            return
        channels = self.topology.input[2]
        self.tensors["pixels.thresholds"] = np.full(channels, 128, np.int32)
        self.tensors["pixels.rising"] = np.ones(channels, np.bool_)
        self._emit(_threshold("pixels", "image"))

    def _emit(self, op: o.Op) -> None:
        self.ops.append(op)
        self.value = op.output

    def _layer(self, index: int, layer: Layer, *, last: bool) -> None:
        decides = last and self.topology.decision == "first_maximum"
        rows = len(self.classes) if last else layer.rows
        weights = self._weights(index, layer, rows)
        thresholds = None if decides else self._thresholds(index, layer, rows)
        inputs = layer.columns
        if layer.kernel is None:
            inputs = self.shape[0] * self.shape[1] * self.shape[2]
            if thresholds is not None:
                # Padding columns see input bits of 0: a weight bit of 0 makes an equal pair.
                thresholds = thresholds - (~weights[:, inputs:]).sum(axis=1)
            elif not weights[:, inputs:].all():
                raise FrontendError(
                    f"layer {index} adds padding to its scores, which no network should", _WAY_OUT
                )
            weights = weights[:, :inputs]
            if self.is_map:
                self._emit(o.Flatten(output=f"flat{index}", inputs=(self.value,)))
                self.is_map = False
        self._dot(index, layer, weights, "scores" if decides else f"dot{index}")
        if thresholds is None:
            return
        whole = index == 0 and self.topology.input_encoding == "signed8"
        limits = thresholds // 2 + 1 if whole else 2 * thresholds - inputs + 1
        self.tensors[f"bits{index}.thresholds"] = np.clip(limits, -MAX_INT, MAX_INT).astype(
            np.int32
        )
        self.tensors[f"bits{index}.rising"] = np.ones(rows, np.bool_)
        self._emit(_threshold(f"bits{index}", self.value))
        if layer.pool > 1:
            side = (layer.pool, layer.pool)
            self._emit(
                o.MaxPool2d(output=f"pool{index}", inputs=(self.value,), kernel=side, stride=side)
            )
            self.shape = (self.shape[0] // layer.pool, self.shape[1] // layer.pool, rows)

    def _dot(self, index: int, layer: Layer, weights: npt.NDArray[np.bool_], output: str) -> None:
        tensor = f"{output}.weights"
        if layer.kernel is None:
            self.tensors[tensor] = weights
            self._emit(o.Dense(output=output, inputs=(self.value,), weights=tensor))
            self.shape = (1, 1, len(weights))
            return
        side = layer.kernel
        self.tensors[tensor] = weights.reshape(len(weights), side, side, self.shape[2])
        self._emit(o.Conv2d(output=output, inputs=(self.value,), weights=tensor))
        rows, columns = self.shape[0] - side + 1, self.shape[1] - side + 1
        self.shape = (rows, columns, len(weights))

    def _decision(self) -> None:
        if self.topology.decision == "highest_set_bit":
            # Class c scores 2c if its bit is set and -2 if not: the highest set bit wins, and the
            # first class if none is set.
            number = np.arange(len(self.classes))
            self.tensors["scores.multiplier"] = (number + 1).astype(np.int32)
            self.tensors["scores.addend"] = (number - 1).astype(np.int64)
            self._emit(
                o.Affine(
                    output="scores",
                    inputs=(self.value,),
                    multiplier="scores.multiplier",
                    addend="scores.addend",
                )
            )
        self._emit(o.ArgMax(output="class", inputs=("scores",)))

    def _weights(self, index: int, layer: Layer, rows: int) -> npt.NDArray[np.bool_]:
        """Return the first `rows` rows, (rows, columns)."""
        folds = layer.columns // layer.simd
        weights = np.zeros((layer.rows, folds, layer.simd), np.bool_)
        for pe in range(min(layer.pe, rows)):
            path = self.root / f"{index}-{pe}-weights.bin"
            words = self._words(path, layer, rows, pe, folds).astype(np.uint64)
            if layer.simd < 64 and (words >> np.uint64(layer.simd)).any():
                raise FrontendError(f"'{path.name}' sets bits beyond simd = {layer.simd}", _WAY_OUT)
            bits = words[:, None] >> np.arange(layer.simd, dtype=np.uint64) & np.uint64(1)
            present = len(words) // folds
            weights[pe :: layer.pe][:present] = bits.reshape(present, folds, layer.simd) != 0
        return weights[:rows].reshape(rows, layer.columns)

    def _thresholds(self, index: int, layer: Layer, rows: int) -> npt.NDArray[np.int64]:
        """Return the thresholds of the first `rows` neurons."""
        thresholds = np.zeros(layer.rows, np.int64)
        for pe in range(min(layer.pe, rows)):
            path = self.root / f"{index}-{pe}-thres.bin"
            words = self._words(path, layer, rows, pe, 1)
            thresholds[pe :: layer.pe][: len(words)] = words
        # Far beyond any sum, but small enough for the arithmetic that follows.
        return np.clip(thresholds[:rows], -(2**40), 2**40)

    def _words(
        self, path: Path, layer: Layer, rows: int, pe: int, folds: int
    ) -> npt.NDArray[np.int64]:
        """Read one file: `folds` words for each of a PE's neurons.

        The last layer's file may end early, behind the rows that stand for classes.
        """
        whole = layer.rows // layer.pe * folds
        needed = len(range(pe, rows, layer.pe)) * folds
        try:
            size = path.stat().st_size
            if size > 8 * whole:
                raise FrontendError(
                    f"'{path.name}' has {size} bytes; the topology makes it {8 * whole}", _WAY_OUT
                )
            data = path.read_bytes()
        except OSError as error:
            raise FrontendError(f"'{path}' cannot be read ({error.strerror})", _WAY_OUT) from error
        if len(data) < 8 * needed or len(data) % (8 * folds):
            raise FrontendError(
                f"'{path.name}' is truncated: {len(data)} bytes of {8 * whole}", _WAY_OUT
            )
        return np.frombuffer(data, "<i8")


def _threshold(output: str, source: str) -> o.Threshold:
    return o.Threshold(
        output=output,
        inputs=(source,),
        thresholds=f"{output}.thresholds",
        rising=f"{output}.rising",
    )


_PREPROCESSING = {
    "signed8": "8-bit pixels p as clip(floor((2p/255 - 1) * 128 + 1/2), -128, 127)",
    "bipolar": "8-bit pixels p as the bit p >= 128",
}
