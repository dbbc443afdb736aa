"""`Network`: a program with its engine, to call like a function."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import numpy.typing as npt

from bitwright import zoo
from bitwright.ir import codec
from bitwright.ir.program import Program
from bitwright.native import NativeProgram


class Network:
    """A binary network, ready to run.

    Parameters
    ----------
    program
        The exact integer program.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self._native: NativeProgram | None = None

    def __repr__(self) -> str:
        shape = "x".join(map(str, self.program.input_type.shape))
        return f"<Network {self.program.name!r}: {shape} -> {', '.join(self.program.outputs)}>"

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, if the program has any."""
        return self.program.classes

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of all that decides an output."""
        return self.program.digest

    def run(self, images: Any, *, threads: int | None = None) -> dict[str, npt.NDArray[Any]]:
        """Return every output of the program by name; `images` as in `__call__`."""
        if self._native is None:
            self._native = NativeProgram(self.program)
        return self._native.run(self._batch(images), threads=threads)

    def __call__(self, images: Any, *, threads: int | None = None) -> npt.NDArray[Any]:
        """Return the scores of a batch: int32 (images, classes).

        Parameters
        ----------
        images
            uint8 (images, rows, columns, channels); the channel axis may be left out if there is
            only one.
        threads
            How many threads to use; by default all cores that this process may use.

        Raises
        ------
        DataError
            If the images do not fit the network.
        """
        name = self.program.logits or self.program.outputs[0]
        return self.run(images, threads=threads)[name]

    def classify(self, images: Any, *, threads: int | None = None) -> npt.NDArray[Any]:
        """Return the class index of each image of a batch: int32 (images,).

        Raises
        ------
        DataError
            If the images do not fit the network.
        """
        name = self.program.decision or self.program.outputs[0]
        return self.run(images, threads=threads)[name]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the program to a ``.safetensors`` file, whole or not at all."""
        codec.save(self.program, path)

    def _batch(self, images: Any) -> npt.NDArray[Any]:
        array = np.asarray(images)
        shape = self.program.input_type.shape
        if len(shape) == 3 and shape[2] == 1 and array.shape[1:] == shape[:2]:
            return array[..., None]
        return array


def load(model: str | os.PathLike[str]) -> Network:
    """Return a network by its zoo name, or from a program file.

    Raises
    ------
    UnknownNameError
        If it is neither a zoo name nor a file.
    ProgramError
        If the file is no program.
    """
    return Network(codec.load(zoo.locate(model)))
