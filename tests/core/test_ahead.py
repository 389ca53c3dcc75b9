"""The next slab is made while one is used: same slabs, same errors, one more held."""

import gc
import subprocess
import sys
import threading
import time
import weakref

import numpy as np
import pytest

from bonectl.core import progress
from bonectl.core.ahead import ahead


def test_the_same_slabs_in_the_same_order():
    slabs = [np.full((2, 3, 4), n) for n in range(7)]
    assert [slab is same for slab, same in zip(ahead(iter(slabs)), slabs, strict=True)] == [True] * 7
    assert list(ahead([])) == []


def test_the_next_is_made_while_one_is_used():
    begun = [threading.Event() for _ in range(3)]

    def slabs():
        for event in begun:
            event.set()
            yield np.zeros((1, 1, 1))

    stream = ahead(slabs())
    next(stream)
    assert begun[1].wait(10)  # though nobody has asked for it
    assert not begun[2].wait(0.05)  # and no more than one
    assert len(list(stream)) == 2


def test_what_making_a_slab_raises_comes_in_its_turn():
    def slabs():
        yield np.zeros((1, 1, 1))
        raise ValueError("the second")

    stream = ahead(slabs())
    assert next(stream).shape == (1, 1, 1)
    with pytest.raises(ValueError, match="the second"):
        next(stream)


class Watched(np.ndarray):
    """An array that weak references can see."""


def watched(count, seen):
    for _ in range(count):
        slab = np.zeros((1, 2, 2)).view(Watched)
        seen.append(weakref.ref(slab))
        yield slab
        del slab


def test_a_slab_that_was_used_is_let_go():
    seen, most = [], 0
    for slab in ahead(watched(9, seen)):
        most = max(most, sum(each() is not None for each in seen))
        del slab
    gc.collect()
    assert most <= 2  # the one that is used, and the one that is made
    assert not any(each() is not None for each in seen)


def test_who_stops_does_not_wait_and_no_thread_stays():
    go = threading.Event()

    def slabs():
        yield np.zeros((1, 1, 1))
        go.wait(10)
        yield np.zeros((1, 1, 1))

    stream = ahead(slabs())
    next(stream)
    start = time.monotonic()
    stream.close()
    assert time.monotonic() - start < 5
    go.set()
    deadline = time.monotonic() + 10
    while any("bonectl-ahead" in thread.name for thread in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_notes_reach_who_listens():
    heard = []

    class Reporter:
        def note(self, message):
            heard.append(message)

    def slabs():
        for number in range(3):
            progress.note(str(number))
            yield np.zeros((1, 1, 1))

    with progress.reporting(Reporter()):
        list(ahead(slabs()))
    assert heard == ["0", "1", "2"]


def test_a_command_that_fails_does_not_wait_for_a_slab_that_nobody_wants(tmp_path):
    program = """
import sys, time
import numpy as np
from bonectl.cli import boundary
from bonectl.core.ahead import ahead
from bonectl.errors import WriteError

def slabs():
    yield np.zeros((1, 1, 1))
    time.sleep(60)
    yield np.zeros((1, 1, 1))

def run(argv):
    for slab in ahead(slabs()):
        time.sleep(0.2)
        return boundary.told("bonectl convert", WriteError("no space left on device"))

boundary.run = run
boundary.main()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=50, check=False)
    assert (done.returncode, done.stderr) == (74, "bonectl convert: no space left on device\n")
