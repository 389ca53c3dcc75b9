"""A path or "-" becomes a stack, and a stack becomes a file, a folder or standard output.

Input is recognised by its bytes, output by its name. Nothing heavy is imported before a stack is wanted.
"""

import contextlib
import json
import os
import shlex
import shutil
import stat
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import bonectl
from bonectl.cli import files
from bonectl.cli.options import DASH, Format, NaN, Request
from bonectl.core import atomic
from bonectl.core.cost import SCHEMA, Cost
from bonectl.core.printable import printable
from bonectl.errors import MissingInputError, OutputError, UsageError, WriteError

if TYPE_CHECKING:
    from types import ModuleType

    from bonectl.core.header import Fact, Header
    from bonectl.core.stack import Stack

STDIN = "standard input"
STDOUT = "standard output"


@contextlib.contextmanager
def reading(request: Request) -> Iterator["Stack"]:
    """The input of a command: opened, declared by the options, checked for NaN, cut to ``--slab``.

    An output file that cannot be written is refused here, before anything is read.

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
    with opened(request.source, nan=None) as stack:
        name = STDIN if request.source == DASH else str(request.source)
        yield _cut(_screened(declared(stack, request), name, request.nan), request.slab)


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
    from bonectl import io

    if path == DASH:
        yield _screened(io.read(_standard_input(), STDIN, stored=stored), STDIN, nan)
        return
    with io.open(path, stored=stored) as stack:
        yield _screened(stack, str(path), nan)


def declared(stack: "Stack", request: Request) -> "Stack":
    """The stack as ``--voxel-size`` and ``--input-unit`` describe it, where it does not tell.

    Raises
    ------
    UsageError
        When it tells otherwise.
    """
    from bonectl.stacks import form

    if request.input_unit is not None:
        stack = form.with_unit(stack, request.input_unit)
    if request.voxel_size is not None:
        stack = form.with_voxel_size(stack, request.voxel_size)
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
    from bonectl.stacks import form

    check_output(request)
    if request.dry_run:
        _print_cost(stack.header, request, cost or Cost())
        return
    header = stack.header if request.no_history else remembered(stack.header, request, notes or {})
    stack = Stack(header, form.kept_finite(stack).slabs)
    if request.output == DASH:
        _write_standard_output(stack, request)
    elif _is_pattern(request.output):
        _write_folder(stack, request)
    elif _is_special(request.output):
        with speaking(str(request.output)), request.output.open("wb") as file:
            _format(request).write(stack, file)
    elif request.bare:
        _write_bare(stack, request)
    else:
        with atomic.replacing(request.output, force=request.force) as temporary, temporary.open("wb") as file:
            _format(request).write(stack, file)


def comes_once(source: Path) -> bool:
    """Whether an input is gone when it has been read: standard input, a named pipe, a device."""
    return source == DASH or _is_special(source)


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


def check_output(request: Request) -> None:
    """Refuse before any work what could not be written after it.

    Raises
    ------
    UsageError
        Binary to a terminal; output and input one file; no format by that name; ``--bare`` without a file name.
    OutputError, PermissionDeniedError
        The output exists, its folder does not, or may not be written to.
    WriteError
        When standard output is closed.
    """
    output = request.output
    form = _form(request)
    if request.bare and (output == DASH or form is not Format.npy or _is_pattern(output)):
        raise UsageError("--bare writes OUT.npy and OUT.npy.json; give -o with a name that ends in .npy")
    files.apart([request.source], files.written(request))
    if output == DASH:
        _check_standard_output(request)
    elif _is_pattern(output):
        _check_folder(request)
    elif output.is_dir():
        raise OutputError(f"{output}: is a folder; for a file per slice give {output}/slice_%05d.tif")
    elif not _is_special(output):
        atomic.check(output, force=request.force)
        if request.bare:
            atomic.check(files.sidecar(output), force=request.force)


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


def _screened(stack: "Stack", name: str, nan: NaN | None) -> "Stack":
    from bonectl.scanning import gaps
    from bonectl.stacks import form

    if nan is None:
        return stack
    return {NaN.fail: form.finite, NaN.zero: form.zero_filled, NaN.fill: gaps.filled}[nan](stack, name)


def _cut(stack: "Stack", slab: int) -> "Stack":
    return replace(stack, slabs=stack.blocks(slab)) if slab else stack


# ---- writing ----


def _form(request: Request) -> Format:
    """The format of the output: ``--format``, else by name."""
    from bonectl import io

    output = request.output
    named = io.named(output)
    if output == DASH or _is_special(output):
        return request.format or Format.npy
    if request.format is not None:
        form = request.format
    elif named is not None:
        form = Format(named)
    else:
        raise UsageError(f"{output}: no format has that suffix; name it .npy, .tif or .tiff, or give --format")
    if _is_pattern(output) and form is not Format.tiff:
        raise UsageError(f"{output}: a file per slice is TIFF; name it slice_%05d.tif")
    return form


def _format(request: Request) -> "ModuleType":
    from bonectl import io

    return io.module(_form(request).value)


def _is_pattern(path: Path) -> bool:
    from bonectl import io

    return io.PATTERN.search(path.name) is not None


def _is_special(path: Path) -> bool:
    """Whether this is a device or a named pipe, which is written to and never replaced."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _check_standard_output(request: Request) -> None:
    if sys.stdout is None:
        raise WriteError("standard output is closed; give -o FILE")
    if sys.stdout.isatty() and not request.dry_run:
        raise UsageError("a stack is not for a terminal: give -o FILE, or pipe it into the next command")


