"""A path or "-" becomes a stack, and a stack becomes a file, a folder or standard output.

Input is recognised by its bytes, output by its name. Nothing heavy is imported before a stack is wanted.
"""

import contextlib
import json
import os
import shlex
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import bonectl
from bonectl.cli.destination import STDOUT, check_output, format_of, is_special, speaking, write
from bonectl.cli.options import DASH, NaN, Request
from bonectl.core.cost import SCHEMA, Cost
from bonectl.core.printable import printable
from bonectl.errors import MissingInputError, UsageError, WriteError

if TYPE_CHECKING:
    from bonectl.core.header import Fact, Header
    from bonectl.core.stack import Stack

    Source = Callable[[], contextlib.AbstractContextManager[Stack]]

STDIN = "standard input"


@contextlib.contextmanager
def reading(request: Request, source: "Source | None" = None) -> Iterator["Stack"]:
    """The input of a command: opened, declared by the options, checked for NaN, cut to ``--slab``.

    An output file that cannot be written is refused here, before anything is read. What is read is `source`, where it
    is not the file that the request names.

    Raises
    ------
    UsageError
        When nothing is given to read, output and input are one file, or an option contradicts the input.
    MissingInputError, PermissionDeniedError, DataError
        When the input is not there, may not be read, or is no stack.
    OutputError
        See `check_output`.
    """
    if request.output != DASH:
        check_output(request)
    with opened(request.source, nan=None) if source is None else source() as stack:
        name = STDIN if request.source == DASH else str(request.source)
        yield _cut(screened(declared(stack, request), name, request.nan), request.slab)


@contextlib.contextmanager
def opened(path: Path, *, nan: NaN | None = NaN.fail, stored: bool = False) -> Iterator["Stack"]:
    """The stack in a file, a folder, a pattern of files, or standard input ("-").

    Parameters
    ----------
    path : Path
    nan : NaN, optional
        What to do with values that are not finite; None lets them pass.
    stored : bool
        Whether whole numbers that stand for values stay as they are stored.

    Raises
    ------
    UsageError, MissingInputError, PermissionDeniedError, DataError
        As `reading`.
    """
    from bonectl import io, scanners

    if path == DASH:
        yield screened(io.read(_standard_input(), STDIN, stored=stored), STDIN, nan)
        return
    with scanners.open(path, stored=stored) as stack:
        yield screened(stack, str(path), nan)


def declared(stack: "Stack", request: Request) -> "Stack":
    """The stack as ``--voxel-size`` and ``--input-unit`` describe it, where it does not tell.

    Raises
    ------
    UsageError
        When it tells otherwise.
    """
    from bonectl.stacks import meaning

    if request.input_unit is not None:
        stack = meaning.with_unit(stack, request.input_unit)
    if request.voxel_size is not None:
        stack = meaning.with_voxel_size(stack, request.voxel_size)
    return stack


def writing(
    stack: "Stack",
    request: Request,
    notes: Mapping[str, "Fact"] | None = None,
    cost: Cost | None = None,
) -> None:
    """Write a stack where the options say, with an entry in its history; or say what would be written.

    Parameters
    ----------
    stack : Stack
    request : Request
    notes : mapping, optional
        Seed, device, hash of model weights and the like, for the history entry.
    cost : Cost, optional
        What ``--dry-run`` prints beside shape, type, unit and size: memory and time of this command.

    Raises
    ------
    UsageError, OutputError, PermissionDeniedError
        Before the first voxel; see `check_output`.
    DataError
        When a value is no longer finite.
    WriteError
        When the disk is full, or fails.
    """
    from bonectl.core.stack import Stack
    from bonectl.stacks import screening

    check_output(request)
    if request.dry_run:
        estimated(stack.header, request, cost or Cost(), format_of(request))
        return
    header = stack.header if request.no_history else remembered(stack.header, request, notes or {})
    stack = Stack(header, screening.kept_finite(stack).slabs)
    write(stack, request)


