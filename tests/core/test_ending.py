"""A signal ends the process wherever it is, leaves nothing half-made, and cannot be stopped in that by another one."""

import os
import signal
import subprocess
import sys
import textwrap

import pytest

BEGUN = """
import os, pathlib, queue, signal, threading
from bonectl.core import atomic, ending

def kill(signum=signal.SIGTERM):
    os.kill(os.getpid(), signum)

ending.listen()
"""


def ended(folder, script):
    """Run a script in a folder; returns its status, what it said, and what it left."""
    process = subprocess.run(
        [sys.executable, "-c", BEGUN + textwrap.dedent(script)],
        cwd=folder,
        capture_output=True,
        timeout=30,
        check=False,
    )
    return process.returncode, process.stderr, sorted(os.listdir(folder))


@pytest.mark.parametrize("make", ["touch()", "mkdir(); (t / 'a').touch()"])
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_removes_what_was_begun(tmp_path, name, make):
    script = f"""
        with atomic.replacing(pathlib.Path('x')) as t:
            t.{make}
            kill(signal.{name})
        """
    assert ended(tmp_path, script) == (-getattr(signal, name), b"", [])


def test_signals_during_the_clean_up_change_nothing(tmp_path):
    script = """
        def again():
            kill(signal.SIGINT)
            kill()

        with atomic.replacing(pathlib.Path('x')) as t, ending.undoing(again), ending.undoing(again):
            t.mkdir()
            kill()
        """
    assert ended(tmp_path, script) == (-signal.SIGTERM, b"", [])


def test_a_signal_inside_the_lock_of_a_queue_ends_all_threads(tmp_path):
    """Where an exception would leave the lock held, and the writer would wait for it for ever."""
    script = """
        waiting = queue.Queue(1)

        def write():
            with atomic.replacing(pathlib.Path('x')) as t:
                t.mkdir()
                begun.set()
                while waiting.get() is not None:
                    pass

        begun, enter = threading.Event(), threading.Condition.__enter__

        def struck(self):
            got = enter(self)
            if threading.get_ident() == threading.main_thread().ident and begun.is_set():
                kill()
            return got

        thread = threading.Thread(target=write)
        thread.start()
        begun.wait()
        threading.Condition.__enter__ = struck
        try:
            waiting.put(1)
        finally:
            waiting.put(None)
            thread.join()
        """
    assert ended(tmp_path, script) == (-signal.SIGTERM, b"", [])


def test_threads_begin_nothing_more_and_what_they_write_meanwhile_goes_too(tmp_path):
    script = """
        def write():
            with atomic.replacing(pathlib.Path('x')) as t:
                t.mkdir()
                begun.set()
                for number in range(10 ** 9):
                    (t / str(number)).touch()

        def begin():
            begun.wait()
            while True:
                with atomic.replacing(pathlib.Path('y')) as t:
                    t.touch()

        begun = threading.Event()
        for work in (write, begin):
            threading.Thread(target=work, daemon=True).start()
        begun.wait()
        kill()
        """
    status, _, left = ended(tmp_path, script)  # the threads may complain of what was taken from them
    assert (status, [name for name in left if name != "y"]) == (-signal.SIGTERM, [])


def test_ignored_signals_stay_ignored(tmp_path):
    script = """
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        ending.listen()
        kill(signal.SIGHUP)
        """
    assert ended(tmp_path, script) == (0, b"", [])
