"""Build brevitas's 1W1A networks with random BatchNorm statistics and export them to QONNX.

For each network it writes ``NAME.onnx`` and ``NAME.npz`` into a folder:

- ``images``: uint8 (images, rows, columns, channels), what Bitwright's program takes;
- ``output``: float32 (images, classes), what brevitas gives for ``pixel / 255``;
- ``qonnx``: the same from ``qonnx.core.onnx_exec``, image by image (for the first few);
- ``bits_NN`` and ``before_NN``: what each sign gives, bool, and its float32 input, both in torch's
  layout (channels first), in the order of the layers, weights' signs left out.

Prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from brevitas.export import export_qonnx
from brevitas.nn import QuantIdentity
from brevitas_examples.bnn_pynq.models import model_with_cfg
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.transformation.infer_shapes import InferShapes

SHAPES = {"tfc": (28, 28, 1), "sfc": (28, 28, 1), "lfc": (28, 28, 1), "cnv": (32, 32, 3)}


def randomise(module: torch.nn.Module, rng: np.random.Generator) -> None:
    """Give BatchNorms statistics of all kinds: gamma of both signs and 0, zeros before a sign."""
    for layer in module.modules():
        if not hasattr(layer, "running_mean"):
            continue
        count = layer.running_mean.numel()
        gamma, beta = rng.normal(size=count), rng.normal(size=count)
        if count > 1:  # TensorNorm has one number, and logits keep their order
            gamma[rng.random(count) < 0.1] = 0.0
        else:
            gamma = np.abs(gamma) + 0.1
        beta[rng.random(count) < 0.3] = 0.0
        layer.weight.data = torch.tensor(gamma, dtype=torch.float32)
        layer.bias.data = torch.tensor(beta, dtype=torch.float32)
        mean = torch.tensor(rng.integers(-20, 21, count), dtype=torch.float32)
        layer.running_mean = mean
        layer.running_var = torch.tensor(rng.random(count) * 200 + 0.01, dtype=torch.float32)


def export(name: str, folder: Path, count: int, executed: int, seed: int) -> None:
    """Write one network."""
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    module, _ = model_with_cfg(f"{name}_1w1a", pretrained=False)
    randomise(module, rng)
    module.eval()
    shape = SHAPES[name]
    images = rng.integers(0, 256, (count, *shape), dtype=np.uint8)
    # torch's ToTensor divides by 255.
    x = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous().float().div(255)

    seen: dict[str, np.ndarray] = {}

    def hook(layer: torch.nn.Module, inputs: tuple, output: torch.Tensor) -> None:
        value = output.value if hasattr(output, "value") else output
        before = inputs[0].value if hasattr(inputs[0], "value") else inputs[0]
        if value.unique().numel() <= 2:
            number = len(seen) // 2
            seen[f"bits_{number:02}"] = (value > 0).numpy()
            seen[f"before_{number:02}"] = before.numpy()

    signs = [layer for layer in module.modules() if isinstance(layer, QuantIdentity)]
    hooks = [layer.register_forward_hook(hook) for layer in signs]
    with torch.inference_mode():
        output = module(x).numpy()
    for handle in hooks:
        handle.remove()
    path = folder / f"{name}.onnx"
    export_qonnx(module, args=x[:1], export_path=str(path), opset_version=13, dynamo=False)
    model = ModelWrapper(str(path)).transform(InferShapes())
    entry, leave = str(model.graph.input[0].name), str(model.graph.output[0].name)
    executions = [
        execute_onnx(model, {entry: x[i : i + 1].numpy()})[leave] for i in range(executed)
    ]
    np.savez(
        folder / f"{name}.npz",
        images=images,
        output=output,
        qonnx=np.concatenate(executions),
        **seen,
    )


def main() -> None:
    """Export the networks that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--networks", nargs="+", default=list(SHAPES), choices=list(SHAPES))
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--executed", type=int, default=4, help="images that qonnx executes too")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    for name in args.networks:
        export(name, args.folder, args.images, args.executed, args.seed)
    versions = {p: version(p) for p in ("brevitas", "qonnx", "onnx", "torch")}
    print(json.dumps({"networks": args.networks, "folder": str(args.folder), **versions}))


if __name__ == "__main__":
    main()
