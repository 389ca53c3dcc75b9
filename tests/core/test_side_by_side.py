"""Jobs side by side: all at once, and told one after another."""

import contextlib
import threading

import pytest

from bonectl.core import progress, threads
from bonectl.core.side_by_side import in_order


class Said:
    def __init__(self):
        self.notes, self.done = [], []

    def note(self, message):
        self.notes.append(message)

    @contextlib.contextmanager
    def task(self, name, total, unit):
        assert threading.current_thread() is threading.main_thread(), "bars of jobs would overwrite each other"
        yield lambda count=1, **facts: self.done.append((name, count, total, unit))


def test_jobs_run_together_and_their_results_and_notes_come_in_order():
    """The last one is done first: each waits for the one behind it."""
    together = threading.Barrier(3, timeout=20)
    done = [threading.Event() for _ in range(4)]
    done[3].set()

    def work(number):
        together.wait()  # three at the same time, or this fails
        assert done[number + 1].wait(20)
        progress.note(f"note {number}")
        done[number].set()
        return 10 * number

    said = Said()
    with progress.reporting(said):
        assert list(in_order(work, [0, 1, 2], 3, "work", "job")) == [0, 10, 20]
    assert said.done == [("work", count, 3, "job") for count in range(3)]
    assert said.notes == ["note 0", "note 1", "note 2"]


@pytest.mark.parametrize(("workers", "each"), [(1, 6), (2, 3), (4, 1), (9, 1)])
def test_they_share_the_threads(workers, each):
    before = threads.count()
    threads.choose(6)
    try:
        assert list(in_order(lambda _: threads.count(), range(9), workers)) == [each] * 9
    finally:
        threads.choose(before)


def test_what_a_job_raises_comes_in_its_turn():
    def work(number):
        if number == 1:
            raise ValueError("one")
        return number

    results = in_order(work, [0, 1, 2], 2)
    assert next(results) == 0
    with pytest.raises(ValueError, match="one"):
        next(results)
