"""The question: what becomes of a VGG that others trained to 88.8 % on CIFAR-10.

Makes a program of the BinaryNet VGG (Courbariaux et al., 2016) whose parameters the FPGA designs of
github cornell-zhang/bnn-fpga and icgrp/pld2022 (MIT) hold as words of C++; the latter is read:

    python benchmarks/binarynet_vgg.py pld2022 -o binarynet.safetensors

Six 3x3 convolutions (128, 128 and pool, 256, 256 and pool, 512, 512 and pool) padded with zeros,
fully connected 8192-1024-1024-10; a weight bit of 1 is -1, kernels are stored as true convolutions
take them (turned), and each channel's BatchNorm is one integer threshold: +1 if the sum reaches it.
Pixels are p / 127.5 - 1 with 18 fraction bits. bnn-fpga states 11.19 % of errors;
`bitwright eval binarynet.safetensors --data cifar10` says what the program has.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bitwright.ir import Program, codec, ops
from bitwright.ir.types import Int

FOLDER = "input_src/bnn512/operators"
CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
CONVOLUTIONS = (
    (128, 128, 128), (256, 128, 256), (256, 256, 128), (512, 256, 128), (512, 512, 64),
)  # fmt: skip
"""Outputs, inputs, and outputs that the design computes at once, of the second and further ones."""
DENSE = ((1024, 8192, 32), (1024, 1024, 256), (10, 1024, 10))
"""Outputs, inputs, and outputs that the design computes at once."""
DENSE_WORDS, THRESHOLD_WORDS = 4682, 64
POOLED = (2, 4, 6)

Bits = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]


def words(folder: Path, names: list[str], *, high_first: bool = False) -> npt.NDArray[np.uint64]:
    """Return the initialisers of all arrays in some files as words of 64 bits."""
    texts = (folder.joinpath(f"{name}.cpp").read_text(encoding="utf-8") for name in names)
    arrays = (body for text in texts for body in re.findall(r"\[\]\s*=\s*\{([^}]*)\}", text))
    halves = np.array(re.findall("0x([0-9a-fA-F]+)", " ".join(arrays)))
    pairs = np.array([int(half, 16) for half in halves], np.uint64).reshape(-1, 2)
    low, high = pairs.T[::-1] if high_first else pairs.T
    return np.asarray(low | high << np.uint64(32))


def shorts(of: npt.NDArray[np.uint64]) -> Integers:
    """Return four signed numbers of each word, the lowest first."""
    return np.ascontiguousarray(of).view("<i2").astype(np.int64)


def bits(of: npt.NDArray[np.uint64]) -> Bits:
    """Return (words, 64): the bits of each word, the lowest first."""
    given = np.unpackbits(np.ascontiguousarray(of).view(np.uint8), bitorder="little")
    return given.reshape(-1, 64).astype(np.bool_)


class Network:
    """The program, as its layers are added."""

    def __init__(self) -> None:
        pixel = np.arange(256)
        scaled = np.rint((pixel / 127.5 - 1) * 2**18).astype(np.int32)
        self.tensors: dict[str, npt.NDArray[Any]] = {"pixels.table": scaled}
        self.ops: list[ops.Op] = []
        self.value = "image"
        self._add(ops.Lookup(output="pixels", inputs=("image",), table="pixels.table"))

    def _add(self, op: ops.Op) -> None:
        self.ops.append(op)
        self.value = op.output

    def convolution(self, number: int, minus: Bits, thresholds: Integers) -> None:
        """Add one with weights of which some are -1, (out, row, column, in)."""
        name = f"conv{number}"
        self.tensors[f"{name}.weights"] = ~minus
        self._add(
            ops.Conv2d(
                output=name,
                inputs=(self.value,),
                weights=f"{name}.weights",
                padding=(1, 1, 1, 1),
                pad_value=0,
            )
        )
        if number in POOLED:
            two = (2, 2)
            self._add(
                ops.MaxPool2d(output=f"pool{number}", inputs=(self.value,), kernel=two, stride=two)
            )
        self.sign(name, thresholds)

    def dense(self, number: int, minus: Bits) -> None:
        """Add a fully connected layer, (out, in)."""
        if number == 1:
            self._add(ops.Flatten(output="flat", inputs=(self.value,)))
        name = f"fc{number}"
        self.tensors[f"{name}.weights"] = ~minus
        self._add(ops.Dense(output=name, inputs=(self.value,), weights=f"{name}.weights"))

    def sign(self, name: str, thresholds: Integers) -> None:
        """Add the signs behind a layer."""
        self.tensors[f"{name}.thresholds"] = thresholds.astype(np.int32)
        self.tensors[f"{name}.rising"] = np.ones(len(thresholds), np.bool_)
        self._add(
            ops.Threshold(
                output=f"{name}_sign",
                inputs=(self.value,),
                thresholds=f"{name}.thresholds",
                rising=f"{name}.rising",
            )
        )

    def scores(self, multiplier: Integers, addend: Integers) -> Program:
        """Add the last layer's scale and shift, with 10 fraction bits, and return the program."""
        self.tensors["scores.multiplier"] = multiplier.astype(np.int32)
        self.tensors["scores.addend"] = 4 * addend
        self._add(
            ops.Affine(
                output="scores",
                inputs=(self.value,),
                multiplier="scores.multiplier",
                addend="scores.addend",
                shift=4,
            )
        )
        self._add(ops.ArgMax(output="class", inputs=("scores",)))
        return Program(
            input_name="image",
            input_type=Int((32, 32, 3), 0, 255),
            ops=tuple(self.ops),
            tensors=self.tensors,
            outputs=("scores", "class"),
            name="binarynet-vgg",
            classes=tuple(CLASSES),
            metadata={"source": "BinaryNet VGG in github icgrp/pld2022"},
        )


