"""Folded folders: what is written by the rules of the hardware is read back as what it computes.

The writer and the evaluation here know the format's description and nothing of the importer: they
fold word by word, and count equal pairs of bits.
"""

from __future__ import annotations

import json
import struct
import tempfile
from dataclasses import dataclass, replace
from fractions import Fraction
from math import floor, prod
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitwright.errors import BitwrightError, ConfigError, FrontendError, UnknownNameError
from bitwright.frontends.finn import import_finn
from bitwright.frontends.topology import Topology, load_topology
from bitwright.ir import MAX_INT, Program, Threshold, reference
from bitwright.native import run

# The independent writer.


@dataclass(frozen=True)
class Unit:
    """One matrix-vector-threshold unit as the hardware has it, padding columns and all."""

    rows: int
    columns: int
    pe: int
    simd: int
    kernel: int | None = None
    pool: int = 1
    weights: Any = None
    thresholds: Any = None


@dataclass(frozen=True)
class Network:
    """A network in the hardware's own terms."""

    input: tuple[int, int, int]
    encoding: str
    decision: str
    units: tuple[Unit, ...]
    classes: int
    short: bool = True
    """Whether the last unit's files end behind the rows of the classes."""

    def with_parameters(self, seed: int) -> Network:
        """Return the network with random weights, and thresholds that few inputs always pass."""
        rng = np.random.default_rng(seed)
        units = []
        for i, unit in enumerate(self.units):
            weights = rng.random((unit.rows, unit.columns)) < 0.5
            if i == 0 and len(self.units) == 1:
                weights[:, prod(self.input) :] = True  # padding may not add to a score
            if i == 0 and self.encoding == "signed8":
                reach = int(40 * unit.columns**0.5) + 2
                thresholds = rng.integers(-2 * reach, 2 * reach, unit.rows)
            else:
                reach = int(unit.columns**0.5) + 1
                thresholds = unit.columns // 2 + rng.integers(-reach, reach, unit.rows)
            never = rng.random(unit.rows) < 0.1
            thresholds = np.where(never, rng.choice([32_767, 65_535, -1], unit.rows), thresholds)
            units.append(replace(unit, weights=weights, thresholds=thresholds))
        return replace(self, units=tuple(units))

    def topology(self, **changes: Any) -> Topology:
        layers = [
            {
                name: getattr(unit, name)
                for name in ("rows", "columns", "pe", "simd", "kernel", "pool")
            }
            for unit in self.units
        ]
        data = {
            "input": self.input,
            "input_encoding": self.encoding,
            "decision": self.decision,
            "layer": layers,
        }
        return Topology.model_validate(data | changes)

    def files(self) -> dict[str, bytes]:
        """Fold the parameters into files, word by word."""
        files = {}
        for i, unit in enumerate(self.units):
            last = i == len(self.units) - 1
            for pe in range(unit.pe):
                weights, thresholds = [], []
                for nf in range(unit.rows // unit.pe):
                    neuron = nf * unit.pe + pe
                    if last and self.short and neuron >= self.classes:
                        continue
                    for sf in range(unit.columns // unit.simd):
                        word = 0
                        for s in range(unit.simd):
                            word |= int(unit.weights[neuron, sf * unit.simd + s]) << s
                        weights.append(word)
                    thresholds.append(int(unit.thresholds[neuron]))
                files[f"{i}-{pe}-weights.bin"] = struct.pack(f"<{len(weights)}Q", *weights)
                if not (last and self.decision == "first_maximum"):
                    files[f"{i}-{pe}-thres.bin"] = struct.pack(f"<{len(thresholds)}q", *thresholds)
        names = "".join(f"class {c}\n" for c in range(self.classes))
        files["classes.txt"] = names.encode()
        return files

    # The independent evaluation.

    def evaluate(self, image: Any) -> tuple[list[Any], Any, int]:
        """Return the bits behind each thresholded unit, the last accumulators, and the class."""
        if self.encoding == "signed8":
            value = np.vectorize(_signed8, otypes=[np.int64])(image)
        else:
            value = (image >= 128).astype(np.int64)
        stages = []
        for i, unit in enumerate(self.units):
            exact = i == 0 and self.encoding == "signed8"
            if unit.kernel is None:
                columns = np.zeros((1, 1, unit.columns), np.int64)  # padding inputs are 0
                columns[0, 0, : value.size] = value.reshape(-1)
            else:
                columns = _columns(value, unit.kernel)
            signs = 2 * unit.weights.astype(np.int64) - 1
            if exact:
                sums = 2 * np.einsum("yxc,nc->yxn", columns, signs)  # in units of 1/256
            else:
                sums = (columns[:, :, None, :] == unit.weights[None, None]).sum(axis=3)
            if i == len(self.units) - 1 and self.decision == "first_maximum":
                scores = sums.reshape(-1)[: self.classes]
                return stages, scores, _first_maximum(scores)
            bits = (sums > unit.thresholds).astype(np.int64)
            side = unit.pool
            rows, wide = bits.shape[0] // side, bits.shape[1] // side
            value = np.zeros((rows, wide, unit.rows), np.int64)
            for y in range(rows):
                for x in range(wide):
                    window = bits[y * side : (y + 1) * side, x * side : (x + 1) * side]
                    value[y, x] = window.any(axis=(0, 1))
            stages.append(value)
        last = value.reshape(-1)[: self.classes]
        return stages, last, max([c for c in range(self.classes) if last[c]], default=0)


def _signed8(pixel: int) -> int:
    scaled = (Fraction(2 * int(pixel), 255) - 1) * 128 + Fraction(1, 2)
    return min(max(floor(scaled), -128), 127)


def _columns(value: Any, side: int) -> Any:
    """Windows as rows of synapses: kernel row, kernel column, channel, the last one fastest."""
    rows, columns = value.shape[0] - side + 1, value.shape[1] - side + 1
    windows = [
        [value[y : y + side, x : x + side].reshape(-1) for x in range(columns)] for y in range(rows)
    ]
    return np.array(windows)


def _first_maximum(scores: Any) -> int:
    best = 0
    for c, score in enumerate(scores):
        if score > scores[best]:
            best = c
    return best


NETWORKS = {
    "conv": Network(
        input=(9, 8, 2),
        encoding="signed8",
        decision="first_maximum",
        units=(
            Unit(8, 18, pe=4, simd=3, kernel=3),
            Unit(6, 32, pe=3, simd=8, kernel=2, pool=2),
            Unit(10, 24, pe=1, simd=24, kernel=2),
            Unit(12, 20, pe=6, simd=1),
            Unit(8, 12, pe=4, simd=6),
        ),
        classes=5,
    ),
    "padded": Network(
        input=(5, 4, 1),
        encoding="bipolar",
        decision="highest_set_bit",
        units=(
            Unit(70, 64, pe=7, simd=32),
            Unit(128, 70, pe=64, simd=35),
            Unit(16, 128, pe=4, simd=64),
        ),
        classes=6,
    ),
    "binary conv": Network(
        input=(6, 5, 3),
        encoding="bipolar",
        decision="first_maximum",
        units=(
            Unit(65, 12, pe=5, simd=12, kernel=2, pool=3),
            Unit(64, 65, pe=64, simd=5, kernel=1),
            Unit(3, 64, pe=3, simd=64),
        ),
        classes=3,
    ),
    "first layer dense": Network(
        input=(3, 3, 2),
        encoding="signed8",
        decision="highest_set_bit",
        units=(Unit(20, 18, pe=20, simd=1), Unit(64, 20, pe=16, simd=4)),
        classes=10,
    ),
    "one layer": Network(
        input=(2, 3, 1),
        encoding="bipolar",
        decision="first_maximum",
        units=(Unit(4, 64, pe=2, simd=64),),
        classes=4,
    ),
}


def write(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir(exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


# What is imported computes what the hardware computes.


def _stages(program: Program) -> list[str]:
    """The value behind each unit: its bits, or the pool of them."""
    stages = []
    for op in program.ops:
        if isinstance(op, Threshold) and op.input != program.input_name:
            stages.append(op.output)
        elif op.kind == "MaxPool2d":
            stages[-1] = op.output
    return stages


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("seed", range(3))
def test_the_program_computes_what_the_hardware_does(name: str, seed: int, tmp_path: Path) -> None:
    network = replace(NETWORKS[name], short=seed != 1).with_parameters(seed)
    program = import_finn(write(tmp_path / "net", network.files()), network.topology())
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (24, *network.input)).astype(np.uint8)
    images[0], images[1] = 0, 255
    images[2] = rng.choice([127, 128], network.input)
    stages = _stages(program)
    values = run(program, images, keep=[*stages, *program.outputs])
    expected = reference.run(program, images, [*stages, *program.outputs])
    for i, image in enumerate(images):
        bits, scores, decided = network.evaluate(image)
        assert len(bits) == len(stages)
        for stage, wanted in zip(stages, bits, strict=True):
            found = values[stage][i].reshape(-1)
            np.testing.assert_array_equal(found, wanted.reshape(-1)[: found.size], stage)
        if network.decision == "first_maximum":
            inputs = 6 if name == "one layer" else network.units[-1].columns
            np.testing.assert_array_equal(values["scores"][i], 2 * scores - inputs)
        assert values["class"][i] == decided
    for key, wanted in expected.items():
        np.testing.assert_array_equal(values[key], wanted)


def test_the_program_says_where_it_comes_from(tmp_path: Path) -> None:
    network = NETWORKS["conv"].with_parameters(0)
    folder = write(tmp_path / "net", network.files())
    program = import_finn(folder, network.topology())
    assert program.name == "net"
    assert import_finn(str(folder), network.topology(), name="other").name == "other"
    assert program.classes == tuple(f"class {c}" for c in range(5))
    assert program.outputs == ("scores", "class")
    assert {"source", "preprocessing", "tie_rule"} <= set(program.metadata)


def test_folding_does_not_change_the_program(tmp_path: Path) -> None:
    network = NETWORKS["conv"].with_parameters(1)
    digests = set()
    for i, (pe, simd) in enumerate([(1, 1), (2, 6), (4, 12), (8, 4), (8, 12)]):
        last = replace(network.units[-1], pe=pe, simd=simd)
        folded = replace(network, units=(*network.units[:-1], last), short=i % 2 == 0)
        folder = write(tmp_path / str(i), folded.files())
        digests.add(import_finn(folder, folded.topology()).digest)
    assert len(digests) == 1


def test_classes_of_the_topology_serve_where_there_is_no_file(tmp_path: Path) -> None:
    network = NETWORKS["conv"].with_parameters(0)
    files = network.files()
    del files["classes.txt"]
    topology = network.topology(classes=("a", "b", "c"))
    assert import_finn(write(tmp_path / "net", files), topology).classes == ("a", "b", "c")


def test_empty_lines_are_no_classes(tmp_path: Path) -> None:
    network = NETWORKS["conv"].with_parameters(0)
    files = network.files() | {"classes.txt": "1\r\n\n 2 \nd\u00e9j\u00e0\n\n".encode()}
    program = import_finn(write(tmp_path / "net", files), network.topology())
    assert program.classes == ("1", "2", "d\u00e9j\u00e0")


@pytest.mark.parametrize("extreme", [2**63 - 1, -(2**63), 2**40, -(2**40), 2**31, -(2**31)])
@pytest.mark.parametrize("name", ["conv", "padded"])
def test_extreme_thresholds_never_or_always_fire(name: str, extreme: int, tmp_path: Path) -> None:
    network = NETWORKS[name].with_parameters(0)
    first = network.units[0]
    thresholds = np.full(first.rows, extreme, np.int64)
    network = replace(network, units=(replace(first, thresholds=thresholds), *network.units[1:]))
    program = import_finn(write(tmp_path / "net", network.files()), network.topology())
    images = np.random.default_rng(0).integers(0, 256, (4, *network.input)).astype(np.uint8)
    stage = _stages(program)[0]
    assert (reference.run(program, images, [stage])[stage] == (extreme < 0)).all()
    stored = program.tensors[f"{stage}.thresholds"]
    assert (abs(stored.astype(np.int64)) <= MAX_INT).all()


@pytest.mark.parametrize("bit", [False, True])
def test_weights_of_one_sign(bit: bool, tmp_path: Path) -> None:
    network = NETWORKS["conv"].with_parameters(0)
    alike = [replace(unit, weights=np.full_like(unit.weights, bit)) for unit in network.units[:-1]]
    network = replace(network, units=(*alike, network.units[-1]))
    program = import_finn(write(tmp_path / "net", network.files()), network.topology())
    images = np.random.default_rng(0).integers(0, 256, (6, *network.input)).astype(np.uint8)
    decided = reference.run(program, images, ["class"])["class"]
    assert decided.tolist() == [network.evaluate(image)[2] for image in images]


# Bad folders.

GOOD = NETWORKS["conv"].with_parameters(0)


def refused(folder: Path, topology: Topology | None = None) -> str:
    """Import what cannot be imported; return the one line that says why and what to do."""
    with pytest.raises(BitwrightError) as caught:
        import_finn(folder, GOOD.topology() if topology is None else topology)
    return one_line(caught.value)


def one_line(error: BitwrightError) -> str:
    assert error.cause
    assert error.way_out
    assert "\n" not in str(error)
    return str(error)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "net", GOOD.files())


@pytest.mark.parametrize("name", ["0-0-weights.bin", "0-3-thres.bin", "4-3-weights.bin"])
def test_a_missing_file(folder: Path, name: str) -> None:
    (folder / name).unlink()
    message = refused(folder)
    assert name in message
    assert "No such file" in message
    assert "--topology" in message


@pytest.mark.parametrize("name", ["0-0-weights.bin", "1-2-thres.bin", "4-0-weights.bin"])
@pytest.mark.parametrize("less", [1, 4, 8])
def test_a_truncated_file(folder: Path, name: str, less: int) -> None:
    path = folder / name
    path.write_bytes(path.read_bytes()[:-less])
    message = refused(folder)
    assert name in message
    assert "truncated" in message


def test_an_empty_file(folder: Path) -> None:
    (folder / "2-0-weights.bin").write_bytes(b"")
    assert "truncated: 0 bytes" in refused(folder)


@pytest.mark.parametrize("name", ["0-0-weights.bin", "1-2-thres.bin"])
@pytest.mark.parametrize("more", [1, 8, 8_000])
def test_a_file_that_is_too_long(folder: Path, name: str, more: int) -> None:
    path = folder / name
    path.write_bytes(path.read_bytes() + bytes(more))
    assert f"'{name}' has {path.stat().st_size} bytes" in refused(folder)


def test_a_last_layer_that_stops_within_a_row(folder: Path) -> None:
    path = folder / "4-0-weights.bin"
    path.write_bytes(path.read_bytes() + bytes(4))
    assert "4-0-weights.bin" in refused(folder)


@pytest.mark.parametrize("bit", [3, 40, 63])
def test_bits_beyond_simd(folder: Path, bit: int) -> None:
    path = folder / "0-2-weights.bin"
    words = np.frombuffer(path.read_bytes(), "<u8").copy()
    words[5] |= np.uint64(1) << np.uint64(bit)
    path.write_bytes(words.tobytes())
    message = refused(folder)
    assert "0-2-weights.bin" in message
    assert "simd = 3" in message


def test_padding_that_would_add_to_a_score(tmp_path: Path) -> None:
    network = NETWORKS["one layer"].with_parameters(0)
    network.units[0].weights[2, 20] = False
    folder = write(tmp_path / "net", network.files())
    assert "layer 0 adds padding to its scores" in refused(folder, network.topology())


def test_a_file_that_is_a_folder(folder: Path) -> None:
    (folder / "0-0-weights.bin").unlink()
    (folder / "0-0-weights.bin").mkdir()
    assert "0-0-weights.bin" in refused(folder)


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    path = tmp_path / "net.bin"
    path.write_bytes(b"no folder")
    assert "is no folder: give the folder" in refused(path)
    assert "is no folder" in refused(tmp_path / "nothing here")
    assert "is no folder" in refused(Path("a\0b"))


def test_classes_that_are_missing(folder: Path) -> None:
    (folder / "classes.txt").unlink()
    message = refused(folder)
    assert "classes.txt' is missing" in message
    assert "one class name a line" in message


@pytest.mark.parametrize("text", ["", "\n\n", "  \n \t\n"])
def test_classes_that_are_empty(folder: Path, text: str) -> None:
    (folder / "classes.txt").write_text(text)
    assert "names 0 classes for 8 outputs" in refused(folder)


def test_too_many_classes(folder: Path) -> None:
    (folder / "classes.txt").write_text("\n".join("abcdefghi"))
    assert "classes.txt' names 9 classes for 8 outputs" in refused(folder)
    (folder / "classes.txt").unlink()
    topology = GOOD.topology(classes=tuple("abcdefghi"))
    assert "the topology names 9 classes for 8 outputs" in refused(folder, topology)


def test_more_classes_than_the_files_hold(folder: Path) -> None:
    (folder / "classes.txt").write_text("\n".join("abcdef"))
    assert "'4-1-weights.bin' is truncated" in refused(folder)


def test_classes_that_are_no_text(folder: Path) -> None:
    (folder / "classes.txt").write_bytes(b"cat\n\xff\xfe\n")
    assert "classes.txt' cannot be read" in refused(folder)


# Bad topologies.


def _layers(**changes: Any) -> list[dict[str, Any]]:
    layers = GOOD.topology().model_dump()["layer"]
    return [dict(layers[0]) | changes, *map(dict, layers[1:])]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"input": (9, 8, 3)}, "layer 0 of the topology for 'net' has 18 columns for inputs of 27"),
        ({"input": (2, 2, 2)}, "layer 0"),
        ({"input": (9, 20, 2)}, "layer 3"),
        ({"layer": _layers(rows=16)}, "layer 1"),
        ({"layer": _layers(kernel=None)}, "layer 0"),
        ({"layer": _layers(pool=9)}, "layer 0"),
        ({"layer": [*_layers(), _layers()[4]]}, "layer 5"),
        ({"layer": _layers(pe=8, simd=3)}, "'0-0-weights.bin' has 96 bytes"),
        ({"layer": _layers(pe=2, simd=3)}, "'0-0-weights.bin' is truncated"),
        ({"layer": _layers(pe=4, simd=6)}, "'0-0-weights.bin' has 96 bytes"),
        ({"layer": _layers(rows=2**20, pe=2**20, columns=2**20, simd=1)}, "more than"),
        ({"decision": "highest_set_bit"}, "4-0-thres.bin"),
    ],
)
def test_a_topology_of_another_network(folder: Path, changes: dict[str, Any], reason: str) -> None:
    assert reason in refused(folder, GOOD.topology(**changes))


