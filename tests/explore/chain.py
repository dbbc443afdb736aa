"""A small classifier with three layers for circuits, and images that it mostly gets right."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bitwright.data import Dataset
from bitwright.ir import ArgMax, Conv2d, Dense, Flatten, Int, Lookup, Program, Threshold, codec
from bitwright.native import NativeProgram

CLASSES = 4


def chain(seed: int = 0) -> Program:
    """8-bit pixels, two convolutions, three dense layers: d2, d3 and d4 can have circuits."""
    rng = np.random.default_rng(seed)
    shapes = {"d1": (12, 3, 3, 1), "d2": (10, 3, 3, 12), "d3": (30, 160), "d4": (24, 30)}
    tensors = {f"{name}.w": rng.random(shape) < 0.5 for name, shape in shapes.items()}
    tensors["scores.w"] = rng.random((CLASSES, 24)) < 0.5
    tensors["levels.table"] = np.arange(-255, 256, 2, dtype=np.int32)
    for name, shape in shapes.items():
        reach = 200 if name == "d1" else 4
        tensors[f"{name}.t"] = rng.integers(-reach, reach, shape[0], dtype=np.int32)
        tensors[f"{name}.r"] = rng.random(shape[0]) < 0.7

    def decided(name: str, bits: str) -> Threshold:
        return Threshold(output=bits, inputs=(name,), thresholds=f"{name}.t", rising=f"{name}.r")

    return Program(
        input_name="image",
        input_type=Int((8, 8, 1), 0, 255),
        ops=(
            Lookup(output="levels", inputs=("image",), table="levels.table"),
            Conv2d(output="d1", inputs=("levels",), weights="d1.w"),
            decided("d1", "b1"),
            Conv2d(output="d2", inputs=("b1",), weights="d2.w"),
            decided("d2", "b2"),
            Flatten(output="flat", inputs=("b2",)),
            Dense(output="d3", inputs=("flat",), weights="d3.w"),
            decided("d3", "b3"),
            Dense(output="d4", inputs=("b3",), weights="d4.w"),
            decided("d4", "b4"),
            Dense(output="scores", inputs=("b4",), weights="scores.w"),
            ArgMax(output="class", inputs=("scores",)),
        ),
        tensors=tensors,
        outputs=("scores", "class"),
        name="chain",
        classes=tuple(f"class {i}" for i in range(CLASSES)),
    )


def images(seed: int, count: int, name: str = "noise") -> Dataset:
    """Random images; nine labels in ten are what the chain decides."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (count, 8, 8, 1), dtype=np.uint8)
    decided = NativeProgram(chain()).run(pixels, threads=1)["class"].astype(np.int64)
    drawn = rng.integers(0, CLASSES, count, dtype=np.int64)
    labels = np.where(rng.random(count) < 0.1, drawn, decided)
    return Dataset(name, "all", pixels, labels, chain().classes, ())


def write_chain(folder: Path) -> None:
    """Write the network, 60 training and 40 test images of its own, for commands to find."""
    codec.save(chain(), folder / "chain.safetensors")
    for name, seed, count in (("train", 1, 60), ("test", 2, 40)):
        found = images(seed, count)
        np.savez(folder / f"{name}.npz", x=found.images, y=found.labels)
