"""A multilayer perceptron of whole numbers, of one precision: what studies put on arrays.

Requirements:

- Between its layers there are whole numbers alone, so two ways to compute its dot products that
  agree give the same decisions.
- It is no program of `bitwright.ir`, which is binary; `bitwright.nn.precision` trains it.
- What was trained is not trained again: a network's file is named by a digest of all that decides
  it. A file that is damaged is as if it were not there.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors.numpy
from safetensors import SafetensorError

from bitwright import flow
from bitwright.data import Dataset
from bitwright.files import digest_of, write_atomically

Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
Multiply = Callable[[int, Codes], Array]
"""Takes which layer, from 1 on, and (images, inputs); returns dot products (images, outputs)."""


@dataclass(frozen=True, eq=False)
class IntegerNetwork:
    """A network that is trained.

    Parameters
    ----------
    bits
        Of weights and activations.
    weights
        Of each layer, (inputs, outputs) whole numbers.
    scales, shifts
        Of each layer but the last, (outputs,).

    Raises
    ------
    ValueError
        If shapes do not fit each other.
    """

    bits: int
    weights: tuple[npt.NDArray[np.int16], ...]
    scales: tuple[Array, ...]
    shifts: tuple[Array, ...]

    def __post_init__(self) -> None:
        widths = [w.shape[1] for w in self.weights]
        chained = all(len(w) == width for w, width in zip(self.weights[1:], widths, strict=False))
        affine = [len(v) for v in self.scales] == [len(v) for v in self.shifts] == widths[:-1]
        if len(widths) < 2 or not (chained and affine):
            raise ValueError("layers do not fit each other")

    @classmethod
    def of(cls, bits: int, arrays: Mapping[str, npt.NDArray[Any]]) -> IntegerNetwork:
        """Return the network of arrays named as by `bitwright.nn.precision.export`.

        Raises
        ------
        ValueError
            If arrays are missing or do not fit each other.
        """
        names = [
            f"weights{k}" for k in itertools.takewhile(
                lambda k: f"weights{k}" in arrays, itertools.count(1)
            )
        ]  # fmt: skip
        inner = range(1, len(names))
        try:
            return cls(
                bits,
                tuple(arrays[name].astype(np.int16) for name in names),
                tuple(arrays[f"scale{k}"].astype(np.float64) for k in inner),
                tuple(arrays[f"shift{k}"].astype(np.float64) for k in inner),
            )
        except KeyError as error:
            raise ValueError(f"no {error}") from None

    def to_bytes(self) -> bytes:
        """Return the network as a safetensors file."""
        arrays: dict[str, npt.NDArray[Any]] = {}
        for k, weights in enumerate(self.weights, 1):
            arrays[f"weights{k}"] = np.ascontiguousarray(weights)
        for k, (scale, shift) in enumerate(zip(self.scales, self.shifts, strict=True), 1):
            arrays[f"scale{k}"], arrays[f"shift{k}"] = scale, shift
        return bytes(safetensors.numpy.save(arrays, {"bits": str(self.bits)}))

    def first(self, images: npt.NDArray[np.uint8]) -> Codes:
        """Return what the second layer takes: the first is no array's, its input has 8 bits.

        Parameters
        ----------
        images
            (images, height, width, channels).
        """
        # In memory pixels are channels last, in the network channels first.
        pixels = images.transpose(0, 3, 1, 2).reshape(len(images), -1)
        levels = 2 * pixels.astype(np.float64) - 255
        return self._codes(1, levels @ self.weights[0].astype(np.float64))

    def exact(self, layer: int, codes: Codes) -> Array:
        """Return a layer's dot products, (images, outputs) whole numbers in doubles."""
        numbers = 2 * codes - 1 if self.bits == 1 else codes
        return np.asarray(numbers.astype(np.float64) @ self.weights[layer - 1].astype(np.float64))

    def decide(self, codes: Codes, multiply: Multiply | None = None) -> Codes:
        """Return the class of each image.

        Parameters
        ----------
        codes
            What `first` returns.
        multiply
            What computes dot products; by default `exact`.
        """
        multiply = multiply or self.exact
        for layer in range(2, len(self.weights)):
            codes = self._codes(layer, multiply(layer, codes))
        return np.asarray(multiply(len(self.weights), codes).argmax(axis=1))

    def _codes(self, layer: int, dots: Array) -> Codes:
        scaled = np.floor(dots * self.scales[layer - 1] + self.shifts[layer - 1])
        return np.clip(scaled, 0, 2**self.bits - 1).astype(np.int64)


def trained(
    data: Dataset,
    bits: int,
    widths: tuple[int, ...],
    epochs: int,
    seed: int,
    folder: Path,
    progress: Callable[[str, int, int], None],
    threads: int | None = None,
) -> tuple[IntegerNetwork, str, bool]:
    """Return a network that is trained, from a folder if it is there.

    Parameters
    ----------
    data, bits, widths, epochs, seed, threads
        As `bitwright.nn.precision.train_precision` takes them.
    folder
        Where networks are kept.
    progress
        Called with (what is done, steps done, steps in all).

    Returns
    -------
    tuple
        The network, a digest of what decides it, and whether it was there.

    Raises
    ------
    ConfigError
        If the training diverges, or the file cannot be written.
    DependencyError
        If it must be trained and there is no torch.
    """
    decides = {
        "data": data.digest,
        "bits": bits,
        "widths": widths,
        "epochs": epochs,
        "seed": seed,
        "bitwright": flow.versions()["bitwright"],
    }
    name = digest_of(decides)
    file = folder / f"{name}.safetensors"
    try:
        return IntegerNetwork.of(bits, safetensors.numpy.load(file.read_bytes())), name, True
    except (OSError, ValueError, SafetensorError):
        pass  # It is not there, or damaged.
    from bitwright.nn.precision import train_precision  # noqa: PLC0415 - torch for this alone

    arrays = train_precision(
        data, bits, widths, epochs, seed,
        lambda at: progress(
            f"training with {bits} bit{'s' * (bits > 1)}",
            (at.epoch - 1) * at.steps + at.step,
            at.epochs * at.steps,
        ),
        threads,
    )  # fmt: skip
    network = IntegerNetwork.of(bits, arrays)
    write_atomically(file, network.to_bytes())
    return network, name, False
