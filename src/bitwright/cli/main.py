"""The command ``bitwright``: what it can do, and how errors reach the user.

Commands parse arguments and show progress; the work is done elsewhere, and imported when it is
needed, so that quick commands are quick.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from bitwright import __version__
from bitwright.cli import (
    certify,
    classify,
    crossbar,
    diff,
    doctor,
    evaluate,
    explore,
    exporting,
    importing,
    pdk,
    prove,
    reproduce,
    show,
    spice,
    study,
    synth,
    train,
    zoo,
)
from bitwright.errors import BitwrightError

app = typer.Typer(
    name="bitwright",
    help="Hardware/software co-design of binary neural networks.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Every command takes --debug: it shows the traceback of an error.",
)
app.command("show")(show.show)
app.command("eval")(evaluate.evaluate)
app.command("classify")(classify.classify)
app.command("diff")(diff.diff)
app.command("certify")(certify.certify)
app.command("prove")(prove.prove)
app.command("synth")(synth.synth)
app.command("explore")(explore.explore)
app.command("spice")(spice.spice)
app.command("train")(train.train)
app.command("doctor")(doctor.doctor)
app.add_typer(importing.app, name="import")
app.add_typer(exporting.app, name="export")
app.add_typer(zoo.app, name="zoo")
app.add_typer(reproduce.app, name="reproduce")
app.add_typer(pdk.app, name="pdk")
app.add_typer(study.app, name="study")
app.add_typer(crossbar.app, name="crossbar")


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"bitwright {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Hardware/software co-design of binary neural networks."""


def main() -> None:
    """Run the command line; errors that we raise on purpose become one line and exit code 2."""
    arguments = [a for a in sys.argv[1:] if a != "--debug"]
    debug = len(arguments) < len(sys.argv) - 1
    try:
        app(args=arguments)
    except BitwrightError as error:
        if debug:
            raise
        print(f"bitwright: error: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("bitwright: interrupted", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(141)


if __name__ == "__main__":
    main()
