"""The engine of a batch on one machine: so many scans at a time, each in processes of its own.

No service and no state in memory that matters: all that counts is in records, outputs and claims. A driver that is
killed takes its processes along, and the next one goes on.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bonectl.batching import claims, record
from bonectl.batching.claims import Held
from bonectl.batching.decision import Task, decide
from bonectl.batching.discovery import HIDDEN, Found
from bonectl.batching.estimates import SMALL, Estimator
from bonectl.batching.lines import Line
from bonectl.batching.pipeline import Pipeline, fits
from bonectl.batching.room import check_disk, rooms
from bonectl.batching.servant import Servant
from bonectl.batching.stages import Room, Stages
from bonectl.batching.work import KEPT, SKIPPED, Outcome, Start, Work
from bonectl.core import ending, memory
from bonectl.errors import BonectlError

# How often processes are looked at [s], and scans that another driver works on.
PULSE, ELSEWHERE = 0.02, 0.5


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How a batch is run.

    Parameters
    ----------
    slots : int
        Scans at a time; 0 chooses.
    retries : int
        How often a scan is begun again after a failure that may pass.
    retry_failed : bool
        Whether scans that failed before are tried again, though nothing changed.
    redo : str
        Pattern of scans that are done anew.
    keep_names : bool
        Whether folders above the pipeline's stay in logs and records.
    """

    slots: int = 0
    retries: int = 1
    retry_failed: bool = False
    redo: str = ""
    keep_names: bool = False

    def redoes(self, scan: str) -> bool:
        """Whether a scan is to be done anew."""
        return bool(self.redo) and fits(scan, self.redo)


@dataclass(frozen=True)
class _Waiting:
    found: Found
    attempts: int = 1
    alone: bool = False
    elsewhere: bool = False
    when: float = 0.0  # not to be looked at before


More = Callable[[], Sequence[Found] | None]
"""Scans that came meanwhile; None when no more will come."""


