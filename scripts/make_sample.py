"""Make the sample of Fashion-MNIST that Bitwright ships: 1,000 test images, 100 a class.

Requirements:

- Chance alone chooses: for each class 100 of its 1,000 test images, drawn without replacement by
  NumPy's PCG64 with a fixed seed, kept in the order of the test set.
- Run again, it writes the same arrays; a member ``index`` says which test images they are.

Usage: python scripts/make_sample.py [--data-dir FOLDER] [--out FILE]
"""

from __future__ import annotations

import argparse
import io
import zipfile
from pathlib import Path

import numpy as np

from bitwright.data import load

SEED = 20170828
PER_CLASS = 100
TARGET = Path(__file__).parents[1] / "src/bitwright/data/samples/fashion-mnist-sample.npz"


def choose(labels: np.ndarray, classes: int) -> np.ndarray:
    """Return the sorted indices of `PER_CLASS` images of each class."""
    rng = np.random.default_rng(SEED)
    picks = [
        rng.choice(np.flatnonzero(labels == label), PER_CLASS, replace=False)
        for label in range(classes)
    ]
    return np.sort(np.concatenate(picks))


def write(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write an ``.npz`` without the time of day in it."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            buffer = io.BytesIO()
            np.save(buffer, array, allow_pickle=False)
            info = zipfile.ZipInfo(f"{name}.npy")
            archive.writestr(info, buffer.getvalue(), zipfile.ZIP_DEFLATED, 9)


def main() -> None:
    """Read Fashion-MNIST and write the sample."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--out", type=Path, default=TARGET)
    options = parser.parse_args()
    test = load("fashion-mnist", "test", data_dir=options.data_dir, download=False)
    index = choose(test.labels, len(test.classes))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    arrays = {
        "x": test.images[index],
        "y": test.labels[index].astype(np.uint8),
        "classes": np.array(test.classes),
        "index": index.astype(np.uint16),
    }
    write(options.out, arrays)


if __name__ == "__main__":
    main()
