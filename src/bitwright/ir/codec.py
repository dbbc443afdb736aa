"""Programs as files: one ``.safetensors`` file, the program as JSON in its metadata, bits packed.

Requirements:

- A file that loads gives back the very program that was saved; anything else is a `ProgramError`
  (every byte that matters is under a SHA-256, so a flipped bit is found).
- Loading costs memory in proportion to the file's own size, whatever its header claims.
- Nothing in a file is executed or unpickled.
- Saving is atomic (`bitwright.files`).
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as save_tensors

from bitwright.errors import ProgramError
from bitwright.files import write_atomically
from bitwright.ir.limits import MAX_OPS, MAX_TENSOR_ELEMENTS
from bitwright.ir.ops import OPS, Op
from bitwright.ir.program import FORMAT_VERSION, Program, content_digest, structure
from bitwright.ir.rules import Tensor
from bitwright.ir.types import Bits, Int, ValueType

MAX_HEADER_BYTES = 8 * 2**20
"""Enough for a program of `MAX_OPS` ops; JSON of that size takes some 200 MB when it is parsed."""
_HEADER_KEY = "bitwright"
_CHECKSUM_KEY = "sha256"
_STORED_TYPES = ("U8", "I8", "I32", "I64")
_FOREIGN = (
    SafetensorError,
    OSError,
    ValueError,
    TypeError,
    KeyError,
    RecursionError,
    MemoryError,
)
"""What the libraries raise for bytes that are no program."""
_DAMAGED = "the file is damaged or is no Bitwright program; write or download it again"


def encode(program: Program) -> bytes:
    """Return a program as the bytes of a ``.safetensors`` file; equal programs, equal bytes.

    Raises
    ------
    ProgramError
        If names, classes and metadata are too long for a file.
    """
    stored = {name: _pack(tensor) for name, tensor in program.tensors.items()}
    header = structure(program) | {
        "name": program.name,
        "classes": list(program.classes),
        "metadata": dict(program.metadata),
        "bits": {
            name: list(tensor.shape)
            for name, tensor in sorted(program.tensors.items())
            if tensor.dtype == np.bool_
        },
    }
    metadata = {
        _HEADER_KEY: json.dumps(header, sort_keys=True),
        _CHECKSUM_KEY: content_digest(header, stored),
    }
    return _in_order(save_tensors(dict(sorted(stored.items())), metadata=metadata))


def _in_order(data: bytes) -> bytes:
    """Sort the keys of a file's header, which the library writes in a random order."""
    size = int.from_bytes(data[:8], "little")
    text = json.dumps(json.loads(data[8 : 8 + size]), sort_keys=True, separators=(",", ":"))
    header = text.encode() + b" " * (-len(text) % 8)
    if len(header) > MAX_HEADER_BYTES:
        raise ProgramError(
            f"the program needs a header of {len(header)} bytes, more than {MAX_HEADER_BYTES}",
            "shorten its metadata or its names",
        )
    return len(header).to_bytes(8, "little") + header + data[8 + size :]


def save(program: Program, path: str | os.PathLike[str]) -> None:
    """Write a program to a file, whole or not at all.

    Raises
    ------
    ConfigError
        If the file cannot be written.
    """
    write_atomically(path, encode(program))


def holds_program(path: str | os.PathLike[str]) -> bool:
    """Return whether a file says that it is a program, which may yet be damaged."""
    try:
        with safe_open(path, framework="numpy") as file:
            return _HEADER_KEY in (file.metadata() or {})
    except _FOREIGN:
        return False


def load(path: str | os.PathLike[str]) -> Program:
    """Read a program from a file.

    Raises
    ------
    ProgramError
        If the file cannot be read, is damaged, is no program, or was written by a newer Bitwright.
    """
    source, claimed = Path(path), 0
    try:
        size = source.stat().st_size
        if size >= 8:  # a pipe, which could keep us waiting, has none
            with source.open("rb") as file:
                claimed = int.from_bytes(file.read(8), "little")
    except OSError as error:
        raise ProgramError(
            f"cannot read '{source}' ({error.strerror})", "check the path"
        ) from error
    if size < 8 or claimed > min(size - 8, MAX_HEADER_BYTES):
        raise ProgramError(f"'{source}' claims a header of {claimed} bytes in {size}", _DAMAGED)
    try:
        with safe_open(source, framework="numpy") as file:
            metadata = file.metadata() or {}
            header = _header(metadata.get(_HEADER_KEY, ""))
            # `safe_open` has checked that the tensors lie within the file and do not overlap.
            stored = {name: _tensor(file, name) for name in file.keys()}  # noqa: SIM118
        _check_sum(header, stored, metadata.get(_CHECKSUM_KEY))
        return _program(header, stored)
    except ProgramError as error:
        raise ProgramError(f"'{source}' cannot be loaded: {error.cause}", error.way_out) from error
    except _FOREIGN as error:
        reason = " ".join(str(error).split())[:120]
        raise ProgramError(f"'{source}' cannot be loaded: {reason}", _DAMAGED) from error


