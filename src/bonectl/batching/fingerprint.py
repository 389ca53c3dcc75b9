"""Whether what a line would make is what it made: its words, its inputs, and the version, in one digest."""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import bonectl
from bonectl.batching.lines import FROM_SCAN, Line
from bonectl.core import atomic

# Bytes of each end of a file that are hashed, where it is too long to be read as a whole.
END = 1 << 16

# Longest outputs that are hashed as a whole.
WHOLE = 1 << 30

# State of a file: its name, its size, and when it was changed [ns].
State = tuple[str, int, int]


@dataclass(frozen=True)
class Digest:
    """SHA-256 of a file.

    Parameters
    ----------
    sha256 : str
    of : str
        ``all`` of it, or ``ends``: its first and last 64 KiB.
    """

    sha256: str
    of: str


def states(path: Path, apart: Path | None = None) -> tuple[State, ...]:
    """Of a file, or of all files of a folder or a pattern; empty where there is none.

    Parameters
    ----------
    path : Path
    apart : Path, optional
        A folder that does not count: that of the outputs, where it lies inside.
    """
    return tuple(sorted(_states(path, None if apart is None else apart.resolve())))


def _states(path: Path, apart: Path | None) -> Iterator[State]:
    if path.is_dir():
        for folder, inner, files in os.walk(path):
            inner[:] = [name for name in inner if not name.startswith(".") and Path(folder, name).resolve() != apart]
            for name in files:
                if not name.startswith("."):
                    yield from _state(Path(folder, name), str(Path(folder, name).relative_to(path)))
    elif "%" in path.name and path.parent.is_dir():
        from bonectl.io.slices import series

        if series.PATTERN.search(path.name):
            for each in series.matching(path):
                yield from _state(each, each.name)
    else:
        yield from _state(path, path.name)


def _state(path: Path, name: str) -> Iterator[State]:
    try:
        told = path.stat()
    except (OSError, ValueError):  # not there, or no name of a file
        return
    yield name, told.st_size, told.st_mtime_ns


def size(there: Iterable[State]) -> int:
    """Bytes of all files."""
    return sum(one for _, one, _ in there)


def keys(lines: Sequence[Line], scan: tuple[State, ...], base: Path) -> list[str]:
    """A digest for each line; it changes with that of the line whose output it reads."""
    made: list[str] = []
    version = ".".join(bonectl.__version__.split(".")[:2])  # a third place changes no number
    for line in lines:
        source: object = scan if line.source == FROM_SCAN else made[line.source]
        files = [[str(path), states(base / path)] for path in line.reads]
        text = json.dumps([version, source, line.commands, [each for each in files if each[1]]])
        made.append(hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:32])
    return made


def digest(paths: Iterable[Path], whole: int = 2 * END) -> Digest:
    """Of some files as one, in their order.

    Parameters
    ----------
    paths : iterable of Path
    whole : int
        Of longer ones [byte] only the ends count.

    Raises
    ------
    BonectlError
        When one cannot be read.
    """
    total, of = hashlib.sha256(), "all"
    for path in paths:
        try:
            with path.open("rb") as file:
                if os.fstat(file.fileno()).st_size > max(whole, 2 * END):
                    of = "ends"
                    total.update(file.read(END))
                    file.seek(-END, os.SEEK_END)
                while piece := file.read(1 << 20):
                    total.update(piece)
        except OSError as error:
            raise atomic.failure(path, error, left="") from error
    return Digest(total.hexdigest(), of)