def _toml(topology: dict[str, Any]) -> str:
    lines = [f"{json.dumps(k)} = {json.dumps(v)}" for k, v in topology.items() if k != "layer"]
    layers = topology.get("layer", [])
    if not isinstance(layers, list) or not all(isinstance(layer, dict) for layer in layers):
        return "\n".join([*lines, f"layer = {json.dumps(layers)}"])
    for layer in layers:
        lines.append("[[layer]]")
        lines += [f"{json.dumps(k)} = {json.dumps(v)}" for k, v in layer.items() if v is not None]
    return "\n".join(lines) + "\n"


def _description() -> dict[str, Any]:
    data = GOOD.topology().model_dump(mode="json")
    return {name: value for name, value in data.items() if name != "classes"}


def unreadable(path: Path, text: str | bytes) -> str:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(BitwrightError) as caught:
        load_topology(path)
    assert type(caught.value) is ConfigError
    assert str(path) in caught.value.cause
    return one_line(caught.value)


def test_a_topology_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "net.toml"
    path.write_text(_toml(_description()))
    assert load_topology(path) == load_topology(str(path)) == GOOD.topology()


@pytest.mark.parametrize("name", ["cnv", "lfc"])
def test_the_built_in_topologies(name: str) -> None:
    assert load_topology(name).layer[0].simd == {"cnv": 3, "lfc": 64}[name]


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        ({"pe": 3}, "pe = 3 does not divide rows = 8"),
        ({"simd": 4}, "simd = 4 does not divide columns = 18"),
        ({"simd": 0}, "layer.0.simd"),
        ({"simd": 65}, "layer.0.simd"),
        ({"pe": -4}, "layer.0.pe"),
        ({"rows": "many"}, "layer.0.rows"),
        ({"rows": 8.5}, "layer.0.rows"),
        ({"rows": 2**70}, "layer.0.rows"),
        ({"kernel": [3, 3]}, "layer.0.kernel"),
        ({"stride": 2}, "layer.0.stride"),
        ({"two\nlines": 2}, "layer.0.two lines"),
    ],
)
def test_a_layer_that_is_not_valid(tmp_path: Path, layer: dict[str, Any], reason: str) -> None:
    data = _description() | {"layer": _layers(**layer)}
    assert reason in unreadable(tmp_path / "net.toml", _toml(data))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"input": [9, 8]}, "input"),
        ({"input": [9, 8, 0]}, "input.2"),
        ({"input_encoding": "float"}, "'signed8' or 'bipolar'"),
        ({"decision": "vote"}, "'first_maximum' or 'highest_set_bit'"),
        ({"layer": []}, "layer"),
        ({"layers": 3}, "layers"),
        ({"classes": "abc"}, "classes"),
    ],
)
def test_a_topology_that_is_not_valid(tmp_path: Path, changes: dict[str, Any], reason: str) -> None:
    message = unreadable(tmp_path / "net.toml", _toml(_description() | changes))
    assert "not valid" in message
    assert reason in message


