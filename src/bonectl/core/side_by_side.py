"""Whole jobs side by side in threads, which share the processors; results, and what was said, in the jobs' order."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from contextvars import copy_context
from typing import TypeVar

from bonectl.core import progress, threads
from bonectl.core.progress import Advance

Job = TypeVar("Job")
Result = TypeVar("Result")


class _Kept:
    """Notes wait for their turn; bars of jobs beside one another are not shown."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def task(self, name: str, total: int | None, unit: str) -> AbstractContextManager[Advance]:
        return nullcontext(lambda done=1, **facts: None)

    def note(self, message: str) -> None:
        self.notes.append(message)


def in_order(
    work: Callable[[Job], Result], jobs: Sequence[Job], workers: int, name: str = "work", unit: str = "job"
) -> Iterator[Result]:
    """The result of every job, in their order and as soon as its turn has come.

    Parameters
    ----------
    work : callable
        Does a job; what it raises, comes in the job's turn.
    jobs : sequence
    workers : int
        Jobs at a time; each has its share of `threads.count` threads. One job at a time has all of them, and its notes
        and bars appear at once.
    name, unit : str
        Of the bar that shows how many are done, while one is waited for.
    """
    if workers <= 1:
        yield from map(work, jobs)
        return
    share = max(1, threads.count() // workers)

    def run(job: Job) -> tuple[Result, list[str]]:
        threads.choose(share)
        with progress.reporting(kept := _Kept()):
            return work(job), kept.notes

    pool = ThreadPoolExecutor(workers, thread_name_prefix="bonectl-job")
    try:
        waiting = [pool.submit(copy_context().run, run, job) for job in jobs]
        for number, future in enumerate(waiting):
            with progress.task(name, len(jobs), unit) as advance:
                advance(number)
                result, notes = future.result()
            for note in notes:
                progress.note(note)
            yield result
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
