"""How a signal ends the process: what was begun is undone first, and nothing can interrupt that.

No exception comes out of a signal handler. It would strike wherever the program happens to be: inside the lock of a
queue, so that another thread waits for ever, or half-way through a clean-up. The handler itself undoes what is
registered here, and ends the process by the signal. Signals that come meanwhile change nothing.

Handlers are those of the command line (`listen`). Who uses bonectl from Python keeps their own.
"""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FrameType

# Signals that ask a process to end.
ASKING = ("SIGINT", "SIGTERM", "SIGHUP")

# Pauses before each round of undoing [s]: another thread may just have been about to create what is removed.
ROUNDS = (0.0, 0.02, 0.05)

_undos: dict[object, Callable[[], None]] = {}


@dataclass
class _Process:
    """Whether the process is ending, and the signals that wait; None where none has to."""

    is_ending: bool = False
    waiting: list[int] | None = None


_process = _Process()


@contextlib.contextmanager
def undoing(undo: Callable[[], None]) -> Iterator[None]:
    """Let a signal that ends the process while the block runs call `undo` first.

    Parameters
    ----------
    undo : callable
        The last one that was registered comes first. It may be called several times, while any thread does anything;
        what it raises is dropped. It may itself write what is undone in this way, such as a report.
    """
    if _process.is_ending and threading.current_thread() is not threading.main_thread():
        threading.Event().wait()  # the process is about to end: only the main thread, which undoes, begins anything
    token = object()
    _undos[token] = undo
    try:
        yield
    finally:
        del _undos[token]


@contextlib.contextmanager
def waiting() -> Iterator[None]:
    """Let a signal wait for the end of a short block whose halves belong together, such as a line and its count.

    The main thread's; not to be nested.
    """
    arrived: list[int] = []
    _process.waiting = arrived
    try:
        yield
    finally:
        _process.waiting = None
        if arrived:
            by(arrived[0])


def listen() -> None:
    """From now on end by SIGINT, SIGTERM and SIGHUP in this way, except where they are ignored (``nohup``)."""
    for name in ASKING:
        signum = getattr(signal, name, None)
        if signum is not None and signal.getsignal(signum) is not signal.SIG_IGN:
            signal.signal(signum, _hear)


def by(signum: int) -> None:
    """Undo what was begun and end by a signal, so that the shell sees 128 + its number; the main thread's to call.

    Returns only to a call that it interrupted itself.
    """
    if _process.is_ending:
        return
    _process.is_ending = True
    for pause in ROUNDS if threading.active_count() > 1 else ROUNDS[:1]:
        time.sleep(pause)
        for undo in reversed(list(_undos.values())):
            with contextlib.suppress(Exception):
                undo()
    signal.signal(signum, signal.SIG_DFL)
    os.kill(os.getpid(), signum)
    os._exit(128 + signum)  # where the signal is blocked


def _hear(signum: int, frame: FrameType | None) -> None:
    if _process.waiting is None:
        by(signum)
    else:
        _process.waiting.append(signum)