def comes_once(source: Path) -> bool:
    """Whether an input is gone when it has been read: standard input, a named pipe, a device."""
    return source == DASH or is_special(source)


def say(text: str, *, styled: bool = False) -> None:
    """Print text as the result of a command, in UTF-8 whatever the locale.

    Parameters
    ----------
    text : str
        What a terminal would obey instead of print is written as an escape; only newlines and tabs are meant.
    styled : bool
        Whether the text holds colours for a terminal, and its words are printable already.

    Raises
    ------
    WriteError
        When standard output is closed, or cannot take it.
    """
    if sys.stdout is None:
        raise WriteError("standard output is closed")
    text = text if styled else printable(text, keep="\n\t")
    with speaking():
        sys.stdout.buffer.write(f"{text}\n".encode("utf-8", "backslashreplace"))
        sys.stdout.buffer.flush()


def remembered(header: "Header", request: Request, notes: Mapping[str, "Fact"]) -> "Header":
    """The header with an entry for this command: command line, version, time, notes."""
    from bonectl.core.header import Entry

    entry = Entry(plain(shlex.join(request.argv)), bonectl.__version__, now(), notes)
    return header.replace(history=(*header.history, entry))


def plain(text: str) -> str:
    """An argument or a path as the bytes it was given in, read as UTF-8: the same in every locale."""
    return os.fsencode(text).decode("utf-8", "backslashreplace")


def now() -> str:
    """The time in UTC, ISO 8601; that of SOURCE_DATE_EPOCH where it is set.

    Raises
    ------
    UsageError
        When SOURCE_DATE_EPOCH is no count of seconds.
    """
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    try:
        seconds = time.time() if epoch is None else int(epoch)
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
    except (ValueError, OverflowError, OSError) as error:
        raise UsageError(f"SOURCE_DATE_EPOCH is {epoch!r}; it must be seconds since 1970") from error


# ---- reading ----


def _standard_input() -> BinaryIO:
    if sys.stdin is None:
        raise MissingInputError("standard input is closed; give a file")
    if sys.stdin.isatty():
        raise UsageError("nothing to read: give a file, or pipe a stack into standard input")
    return sys.stdin.buffer


def screened(stack: "Stack", name: str, nan: NaN | None) -> "Stack":
    """The stack with what ``--nan`` makes of values that are not finite; None lets them pass."""
    from bonectl.scanning import gaps
    from bonectl.stacks import screening

    if nan is None:
        return stack
    return {NaN.fail: screening.finite, NaN.zero: screening.zero_filled, NaN.fill: gaps.filled}[nan](stack, name)


def _cut(stack: "Stack", slab: int) -> "Stack":
    return replace(stack, slabs=stack.blocks(slab)) if slab else stack


def estimated(header: "Header", request: Request, cost: Cost, form: str) -> None:
    """Print what would be written in a format and what that takes, as ``key<tab>value`` lines or as JSON."""
    output = STDOUT if request.output == DASH else plain(str(request.output))
    free = None
    if request.output != DASH and not is_special(request.output):
        place = next(parent for parent in request.output.absolute().parents if parent.is_dir())
        free = shutil.disk_usage(place).free
    if request.as_json:
        told: dict[str, object] = {
            "schema": SCHEMA,
            "command": request.command,
            "output": output,
            "format": form,
            "shape": list(header.shape),
            "axes": list(header.axes),
            "dtype": header.dtype,
            "unit": header.unit,
            "output_bytes": header.total_bytes,
        }
        if free is not None:
            told["free_bytes"] = free
        say(json.dumps(told | cost.numbers(), indent=2))
        return
    lines = {
        "output": printable(output),
        "format": form,
        "shape": " × ".join(f"{n} {axis}" for n, axis in zip(header.shape, header.axes, strict=True)),
        "type": header.dtype,
        "unit": header.unit,
        "disk": f"{header.total_bytes} bytes",
    }
    if free is not None:
        lines["free"] = f"{free} bytes"
    say("\n".join(f"{key}\t{value}" for key, value in (lines | cost.words()).items()))
