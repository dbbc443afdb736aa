"""``bitwright reproduce``: published claims, recomputed from scratch."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bitwright.cli import common
from bitwright.files import check_writable, write_atomically

if TYPE_CHECKING:
    from bitwright.reproduce.claims import Reproduction

app = typer.Typer(help="Recompute published claims from scratch.", no_args_is_help=True)

Quick = Annotated[
    bool, typer.Option("--quick", help="About a minute: fewer images, the smaller circuits.")
]
Liberty = Annotated[
    list[str] | None,
    typer.Option("--liberty", metavar="FILE|NAME", help=f"{common.LIBERTY_HELP} By default asap7."),
]
Page = Annotated[
    Path | None, typer.Option("--report", metavar="FILE", help="Write the rows as a page (HTML).")
]


@app.callback()
def _families() -> None:
    """Recompute published claims from scratch."""


@app.command("majority")
def majority(
    name: Annotated[
        str,
        typer.Option("--network", metavar="NAME", help="Also: cifar10-cnv-aware (needs CIFAR-10)."),
    ] = "fmnist-cnn-aware",
    quick: Quick = False,
    liberty: Liberty = None,
    json_file: common.Json = None,
    report: Page = None,
) -> None:
    """Approximate popcounts: accuracy lost, and area, energy and delay saved.

    Exit code 1 if a claim does not hold.
    """
    from bitwright.eda import pdk  # noqa: PLC0415 - imported when needed
    from bitwright.reproduce.majority import reproduce  # noqa: PLC0415

    _check(report, json_file)
    chosen = pdk.choose(liberty or ("asap7",))
    with common.steps("reproducing") as update:
        found = reproduce(chosen, name, quick=quick, progress=update)
    _give(found, report, json_file)


@app.command("reuse")
def reuse(
    quick: Quick = False,
    liberty: Liberty = None,
    json_file: common.Json = None,
    report: Page = None,
) -> None:
    """Redundancy skipping: operations pruned with no output changed, and the full cost.

    Exit code 1 if a claim does not hold. The library is not needed for --quick.
    """
    from bitwright.eda import pdk  # noqa: PLC0415 - imported when needed
    from bitwright.reproduce.reuse import reproduce  # noqa: PLC0415

    _check(report, json_file)
    chosen = None if quick else pdk.choose(liberty or ("asap7",))
    with common.steps("reproducing") as update:
        found = reproduce(chosen, quick=quick, progress=update)
    _give(found, report, json_file)


@app.command("crossbar")
def crossbar(quick: Quick = False, json_file: common.Json = None, report: Page = None) -> None:
    """Crossbars: what parasitics do to accuracy, what BinSparX brings back, saves and takes.

    Exit code 1 if a claim does not hold.
    """
    from bitwright.reproduce.crossbar import reproduce  # noqa: PLC0415 - imported when needed

    _check(report, json_file)
    with common.steps("reproducing") as update:
        found = reproduce(quick=quick, progress=update)
    _give(found, report, json_file)


def _check(report: Path | None, json_file: str | None) -> None:
    """Refuse files that cannot be written, before any work is done for them."""
    for file in (report, json_file if json_file != "-" else None):
        if file is not None:
            check_writable(file)


def _give(found: Reproduction, report: Path | None, json_file: str | None) -> None:
    """Write and print what was found; exit code 1 if a claim does not hold."""
    from bitwright.report import claims  # noqa: PLC0415 - imported when needed

    common.write_json(found.to_json(), json_file)
    if report is not None:
        command = shlex.join(["bitwright", *sys.argv[1:]])
        write_atomically(report, claims.render(found, command).encode())
    if json_file != "-":
        print_claims(found)
    if not found.holds:
        raise typer.Exit(1)


def print_claims(found: Reproduction) -> None:
    """Print a table of the rows, and how they were found."""
    heads = {"claim": False, "published": True, "ours": True, "unit": False, "method": False}
    rows = common.table(heads | {"holds": False})
    for claim in found.claims:
        held = {True: "yes", False: "no", None: ""}[claim.holds]
        published = "" if claim.published is None else f"{claim.published:g}"
        ours = claim.ours
        rows.add_row(claim.claim, published, f"{ours.value:.4g}", ours.unit, ours.method, held)
    common.console.print(rows)
    for source in dict.fromkeys(claim.ours.source for claim in found.claims if claim.ours.source):
        common.console.print(source)
    common.console.print(f"{found.data.count:,} images of {found.data.name}; {found.seconds:.0f} s")
