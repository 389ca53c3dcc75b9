"""What was done with a scan, as JSON beside its outputs: what decides whether it is done again."""

import json
import platform
import shutil
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import bonectl
from bonectl.batching.discovery import HIDDEN
from bonectl.core import atomic

SCHEMA = "bonectl.batch/1"
"""Name and version of a record; a change that breaks readers raises the number."""

RUNNING, DONE, FAILED = "running", "done", "failed"


@dataclass(frozen=True, kw_only=True)
class Output:
    """A file that a line made, named from the scan's folder; a pattern's files are one."""

    name: str
    bytes: int = -1
    sha256: str = ""
    of: str = ""


@dataclass(frozen=True, kw_only=True)
class Did:
    """One line that was run, or is running: then its outputs are those that it may have left.

    Parameters
    ----------
    key : str
        See `bonectl.batching.fingerprint.keys`.
    argv : tuple
        Words of each command.
    statuses : tuple of int
        Exit status of each; empty while it runs.
    seconds : float
    peak_memory_bytes : int
        Of all its commands together.
    outputs : tuple of Output
    warnings : tuple of str
        What the commands noted, where they ended well.
    """

    key: str
    argv: tuple[tuple[str, ...], ...]
    statuses: tuple[int, ...] = ()
    seconds: float = 0.0
    peak_memory_bytes: int = 0
    outputs: tuple[Output, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def succeeded(self) -> bool:
        """Whether all its commands ended well."""
        return bool(self.statuses) and not any(self.statuses)


@dataclass(frozen=True, kw_only=True)
class Record:
    """All that is known of how a scan was processed; times in UTC."""

    scan: str
    kind: str = ""
    state: str = RUNNING
    status: int = 0
    message: str = ""
    attempts: int = 1
    started: str = ""
    ended: str = ""
    seconds: float = 0.0
    version: str = bonectl.__version__
    python: str = field(default_factory=platform.python_version)
    host: str = field(default_factory=socket.gethostname)
    device: str = ""
    processors: int = 0
    inputs: tuple[Mapping[str, Any], ...] = ()
    lines: tuple[Did, ...] = ()

    @property
    def peak_memory_bytes(self) -> int:
        """The most of its lines."""
        return max((did.peak_memory_bytes for did in self.lines), default=0)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the commands of all lines noted, each once."""
        return tuple(dict.fromkeys(text for did in self.lines for text in did.warnings))

    def replace(self, **changes: Any) -> Self:
        """A copy with some changes."""
        return replace(self, **changes)


def path(folder: Path) -> Path:
    """Where the record of a scan is, in the folder of its outputs."""
    return folder / HIDDEN / "record.json"


def log(folder: Path) -> Path:
    """Where the scan's log is."""
    return folder / HIDDEN / "log.txt"


def write(folder: Path, record: Record, plain: Callable[[str], str] = str) -> None:
    """Put a record in its place.

    Parameters
    ----------
    folder : Path
    record : Record
    plain : callable
        What is done with its text.

    Raises
    ------
    BonectlError
        When the disk is full, or may not be written to.
    """
    try:
        path(folder).parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise atomic.failure(folder, error) from error
    text = json.dumps({"schema": SCHEMA, **asdict(record)}, indent=1, ensure_ascii=True)
    with atomic.replacing(path(folder)) as temporary:
        temporary.write_text(plain(text) + "\n", "ascii")


def read(folder: Path) -> Record | None:
    """The record of a scan; None where there is none that can be understood: then it is done anew."""
    try:
        told = json.loads(path(folder).read_text("utf-8"))
        if told.pop("schema") != SCHEMA:
            return None
        done = tuple(
            Did(
                key=one["key"],
                argv=tuple(map(tuple, one["argv"])),
                statuses=tuple(one["statuses"]),
                seconds=one["seconds"],
                peak_memory_bytes=one["peak_memory_bytes"],
                outputs=tuple(Output(**each) for each in one["outputs"]),
                warnings=tuple(one.get("warnings", ())),
            )
            for one in told.pop("lines")
        )
        return Record(**{**told, "inputs": tuple(told["inputs"])}, lines=done)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def tidy(folder: Path) -> None:
    """Remove what processes that were killed left unfinished in a scan's folder."""
    for place in (folder, folder / HIDDEN):
        for left in place.glob(".bonectl-*.part*"):
            shutil.rmtree(left, ignore_errors=True) if left.is_dir() else left.unlink(missing_ok=True)


def remove(folder: Path, outputs: Sequence[Output]) -> None:
    """Remove outputs that are about to be made anew: a stale one never stands beside a new record."""
    for output in outputs:
        for file in files(folder, output.name):
            file.unlink(missing_ok=True)


def files(folder: Path, name: str) -> list[Path]:
    """The files of an output, in order: one, or those of a pattern."""
    place = folder / name
    if "%" in name:
        from bonectl.io.slices import series

        if series.PATTERN.search(place.name):
            return sorted(series.matching(place)) if place.parent.is_dir() else []
    return [place] if place.is_file() else []


def now() -> str:
    """The time, as records have it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
