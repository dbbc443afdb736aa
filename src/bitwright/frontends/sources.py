"""A framework's own model from a file, of whichever framework it is."""

from __future__ import annotations

from pathlib import Path

from bitwright.errors import ProgramError
from bitwright.frontends.source import Source
from bitwright.ir.program import Program


def open_source(path: Path, program: Program | None = None) -> Source:
    """Read a model, so that a program can be held against it.

    Parameters
    ----------
    path
        The folder of a training run, or its ``network.safetensors``; a checkpoint of AdaBin,
        IR-Net or ReCU; or a QONNX file (``.onnx``). No code of the file is run.
    program
        The program: a QONNX graph is given what the program says that it is.

    Raises
    ------
    DependencyError
        If the package that the model needs is not installed.
    ConfigError, FrontendError
        If the file cannot be read, or does not hold the network that it should.
    ProgramError
        If the program says nothing sensible.
    """
    if path.suffix == ".onnx":
        from bitwright.frontends.qonnx.source import QonnxSource  # noqa: PLC0415 - needs onnx

        return QonnxSource(path, _input_scale(program))
    import bitwright.nn  # noqa: F401, PLC0415 - says what to install if there is no torch
    from bitwright.frontends.torch_source import open_module  # noqa: PLC0415

    return open_module(path)


def _input_scale(program: Program | None) -> float | None:
    from bitwright.frontends.qonnx.importer import SCALE_KEY  # noqa: PLC0415 - needs onnx

    text = None if program is None else program.metadata.get(SCALE_KEY)
    try:
        return None if text is None else float(text)
    except ValueError as error:
        raise ProgramError(
            f"the program has '{text:.40}' for its input scale", "import the file again"
        ) from error