def _tensor(file: Any, name: str) -> Tensor:
    claimed = file.get_slice(name)
    kind, shape = claimed.get_dtype(), claimed.get_shape()
    if kind not in _STORED_TYPES or math.prod(shape) > MAX_TENSOR_ELEMENTS:
        raise ProgramError(f"the tensor '{name:.40}' is of the type {kind} {shape}", _DAMAGED)
    tensor: Tensor = file.get_tensor(name)
    return tensor


def _pack(tensor: Tensor) -> Tensor:
    return np.packbits(tensor.reshape(-1)) if tensor.dtype == np.bool_ else tensor


def _header(text: str) -> dict[str, Any]:
    header = json.loads(text) if text else None
    if not isinstance(header, dict):
        raise ProgramError("it holds no Bitwright program", _DAMAGED)
    version = header.get("version")
    if type(version) is int and version > FORMAT_VERSION:
        raise ProgramError(
            f"it has format version {version}, and this Bitwright knows {FORMAT_VERSION}",
            "upgrade with: pip install --upgrade bitwright",
        )
    if version != FORMAT_VERSION:
        raise ProgramError(f"it has no format version that is known ({version!r})", _DAMAGED)
    return header


def _check_sum(header: Mapping[str, Any], stored: Mapping[str, Tensor], expected: Any) -> None:
    if content_digest(header, stored) != expected:
        raise ProgramError("its checksum does not match", _DAMAGED)


def _program(header: Mapping[str, Any], stored: Mapping[str, Tensor]) -> Program:
    bits = _mapping(header, "bits")
    tensors = {
        name: _unpack(name, array, bits[name]) if name in bits else array
        for name, array in stored.items()
    }
    ops = _list(header, "ops")
    if len(ops) > MAX_OPS:
        raise ProgramError(f"it has {len(ops)} ops, more than {MAX_OPS}", _DAMAGED)
    metadata = _mapping(header, "metadata")
    return Program(
        input_name=_text(_mapping(header, "input").get("name")),
        input_type=_value_type(_mapping(header, "input")),
        ops=tuple(_op(entry) for entry in ops),
        tensors=tensors,
        outputs=tuple(_text(name) for name in _list(header, "outputs")),
        name=_text(header.get("name")),
        classes=tuple(_text(name) for name in _list(header, "classes")),
        metadata={key: _text(value) for key, value in metadata.items()},
    )


def _unpack(name: str, packed: Tensor, shape: Any) -> Tensor:
    dimensions = _integers(shape)
    count = math.prod(dimensions)
    fits = all(n >= 0 for n in dimensions) and count <= MAX_TENSOR_ELEMENTS
    if not fits or packed.dtype != np.uint8 or packed.shape != (-(-count // 8),):
        raise ProgramError(f"the bits of '{name}' do not fit the shape {dimensions}", _DAMAGED)
    if count % 8 and packed[-1] & (0xFF >> count % 8):
        raise ProgramError(f"the bits of '{name}' do not end where they should", _DAMAGED)
    return np.unpackbits(packed, count=count).view(np.bool_).reshape(dimensions)


def _value_type(entry: Mapping[str, Any]) -> ValueType:
    shape = _integers(entry.get("shape"))
    if entry.get("type") == "Bits":
        return Bits(shape)
    if entry.get("type") == "Int":
        return Int(shape, *_integers([entry.get("lo"), entry.get("hi")]))
    raise ProgramError(f"its input is of the unknown type {entry.get('type')!r:.40}", _DAMAGED)


def _op(entry: Any) -> Op:
    kind = entry.get("op") if isinstance(entry, dict) else None
    if not isinstance(kind, str) or kind not in OPS:
        raise ProgramError(f"it holds the unknown op {kind!r:.40}", _DAMAGED)
    cls = OPS[kind]
    names = {field.name for field in fields(cls)}
    if set(entry) - {"op"} != names:
        raise ProgramError(f"an op {kind} has the wrong fields", _DAMAGED)
    return cls(**{name: _field(name, entry[name]) for name in names})


def _field(name: str, value: Any) -> Any:
    if isinstance(value, list):
        if name == "inputs":
            return tuple(_text(item) for item in value)
        expected = 4 if name == "padding" else 2
        if len(value) != expected:
            raise ProgramError(f"a {name} has {len(value)} numbers", _DAMAGED)
        return _integers(value)
    if type(value) is int or isinstance(value, str):
        return value
    raise ProgramError(f"a {name} is neither text nor number", _DAMAGED)


def _integers(value: Any) -> tuple[int, ...]:
    if isinstance(value, list) and len(value) <= 8 and all(type(n) is int for n in value):
        return tuple(value)
    raise ProgramError(f"{value!r:.40} should be a list of integers", _DAMAGED)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    raise ProgramError(f"{value!r:.40} should be text", _DAMAGED)


def _list(header: Mapping[str, Any], key: str) -> list[Any]:
    value = header.get(key)
    if isinstance(value, list):
        return value
    raise ProgramError(f"its header has no list '{key}'", _DAMAGED)


def _mapping(header: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = header.get(key)
    if isinstance(value, dict):
        return value
    raise ProgramError(f"its header has no table '{key}'", _DAMAGED)
