"""Execute a QONNX file with qonnx itself, on images in an .npz, and write its outputs to another.

Prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.transformation.infer_shapes import InferShapes


def main() -> None:
    """Execute the file image by image."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("images", type=Path, help="an .npz with uint8 images, channels last")
    parser.add_argument("outputs", type=Path)
    args = parser.parse_args()
    images = np.load(args.images)["images"]
    model = ModelWrapper(str(args.model)).transform(InferShapes())
    entry, leave = str(model.graph.input[0].name), str(model.graph.output[0].name)
    x = np.moveaxis(images, -1, 1).astype(np.float32)
    outputs = [execute_onnx(model, {entry: x[i : i + 1]})[leave] for i in range(len(x))]
    np.savez(args.outputs, output=np.concatenate(outputs))
    print(json.dumps({"images": len(x), "qonnx": version("qonnx")}))


if __name__ == "__main__":
    main()
