"""``bitwright explore``: which popcount for which layer, accuracy against energy or area."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from bitwright.cli import common
from bitwright.cli.evaluate import read_settings
from bitwright.errors import ConfigError, DataError, LibertyError, ToolError
from bitwright.files import check_writable, make_folder, write_atomically

if TYPE_CHECKING:
    from bitwright.data import Dataset
    from bitwright.eda.pdk import ChosenLibrary
    from bitwright.explore.layer_choice import Search
    from bitwright.explore.layer_designs import Layer
    from bitwright.ir.program import Program

TRAINING = {"fashion-mnist-sample": "fashion-mnist"}
"""Whose training images go with a data set that has none."""
SEARCHED = ("circuit", "circuits", "layers", "liberty")
"""Settings of the target that the search sets itself."""

Circuits = Annotated[
    str,
    typer.Option(
        "--circuits", metavar='"SPEC;SPEC;..."', help="What a layer may have beside exact."
    ),
]
Config = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="Settings of the target majority (TOML)."),
]
Layers = Annotated[
    str, typer.Option("--layers", metavar="L,L,...", help="Only these layers. [all that can]")
]
Calibration = Annotated[
    str,
    typer.Option(
        "--calibration", metavar="NAME|PATH", help="Whose training images choose. [--data's]"
    ),
]
CalibrationImages = Annotated[
    int | None,
    typer.Option("--calibration-images", metavar="N", min=1, help="How many choose thresholds."),
]
HeldOut = Annotated[
    int | None,
    typer.Option(
        "--held-out-images", metavar="N", min=1, help="How many further ones choose circuits."
    ),
]
Cost = Annotated[
    str,
    typer.Option(
        "--cost", metavar="library|cells", help="Map to a cell library, or count gates without."
    ),
]
Objective = Annotated[
    str, typer.Option("--objective", metavar="energy|area", help="What is to be small.")
]
Loss = Annotated[
    str,
    typer.Option(
        "--loss",
        metavar="accuracy|agreement",
        help="What counts as lost: right decisions, or those of the exact network.",
    ),
]
Candidates = Annotated[
    int, typer.Option("--candidates", metavar="N", help="Predicted designs to evaluate at most.")
]
MaxLoss = Annotated[
    float,
    typer.Option(
        "--max-loss", metavar="POINTS", help="Their greatest predicted loss, in percentage points."
    ),
]
NoSlower = Annotated[
    bool, typer.Option("--no-slower", help="Leave out circuits slower than the exact popcount.")
]
Number = Annotated[
    int | None, typer.Option("--point", metavar="K", help="Which point --write-config takes.")
]
WriteConfig = Annotated[
    Path | None,
    typer.Option("--write-config", metavar="FILE", help="Write a point's settings (TOML)."),
]
Cache = Annotated[
    Path | None,
    typer.Option("--cache", metavar="DIR", help="Where results are kept. [the user's cache]"),
]


def explore(
    model: common.Model,
    circuits: Circuits = "maj;maj:L=2;maj:L=3",
    data: common.Data = "fashion-mnist-sample",
    limit: common.Limit = None,
    config: Config = None,
    layers: Layers = "",
    calibration: Calibration = "",
    calibration_images: CalibrationImages = None,
    held_out_images: HeldOut = None,
    cost: Cost = "library",
    liberty: common.Liberty = None,
    vectors: common.Vectors = 1000,
    objective: Objective = "energy",
    loss: Loss = "accuracy",
    candidates: Candidates = 12,
    max_loss: MaxLoss = 10.0,
    no_slower: NoSlower = False,
    point: Number = None,
    write_config: WriteConfig = None,
    cache: Cache = None,
    data_dir: common.DataDir = None,
    threads: common.Threads = None,
    output: common.Page = None,
    json_file: common.Json = None,
) -> None:
    """Search for the best circuit of each layer: accuracy against energy or area.

    Each layer alone gets each circuit, on training images that chose no thresholds. The designs
    that look best if losses add up are then evaluated on --data. Results are kept as they come.
    """
    for file in (output, write_config, None if json_file == "-" else json_file):
        if file is not None:
            check_writable(file)
    if (point is None) != (write_config is None):
        raise ConfigError("one of --point and --write-config is missing", "give both or neither")
    from bitwright import zoo  # noqa: PLC0415 - imported when needed
    from bitwright.data.locate import cache_root  # noqa: PLC0415
    from bitwright.explore import layer_choice, layer_designs  # noqa: PLC0415
    from bitwright.explore.evaluations import Evaluations  # noqa: PLC0415
    from bitwright.ir import codec  # noqa: PLC0415

    settings = layer_choice.Settings(
        objective=_one_of("--objective", objective, layer_choice.Objective),
        loss=_one_of("--loss", loss, layer_choice.Loss),
        candidates=candidates,
        max_loss=max_loss / 100,
        no_slower=no_slower,
    )
    program = codec.load(zoo.locate(model))
    given = read_settings(config, ["majority"]).get("majority", {})
    names = [name.strip() for name in layers.split(",")] if layers else given.get("layers", [])
    specs = [spec.strip() for spec in circuits.split(";") if spec.strip()]
    searched = layer_designs.find_layers(program, names, specs)
    base = _base(
        program,
        searched,
        given,
        calibration=calibration or given.get("calibration") or TRAINING.get(data, data),
        calibration_images=calibration_images,
        held_out_images=held_out_images or given.get("held_out_images", 1000),
    )
    folder = cache or cache_root() / "explore"
    searched, chosen = _with_costs(searched, cost, liberty, vectors, folder / "circuits")
    test = common.load_data(data, data_dir, limit)
    training = _training(base, data, data_dir)
    evaluations = Evaluations(program, folder / "evaluations", training.digest, threads)
    held_out = replace(
        training,
        images=training.images[base["calibration_images"] :],
        labels=training.labels[base["calibration_images"] :],
    )
    with _stages() as report:
        found = layer_choice.search(searched, settings, base, evaluations, held_out, test, report)
    made = _to_json(found, program, test, held_out, chosen, cost)
    common.write_json(made, json_file)
    if output is not None:
        from bitwright.cli import explore_page  # noqa: PLC0415 - plotly only for a page

        command = shlex.join(["bitwright", *sys.argv[1:]])
        page = explore_page.render(found, made, command)
        write_atomically(output, page.encode())
    if json_file != "-":
        from bitwright.cli import explore_table  # noqa: PLC0415 - imported when needed

        explore_table.show(found, test, held_out, chosen)
    stream = sys.stderr if json_file == "-" else sys.stdout
    print(
        f"evaluations: {folder} ({evaluations.reused} of "
        f"{evaluations.reused + evaluations.made} from before)",
        file=stream,
    )
    if write_config is not None and point is not None:
        _write_config(found, point, write_config)
        print(f"point {point}: {write_config.resolve()}", file=stream)
    if output is not None:
        print(f"page: {output.resolve()}", file=stream)


@contextmanager
def _stages() -> Iterator[Callable[[str, int, int], None]]:
    """Show a bar for each stage; yield ``(stage, done, total) -> None``."""
    with ExitStack() as bars:
        shown: dict[str, Callable[[int, int], None]] = {}

        def report(what: str, done: int, total: int) -> None:
            if what not in shown:
                bars.close()
                shown[what] = bars.enter_context(common.progress(what))
            shown[what](done, total)

        yield report


def _one_of(option: str, value: str, known: Any) -> Any:
    if value not in get_args(known):
        raise ConfigError(f"{option} is '{value}'", f"give one of: {', '.join(get_args(known))}")
    return value


def _base(
    program: Program,
    layers: Sequence[Layer],
    given: Mapping[str, Any],
    *,
    calibration: str,
    calibration_images: int | None,
    held_out_images: int,
) -> dict[str, Any]:
    """Return the settings that all designs share, those of the search left out."""
    from bitwright.native.sliced_network import is_chain  # noqa: PLC0415 - imported when needed
    from bitwright.targets import get_target  # noqa: PLC0415

    chain = is_chain(program, [layer.name for layer in layers])
    settings = {"thresholds": "rate" if chain else "mean", **given}
    settings |= {"calibration": calibration, "held_out_images": held_out_images}
    if calibration_images is not None:
        settings["calibration_images"] = calibration_images
    target = get_target("majority")
    whole = target.settings(target.configure(settings))
    return {key: value for key, value in whole.items() if key not in SEARCHED}


def _training(base: Mapping[str, Any], data: str, data_dir: Path | None) -> Dataset:
    """Load the images that calibrate, and the held-out ones behind them."""
    from bitwright import data as datasets  # noqa: PLC0415 - imported when needed

    name = base["calibration"]
    wanted = base["calibration_images"] + base["held_out_images"]
    with common.progress(f"reading {name}") as update:
        found = datasets.load(
            name,
            "train",
            data_dir=data_dir,
            limit=wanted,
            progress=lambda what, done, total: update(done, total),
        )
    if found.split == "all" and name == data:
        raise DataError(
            f"'{name}' has no training images apart from those to evaluate",
            "name others: --calibration NAME|PATH",
        )
    if len(found) < wanted:
        raise DataError(
            f"'{name}' has {len(found):,} training images, and {base['calibration_images']:,} to "
            f"calibrate and {base['held_out_images']:,} held-out ones are asked for",
            "give fewer as --calibration-images and --held-out-images",
        )
    return found


def _with_costs(
    layers: Sequence[Layer], cost: str, liberty: list[str] | None, vectors: int, folder: Path
) -> tuple[tuple[Layer, ...], ChosenLibrary | None]:
    """Return the layers with the costs of their circuits, and the library that was used."""
    from bitwright.eda import circuit_costs, pdk, tools  # noqa: PLC0415 - imported when needed

    every = [circuit for layer in layers for circuit in layer.circuits.values()]
    if cost == "cells":
        if liberty:
            raise ConfigError("--liberty is for --cost library", "leave one of them out")
        costs = {circuit.digest: circuit_costs.count_gates(circuit) for circuit in every}
        chosen = None
    elif cost == "library":
        try:
            chosen = pdk.choose(liberty or ())
            tools.require("yosys")
        except (LibertyError, ToolError) as error:
            if liberty and isinstance(error, LibertyError):
                raise
            way_out = f"{error.way_out}; or count gates: --cost cells"
            raise type(error)(error.cause, way_out) from error
        make_folder(folder, "give another as --cache")
        with common.progress("mapping popcounts") as update:
            costs = circuit_costs.map_to_cells(
                every, chosen, folder, vectors=vectors, progress=update
            )
    else:
        raise ConfigError(f"--cost is '{cost}'", "give library or cells")
    return tuple(
        replace(layer, costs={spec: costs[c.digest] for spec, c in layer.circuits.items()})
        for layer in layers
    ), chosen


def _to_json(
    found: Search,
    program: Program,
    test: Dataset,
    held_out: Dataset,
    chosen: ChosenLibrary | None,
    cost: str,
) -> dict[str, Any]:
    from bitwright.flow import versions  # noqa: PLC0415 - imported when needed

    made: dict[str, Any] = {
        "program": program.digest,
        "model": program.name,
        "data": test.info().to_json(),
        "held_out": held_out.info().to_json(),
        "cost": cost,
    }
    if chosen is not None:
        made["library"] = {
            "name": chosen.library.name,
            "given": list(chosen.given),
            "revision": chosen.library.revision,
            "digest": chosen.library.digest,
        }
    return made | found.to_json() | {"versions": versions()}


def _write_config(found: Search, point: int, file: Path) -> None:
    if not 0 <= point < len(found.points):
        raise ConfigError(f"there is no point {point}", f"give one of 0..{len(found.points) - 1}")
    settings = found.config(found.points[point].choice)
    tables = {key: value for key, value in settings.items() if isinstance(value, dict)}
    lines = [f"{key} = {_toml(v)}" for key, v in settings.items() if key not in tables]
    for name, table in tables.items():
        lines += ["", f"[{name}]"]
        lines += [f"{_toml(key)} = {_toml(v)}" for key, v in table.items()]
    write_atomically(file, ("\n".join(lines) + "\n").encode())


def _toml(value: Any) -> str:
    """Return a text, a number, or a list of such, which are the same in TOML and JSON."""
    return json.dumps(value, ensure_ascii=False)
