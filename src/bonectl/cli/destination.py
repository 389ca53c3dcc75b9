"""Where a stack goes: file, file per slice, device or standard output; checked before any work, written after it."""

import contextlib
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from bonectl.cli import files
from bonectl.cli.options import DASH, STREAM, Request
from bonectl.core import atomic, kit
from bonectl.errors import OutputError, UsageError, WriteError

if TYPE_CHECKING:
    from bonectl.core.stack import Stack

STDOUT = "standard output"


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
    from bonectl import io

    output = request.output
    found = format_of(request)
    if request.bare and (output == DASH or found != STREAM or _is_pattern(output)):
        raise UsageError("--bare writes OUT.npy and OUT.npy.json; give -o with a name that ends in .npy")
    files.apart([request.source], files.written(request))
    if output == DASH:
        _check_standard_output(request)
    elif _is_pattern(output):
        _check_folder(request)
    elif found in io.folder_formats():
        atomic.check(output, force=request.force)
    elif output.is_dir():
        raise OutputError(f"{output}: is a folder; for a file per slice give {output}/slice_%05d.tif")
    elif not is_special(output):
        atomic.check(output, force=request.force)
        if request.bare:
            atomic.check(files.sidecar(output), force=request.force)


def write(stack: "Stack", request: Request) -> None:
    """Write a stack where the options say.

    Raises
    ------
    WriteError
        When the disk is full, or fails.
    """
    from bonectl import io

    name = format_of(request)
    form = io.module(name)
    if name in io.folder_formats():
        with atomic.replacing(request.output, force=request.force) as temporary:
            temporary.mkdir()
            form.write_folder(stack, temporary)
    elif request.output == DASH:
        with speaking():
            form.write(stack, sys.stdout.buffer)
    elif _is_pattern(request.output):
        _write_folder(stack, request)
    elif is_special(request.output):
        with speaking(str(request.output)), request.output.open("wb") as file:
            form.write(stack, file)
    elif request.bare:
        _write_bare(stack, request)
    else:
        with atomic.replacing(request.output, force=request.force) as temporary, temporary.open("wb") as file:
            form.write(stack, file)


def format_of(request: Request) -> str:
    """The format of the output: ``--format``, else by name, else that of a stream.

    Raises
    ------
    UsageError
        When no format is named, or it does not write, or not a file per slice.
    """
    from bonectl import io

    output = request.output
    if output == DASH or is_special(output):
        found = io.to_write(output, request.format or STREAM)
        if found in io.folder_formats():
            raise UsageError(f"{io.title(found)} is a folder; name it with -o, such as bone{io.suffixes([found])[0]}")
        return found
    found = io.to_write(output, request.format)
    if _is_pattern(output) and found not in (able := kit.defining("io", "write_slice")):
        names = ", ".join(f"slice_%05d{io.suffixes([name])[0]}" for name in able)
        raise UsageError(f"{output}: a file per slice is {', '.join(map(io.title, able))}; name it {names}")
    return found


def is_special(path: Path) -> bool:
    """Whether this is a device or a named pipe, which is written to and never replaced."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


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


def _is_pattern(path: Path) -> bool:
    from bonectl.io.slices.series import PATTERN

    return PATTERN.search(path.name) is not None


def _check_standard_output(request: Request) -> None:
    if sys.stdout is None:
        raise WriteError("standard output is closed; give -o FILE")
    if sys.stdout.isatty() and not request.dry_run:
        raise UsageError("a stack is not for a terminal: give -o FILE, or pipe it into the next command")


def _check_folder(request: Request) -> None:
    """The folder of a pattern: not there yet, or without files that the pattern would name."""
    from bonectl.io.slices.series import PATTERN

    folder = request.output.parent
    if len(PATTERN.findall(request.output.name)) > 1:
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
    from bonectl.io.slices import series

    return sorted(series.matching(pattern))


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
    from bonectl.io.slices import files as slices

    target, pattern = request.output.parent, request.output.name
    if not target.exists():
        with atomic.replacing(target) as temporary:
            temporary.mkdir()
            slices.write(stack, temporary, pattern)
        return
    with _scratch(target, request.output) as temporary:
        slices.write(stack, temporary, pattern)
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
