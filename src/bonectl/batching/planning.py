"""What a batch would do, scan by scan, and how it stands: for people and programs who ask before, or meanwhile."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bonectl.batching import claims, record
from bonectl.batching.decision import Task, decide
from bonectl.batching.discovery import HIDDEN, Found
from bonectl.batching.estimates import Estimator
from bonectl.batching.lines import places
from bonectl.batching.pipeline import Pipeline
from bonectl.batching.pool import Settings
from bonectl.batching.servant import Servant
from bonectl.batching.stages import Room
from bonectl.batching.work import KEPT, SKIPPED, private

RUN, WAITING, INTERRUPTED = "run", "waiting", "interrupted"


@dataclass(frozen=True, kw_only=True)
class Planned:
    """What would be done with a scan.

    Parameters
    ----------
    scan, kind : str
    action : str
        run, kept, failed (and left so) or skipped.
    why : str
    what : str
        Its shape in words, or why that cannot be told.
    bytes, memory_bytes, disk_bytes : int
        Of the scan; of the processes at one time; of the stacks that are kept.
    commands : tuple of str
        The command lines that would be run.
    trouble : str
        What the first of them says that it would end with, as far as headers tell.
    """

    scan: str
    kind: str
    action: str
    why: str = ""
    what: str = ""
    bytes: int = 0
    memory_bytes: int = 0
    disk_bytes: int = 0
    commands: tuple[str, ...] = ()
    trouble: str = ""


def planned(pipeline: Pipeline, found: Iterable[Found], settings: Settings) -> Iterator[Planned]:
    """What would be done with each scan; only headers are read."""
    servant = Servant(pipeline.base, Room())
    try:
        estimator = Estimator(servant)
        for each in found:
            if why := pipeline.skipped(each.scan):
                yield Planned(scan=each.scan, kind=each.kind, action=SKIPPED, why=why)
            else:
                yield _planned(decide(pipeline, each, redo=settings.redoes(each.scan)), settings, estimator)
    finally:
        servant.end()


def _planned(task: Task, settings: Settings, estimator: Estimator) -> Planned:
    stays = task.failed and not settings.retry_failed
    action = KEPT if not task.wanted else record.FAILED if stays else RUN
    seen, unread = estimator.look(task.found)
    estimate = estimator.of(task, always=True)
    return Planned(
        scan=task.scan,
        kind=task.found.kind,
        action=action,
        why=f"{task.why} (--retry-failed tries again)" if action == record.FAILED else task.why,
        what=_shape(seen) or "no header can be read",
        bytes=task.bytes,
        memory_bytes=estimate.memory if action == RUN else 0,
        disk_bytes=estimate.disk if action == RUN else 0,
        commands=tuple(task.lines[i].shown for i in task.wanted) if action == RUN else (),
        trouble=private(estimate.trouble or unread, task.base) if action == RUN else "",
    )


def _shape(told: dict[str, object]) -> str:
    shape, axes = told.get("shape"), told.get("axes")
    if not isinstance(shape, list) or not isinstance(axes, list):
        return ""
    said = " × ".join(f"{n} {axis}" for n, axis in zip(shape, axes, strict=True)) + f", {told.get('dtype')}"
    problems = told.get("problems")
    return "; ".join([said, *map(str, problems)]) if isinstance(problems, list) else said


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How a scan stands: waiting, running, interrupted, done, failed or skipped."""

    scan: str
    state: str
    status: int = 0
    seconds: float = 0.0
    message: str = ""
    attempts: int = 0
    folder: str = ""
    warnings: tuple[str, ...] = ()


def standing(pipeline: Pipeline, found: Iterable[Found]) -> Iterator[Standing]:
    """How each scan stands by its record and its claim; nothing else is read, so that it is quick."""
    for each in found:
        there = places(pipeline, each.scan, each.path)
        if why := pipeline.skipped(each.scan):
            yield Standing(scan=each.scan, state=SKIPPED, message=why)
            continue
        busy = claims.is_claimed(pipeline.base / pipeline.folder / HIDDEN / "claims", each.scan)
        old = record.read(pipeline.base / there.output)
        if old is None:
            yield Standing(scan=each.scan, state=record.RUNNING if busy else WAITING)
            continue
        state = record.RUNNING if busy else INTERRUPTED if old.state == record.RUNNING else old.state
        told = "" if busy else old.message
        yield Standing(
            scan=each.scan, state=state, status=old.status, seconds=old.seconds, message=told, attempts=old.attempts,
            folder=str(there.output), warnings=old.warnings,
        )  # fmt: skip


def look(found: Iterable[Found]) -> dict[str, dict[str, object]]:
    """What ``bonectl info --json`` tells of the first scan of each kind that can be read, from where we are."""
    servant = Servant(Path(), Room())
    seen: dict[str, dict[str, object]] = {}
    try:
        estimator = Estimator(servant)
        for each in found:
            if each.kind not in seen and (told := estimator.look(each)[0]):
                seen[each.kind] = told
    finally:
        servant.end()
    return seen
