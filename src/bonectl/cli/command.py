"""Make a command of a function: the shared options are added, gathered, and set up before it runs."""

import functools
import inspect
import sys
from collections.abc import Callable, Mapping
from contextvars import copy_context
from pathlib import Path
from typing import Any

from bonectl.cli.options import KIT_OF, SPEAKS, Group, Request
from bonectl.cli.report import reporter
from bonectl.core import kernel_cache, kit, places, progress, shipped, threads
from bonectl.core.spec import parse_sum

CHECKPOINT = ".safetensors"


def command(*groups: Group) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Decorate ``f(request, *, own options)`` so that it takes the options of `groups` too.

    Parameters
    ----------
    *groups : Group
        `options.READS` and `options.WRITES` as the command needs them; `SPEAKS` is always there. An option
        that the function declares itself wins over the group's of the same name.

    Returns
    -------
    callable
        A function with the signature that typer shows: own arguments, own options, shared options.
    """

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
        names = {parameter.name for parameter in own}
        speaks = [_parameter(name, *option) for name, option in SPEAKS.items()]
        shared = [_parameter(name, *option) for group in groups for name, option in group.items() if name not in names]

        @functools.wraps(function)
        def run(**given: Any) -> None:
            _check_specs(given)
            threads.govern(given.pop("threads"))
            given.pop("debug")
            quiet, shown = given.pop("quiet"), given.pop("progress")
            argv = ("bonectl", *sys.argv[1:])
            asked = {parameter.name: given.pop(parameter.name) for parameter in shared}
            request = Request(command=function.__name__, argv=argv, **asked)
            with progress.reporting(reporter(f"bonectl {function.__name__}", shown, quiet=quiet)):
                if sys.stderr is not None and sys.stderr.isatty():  # somebody waits; a log has no use for it
                    context = copy_context()  # kernels are called in threads, which know no reporter
                    kernel_cache.announce(lambda said: context.run(progress.note, said))
                function(request, **given)
                if said := kernel_cache.note():
                    progress.note(said)

        parameters = [*own, *shared, *speaks]
        for parameter in parameters:
            _leave_reading_to_us(parameter.annotation)
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return run

    return decorate


def _check_specs(given: Mapping[str, Any]) -> None:
    """Refuse misspelt parts and knobs at once, before anything heavy is imported."""
    for name, value in given.items():
        for text in value if isinstance(value, list) else [value]:
            if name in KIT_OF and isinstance(text, str) and not (KIT_OF[name] == "models" and _names_file(text)):
                kit.check(KIT_OF[name], parse_sum(text))


def _names_file(text: str) -> bool:
    """Whether a model is a checkpoint and not a part."""
    return text.endswith(CHECKPOINT) or shipped.is_name(text) or places.is_there(Path(text))


def _leave_reading_to_us(annotation: Any) -> None:
    """Keep the parser from judging files: what may not be read is status 77, and no usage."""
    for told in getattr(annotation, "__metadata__", ()):
        told.readable = False


def _parameter(name: str, annotation: object, default: object) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
