"""Files: what is saved comes back; what is damaged, foreign or hostile is a `ProgramError`."""

from __future__ import annotations

import contextlib
import copy
import json
import os
import re
import resource
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.ir.one_op import one_op
from tests.programs import batch, programs

from bitwright.errors import ConfigError, ProgramError
from bitwright.ir import FORMAT_VERSION, Bits, Int, Program, codec, load, reference, save
from bitwright.ir import ops as o
from bitwright.ir.program import content_digest

MEBIBYTE = 2**20
HEADROOM = 300 * MEBIBYTE
STORED = {"|u1": "U8", "|i1": "I8", "<i4": "I32", "<i8": "I64"}

# ---------------------------------------------------------------------------------------- helpers


def sample(**changes: Any) -> Program:
    """Return a classifier with tensors of every type, and one of 0 breakpoints."""
    rng = np.random.default_rng(7)
    ops = (
        o.Conv2d(output="a", inputs=("x",), weights="a.w", padding=(1, 1, 1, 1), groups=2),
        o.Affine(output="b", inputs=("a",), multiplier="b.m", addend="b.a", shift=3),
        o.Threshold(output="c", inputs=("b",), thresholds="c.t", rising="c.r"),
        o.MaxPool2d(output="d", inputs=("c",), kernel=(2, 2), stride=(2, 2)),
        o.Flatten(output="e", inputs=("d",)),
        o.Dense(output="f", inputs=("e",), weights="f.w"),
        o.PiecewiseLinear(
            output="g", inputs=("f",), breakpoints="g.b", multiplier="g.m", addend="g.a"
        ),
        o.ArgMax(output="h", inputs=("g",)),
    )
    fields = {
        "input_name": "x",
        "input_type": Int((4, 4, 2), 0, 255),
        "ops": ops,
        "tensors": {
            "a.w": rng.integers(-128, 128, (6, 3, 3, 1), dtype=np.int8),
            "b.m": rng.integers(-9, 9, 6, dtype=np.int32),
            "b.a": rng.integers(-(2**40), 2**30, 6) % 999,
            "c.t": rng.integers(-99, 99, 6, dtype=np.int32),
            "c.r": rng.random(6) < 0.5,
            "f.w": rng.random((3, 24)) < 0.5,
            "g.b": np.empty((3, 0), np.int32),
            "g.m": np.ones((3, 1), np.int32),
            "g.a": np.zeros((3, 1), np.int64),
        },
        "outputs": ("h", "g"),
        "name": "sample",
        "classes": ("ant", "bee", "cat"),
        "metadata": {"accuracy": "0.5", "trained on": "näthing ☃"},
    }
    return Program(**fields | changes)


def assert_same(a: Program, b: Program) -> None:
    assert a.digest == b.digest
    assert codec.encode(a) == codec.encode(b)
    assert (a.input_name, a.input_type, a.ops, a.outputs) == (
        b.input_name,
        b.input_type,
        b.ops,
        b.outputs,
    )
    assert (a.name, a.classes, dict(a.metadata)) == (b.name, b.classes, dict(b.metadata))
    assert dict(a.types) == dict(b.types)
    assert set(a.tensors) == set(b.tensors)
    for name, tensor in a.tensors.items():
        assert tensor.dtype == b.tensors[name].dtype
        np.testing.assert_array_equal(tensor, b.tensors[name], strict=True)


Tensors = dict[str, tuple[str, list[int], bytes]]


def container(metadata: dict[str, str], tensors: Tensors) -> bytes:
    """Write a safetensors file by hand: tensors as (type, shape, bytes)."""
    header: dict[str, Any] = {"__metadata__": metadata}
    data = b""
    for name, (kind, shape, content) in tensors.items():
        offsets = [len(data), len(data) + len(content)]
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": offsets}
        data += content
    return with_header(json.dumps(header), data)


def with_header(text: str, data: bytes = b"") -> bytes:
    header = text.encode()
    return struct.pack("<Q", len(header)) + header + data


