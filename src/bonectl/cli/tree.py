"""The commands with their options, read off Typer's command tree: what man pages and completions are made from."""

import inspect
import re
from dataclasses import dataclass
from enum import Enum
from typing import Any

from bonectl.cli.app import COMMANDS, app


@dataclass(frozen=True)
class Option:
    """One option or argument of a command, as its help shows it."""

    name: str
    flags: tuple[str, ...]
    metavar: str
    help: str
    default: str
    choices: tuple[str, ...]
    is_argument: bool
    is_flag: bool
    repeats: bool
    required: bool


@dataclass(frozen=True)
class Command:
    """One command: its name, documentation and options."""

    name: str
    summary: str
    description: tuple[str, ...]
    examples: tuple[str, ...]
    options: tuple[Option, ...]


def commands() -> list[Command]:
    """All commands of the app, in its order."""
    from typer.main import get_command

    tree: Any = get_command(app)
    return [_command(name, tree.commands[name]) for name in COMMANDS]


def _command(name: str, command: Any) -> Command:
    text, _, examples = (command.help or "").partition("\b\nExamples:\n")
    summary, *paragraphs = [_paragraph(p) for p in text.strip().split("\n\n")]
    lines = lines_of(examples)
    options = tuple(_option(parameter) for parameter in command.params if not getattr(parameter, "hidden", False))
    return Command(name, summary, tuple(paragraphs), lines, options)


def _paragraph(text: str) -> str:
    """Text in one line, but for what the help keeps as it is."""
    return text.removeprefix("\b\n") if text.startswith("\b\n") else " ".join(text.split())


def lines_of(examples: str) -> tuple[str, ...]:
    """Command lines, each with its continuations."""
    return tuple(re.split(r"\n(?=bonectl)", inspect.cleandoc(examples)))


def _option(parameter: Any) -> Option:
    annotation = parameter.type_descriptor.annotation
    inner = [a for a in (annotation, *getattr(annotation, "__args__", ())) if isinstance(a, type)]
    choices = [member.value for a in inner if issubclass(a, Enum) for member in a]
    default = parameter.default.value if isinstance(parameter.default, Enum) else parameter.default
    if isinstance(parameter.show_default, str):
        default = parameter.show_default
    is_flag = bool(getattr(parameter, "is_flag", False))
    shown = "" if default in (None, "", [], ()) or is_flag or parameter.show_default is False else str(default)
    word = parameter.metavar or ("|".join(choices) if choices else str(parameter.name).upper())
    is_argument = not parameter.opts[0].startswith("-")
    return Option(
        name=str(parameter.name),
        flags=tuple(parameter.opts) + tuple(parameter.secondary_opts),
        metavar="" if is_flag else word,
        help=" ".join((parameter.help or "").split()),
        default=shown,
        choices=tuple(choices),
        is_argument=is_argument,
        is_flag=is_flag,
        repeats=bool(getattr(parameter, "multiple", False)) or (is_argument and parameter.nargs == -1),
        required=bool(parameter.required),
    )
