"""One scan at work: its lines one after the other, each recorded before and after."""

import os
import secrets
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from bonectl.batching import fingerprint, record, speech
from bonectl.batching.claims import Held
from bonectl.batching.decision import Task
from bonectl.batching.lines import Line
from bonectl.batching.record import Did, Output, Record
from bonectl.batching.stages import Ended, Room
from bonectl.core import atomic, ending
from bonectl.errors import BonectlError, MemoryShortageError, OutputError

KEPT, SKIPPED = "kept", "skipped"

# Signals that a bug of ours, or of a library, sends.
_CRASHES = {signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGABRT}


class Running(Protocol):
    """Processes that run a line."""

    def poll(self) -> Ended | None:
        """How they ended; None while one runs."""
        ...

    def ask(self) -> None:
        """Ask them to end."""
        ...

    def end(self) -> None:
        """Make them end."""
        ...


Start = Callable[[Line, Path, Path | None, Room, int], Running]
"""Starts a line: its log, what it prints into, its room, and the claim that it keeps open."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a scan.

    Parameters
    ----------
    scan : str
    state : str
        done, kept, failed or skipped.
    status : int
        Exit status that it counts as.
    seconds : float
    message : str
    peak_memory_bytes : int
    passing : bool
        Whether it may go well the next time: memory was short, or a signal came.
    warnings : tuple of str
        What its commands noted.
    """

    scan: str
    state: str
    status: int = 0
    seconds: float = 0.0
    message: str = ""
    peak_memory_bytes: int = 0
    passing: bool = False
    warnings: tuple[str, ...] = ()