def parts(program: Program) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return the program's JSON and its tensors as they are stored."""
    data = codec.encode(program)
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + size])
    stored = {
        name: np.packbits(tensor) if tensor.dtype == np.bool_ else tensor
        for name, tensor in program.tensors.items()
    }
    return json.loads(header["__metadata__"]["bitwright"]), stored


def signed(header: Any, stored: dict[str, np.ndarray], text: str | None = None) -> bytes:
    """Return a file whose checksum is right, whatever the header says."""
    text = json.dumps(header) if text is None else text
    metadata = {"bitwright": text, "sha256": content_digest(json.loads(text), stored)}
    tensors = {
        name: (STORED[tensor.dtype.str], list(tensor.shape), tensor.tobytes())
        for name, tensor in stored.items()
    }
    return container(metadata, tensors)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("codec") / "program.safetensors"


@pytest.fixture(scope="module")
def read(path: Path) -> Callable[[bytes], Program]:
    def read_bytes(data: bytes) -> Program:
        path.write_bytes(data)
        return load(path)

    return read_bytes


@pytest.fixture
def little_memory() -> Iterator[None]:
    """Allow no more than `HEADROOM` bytes beyond what the process has mapped already."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except OSError:
        pytest.skip("the system does not tell how much memory a process has mapped")
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + HEADROOM, hard))
    yield
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def refused(read: Callable[[bytes], Program], data: bytes) -> ProgramError:
    with pytest.raises(ProgramError) as caught:
        read(data)
    said = re.sub(r"'/[^']*'", "", str(caught.value))  # a path is as long as it is
    assert len(said) < 543
    return caught.value


# ------------------------------------------------------------------------------------- round trips


@given(program=programs())
@settings(max_examples=100, deadline=None)
def test_a_program_comes_back(path: Path, program: Program) -> None:
    save(program, path)
    assert_same(load(path), program)


def test_the_sample_comes_back_and_runs_alike(read: Callable[[bytes], Program]) -> None:
    program = sample()
    again = read(codec.encode(program))
    assert_same(again, program)
    images = batch(program, np.random.default_rng(0), 20)
    for name, value in reference.run(again, images, program.types).items():
        np.testing.assert_array_equal(value, reference.run(program, images, [name])[name])


def test_equal_programs_give_equal_bytes() -> None:
    program = sample()
    shuffled = sample(
        tensors=dict(reversed(program.tensors.items())),
        metadata=dict(reversed(program.metadata.items())),
    )
    # The library's own order of header keys changes from call to call.
    assert len({codec.encode(p) for p in (program, shuffled, sample()) for _ in range(20)}) == 1


def test_a_written_file_is_what_the_document_says() -> None:
    program = sample()
    header, stored = parts(program)
    assert header["version"] == FORMAT_VERSION
    assert header["bits"] == {"c.r": [6], "f.w": [3, 24]}
    assert header["ops"][5] == {"op": "Dense", "output": "f", "inputs": ["e"], "weights": "f.w"}
    data = codec.encode(program)
    size = struct.unpack("<Q", data[:8])[0]
    assert size % 8 == 0
    table = json.loads(data[8 : 8 + size])
    assert list(table) == sorted(table)
    assert {name: entry["dtype"] for name, entry in table.items() if name != "__metadata__"} == {
        name: STORED[tensor.dtype.str] for name, tensor in stored.items()
    }
    assert table["__metadata__"]["sha256"] == content_digest(header, stored)


def test_a_file_made_by_hand_loads(read: Callable[[bytes], Program]) -> None:
    assert_same(read(signed(*parts(sample()))), sample())


def test_digest_covers_what_decides_an_output_and_nothing_else() -> None:
    program = sample()
    plain = sample(name="", classes=(), metadata={})
    assert plain.digest == program.digest
    others = [sample(outputs=("g", "h")), sample(input_type=Int((4, 4, 2), 0, 254))]
    others += [program.with_ops([*program.ops[:-1], o.ArgMax(output="h", inputs=("f",))])]
    for name, tensor in program.tensors.items():
        for index in np.ndindex(tensor.shape):
            changed = tensor.copy()
            changed[index] = not changed[index] if changed.dtype == np.bool_ else changed[index] ^ 1
            others.append(program.with_ops(program.ops, {**program.tensors, name: changed}))
    digests = {other.digest for other in others}
    assert len(digests) == len(others)
    assert program.digest not in digests


def test_digest_covers_shapes() -> None:
    tall, wide = (
        one_op("Conv2d", Bits((3, 3, 1)), tensors={"weights": np.ones(shape, np.bool_)})
        for shape in ((1, 2, 3, 1), (1, 3, 2, 1))
    )
    assert tall.digest != wide.digest


def test_unused_tensors_are_not_part_of_a_program() -> None:
    program = sample()
    more = program.with_ops(program.ops, {**program.tensors, "unused": np.zeros(3)})
    assert_same(more, program)


# ------------------------------------------------------------------------------------------ saving


def test_a_failure_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "net.safetensors"
    save(sample(), target)
    before = target.read_bytes()

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ConfigError, match="No space left"):
        save(sample(name="other"), target)

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        save(sample(name="other"), target)
    assert target.read_bytes() == before
    assert list(tmp_path.iterdir()) == [target]


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    for target in (tmp_path, tmp_path / "no" / "net.safetensors"):
        with pytest.raises(ConfigError, match="cannot write"):
            save(sample(), target)
    assert list(tmp_path.iterdir()) == []


def test_a_program_too_long_for_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(codec, "MAX_HEADER_BYTES", 10_000)
    save(sample(), tmp_path / "net.safetensors")
    with pytest.raises(ProgramError, match="more than 10000: shorten its metadata"):
        save(sample(metadata={"note": "x" * 10_000}), tmp_path / "net.safetensors")


# ----------------------------------------------------------------------------------- damaged files


def test_places_that_cannot_be_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for source in (tmp_path, tmp_path / "none", tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(ProgramError):
            load(source)


def test_truncated_anywhere(read: Callable[[bytes], Program]) -> None:
    data = codec.encode(sample())
    for size in range(len(data)):
        refused(read, data[:size])
    refused(read, data + b"\0")


def test_any_bit_flipped(read: Callable[[bytes], Program]) -> None:
    program = sample()
    data = codec.encode(program)
    size = struct.unpack("<Q", data[:8])[0]
    flips = {(at, bit) for at in range(8) for bit in range(8)}
    flips |= {(at, at * 5 % 8) for at in range(len(data))}
    flips |= {(at, bit) for at in range(8 + size, len(data)) for bit in range(8)}
    harmless = 0
    for at, bit in sorted(flips):
        damaged = bytearray(data)
        damaged[at] ^= 1 << bit
        try:
            again = read(bytes(damaged))
        except ProgramError:
            continue
        assert_same(again, program)
        harmless += 1
    assert harmless < 20  # blanks, and hexadecimal digits of either case


# ----------------------------------------------------------------------------------- hostile files


def test_a_newer_version_says_to_upgrade(read: Callable[[bytes], Program]) -> None:
    header, stored = parts(sample())
    error = refused(read, signed(header | {"version": FORMAT_VERSION + 1}, stored))
    assert "version 2" in error.cause
    assert "upgrade" in error.way_out
    for version in (0, -1, None, "1", 1.5, [1], float("nan")):
        assert "version" in refused(read, signed(header | {"version": version}, stored)).cause


@pytest.mark.usefixtures("little_memory")
def test_claims_beyond_the_file(read: Callable[[bytes], Program], path: Path) -> None:
    data = codec.encode(sample())
    for claim in (2**40, 2**63, 2**64 - 1, len(data) - 7):
        refused(read, struct.pack("<Q", claim) + data[8:])


def test_sparse_files_that_are_terabytes_on_paper(path: Path) -> None:
    tensor = {"dtype": "I64", "shape": [2**37], "data_offsets": [0, 2**40]}
    metadata = {"bitwright": json.dumps(parts(sample())[0]), "sha256": "0" * 64}
    text = json.dumps({"__metadata__": metadata, "a.w": tensor})
    for start in (struct.pack("<Q", 2**40), with_header(text)):
        path.unlink(missing_ok=True)
        with path.open("wb") as file:
            file.write(start)
            file.truncate(len(start) + 2**40)
        with pytest.raises(ProgramError):
            load(path)
    path.unlink()


@pytest.mark.usefixtures("little_memory")
@pytest.mark.parametrize(
    "kind",
    [
        "BF16",
        "F16",
        "F32",
        "F64",
        "F8_E4M3",
        "F8_E5M2",
        "F8_E8M0",
        "F6_E2M3",
        "F4",
        "C64",
        "BOOL",
        "I16",
        "U16",
        "U32",
        "U64",
        "WAT",
    ],
)
def test_odd_types_of_tensors(read: Callable[[bytes], Program], kind: str) -> None:
    header, stored = parts(sample())
    metadata = {"bitwright": json.dumps(header), "sha256": content_digest(header, stored)}
    bits = {"F4": 4, "F6": 6, "F8": 8, "BO": 8, "16": 16, "32": 32}
    width = bits.get(kind[:2], bits.get(kind[-2:], 64))
    content = bytes(width * 8 // 8)
    refused(read, container(metadata, {"a.w": (kind, [8], content)}))


@pytest.mark.usefixtures("little_memory")
@pytest.mark.parametrize(
    "shape",
    [
        *([0, 2**62], [0, 2**40, 2**40], [2**63, 0], [2**64, 0], [2**40, 2**40], [2**63]),
        *([2**62, 4], [0] * 70, [1] * 70, [1] * 65, [-1, -1], [-1], [1.0], ["1"], [[1]]),
        *(1, None, [10**400]),
    ],
    ids=lambda shape: repr(shape)[:30],
)
def test_odd_shapes_of_tensors(read: Callable[[bytes], Program], shape: Any) -> None:
    header, stored = parts(sample())
    metadata = {"bitwright": json.dumps(header), "sha256": content_digest(header, stored)}
    content = b"\0" if shape and shape in ([1] * 70, [1] * 65, [-1, -1], [1.0]) else b""
    refused(read, container(metadata, {"a.w": ("U8", shape, content)}))


@pytest.mark.usefixtures("little_memory")
@pytest.mark.parametrize(
    "shape",
    [
        *([-3, -24], [-1], [0], [], [3, 25], [3, 16], [72.0], [2**62, 2**62], [10**400]),
        *([0, 10**400], [2**40], [1] * 9, "72", 72, None, {}, [True, 72], [[3, 24]]),
        *([-(2**64) + 72], [3, 23], [24, 3], [72]),
    ],
    ids=lambda shape: repr(shape)[:30],
)
def test_odd_shapes_of_bits(read: Callable[[bytes], Program], shape: Any) -> None:
    header, stored = parts(sample())
    header["bits"]["f.w"] = shape
    refused(read, signed(header, stored))


def test_bits_that_are_missing_or_too_many(read: Callable[[bytes], Program]) -> None:
    program = sample()
    header, stored = parts(program)
    missing = copy.deepcopy(header)
    del missing["bits"]["f.w"]
    refused(read, signed(missing, stored))
    more = copy.deepcopy(header)
    more["bits"]["a.w"] = [6, 3, 3, 1]
    refused(read, signed(more, stored))
    unknown = copy.deepcopy(header)
    unknown["bits"]["none"] = [2**62]
    assert_same(read(signed(unknown, stored)), program)
    for bit in (1, 2):  # the two bits after the six of c.r
        tail = stored | {"c.r": stored["c.r"] ^ np.uint8(bit)}
        assert "end where they should" in refused(read, signed(header, tail)).cause
    refused(read, signed(header, stored | {"c.r": stored["c.r"][None]}))
    refused(read, signed(header, stored | {"c.r": stored["c.r"].view(np.int8)}))
    del stored["c.r"]
    refused(read, signed(header, stored))


@pytest.mark.usefixtures("little_memory")
@pytest.mark.parametrize("opening", ["[", '{"a":', '[{"a":'])
def test_deep_nesting(read: Callable[[bytes], Program], opening: str) -> None:
    header, stored = parts(sample())
    text = json.dumps(header)
    for depth in (100, 900, 990, 1000, 100_000):
        deep = opening * depth + "1" + "".join("]" if c == "[" else "}" for c in opening[::-1]
                                               if c in "[{") * depth  # fmt: skip
        for hidden in (deep, text[:-1] + f', "more": {deep}}}'):
            metadata = {"bitwright": hidden, "sha256": "0" * 64}
            refused(read, container(metadata, {}))
        for key in ("metadata", "ops", "input", "name", "bits", "outputs"):
            body = json.dumps({k: v for k, v in header.items() if k != key})
            metadata = {"bitwright": f'{body[:-1]}, "{key}": {deep}}}', "sha256": "0" * 64}
            refused(read, container(metadata, {}))
    refused(read, with_header("[" * 100_000))
    for depth in (100, 200):  # within what JSON allows, and behind the checksum
        deep = json.loads("[" * depth + "]" * depth)
        for key in header:
            refused(read, signed(header | {key: deep}, stored))


@pytest.mark.usefixtures("little_memory")
def test_a_header_of_many_small_things(read: Callable[[bytes], Program]) -> None:
    header, stored = parts(sample())
    for item in ("[]", "{}", '""', "1e5", '{"":[]}'):
        many = "[" + ",".join([item] * (3 * MEBIBYTE // (len(item) + 1))) + "]"
        text = json.dumps(header | {"ops": 0}).replace('"ops": 0', f'"ops": {many}')
        refused(read, container({"bitwright": text, "sha256": "0" * 64}, {}))
    refused(read, signed(header | {"ops": header["ops"] * 600}, stored))
    refused(read, signed(header | {"ops": [1] * 5000}, stored))


def test_texts_that_are_no_programs(read: Callable[[bytes], Program]) -> None:
    for text in ("", "null", "1", "[]", "{}", "nan", '"', '{"version": 1}', "\ufeff{}", "NaN"):
        refused(read, container({"bitwright": text, "sha256": "0" * 64}, {}))
    for data in (b"", b"\0" * 8, b"\x02" + b"\0" * 7 + b"{}", b"\x02" + b"\0" * 7 + b"[]"):
        refused(read, data)
    refused(read, with_header('{"__metadata__": {"bitwright": 1}}'))
    refused(read, b"PK\x03\x04" + b"\0" * 100)


def test_duplicate_keys(read: Callable[[bytes], Program]) -> None:
    program = sample()
    header, stored = parts(program)
    text = json.dumps(header)
    last_wins = '{"version": 99, "ops": [1], ' + text[1:]
    assert_same(read(signed(None, stored, last_wins)), program)
    refused(read, signed(None, stored, text[:-1] + ', "ops": [1]}'))

    data = signed(header, stored)
    size = struct.unpack("<Q", data[:8])[0]
    outer, body = data[8 : 8 + size].decode(), data[8 + size :]
    entry = '"a.w": {"dtype": "I8", "shape": [0], "data_offsets": [0, 0]}'
    for twice in (outer[:-1] + f", {entry}}}", "{" + entry + ", " + outer[1:]):
        with contextlib.suppress(ProgramError):
            assert_same(read(with_header(twice, body)), program)


WRONG: list[tuple[str, Any]] = [
    *(("metadata", value) for value in ({"a": 1}, {"a": None}, {"a": ["b"]}, ["a"], "a", None, 5)),
    *(("classes", value) for value in (["ant"], ["ant", "bee", 3], "ant", None, {"ant": 1})),
    *(("name", value) for value in (None, 1, ["sample"], {})),
    *(("outputs", value) for value in (["z"], [], ["h", "h"], [1], "h", {"h": 1}, None)),
    *(("bits", value) for value in ([], None, 1, "c.r")),
    *(("ops", value) for value in ({}, None, "ops", [None], [[]], ["Dense"], [{"op": "Nope"}])),
    *(("ops", [value]) for value in ({"op": ["Dense"]}, {"op": {}}, {"op": 1}, {})),
    *(("input", value) for value in (None, [], "x", {}, {"name": "x", "type": "Bits"})),
    *(
        ("input", {"name": "x", "type": "Int", "shape": [4, 4, 2], "lo": 0, "hi": 255} | changes)
        for changes in (
            [{"type": kind} for kind in ("int", None, 1, ["Int"])]
            + [{"shape": shape} for shape in ([4, 4], [4, 4, 2.0], [-4, -4, 2], 32, [10**400] * 3)]
            + [{"lo": lo} for lo in (None, 0.0, "0", 256, -(10**30), True, [0])]
            + [{"name": name} for name in (None, 1, "", "a b", "a", ["x"])]
        )
    ),
]
WRONG_FIELDS: list[tuple[int, str, Any]] = [
    *((0, "stride", value) for value in (1, "11", [1], [1, 1, 1], [1, 1.0], None, [[1], 1], {})),
    *((0, "stride", value) for value in ([10**400, 1], [0, 1], [-1, 1], [True, 1])),
    *((0, "padding", value) for value in ([1, 1], 1, "1111", [1, 1, 1, None], [10**30] * 4)),
    *((0, "pad_value", value) for value in (10**30, -(10**400), "0", 0.0, None, True, [0, 0])),
    *((0, "groups", value) for value in (0, -2, 3, 10**400, "2", 2.0, True, None)),
    *((0, "weights", value) for value in ("none", "c.r", "b.m", 1, None, [1, 2], ["a.w"], {})),
    *((0, "inputs", value) for value in ("x", {"x": 1}, [], ["x", "x"], [1], None, 1, [["x"]])),
    *((0, "output", value) for value in ("x", "", "a b", 1, None, ["a"], "b")),
    *((0, "op", value) for value in ("conv2d", "Op", "Dense", "", None, 1, "__class__")),
    *((0, "more", value) for value in (1, None)),
    *((1, "shift", value) for value in (-1, 62, 10**400, "3", 3.0, True, None)),
    *((1, "rounding", value) for value in ("up", "", 1, None, ["floor"], True)),
    *((3, "kernel", value) for value in ([0, 2], [9, 9], [257, 2], 2, "22", [2], None)),
]


@pytest.mark.usefixtures("little_memory")
def test_wrong_entries_behind_a_right_checksum(read: Callable[[bytes], Program]) -> None:
    header, stored = parts(sample())
    for key, value in WRONG:
        try:
            refused(read, signed(header | {key: value}, stored))
        except pytest.fail.Exception as error:
            raise AssertionError(f"'{key}' may be {value!r}") from error
    for index, key, value in WRONG_FIELDS:
        changed = copy.deepcopy(header)
        changed["ops"][index][key] = value
        try:
            refused(read, signed(changed, stored))
        except pytest.fail.Exception as error:
            raise AssertionError(f"'{key}' of op {index} may be {value!r}") from error
    for index, entry in enumerate(header["ops"]):
        for key in entry:
            changed = copy.deepcopy(header)
            del changed["ops"][index][key]
            refused(read, signed(changed, stored))
    for key in header:
        refused(read, signed({k: v for k, v in header.items() if k != key}, stored))


LEAVES = st.one_of(
    st.integers(-3, 9),
    st.sampled_from([127, 255, 256, 257, 2**16, 2**20, 2**24, 2**31 - 2, 2**31, 2**62, 2**63]),
    st.sampled_from([-(2**31), -(2**63), 10**30, 10**400, -(10**400), 2**32 + 1]),
    st.sampled_from([0.5, 1.0, float("nan"), float("inf"), 1e308, None, True, False]),
    st.sampled_from(["", "x", "a", "h", "a.w", "c.r", "\0", "\ud800", "é", "x" * 101, "floor"]),
    st.sampled_from(["Bits", "Int", *o.OPS]),
    st.sampled_from([[], {}, [[]], [{}], [1] * 9, [2, 2], [1, 1, 1, 1], {"op": "Flatten"}]),
)


def places(node: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key) in a tree of JSON."""
    keys = node if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
    for key in list(keys):
        yield node, key
        yield from places(node[key])


