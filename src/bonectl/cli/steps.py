"""The commands that can be steps of a batch, as the app has them: nothing heavy is imported."""

from collections.abc import Mapping
from enum import Enum
from typing import Any

from bonectl.batching.catalogue import Catalogue, Command, Option
from bonectl.cli import headings
from bonectl.cli.options import KIT_OF

# What the batch says itself: input, output and form come from `keep`, speech goes into the log.
_OURS = ("source", "output", "format", "bare", "dry_run", "as_json", "style", "threads", "quiet", "progress", "debug")

# Commands that print text: by the end of a name, the words that ask for it.
_PRINTS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "measure": {".json": ("--json",), ".tsv": ("--style", "tsv"), ".csv": ("--style", "csv")},
    "info": {".json": ("--json",), ".tsv": ()},
}

# Options that make such a command write a stack instead.
_STACK_BY = {"measure": "map"}


def catalogue() -> Catalogue:
    """Commands that read one stack, with their options."""
    from typer.main import get_command

    from bonectl.cli.app import app

    tree: Any = get_command(app)
    return {name: _command(name, each) for name, each in tree.commands.items() if _reads_one(each)}


def _reads_one(command: Any) -> bool:
    names = {parameter.name for parameter in command.params}
    return "source" in names and bool(names & {"format", "as_json"})


def _command(name: str, command: Any) -> Command:
    there = [each for each in command.params if each.opts[0].startswith("-") and each.name not in _OURS]
    return Command(
        name=name,
        options={each.opts[0].removeprefix("--"): _option(name, each) for each in there},
        writes=name not in _PRINTS,
        stack_by=_STACK_BY.get(name, ""),
        prints=_PRINTS.get(name, {}),
        estimates=any(each.name == "dry_run" for each in command.params),
        device=next((str(each.default) for each in there if each.name == "device"), ""),
    )


def _option(command: str, parameter: Any) -> Option:
    annotation = parameter.type_descriptor.annotation
    inner = [a for a in (annotation, *getattr(annotation, "__args__", ())) if isinstance(a, type)]
    kind = next((a for a in inner if a in (bool, int, float)), str)
    return Option(
        flag=parameter.opts[0],
        kind=bool if getattr(parameter, "is_flag", False) else kind,
        choices=tuple(str(member.value) for a in inner if issubclass(a, Enum) for member in a),
        kit=KIT_OF.get(parameter.name),
        repeats=bool(getattr(parameter, "multiple", False)),
        is_input=headings.heading(command, parameter.name) == headings.INPUT,
    )
