"""What a framework's own model shows of itself, so that a program can be held against it.

Requirements:

- Layers go by the names of the program's values: what a frontend calls a value and what its source
  calls it is the same.
- Maps are (images, rows, columns, channels); vectors are in the framework's own order.

This module imports no framework.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Precision = Literal["float32", "float64"]
Kind = Literal["bits", "integers", "stored"]
"""What a layer gives: bits, whole numbers, or real numbers that a program may round and store."""


@dataclass(frozen=True, eq=False)
class SourceValue:
    """One layer on one batch.

    Parameters
    ----------
    kind
        What it is.
    real
        The layer's real numbers; for bits, those that the sign was taken of.
    bits
        For bits, what the framework made of them: True is +1.
    """

    kind: Kind
    real: Array
    bits: npt.NDArray[np.bool_] | None = None


@dataclass(frozen=True, eq=False)
class SourceValues:
    """What a model made of a batch: logits (images, classes), and layers by value name."""

    logits: Array
    values: Mapping[str, SourceValue]


class Source(Protocol):
    """A framework's own model.

    Attributes
    ----------
    name
        What it is called, for a reader.
    versions
        Of the framework, by package.
    channels_first
        Whether flattening a map puts its channels first.
    """

    name: str
    versions: Mapping[str, str]
    channels_first: bool

    def run(self, images: Array, precision: Precision, names: Collection[str]) -> SourceValues:
        """Run the model on uint8 (images, rows, columns, channels).

        Parameters
        ----------
        images
            The batch.
        precision
            The arithmetic.
        names
            The values of a program that are asked for; those that the model lacks are left out.
        """

    def decide(self, name: str, real: Array) -> npt.NDArray[np.bool_] | None:
        """Let the layer that makes the bits `name` decide on given inputs, in float64.

        Parameters
        ----------
        name
            A value of bits.
        real
            What the layer is to take for its input, element by element.

        Returns
        -------
        Array or None
            The bits; None if the layer cannot be run by itself.
        """