def mutate(data: st.DataObject, header: dict[str, Any]) -> None:
    spots = list(places(header))
    node, key = spots[data.draw(st.integers(0, len(spots) - 1), label="spot")]
    action = data.draw(st.sampled_from(["replace", "copy", "delete", "insert"]), label="action")
    if action == "delete":
        del node[key]
    elif action == "copy":
        other, at = spots[data.draw(st.integers(0, len(spots) - 1), label="source")]
        node[key] = copy.deepcopy(other[at])
    elif action == "insert" and isinstance(node, list):
        node.insert(key, copy.deepcopy(data.draw(LEAVES, label="leaf")))
    else:
        node[key] = copy.deepcopy(data.draw(LEAVES, label="leaf"))


@pytest.mark.usefixtures("little_memory")
@given(data=st.data(), program=st.one_of(st.builds(sample), programs()))
@settings(
    max_examples=400,
    deadline=5000,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_mutated_headers_behind_a_right_checksum(
    read: Callable[[bytes], Program], data: st.DataObject, program: Program
) -> None:
    """Whatever the header says: a `ProgramError`, or a program that is legal, saves and runs."""
    header, stored = parts(program)
    for _ in range(data.draw(st.integers(1, 3), label="mutations")):
        mutate(data, header)
    try:
        loaded = read(signed(header, stored))
    except ProgramError:
        return
    assert_same(read(codec.encode(loaded)), loaded)
    if sum(value.size for value in loaded.types.values()) < 20_000:
        images = batch(loaded, np.random.default_rng(0), 2)
        for name, value in reference.run(loaded, images, loaded.types).items():
            kind = loaded.types[name]
            assert value.shape == (2, *kind.shape)
            if not isinstance(kind, Bits):
                assert kind.lo <= value.min()
                assert value.max() <= kind.hi


@pytest.mark.usefixtures("little_memory")
@given(data=st.data())
@settings(
    max_examples=200,
    deadline=5000,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_mutated_containers(read: Callable[[bytes], Program], data: st.DataObject) -> None:
    """Changes to the outer header, which no checksum covers, never change the program."""
    program = sample()
    encoded = codec.encode(program)
    size = struct.unpack("<Q", encoded[:8])[0]
    header = json.loads(encoded[8 : 8 + size])
    for _ in range(data.draw(st.integers(1, 2), label="mutations")):
        mutate(data, header)
    try:
        again = read(with_header(json.dumps(header), encoded[8 + size :]))
    except ProgramError:
        return
    assert_same(again, program)


@pytest.mark.usefixtures("little_memory")
def test_one_large_tensor_read_by_thousands_of_ops(read: Callable[[bytes], Program]) -> None:
    """A file of 2 MiB must not make verification read 64 GiB."""
    count = 2**24
    ops = [{"op": "Dense", "inputs": ["x"], "output": f"v{i}", "weights": "w"} for i in range(4096)]
    header = {
        "version": FORMAT_VERSION,
        "input": {"name": "x", "type": "Bits", "shape": [count]},
        "ops": ops,
        "outputs": ["v0"],
        "name": "",
        "classes": [],
        "metadata": {},
        "bits": {"w": [1, count]},
    }
    error = refused(read, signed(header, {"w": np.zeros(count // 8, np.uint8)}))
    assert "constants of all ops" in error.cause