def add_convolutions(network: Network, folder: Path) -> None:
    """Add the convolution of pixels and those of bits."""
    given = words(folder, ["fp_conv"], high_first=True)
    thresholds = shorts(given[:THRESHOLD_WORDS])[:128]
    minus = bits(given[THRESHOLD_WORDS:])[:, :27].reshape(128, 3, 3, 3)[:, :, ::-1, ::-1]
    network.convolution(1, minus.transpose(0, 2, 3, 1), 64 * thresholds)
    files = ["bc0_gen_0", *(f"bc1_gen_{k}" for k in range(3)), *(f"bc2_gen_{k}" for k in range(2))]
    given, at = words(folder, files), 0
    for number, (outputs, inputs, step) in enumerate(CONVOLUTIONS, 2):
        parts, found = [], []
        for _ in range(outputs // step):
            found.append(shorts(given[at : at + THRESHOLD_WORDS])[:step])
            at += THRESHOLD_WORDS
            minus, count = _kernels(given[at:], step, inputs)
            parts.append(minus)
            at += count
        network.convolution(number, np.concatenate(parts), np.concatenate(found))
    if at != len(given):
        raise SystemExit(f"{len(given) - at} words of the convolutions are left over")


def _kernels(given: npt.NDArray[np.uint64], outputs: int, inputs: int) -> tuple[Bits, int]:
    """Return which weights are -1, (out, row, column, in), and how many words they take.

    Words come in pairs, of even and of odd inputs, with seven kernels of nine bits each. An output
    begins with new words, at the place in them where the output before it ended.
    """
    places = []
    pair = place = 0
    for _ in range(outputs):
        for _ in range(inputs // 2):
            places.append((pair, place))
            pair, place = (pair + 1, 0) if place == 6 else (pair, place + 1)
        pair += 1
    row, column = np.array(places).T
    kernels = bits(given[: 2 * pair])[:, :63].reshape(pair, 2, 7, 9)[row, :, column]
    turned = kernels.reshape(outputs, inputs, 9)[:, :, ::-1].reshape(outputs, inputs, 3, 3)
    return turned.transpose(0, 2, 3, 1), 2 * pair


def add_dense(network: Network, folder: Path) -> Program:
    """Add the fully connected layers and return the program."""
    given, at = words(folder, [f"bd_gen_{k}" for k in range(10)]), 0
    for number, (outputs, inputs, step) in enumerate(DENSE, 1):
        parts, found = [], []
        for _ in range(outputs // step):
            # Two memories side by side, read in turn.
            inner = given[at : at + DENSE_WORDS].reshape(2, -1).T.reshape(-1)
            at += DENSE_WORDS
            parts.append(bits(inner[: step * inputs // 64]).reshape(step, inputs))
            found.append(shorts(given[at : at + THRESHOLD_WORDS]))
            at += THRESHOLD_WORDS
        minus = np.concatenate(parts)
        if number == 1:  # theirs are (channel, row, column), ours end with the channel
            minus = minus.reshape(outputs, 512, 4, 4).transpose(0, 2, 3, 1).reshape(outputs, -1)
        network.dense(number, minus)
        if number < len(DENSE):
            network.sign(f"fc{number}", np.concatenate([row[:step] for row in found]))
    if at != len(given):
        raise SystemExit(f"{len(given) - at} words of the dense layers are left over")
    return network.scores(found[0][:20:2], found[0][1:20:2])


def main() -> None:
    """Make the program."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("repository", type=Path, help="a clone of github icgrp/pld2022")
    parser.add_argument("-o", "--output", type=Path, default=Path("binarynet.safetensors"))
    options = parser.parse_args()
    folder = options.repository / FOLDER
    if not folder.is_dir():
        parser.error(f"there is no {FOLDER} in '{options.repository}': clone github icgrp/pld2022")
    network = Network()
    add_convolutions(network, folder)
    codec.save(add_dense(network, folder), options.output)
    print(f"program: {options.output}")


if __name__ == "__main__":
    main()