class Pool:
    """Runs scans, some at a time.

    Parameters
    ----------
    pipeline : Pipeline
    settings : Settings
    """

    def __init__(self, pipeline: Pipeline, settings: Settings) -> None:
        self._pipeline = pipeline
        self._settings = settings
        self._claims = pipeline.base / pipeline.folder / HIDDEN / "claims"
        self._waiting: deque[_Waiting] = deque()
        self._running: dict[int, tuple[Work, _Waiting]] = {}
        self._servants: dict[int, Servant] = {}
        self._asking = Servant(pipeline.base, Room())
        self._estimator = Estimator(self._asking)
        self._limit = memory.available()
        self._rooms: list[Room] = []
        self._is_small = False

    def run(self, found: Sequence[Found], more: More = lambda: None) -> Iterator[Outcome]:
        """What became of each scan, as they end.

        Parameters
        ----------
        found : sequence of Found
        more : callable
            Asked while there is room for one more.
        """
        self._waiting.extend(map(_Waiting, found))
        self._is_small = _are_small(self._pipeline, found)
        self._rooms = rooms(self._pipeline, self._settings.slots, len(found) if self._is_small else 0)
        with ending.undoing(self.end):
            try:
                self._check_sum(found)
                open_ended = True
                while self._waiting or self._running or open_ended:
                    yield from self._polled()
                    yield from self._started()
                    if open_ended and not self._waiting and len(self._running) < len(self._rooms):
                        came = more()
                        open_ended = came is not None
                        self._waiting.extend(map(_Waiting, came or ()))
                    elif self._waiting and not self._running:
                        time.sleep(ELSEWHERE / 5)
                    time.sleep(PULSE)
            finally:
                self.end()

    def is_readable(self, found: Found) -> bool:
        """Whether a scan's header can be read, its files are as long as it says, and nothing is missing."""
        told, _ = self._estimator.look(found)
        return bool(told) and not told.get("problems")

    def end(self) -> None:
        """End all processes; what they worked on stays as interrupted."""
        works = [work for work, _ in self._running.values()]
        servants = [*self._servants.values(), self._asking]
        for work in works:  # all first, so that they end at the same time
            work.ask()
        for servant in servants:
            servant.ask_to_end()
        for work in works:
            work.end()
        self._running.clear()
        for servant in servants:
            servant.end()

    def _check_sum(self, found: Sequence[Found]) -> None:
        """Refuse a batch whose outputs the disk has no room for, as far as the commands can tell."""
        meant = [each for each in found if not self._pipeline.skipped(each.scan)]
        tasks = (decide(self._pipeline, each, redo=self._settings.redoes(each.scan)) for each in meant)
        check_disk(self._pipeline, sum(self._estimator.of(task).disk for task in tasks if task.wanted))

    def _polled(self) -> Iterator[Outcome]:
        for slot, (work, waiting) in list(self._running.items()):
            outcome = work.poll()
            if outcome is not None:
                del self._running[slot]
                self._estimator.learn(work.task, outcome.peak_memory_bytes)
                if outcome.passing and waiting.attempts <= self._settings.retries:
                    self._waiting.append(_Waiting(waiting.found, waiting.attempts + 1, outcome.status == 75))
                else:
                    yield outcome

    def _started(self) -> Iterator[Outcome]:
        """Begin what there is room for, in order; what another driver has is looked at again later."""
        for _ in range(len(self._waiting)):
            free = [slot for slot in range(len(self._rooms)) if slot not in self._running]
            if not free:
                return
            waiting = self._waiting.popleft()
            begun = self._begin(waiting, free[0]) if time.monotonic() >= waiting.when else waiting
            if isinstance(begun, Outcome):
                yield begun
            elif begun is not None:
                self._waiting.append(begun)

    def _begin(self, waiting: _Waiting, slot: int) -> Outcome | _Waiting | None:
        """Begin a scan: None then, what became of it where nothing is to be done, or how it waits on."""
        found = waiting.found
        try:
            if why := self._pipeline.skipped(found.scan):
                return Outcome(scan=found.scan, state=SKIPPED, message=why)
            first = waiting.attempts == 1 and not waiting.elsewhere
            redo = first and self._settings.redoes(found.scan)
            task = decide(self._pipeline, found, redo=redo)
            if (outcome := self._settled(task, replace(waiting, elsewhere=False))) is not None:
                return outcome
            later = time.monotonic() + ELSEWHERE
            check_disk(self._pipeline, self._estimator.of(task).disk)
            if not self._has_room(task, waiting):
                return replace(waiting, when=later)
            with ending.waiting():  # a signal finds who is to give the claim up
                return self._claimed(replace(waiting, when=later), slot, redo=redo)
        except BonectlError as error:
            return Outcome(scan=found.scan, state=record.FAILED, status=error.status, message=str(error))

    def _claimed(self, waiting: _Waiting, slot: int, *, redo: bool) -> Outcome | _Waiting | None:
        """Claim a scan and begin it, as `_begin`, unless another driver has it, or had it meanwhile."""
        held = claims.claim(self._claims, waiting.found.scan)
        if held is None:
            return replace(waiting, elsewhere=True)
        task = decide(self._pipeline, waiting.found, redo=redo)
        if (outcome := self._settled(task, waiting)) is not None:
            held.release()
            return outcome
        self._work(task, held, slot, waiting)
        return None

    def _settled(self, task: Task, waiting: _Waiting) -> Outcome | None:
        """What is known of a scan without running it; what failed with another driver is not begun again."""
        if not task.wanted:
            seconds, warnings = (task.old.seconds, task.old.warnings) if task.old else (0.0, ())
            return Outcome(scan=task.scan, state=KEPT, seconds=seconds, warnings=warnings)
        old = task.old
        theirs = waiting.elsewhere and old is not None and old.state == record.FAILED and old.status != 75
        again = self._settings.retry_failed or waiting.attempts > 1
        if old is not None and (theirs or (task.failed and not again)):
            message = old.message if theirs else f"{old.message} (as before; --retry-failed tries again)"
            return Outcome(scan=task.scan, state=record.FAILED, status=old.status, message=message)
        return None

    def _has_room(self, task: Task, waiting: _Waiting) -> bool:
        """Whether memory allows one more; one alone may always try."""
        if not self._running:
            return True
        if waiting.alone or any(other.alone for _, other in self._running.values()):
            return False
        taken = sum(self._estimator.memory(work.task) for work, _ in self._running.values())
        return taken + self._estimator.memory(task) <= self._limit

    def _work(self, task: Task, held: Held, slot: int, waiting: _Waiting) -> None:
        room = self._rooms[slot]
        start: Start = self._stages
        if self._is_small:
            if slot not in self._servants:
                self._servants[slot] = Servant(self._pipeline.base, room)
            start = self._servants[slot].start
        work = Work(task, held, room, start, keep_names=self._settings.keep_names, attempts=waiting.attempts)
        self._running[slot] = (work, waiting)

    def _stages(self, line: Line, log: Path, output: Path | None, room: Room, claim: int) -> Stages:
        return Stages(line.commands, self._pipeline.base, log, output, room, claim)


def _are_small(pipeline: Pipeline, found: Sequence[Found]) -> bool:
    """Whether scans are so small, and so little is done with each, that starting processes would be most of it."""
    if len(pipeline.steps) > 1 or pipeline.steps[0].writes:
        return False
    paths = [pipeline.base / each.path for each in found]
    return all(path.is_file() and path.stat().st_size < SMALL for path in paths)
