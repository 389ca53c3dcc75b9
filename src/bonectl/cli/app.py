"""The app. A command's module is imported when the command is named, and imports nothing heavy before it runs."""

from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

import bonectl

# In the order of the work; cli/NAME.py defines the function NAME.
COMMANDS = (
    "phantom",
    "simulate",
    "prepare",
    "reconstruct",
    "train",
    "denoise",
    "measure",
    "batch",
    "info",
    "convert",
    "export",
)


@cache
def command(name: str) -> Any:
    """A command as Typer makes it of its function."""
    from bonectl.cli.headings import Headed

    alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    alone.command(cls=Headed)(getattr(import_module(f"bonectl.cli.{name}"), name))
    return get_command(alone)


class Named(Mapping[str, Any]):
    """The commands by name; whose is not asked for is not imported."""

    def __getitem__(self, name: str) -> Any:
        if name not in COMMANDS:
            raise KeyError(name)
        return command(name)

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


class Commands(TyperGroup):
    """A group that knows its commands by name, and lists them by the text of their files."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{**settings, "commands": Named()})

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the list of commands as Typer does, of what they say first of themselves."""
        room = formatter.width - 6 - max(map(len, COMMANDS))
        said = [TyperCommand(name=name, help=_beginning(name)) for name in COMMANDS]
        with formatter.section("Commands"):
            formatter.write_dl([(str(one.name), one.get_short_help_str(room)) for one in said])


def _beginning(name: str) -> str:
    """First paragraph of a command's help, found as text."""
    text = Path(__file__).with_name(f"{name}.py").read_text(encoding="utf-8")
    return text.partition(f"\ndef {name}(")[2].partition('"""')[2].partition("\n\n")[0]


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"bonectl {bonectl.__version__}")
        raise typer.Exit


app = typer.Typer(
    name="bonectl",
    cls=Commands,
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