@pytest.mark.parametrize(
    "text",
    [
        "input = [9, 8",
        "[[layer]\n",
        "input = 1\ninput = 2\n",
        '"a\\nb" = 1\n"a\\nb" = 2\n',
        b"\xff\xfe\x00",
        b"input = '\x00'",
        "a = " + "[" * 5000 + "]" * 5000,
        f"input = [1, 2, {'9' * 5000}]",
    ],
    ids=["list", "table", "twice", "two-lines", "text", "nul", "deep", "digits"],
)
def test_a_topology_that_is_no_toml(tmp_path: Path, text: str | bytes) -> None:
    assert "cannot be read" in unreadable(tmp_path / "net.toml", text)


def test_a_topology_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'cnv'") as caught:
        load_topology("cnw")
    assert "cnv, lfc, or a .toml file" in one_line(caught.value)
    for name in ("", "lfc.toml", str(tmp_path), "x" * 5000, "a\0b"):
        with pytest.raises(BitwrightError) as caught:
            load_topology(name)
        one_line(caught.value)


# Anything at all.


def test_the_way_out_of_a_bad_folder_is_an_error_of_the_front_end(tmp_path: Path) -> None:
    with pytest.raises(FrontendError):
        import_finn(write(tmp_path / "net", {}), GOOD.topology())