def _check_folder(request: Request) -> None:
    """The folder of a pattern: not there yet, or without files that the pattern would name."""
    from bonectl import io

    folder = request.output.parent
    if len(io.PATTERN.findall(request.output.name)) > 1:
        raise UsageError(f"{request.output}: two places for a number; a slice has one, as in slice_%05d.tif")
    if not folder.exists():
        atomic.check(folder)
        return
    if not folder.is_dir():
        raise OutputError(f"{folder}: is a file, not a folder")
    atomic.check(folder / ".bonectl", force=True)
    if not request.force and (there := _slices_of(request.output)):
        raise OutputError(f"{there[0]}: exists already; give --force to replace the slices, or another name")


def _slices_of(pattern: Path) -> list[Path]:
    from bonectl.io import folder

    return sorted(folder.matching(pattern))


@contextlib.contextmanager
def speaking(name: str = STDOUT) -> Iterator[None]:
    """Name the failure of a write; a reader that went away is not one.

    Raises
    ------
    WriteError
        When the disk is full, or fails.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise WriteError(f"{name}: {(error.strerror or str(error)).lower()}") from error


def _write_standard_output(stack: "Stack", request: Request) -> None:
    with speaking():
        _format(request).write(stack, sys.stdout.buffer)


def _write_bare(stack: "Stack", request: Request) -> None:
    from bonectl.io import npy

    with (
        atomic.replacing(request.output, force=request.force) as array,
        atomic.replacing(files.sidecar(request.output), force=request.force) as sidecar,
    ):
        with array.open("wb") as file:
            text = npy.write_bare(stack, file)
        sidecar.write_text(text, "ascii")


def _write_folder(stack: "Stack", request: Request) -> None:
    """All slices under a hidden name first; then the folder, or its files one by one, last slice first.

    In that order a set that was interrupted while it was moved lacks its first slices, which every reader
    of ours notices by the count in each file's header.
    """
    from bonectl.io import folder

    target, pattern = request.output.parent, request.output.name
    if not target.exists():
        with atomic.replacing(target) as temporary:
            temporary.mkdir()
            folder.write(stack, temporary, pattern)
        return
    with _scratch(target, request.output) as temporary:
        folder.write(stack, temporary, pattern)
        atomic.settle(temporary)
        for new in temporary.iterdir():
            atomic.inherit(target / new.name, new)
        for old in _slices_of(request.output):
            old.unlink()
        for new in sorted(temporary.iterdir(), reverse=True):
            new.replace(target / new.name)


@contextlib.contextmanager
def _scratch(folder: Path, output: Path) -> Iterator[Path]:
    """A hidden folder inside `folder`, gone afterwards whatever happens."""
    try:
        with atomic.vanishing(folder) as temporary:
            temporary.mkdir()
            yield temporary
    except OSError as error:
        raise atomic.failure(output, error) from error


def _print_cost(header: "Header", request: Request, cost: Cost) -> None:
    """What would be written and what that takes, as ``key<tab>value`` lines or as JSON."""
    output = STDOUT if request.output == DASH else plain(str(request.output))
    free = None
    if request.output != DASH and not _is_special(request.output):
        place = next(parent for parent in request.output.absolute().parents if parent.is_dir())
        free = shutil.disk_usage(place).free
    if request.as_json:
        told: dict[str, object] = {
            "schema": SCHEMA,
            "command": request.command,
            "output": output,
            "format": _form(request).value,
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
        "format": _form(request).value,
        "shape": " × ".join(f"{n} {axis}" for n, axis in zip(header.shape, header.axes, strict=True)),
        "type": header.dtype,
        "unit": header.unit,
        "disk": f"{header.total_bytes} bytes",
    }
    if free is not None:
        lines["free"] = f"{free} bytes"
    say("\n".join(f"{key}\t{value}" for key, value in (lines | cost.words()).items()))
