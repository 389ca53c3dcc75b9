"""Which files a command reads and which it writes: no output is an input, or another output."""

import os
import stat
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from bonectl.cli.options import DASH, Request
from bonectl.core import reading
from bonectl.core.spec import Value, parse_sum
from bonectl.errors import UsageError

# What tells one file from all others: device and inode, or where it will be.
_Identity = tuple[int, int] | str


def apart(reads: Iterable[Path | str | None], writes: Iterable[Path | None]) -> None:
    """Refuse, before any work, to write over what is read, or over what else is written.

    Parameters
    ----------
    reads : iterable
        Files, folders, patterns of files, and specs such as ``lpd(weights='x.safetensors')``, whose knobs may name
        files. Words that name no file count for nothing.
    writes : iterable
        Outputs; devices are nothing to write over.

    Raises
    ------
    UsageError
        Naming the output. Files are told apart by inode, and by where their names lead where they are not there yet.
    """
    known: dict[_Identity, str] = {}
    for given in reads:
        for path in _read(given):
            if (identity := _identity(path, 0)) is not None:
                known.setdefault(identity, f"is the input {_shown(path, 0)}" if path != given else "is the input")
    for output in writes:
        for path in _written(output):
            identity = _identity(path, 1)
            if identity in known:
                raise UsageError(f"{_shown(path, 1)}: {known[identity]} itself; give another name for the output")
            if identity is not None:
                known[identity] = "is another output"


def written(request: Request) -> list[Path]:
    """The main output of a command, and its sidecar."""
    return [request.output, *([sidecar(request.output)] if request.bare else [])]


def sidecar(path: Path) -> Path:
    """Where the header of a plain NPY file lies."""
    return path.with_name(f"{path.name}.json")


def _read(given: Path | str | None) -> Iterator[Path]:
    """The files that an argument names."""
    if given is None:
        return
    path = Path(given)
    if path != DASH and reading.is_folder(path):
        yield from _listed(path)
    elif matching := _matching(path):
        yield from matching
    else:
        yield path
    if isinstance(given, str) and "(" in given:
        yield from map(Path, _named(given))


def _written(output: Path | None) -> Iterator[Path]:
    """The output, and the files that a pattern would replace."""
    if output is not None:
        yield output
        yield from _matching(output)


def _matching(path: Path) -> list[Path]:
    """The files that a pattern such as ``slice_%05d.tif`` names by now."""
    from bonectl.io.slices import series

    is_pattern = series.PATTERN.search(path.name) and reading.is_folder(path.parent)
    return list(series.matching(path)) if is_pattern else []


def _listed(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:  # told when it is read
        return []


def _named(spec: str) -> list[str]:
    """The words that the knobs of a spec hold."""
    try:
        terms = parse_sum(spec)
    except UsageError:  # told where it is used
        return []
    return [word for term in terms for knob in term.knobs.values() for word in _words(knob)]


def _words(value: Value) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, tuple):
        for part in value:
            yield from _words(part)


def _identity(path: Path, descriptor: int) -> _Identity | None:
    """What tells this file or pipe from others; None for a device, a socket, or what is closed."""
    if path == DASH and (sys.stdin, sys.stdout)[descriptor] is None:
        return None  # the number may belong to another file by now
    try:
        status = os.fstat(descriptor) if path == DASH else path.stat()
    except (OSError, ValueError):
        return None if path == DASH else os.path.realpath(path)
    kinds = (stat.S_ISREG, stat.S_ISDIR, stat.S_ISFIFO)
    return (status.st_dev, status.st_ino) if any(kind(status.st_mode) for kind in kinds) else None


def _shown(path: Path, descriptor: int) -> str:
    return ("standard input", "standard output")[descriptor] if path == DASH else str(path)
