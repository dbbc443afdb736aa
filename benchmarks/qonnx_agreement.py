"""The question: do networks that brevitas exports to QONNX give here the bits they give there.

Each 1W1A network is built and exported in the peer environment, with random BatchNorm statistics
of all kinds: whole means with beta = 0 put exact zeros before many signs, and torch's float32
rounds some of these ties to one side. So each layer is compared by itself, on brevitas's own bits
before it: a bit that differs must be a tie, its float32 input in brevitas within `TIE` of 0.
The whole network is compared with qonnx's own execution of the same file.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np

from _peers import run_peer
from bitwright.frontends.qonnx import import_qonnx
from bitwright.ir import Program, Threshold, reference

TIE = 1e-4
KEYS = ("bits", "before")


def compare(folder: Path, name: str) -> dict[str, object]:
    """Compare one network."""
    program = import_qonnx(folder / f"{name}.onnx")
    data = np.load(folder / f"{name}.npz")
    bits = ties = wrong = 0
    largest = 0.0
    source, batch = program.input_name, data["images"]
    signs = [op.output for op in program.ops if isinstance(op, Threshold)]
    for number, value in enumerate(signs):
        theirs, before = (as_ours(data[f"{k}_{number:02}"], value, program) for k in KEYS)
        differs = stage(program, source, value, batch) != theirs
        tie = np.abs(before) <= TIE
        bits, ties = bits + differs.size, ties + int((differs & tie).sum())
        wrong += int((differs & ~tie).sum())
        largest = max(largest, float(np.abs(before[differs]).max(initial=0.0)))
        source, batch = value, theirs
    result: dict[str, object] = {
        "ops": len(program.ops),
        "bits": bits,
        "tied_bits_that_differ": ties,
    }
    result |= {"other_bits_that_differ": wrong, "largest_input_of_one_that_differs": largest}
    scale, offset = (float(program.metadata[k]) for k in ("output_scale", "output_offset"))
    whole = reference.run(program, data["images"], keep=[program.logits])[program.logits]
    outputs = {"brevitas": stage(program, source, program.logits, batch), "qonnx": whole}
    for key, logits in outputs.items():
        theirs = data["output" if key == "brevitas" else key]
        ours = logits[: len(theirs)] * scale + offset
        near = np.isclose(ours, theirs, rtol=1e-5, atol=1e-3 * abs(scale))
        result[f"{key}_outputs"] = int(near.size)
        result[f"{key}_outputs_that_differ"] = int((~near).sum())
    return result


def stage(program: Program, source: str, value: str, batch: np.ndarray) -> np.ndarray:
    """Run the part of a program between two values."""
    names = [program.input_name, *(op.output for op in program.ops)]
    part = Program(
        input_name=source,
        input_type=program.types[source],
        ops=program.ops[names.index(source) : names.index(value)],
        tensors=program.tensors,
        outputs=(value,),
    )
    return np.asarray(reference.run(part, batch)[value])


def as_ours(array: np.ndarray, value: str, program: Program) -> np.ndarray:
    """Put an array of brevitas, channels first, into the layout of one of our values."""
    return array.transpose(0, 2, 3, 1) if len(program.types[value].shape) == 3 else array


def main() -> None:
    """Export, import, compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", nargs="+", default=["tfc", "sfc", "lfc", "cnv"])
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--folder", type=Path, help="of an export that is already there")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = args.folder or Path(made)
        if args.folder is None:
            wanted = ["--folder", folder, "--images", args.images, "--networks", *args.networks]
            run_peer("brevitas", "export_qonnx.py", wanted)
        results = {name: compare(folder, name) for name in args.networks}
    print(json.dumps({"benchmark": "qonnx_agreement", "images": args.images, **results}))


if __name__ == "__main__":
    main()
