"""What is to be done with a scan: which of its lines are kept, and why the others are run."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from bonectl.batching import fingerprint, record
from bonectl.batching.discovery import Found
from bonectl.batching.fingerprint import State
from bonectl.batching.lines import Line, Places, lines, places
from bonectl.batching.pipeline import Pipeline
from bonectl.batching.record import Did, Record

# Failures that come again as long as nothing changes: bugs, requests and data. Others are of the moment.
LASTING = (1, 2, 65, 66)


@dataclass(frozen=True, kw_only=True)
class Task:
    """A scan, and what is to be done with it.

    Parameters
    ----------
    found : Found
    places : Places
    lines : tuple of Line
    keys : tuple of str
        Of the lines.
    states : tuple
        Of the scan's files.
    kept : mapping
        What was done, by key, and need not be done again.
    old : Record, optional
    why : str
        Why it is run, or kept.
    failed : bool
        Whether it failed in a way that comes again.
    base : Path
        The pipeline's folder.
    """

    found: Found
    places: Places
    lines: tuple[Line, ...]
    keys: tuple[str, ...]
    states: tuple[State, ...]
    kept: dict[str, Did]
    old: Record | None
    why: str
    failed: bool
    base: Path

    @property
    def scan(self) -> str:
        """Its name."""
        return self.found.scan

    @property
    def folder(self) -> Path:
        """Where its outputs go."""
        return self.base / self.places.output

    @property
    def wanted(self) -> tuple[int, ...]:
        """Numbers of the lines that are to be run."""
        return tuple(i for i, key in enumerate(self.keys) if key not in self.kept)

    @cached_property
    def bytes(self) -> int:
        """Size of the scan."""
        return fingerprint.size(self.states)


def decide(pipeline: Pipeline, found: Found, *, redo: bool = False) -> Task:
    """Look at a scan's files, options and record; nothing is read of the files but their sizes and times."""
    there = places(pipeline, found.scan, found.path)
    made = lines(pipeline, there)
    folder = pipeline.base / there.output
    states = fingerprint.states(pipeline.base / found.path, folder)
    keys = tuple(fingerprint.keys(made, states, pipeline.base))
    old = record.read(folder)
    done = {} if old is None else {did.key: did for did in old.lines}
    kept: dict[str, Did] = {}
    for key in () if redo else keys:
        if key in done and done[key].succeeded and not _missing(folder, done[key]):
            kept[key] = done[key]
    failed = old is not None and _fails_again(old, keys) and not redo
    why = "asked for again" if redo else "new" if old is None else _why(old, made, keys, kept, folder)
    return Task(
        found=found, places=there, lines=made, keys=keys, states=states, kept=kept, old=old, why=why, failed=failed,
        base=pipeline.base,
    )  # fmt: skip


def _missing(folder: Path, did: Did) -> list[str]:
    """Outputs that are not there with the size that they had."""
    return [
        output.name
        for output in did.outputs
        if sum(file.stat().st_size for file in record.files(folder, output.name)) != output.bytes
    ]


def _fails_again(old: Record, keys: Sequence[str]) -> bool:
    if old.state != record.FAILED or old.status not in LASTING or not old.lines:
        return False
    return not old.lines[-1].succeeded and old.lines[-1].key in keys


def _why(old: Record, made: Sequence[Line], keys: Sequence[str], kept: dict[str, Did], folder: Path) -> str:
    """In words, from the first line that is to be run."""
    if old.state == record.FAILED and _fails_again(old, keys):
        return f"as before ({old.status}): {old.message}"
    first = next((i for i, key in enumerate(keys) if key not in kept), None)
    if first is None:
        return "kept"
    before = next((did for did in old.lines if did.key == keys[first]), None)
    if before is not None and before.succeeded and (missing := _missing(folder, before)):
        return f"{missing[0]} is not there as it was written"
    if old.state == record.RUNNING:
        return "was interrupted"
    if old.state == record.FAILED:
        return f"failed before ({old.status}), which may pass"
    if made[first].commands in [did.argv for did in old.lines]:
        return "its files changed" if old.version == _version(old) else "another version of bonectl"
    return f"step {made[first].first} changed"


def _version(old: Record) -> str:
    import bonectl

    same = old.version.split(".")[:2] == bonectl.__version__.split(".")[:2]
    return old.version if same else bonectl.__version__
