"""``bitwright synth``: what popcounts take, as standard cells or in an FPGA."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

import typer

from bitwright.cli import circuits, common, synth_table
from bitwright.errors import ConfigError
from bitwright.files import check_writable, write_atomically

if TYPE_CHECKING:
    from bitwright.eda.pdk import ChosenLibrary
    from bitwright.explore.comparison import Row, Settings
    from bitwright.explore.popcounts import Popcount

Subject = Annotated[
    str,
    typer.Argument(
        metavar="CIRCUIT|MODEL",
        help="A popcount such as maj:L=2,keep=0.6, a netlist (.v, .blif), or a network.",
    ),
]
Inputs = Annotated[
    str | None,
    typer.Option("--inputs", metavar="N|HxWxC", help="The popcount's fan-in: 576, or 3x3x64."),
]
Circuits = Annotated[
    list[str] | None,
    typer.Option(
        "--circuit",
        metavar="SPEC",
        help="A popcount to compare with the exact one; may be repeated. "
        "[for a network those it was trained with, or maj]",
    ),
]
Device = Annotated[
    str | None,
    typer.Option("--fpga", metavar="xc7|ecp5", help="Map to this FPGA and not to cells."),
]
Data = Annotated[
    str | None,
    typer.Option("--data", metavar="NAME|PATH", help="Measure energies on these images, too."),
]
Neuron = Annotated[
    int, typer.Option("--neuron", metavar="K", min=0, help="Whose weights --data takes.")
]
Threshold = Annotated[
    bool,
    typer.Option("--with-threshold", help="Put a comparison (>= the median) behind each popcount."),
]
Abc = Annotated[bool, typer.Option("--abc", help="Map everything by abc alone, too.")]
Effort = Annotated[
    str, typer.Option("--effort", metavar="area|delay", help="What abc is to make small.")
]
Check = Annotated[
    int,
    typer.Option("--check", metavar="N", min=1, help="Random vectors each netlist is checked on."),
]
Seed = Annotated[
    int,
    typer.Option(
        "--seed", metavar="S", min=0, help="Of the random vectors, and of placing and routing."
    ),
]
Prove = Annotated[
    bool, typer.Option("--prove", help="Prove each netlist equal to its circuit (yosys).")
]
Slew = Annotated[
    float | None,
    typer.Option("--slew", metavar="PS", help="Transition time of the inputs in picoseconds."),
]
Load = Annotated[
    float | None, typer.Option("--load", metavar="FF", help="Load of each output in femtofarads.")
]
Output = Annotated[
    Path | None,
    typer.Option("-o", "--output", metavar="DIR", help="Write the mapped netlists (Verilog)."),
]


def synth(
    subject: Subject,
    inputs: Inputs = None,
    circuit: Circuits = None,
    liberty: common.Liberty = None,
    fpga: Device = None,
    data: Data = None,
    limit: common.Limit = None,
    data_dir: common.DataDir = None,
    neuron: Neuron = 0,
    threshold: Threshold = False,
    abc: Abc = False,
    effort: Effort = "area",
    vectors: common.Vectors = 1000,
    check: Check = 10_000,
    seed: Seed = 0,
    prove: Prove = False,
    slew: Slew = None,
    load: Load = None,
    output: Output = None,
    json_file: common.Json = None,
) -> None:
    """Map popcounts to cells or an FPGA: area, delay, energy beside the exact one's.

    CIRCUIT needs --inputs. Of a MODEL, the distinct popcounts of its binary layers are mapped.
    """
    _check_options(fpga, effort, liberty, data, abc, prove, output, slew, load)
    if json_file not in (None, "-"):
        check_writable(str(json_file))
    if output is not None:
        _check_folder(output)
    from bitwright.eda import pdk  # noqa: PLC0415 - imported when needed
    from bitwright.explore import comparison, layers  # noqa: PLC0415

    found = _popcounts(subject, inputs, circuit, data, limit, data_dir, neuron, threshold, vectors)
    chosen = None if fpga else pdk.choose(liberty or ())
    settings = comparison.Settings(
        mappings=(comparison.ADDERS, comparison.ABC) if abc else (comparison.ADDERS,),
        effort="delay" if effort == "delay" else "area",
        boundary=_boundary(chosen, slew, load),
        prove=prove,
        vectors=vectors,
        checked=check,
        seed=seed,
    )
    with common.progress("mapping") as update:
        if chosen is None:
            device: Literal["xc7", "ecp5"] = "ecp5" if fpga == "ecp5" else "xc7"
            rows = comparison.in_fpga(found, device, settings, update)
        else:
            rows = comparison.in_cells(found, chosen, settings, update)
    files = [] if output is None else _write(rows, output)
    common.write_json(
        _to_json(subject, rows, chosen, settings, data, neuron, threshold, files), json_file
    )
    if json_file == "-":
        return
    synth_table.show(rows, chosen)
    for line in synth_table.origin(rows, chosen, settings):
        common.console.print(line, style="dim", soft_wrap=True, markup=False)
    if threshold:
        print("with a comparison: value >= its median on random bits")
    if data is not None:
        print(f"on images: {data}, neuron {neuron}; {layers.ORDER}")
    for file in files:
        print(file)


def _check_options(
    fpga: str | None,
    effort: str,
    liberty: list[str] | None,
    data: str | None,
    abc: bool,
    prove: bool,
    output: Path | None,
    slew: float | None,
    load: float | None,
) -> None:
    from bitwright.eda.mapping import Effort as Efforts  # noqa: PLC0415 - imported when needed
    from bitwright.explore.comparison import Fpga  # noqa: PLC0415

    if effort not in get_args(Efforts):
        raise ConfigError(f"there is no effort '{effort}'", "give area or delay")
    if fpga is None:
        if (slew is None) != (load is None):
            raise ConfigError("one of --slew and --load is missing", "give both or neither")
        return
    if fpga not in get_args(Fpga):
        raise ConfigError(f"there is no FPGA '{fpga}'", f"give one of: {', '.join(get_args(Fpga))}")
    cells_only = {
        "--liberty": liberty,
        "--data": data,
        "--abc": abc,
        "--prove": prove,
        "--output": output,
        "--slew": slew,
        "--load": load,
    }
    for name, value in cells_only.items():
        if value:
            raise ConfigError(f"{name} is for standard cells", "leave it or --fpga out")


def _check_folder(folder: Path) -> None:
    """Refuse a folder that cannot be made or written, before any work is done for it."""
    if not folder.exists():
        check_writable(folder)
    elif not (folder.is_dir() and os.access(folder, os.W_OK)):
        raise ConfigError(
            f"cannot write to '{folder}' (it is no folder that can be written)", "name another one"
        )


def _popcounts(
    subject: str,
    inputs: str | None,
    circuit: list[str] | None,
    data: str | None,
    limit: int | None,
    data_dir: Path | None,
    neuron: int,
    threshold: bool,
    vectors: int,
) -> list[Popcount]:
    from bitwright.explore import popcounts  # noqa: PLC0415 - imported when needed

    if circuits.is_circuit(subject):
        if data is not None:
            raise ConfigError("--data needs a network", "name a network, or leave it out")
        return [circuits.popcount_of(subject, inputs, circuit or [], threshold)]
    if inputs is not None:
        raise ConfigError("--inputs is for a popcount, not for a network", "leave it out")
    program = circuits.network(subject)
    specs = circuit or _own_circuits(subject) or ["maj"]
    if data is None:
        return popcounts.popcounts_of(program, specs, threshold=threshold)
    images = common.load_data(data, data_dir, limit).images
    return popcounts.popcounts_of(
        program, specs, threshold=threshold, images=images, count=vectors + 1, neuron=neuron
    )


def _own_circuits(model: str) -> list[str]:
    """Return the popcounts that a network was trained with."""
    from bitwright import zoo  # noqa: PLC0415 - imported when needed

    own = zoo.own_settings(model, "majority")
    return list(dict.fromkeys([own["circuit"], *own.get("circuits", {}).values()])) if own else []


def _boundary(chosen: ChosenLibrary | None, slew: float | None, load: float | None) -> Any:
    from bitwright.eda.timing import Boundary, typical_boundary  # noqa: PLC0415 - when needed

    if chosen is None:
        return None
    if slew is None or load is None:
        return typical_boundary(chosen.library)
    return Boundary(slew * 1e-12, load * 1e-15)


def _write(rows: list[Row], folder: Path) -> list[str]:
    """Write the netlists; return the paths."""
    folder.mkdir(exist_ok=True)
    files = []
    for row in rows:
        name = re.sub(r"[^A-Za-z0-9.=]+", "_", f"{row.circuit}_{row.popcount.inputs}")
        if row.popcount.shape is not None:
            name += "_" + "x".join(map(str, row.popcount.shape))
        file = folder / f"{name}{'_abc' if row.mapping == 'abc' else ''}.v"
        write_atomically(file, row.verilog.encode())
        files.append(str(file))
    return files


def _to_json(
    subject: str,
    rows: list[Row],
    chosen: ChosenLibrary | None,
    settings: Settings,
    data: str | None,
    neuron: int,
    threshold: bool,
    files: list[str],
) -> dict[str, Any]:
    from bitwright.explore.layers import ORDER  # noqa: PLC0415 - imported when needed
    from bitwright.flow import versions  # noqa: PLC0415

    made: dict[str, Any] = {
        "subject": subject,
        "with_threshold": threshold,
        "vectors": {"operations": settings.vectors, "density": 0.5, "seed": settings.seed},
    }
    if chosen is not None and settings.boundary is not None:
        library = chosen.library
        made |= {
            "library": {
                "name": library.name,
                "given": list(chosen.given),
                "by_default": chosen.by_default,
                "revision": library.revision,
                "digest": library.digest,
                "voltage_v": library.voltage_v,
                "temperature_c": library.temperature_c,
                "warnings": list(library.warnings),
            },
            "effort": settings.effort,
            "boundary": {
                "input_slew_s": settings.boundary.input_slew_s,
                "output_load_f": settings.boundary.output_load_f,
            },
        }
    if data is not None:
        made["data"] = {"name": data, "neuron": neuron, "order": ORDER}
    listed = [row.to_json() for row in rows]
    for row, file in zip(listed, files, strict=False):
        row["verilog"] = file
    return made | {"rows": listed, "versions": versions()}