FILES = {name: NETWORKS[name].with_parameters(0).files() for name in ("conv", "padded")}


@st.composite
def mutations(draw: st.DrawFn) -> tuple[str, dict[str, bytes | None]]:
    """Draw a network and what to make of some of its files; None deletes one."""
    name = draw(st.sampled_from(sorted(FILES)))
    files: dict[str, bytes | None] = {}
    for file in draw(st.lists(st.sampled_from(sorted(FILES[name])), min_size=1, max_size=3)):
        data = FILES[name][file]
        how = draw(st.sampled_from(["delete", "truncate", "extend", "flip", "replace"]))
        if how == "delete":
            files[file] = None
        elif how == "truncate":
            files[file] = data[: draw(st.integers(0, len(data)))]
        elif how == "extend":
            files[file] = data + draw(st.binary(max_size=40))
        elif how == "flip":
            bit = draw(st.integers(0, 8 * len(data) - 1))
            changed = bytearray(data)
            changed[bit // 8] ^= 1 << bit % 8
            files[file] = bytes(changed)
        else:
            files[file] = draw(st.binary(max_size=100))
    return name, files


@settings(max_examples=150, deadline=None)
@given(mutations())
def test_a_damaged_folder_is_imported_or_refused(case: tuple[str, dict[str, bytes | None]]) -> None:
    name, changes = case
    network = NETWORKS[name]
    with tempfile.TemporaryDirectory() as temporary:
        files = {k: v for k, v in (FILES[name] | changes).items() if v is not None}
        folder = write(Path(temporary) / "net", files)
        try:
            program = import_finn(folder, network.topology())
        except BitwrightError as error:
            one_line(error)
            return
    images = np.zeros((1, *network.input), np.uint8)
    assert 0 <= reference.run(program, images)["class"][0] < len(program.classes)


NUMBERS = st.integers(-2, 70) | st.sampled_from([128, 2**20, 2**31, 2**64, 10**30])
VALUES = st.none() | st.booleans() | NUMBERS | st.floats() | st.text(max_size=5)
ANYTHING = VALUES | st.lists(VALUES, max_size=4)
LAYERS = st.fixed_dictionaries(
    {"rows": NUMBERS, "columns": NUMBERS, "pe": NUMBERS, "simd": NUMBERS},
    optional={"kernel": NUMBERS, "pool": NUMBERS, "more": ANYTHING},
)
TOPOLOGIES = st.fixed_dictionaries(
    {},
    optional={
        "input": st.lists(NUMBERS, min_size=2, max_size=4) | ANYTHING,
        "input_encoding": st.sampled_from(["signed8", "bipolar"]) | ANYTHING,
        "decision": st.sampled_from(["first_maximum", "highest_set_bit"]) | ANYTHING,
        "layer": st.lists(LAYERS, max_size=3) | ANYTHING,
        "classes": st.lists(st.text(max_size=3), max_size=9) | ANYTHING,
    },
)


@st.composite
def near_topologies(draw: st.DrawFn) -> dict[str, Any]:
    """Draw the description of the good network with a few values changed."""
    data = _description()
    for _ in range(draw(st.integers(1, 3))):
        layer = data["layer"][draw(st.integers(0, len(data["layer"]) - 1))]
        where = draw(st.sampled_from([data, layer, layer, layer]))
        key = draw(st.sampled_from(sorted(where)))
        value = draw(NUMBERS | ANYTHING)
        if not (key == "layer" and where is data):
            where[key] = value
    return data


@settings(max_examples=200, deadline=None)
@given(TOPOLOGIES | near_topologies())
def test_any_topology_is_imported_or_refused(data: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = write(Path(temporary) / "net", FILES["conv"])
        path = Path(temporary) / "net.toml"
        path.write_text(_toml(data), encoding="utf-8")
        try:
            import_finn(folder, load_topology(path))
        except BitwrightError as error:
            one_line(error)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode()))
def test_any_bytes_are_a_topology_or_refused(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "net.toml"
        path.write_bytes(data)
        with pytest.raises(ConfigError) as caught:
            load_topology(path)
        one_line(caught.value)
