"""Small seeded classifiers and data for tests that need some network, not a good one."""

import numpy as np

from bitwright.data import Dataset
from bitwright.ir import (
    ArgMax,
    Conv2d,
    Dense,
    Flatten,
    Int,
    Lookup,
    MaxPool2d,
    Program,
    Threshold,
)


def classifier(seed=0, shape=(8, 8, 1), classes=4, name="small"):
    """8-bit pixels, two convolutions with a pool, one dense layer."""
    rng = np.random.default_rng(seed)
    rows, columns, channels = shape
    flat = (rows // 2) * (columns // 2) * 20
    return Program(
        input_name="image",
        input_type=Int(shape, 0, 255),
        ops=(
            Lookup(output="levels", inputs=("image",), table="levels.table"),
            Conv2d(output="d1", inputs=("levels",), weights="d1.weights", padding=(1, 1, 1, 1)),
            Threshold(output="b1", inputs=("d1",), thresholds="b1.t", rising="b1.r"),
            Conv2d(
                output="d2",
                inputs=("b1",),
                weights="d2.weights",
                padding=(1, 1, 1, 1),
                pad_value=int(rng.integers(-1, 2)),
            ),
            MaxPool2d(output="p2", inputs=("d2",), kernel=(2, 2), stride=(2, 2)),
            Threshold(output="b2", inputs=("p2",), thresholds="b2.t", rising="b2.r"),
            Flatten(output="flat", inputs=("b2",)),
            Dense(output="scores", inputs=("flat",), weights="scores.weights"),
            ArgMax(output="class", inputs=("scores",)),
        ),
        tensors={
            "levels.table": np.arange(-255, 256, 2, dtype=np.int32),
            "d1.weights": rng.random((70, 3, 3, channels)) < 0.5,
            "b1.t": rng.integers(-300, 300, 70, dtype=np.int32),
            "b1.r": rng.random(70) < 0.7,
            "d2.weights": rng.random((20, 3, 3, 70)) < 0.5,
            "b2.t": rng.integers(0, 60, 20, dtype=np.int32),
            "b2.r": rng.random(20) < 0.7,
            "scores.weights": rng.random((classes, flat)) < 0.5,
        },
        outputs=("scores", "class"),
        name=name,
        classes=tuple(f"class {i}" for i in range(classes)),
    )


def labelled(seed=0, shape=(8, 8, 1), count=60, classes=4):
    """Random images with random labels."""
    rng = np.random.default_rng(seed)
    return Dataset(
        name="noise",
        split="all",
        images=rng.integers(0, 256, (count, *shape), dtype=np.uint8),
        labels=rng.integers(0, classes, count, dtype=np.int64),
        classes=tuple(f"class {i}" for i in range(classes)),
        sources=(),
    )
