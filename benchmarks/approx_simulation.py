"""Ask what it costs to simulate approximate popcounts bit for bit, on a whole network.

CNV-W1A1 (the published weights if ``$BITWRIGHT_SHARED/models`` has them, else random ones) on
random images: its layers 1 to 7 with one level of majority gates, with exact adders, and with an
imported netlist, each against the exact native engine in the same run.

The netlist stands for any that a user brings: a ripple tree, written as Verilog of two-input gates
and read back, so that nothing is left of its adders. ``--netlists DIR`` takes files instead, named
by their fan-in (``pc576.v``). Checked before anything is timed: exact circuits give the engine's
bits, and a layer's values are those of the circuits' reference evaluator. Prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bitwright.circuits import Circuit, evaluate, make, parse, read_netlist
from bitwright.circuits.jit import Compiled
from bitwright.circuits.verilog_read import read_verilog
from bitwright.ir import ops as o
from bitwright.native import NativeProgram, binary
from bitwright.native.convolution import dot_of
from bitwright.native.sliced import unslice_words
from bitwright.native.sliced_network import CircuitNetwork, Stage
from native_network import network

LAYERS = range(1, 8)
GATES = {
    "FA": "wire {s}, {c}, {s}x, {s}g, {s}p; xor({s}x, {a}, {b}); xor({s}, {s}x, {d}); "
    "and({s}g, {a}, {b}); and({s}p, {s}x, {d}); or({c}, {s}g, {s}p);",
    "HA": "wire {s}, {c}; xor({s}, {a}, {b}); and({c}, {a}, {b});",
}


def as_gates(circuit: Circuit) -> str:
    """Return a circuit of adders as Verilog of two-input gates."""
    names = {wire: f"in[{wire}]" for wire in range(circuit.inputs)}
    lines = []
    for cell, first in circuit.placed():
        made, carry = f"w{first}", f"w{first + 1}"
        inputs = [names[wire] for wire in cell.inputs]
        names[first] = made
        if cell.kind in GATES:
            names[first + 1] = carry
            operands = dict(zip("abd", inputs, strict=False))
            lines.append(GATES[cell.kind].format(s=made, c=carry, **operands))
        else:
            gate = cell.kind.rstrip("23").lower()
            lines.append(f"wire {made}; {gate}({made}, {', '.join(inputs)});")
    width = max(output.weight for output in circuit.outputs).bit_length()
    for output in circuit.outputs:
        lines.append(f"assign out[{output.weight.bit_length() - 1}] = {names[output.wire]};")
    ports = f"input [{circuit.inputs - 1}:0] in, output [{width - 1}:0] out"
    return f"module popcount({ports});\n" + "\n".join(lines) + "\nendmodule\n"


def imported(folder: Path | None, fan_in: int) -> Circuit:
    """Return the netlist of a fan-in: a file's, or that of the ripple tree's gates."""
    if folder is not None:
        return read_netlist(folder / f"pc{fan_in}.v")
    return read_verilog(as_gates(make(parse("ripple"), fan_in)), "ripple tree", None)


def check_layer(circuits: CircuitNetwork, images: np.ndarray) -> None:
    """Compare one layer's values with the reference evaluator, on a few neurons."""
    maps = circuits.enter(images)
    stage = next(s for s in circuits.stages if isinstance(s, Stage))
    layer, source = stage.layer, maps[stage.source]
    found = layer.counts(source, len(images))[:, 0, 0, :3]
    inside = circuits.shapes[stage.source].interior(source)
    bits = binary.unpack_channels(unslice_words(inside, len(images)), inside.shape[2])
    rows, columns = layer.windows.kernel
    window = bits[:, None, :rows, :columns]
    expected = evaluate(
        layer.code.circuit, (window == layer.weights[:3]).reshape(len(images), 3, -1)
    )
    if not np.array_equal(found, expected):
        raise SystemExit("compiled circuits are wrong: nothing was timed")


def seconds_of(call: Callable[[], Any], rounds: int) -> float:
    """Return the median time of a call, after one that does not count."""
    call()
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def main() -> None:
    """Measure and print the JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--netlists", type=Path, help="a folder of pcN.v, N a layer's fan-in")
    options = parser.parse_args()
    program = network("cnv", 1.0)
    names = [op.output for op in program.ops if isinstance(op, o.Conv2d | o.Dense)]
    layers = {names[k]: dot_of(program, program.definitions[names[k]]) for k in LAYERS}
    fan_in = {name: dot.weights[0].size for name, dot in layers.items()}
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (options.images, 32, 32, 3), dtype=np.uint8)

    def exact(inputs: int) -> Circuit:
        return make(parse("exact"), inputs)

    native = NativeProgram(program)
    kinds = {
        "adders": exact,
        "majority": lambda inputs: make(parse("maj"), inputs),
        "netlist": lambda inputs: imported(options.netlists, inputs),
    }
    few = images[:600]
    expected = native.run(few)
    result: dict[str, Any] = {"benchmark": "approx_simulation", "images": options.images}
    engine = seconds_of(lambda: native.run(images, threads=options.threads), options.rounds)
    for kind, circuit_of in kinds.items():
        made = {n: circuit_of(n) for n in set(fan_in.values())}
        circuits = CircuitNetwork(program, {k: made[n] for k, n in fan_in.items()}, exact)
        check_layer(circuits, few[:64])
        if kind != "majority":
            found = circuits.run(few)
            if not all(np.array_equal(found[name], expected[name]) for name in expected):
                raise SystemExit(f"circuits ({kind}) are wrong: nothing was timed")
        taken = seconds_of(
            lambda c=circuits: c.run(images, threads=options.threads), options.rounds
        )
        result[f"{kind}_over_exact"] = round(taken / engine, 3)
    wide = make(parse("maj"), 1152)
    began = time.perf_counter()
    code = Compiled(wide)
    code.prepare, code.decide  # noqa: B018 - compiled when first asked for
    result["compile_seconds_1152"] = round(time.perf_counter() - began, 3)
    result["images_per_second_exact_engine"] = round(options.images / engine)
    print(json.dumps(result | {"threads": options.threads}))


if __name__ == "__main__":
    main()
