"""The app: one line per command. Command modules import nothing heavy before they run."""

from importlib import import_module
from typing import Annotated

import typer

import bonectl
from bonectl.cli.headings import Headed

# In the order of the work; cli/NAME.py defines the function NAME.
COMMANDS = ("phantom", "simulate", "prepare", "reconstruct", "train", "denoise", "measure", "batch", "info", "convert")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"bonectl {bonectl.__version__}")
        raise typer.Exit


app = typer.Typer(
    name="bonectl",
    add_completion=False,  # static completions ship with the package: they start no Python
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


@app.callback()
def bonectl_(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """Low-dose bone micro-CT in the shell.

    Every command reads a stack from a file or from standard input, and writes one to a file or to standard
    output, with its units, voxel size, geometry and history.

    \b
    Examples:
      bonectl phantom iliac --shape 32,128,128 -o bone.npy
      bonectl simulate bone.npy --views 360 --photons 1e4 |
        bonectl reconstruct -o fbp.npy
      bonectl measure fbp.npy --reference bone.npy
    """


for name in COMMANDS:
    app.command(cls=Headed)(getattr(import_module(f"bonectl.cli.{name}"), name))