class Work:
    """A scan whose lines are run; `poll` brings it on.

    Parameters
    ----------
    task : Task
    held : Held
        Its claim, which is released in the end.
    room : Room
    start : callable
    keep_names : bool
        Whether the home folder and the like stay in log and record.
    attempts : int
        How often it was begun in this batch.
    """

    def __init__(
        self, task: Task, held: Held, room: Room, start: Start, *, keep_names: bool = False, attempts: int = 1
    ) -> None:
        self.task = task
        self._held = held
        self._room = room
        self._start = start
        self._keep_names = keep_names
        self._begun = time.monotonic()
        self._waiting = list(task.wanted)
        self._running: Running | None = None
        self._is_released = False
        self._line = -1
        self._prints: Path | None = None
        self._offset = 0
        devices = dict.fromkeys(line.device for line in task.lines)
        self._record = Record(
            scan=task.scan,
            kind=task.found.kind,
            attempts=attempts,
            started=record.now(),
            device=", ".join(devices) + (f" (card {room.card})" if room.card else ""),
            processors=len(room.processors) or os.cpu_count() or 0,
            lines=tuple(task.kept[key] for key in task.keys if key in task.kept),
        )

    def poll(self) -> Outcome | None:
        """Bring it on; what became of it in the end."""
        try:
            if self._running is not None:
                ended = self._running.poll()
                if ended is None:
                    return None
                self._running = None
                if (outcome := self._after(ended)) is not None:
                    return self._finished(outcome)
            elif self._line < 0:
                self._prepare()
            if not self._waiting:
                return self._finished(self._outcome(record.DONE))
            self._next(self._waiting.pop(0))
        except BonectlError as error:
            return self._finished(self._outcome(record.FAILED, error.status, str(error)))
        except OSError as error:
            told = atomic.failure(error.filename or self.task.places.output, error)
            return self._finished(self._outcome(record.FAILED, told.status, str(told)))
        return None

    def ask(self) -> None:
        """Ask its processes to end, and do not wait."""
        if self._running is not None:
            self._running.ask()

    def end(self) -> None:
        """Make its processes end; the scan stays as interrupted, and its claim is released."""
        if self._running is not None:
            self._running.end()
            self._running = None
        record.tidy(self.task.folder)
        self._release()

    def _release(self) -> None:
        if not self._is_released:
            self._is_released = True
            self._held.release()

    def _prepare(self) -> None:
        """An empty log, no leftovers, no stale outputs, and the inputs in the record."""
        folder, old = self.task.folder, self.task.old
        record.log(folder).parent.mkdir(parents=True, exist_ok=True)
        record.tidy(folder)
        if self._record.attempts == 1:
            record.log(folder).write_bytes(b"")
        if old is not None:
            names = {self._named(path) for i in self._waiting for path in self.task.lines[i].outputs}
            stale = [output for did in old.lines for output in did.outputs if output.name in names]
            record.remove(folder, stale)
        self._record = self._record.replace(inputs=tuple(self._inputs()))

    def _inputs(self) -> list[dict[str, Any]]:
        named = [self.task.found.path, *(path for line in self.task.lines for path in line.reads)]
        told = []
        for path in dict.fromkeys(named):
            place = self.task.base / path
            states = fingerprint.states(place, self.task.folder)
            if states:
                files = [place / name for name, *_ in states] if place.is_dir() else [place.with_name(states[0][0])]
                told.append(
                    {
                        "name": str(path),
                        "files": len(states),
                        "bytes": fingerprint.size(states),
                        "modified_ns": max(when for _, _, when in states),
                        **vars(fingerprint.digest(files)),
                    }
                )
        return told

    def _next(self, number: int) -> None:
        """Start a line: what it may leave is recorded first."""
        line, folder = self.task.lines[number], self.task.folder
        self._line = number
        planned = self._planned(line)
        self._note(Did(key=self.task.keys[number], argv=line.commands, outputs=planned))
        keep = self.task.base / line.keep
        (keep.parent.parent if "%" in keep.name else keep.parent).mkdir(parents=True, exist_ok=True)
        self._prints = None
        if line.prints:
            self._prints = keep.with_name(f".bonectl-{secrets.token_hex(6)}.part{keep.suffix}")
        log = record.log(folder)
        with log.open("ab") as file:
            file.write(f"$ {line.shown}\n".encode("utf-8", "surrogateescape"))
            self._offset = file.tell()
        with ending.waiting():  # a signal finds all its processes, or none
            self._running = self._start(line, log, self._prints, self._room, self._held.descriptor)

    def _planned(self, line: Line) -> tuple[Output, ...]:
        """What a line will have made, or left when it is killed: nothing of that name is there before it.

        Raises
        ------
        OutputError
            When there is: it is not ours.
        """
        names = [self._named(path) for path in line.outputs]
        there = [name for name in names if record.files(self.task.folder, name)]
        if there and not line.replaces:
            place = self.task.places.output / there[0]
            raise OutputError(f"{place}: exists already, and is none of this batch; remove or rename it")
        return tuple(Output(name=name) for name in names)

    def _after(self, ended: Ended) -> Outcome | None:
        """What a line left; an outcome where it failed."""
        line = self.task.lines[self._line]
        did = Did(
            key=self.task.keys[self._line],
            argv=line.commands,
            statuses=ended.statuses,
            seconds=round(ended.seconds, 3),
            peak_memory_bytes=ended.peak_memory_bytes,
            outputs=tuple(Output(name=self._named(path)) for path in line.outputs),
        )
        if (wrong := ended.failed) is not None:
            self._record = self._with(did)
            status = ended.statuses[wrong]
            message = speech.reason(record.log(self.task.folder), self._offset, line, wrong, ended.statuses)
            return self._outcome(record.FAILED, _counts_as(status), message, passing=status > 128 or status == 75)
        if self._prints is not None:
            atomic.settle(self._prints)
            self._prints.replace(self.task.base / line.keep)
        outputs = tuple(self._made(path) for path in line.outputs)
        warnings = speech.notes(record.log(self.task.folder), self._offset, self.task.found.path)
        self._note(replace(did, outputs=outputs, warnings=warnings))
        return None

    def _made(self, path: Path) -> Output:
        name = self._named(path)
        files = record.files(self.task.folder, name)
        total = sum(file.stat().st_size for file in files)
        return Output(name=name, bytes=total, **vars(fingerprint.digest(files, fingerprint.WHOLE)))

    def _named(self, path: Path) -> str:
        return os.path.relpath(path, self.task.places.output)

    def _note(self, did: Did) -> None:
        self._record = self._with(did)
        record.write(self.task.folder, self._record, self._plain)

    def _plain(self, text: str) -> str:
        return text if self._keep_names else private(text, self.task.base)

    def _with(self, did: Did) -> Record:
        """The record with a line in the place of what it said of it before."""
        lines = [each for each in self._record.lines if each.key != did.key]
        order = {key: i for i, key in enumerate(self.task.keys)}
        return self._record.replace(lines=tuple(sorted([*lines, did], key=lambda each: order[each.key])))

    def _outcome(self, state: str, status: int = 0, message: str = "", *, passing: bool = False) -> Outcome:
        return Outcome(
            scan=self.task.scan,
            state=state,
            status=status,
            seconds=time.monotonic() - self._begun,
            message=self._plain(message),
            peak_memory_bytes=self._record.peak_memory_bytes,
            passing=passing,
            warnings=tuple(map(self._plain, self._record.warnings)),
        )

    def _finished(self, outcome: Outcome) -> Outcome:
        """Write the record, as far as the disk lets it, and give up the claim."""
        final = self._record.replace(
            state=outcome.state,
            status=outcome.status,
            message=outcome.message,
            ended=record.now(),
            seconds=round(outcome.seconds, 3),
        )
        if final.state == record.FAILED and self._line >= 0:
            final = _failing(final, self.task, self._line)
        try:
            record.tidy(self.task.folder)
            if not self._keep_names:
                _scrub(record.log(self.task.folder), self.task.base)
            record.write(self.task.folder, final, self._plain)
        except (BonectlError, OSError) as error:
            if outcome.state != record.FAILED:
                told = error if isinstance(error, BonectlError) else atomic.failure(self.task.places.output, error)
                outcome = self._outcome(record.FAILED, told.status, str(told))
        finally:
            self._release()
        return outcome


def _failing(final: Record, task: Task, number: int) -> Record:
    """The record whose last line is the one that failed, also where it failed before it was run."""
    key = task.keys[number]
    mine = [did for did in final.lines if did.key == key]
    did = mine[0] if mine else Did(key=key, argv=task.lines[number].commands)
    if not did.statuses or did.succeeded:
        did = replace(did, statuses=(final.status or 1,))
    return final.replace(lines=(*(each for each in final.lines if each.key != key), did))


def _counts_as(status: int) -> int:
    """The exit status that a process' end counts as: a signal is of the moment (75), or a crash."""
    if status <= 128:
        return status
    return 1 if status - 128 in _CRASHES else MemoryShortageError.status


def private(text: str, base: Path) -> str:
    """A text without the names of the folders above the pipeline's, and of the user's."""
    here, home = str(base.resolve()), str(Path("~").expanduser())
    for folder, shown in ((here, "."), (home, "~"), (os.path.relpath(home, here), "~")):
        if len(folder.strip("./")) > 1:
            text = text.replace(folder, shown)
    return text


def _scrub(log: Path, base: Path) -> None:
    text = log.read_text("utf-8", "surrogateescape")
    if (plain := private(text, base)) != text:
        log.write_text(plain, "utf-8", "surrogateescape")
