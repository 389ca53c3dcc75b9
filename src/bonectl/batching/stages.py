"""The processes of one line: joined by pipes, in one group, and gone when the process that started them is.

Each is started through a few lines of Python that ask the kernel for a signal when the parent dies and then become
the command: no library does that without code between fork and exec.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

# How long processes that were asked to end may take [s].
GRACE = 1.0

_LAUNCH = """
import os, sys
parent, processors, *argv = sys.argv[1:]
if sys.platform == "linux":
    import ctypes
    ctypes.CDLL(None).prctl(1, 15)  # PR_SET_PDEATHSIG, SIGTERM
    if os.getppid() != int(parent):
        sys.exit(143)
if processors and hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, set(map(int, processors.split(","))))
os.execv(argv[0], argv)
"""


@dataclass(frozen=True)
class Room:
    """What one slot of a batch may use.

    Parameters
    ----------
    processors : tuple of int
        Empty for all.
    card : str
        The GPU, as CUDA_VISIBLE_DEVICES has it; empty where that is left alone.
    """

    processors: tuple[int, ...] = ()
    card: str = ""

    def environment(self) -> dict[str, str]:
        """That of the processes in it."""
        return {**os.environ, **({"CUDA_VISIBLE_DEVICES": self.card} if self.card else {})}


@dataclass(frozen=True)
class Ended:
    """How processes ended.

    Parameters
    ----------
    statuses : tuple of int
        Exit status of each, 128 + n for a signal.
    seconds : float
    peak_memory_bytes : int
        Of all together, at most.
    """

    statuses: tuple[int, ...]
    seconds: float
    peak_memory_bytes: int

    @property
    def failed(self) -> int | None:
        """Which of them failed first: a writer whose reader went away did not."""
        wrong = [i for i, status in enumerate(self.statuses) if status]
        return next((i for i in wrong if self.statuses[i] != 128 + signal.SIGPIPE), wrong[0] if wrong else None)


def launched(argv: Sequence[str], room: Room, module: str = "bonectl") -> list[str]:
    """The words that start a bonectl command as a child that does not outlive its parent."""
    own = ",".join(map(str, room.processors))
    # -P: nothing in the folder where it runs is taken for a module
    command = [sys.executable, "-P", "-m", module, *argv]
    return [sys.executable, "-I", "-S", "-c", _LAUNCH, str(os.getpid()), own, *command]


class Stages:
    """A line that runs.

    Parameters
    ----------
    commands : sequence
        Words of each, without ``bonectl``.
    folder : Path
        Where they run.
    log : Path
        Which their speech is appended to.
    output : Path, optional
        What the last one prints into.
    room : Room
    claim : int
        A descriptor that they all keep open.
    """

    def __init__(
        self, commands: Sequence[Sequence[str]], folder: Path, log: Path, output: Path | None, room: Room, claim: int
    ) -> None:
        self._begun = time.monotonic()
        self._statuses: dict[int, int] = {}
        self._peak = 0
        self._processes: list[subprocess.Popen[bytes]] = []
        try:
            with contextlib.ExitStack() as files:
                speech = files.enter_context(log.open("ab"))
                last = files.enter_context(output.open("wb")) if output is not None else subprocess.DEVNULL
                source: int | IO[bytes] = subprocess.DEVNULL
                for number, argv in enumerate(commands):
                    process = subprocess.Popen(
                        launched(argv, room),
                        cwd=folder,
                        env=room.environment(),
                        stdin=source,
                        stdout=last if number + 1 == len(commands) else subprocess.PIPE,
                        stderr=speech,
                        pass_fds=[claim],
                        process_group=self._processes[0].pid if self._processes else 0,
                    )
                    if not isinstance(source, int):
                        source.close()
                    source = process.stdout or subprocess.DEVNULL
                    self._processes.append(process)
        except OSError:  # no process, no memory: those that were started are of no use
            if self._processes:
                self.end()
            raise

    def poll(self) -> Ended | None:
        """How they ended; None while one runs."""
        for number, process in enumerate(self._processes):
            if number not in self._statuses:
                try:
                    pid, status, used = os.wait4(process.pid, os.WNOHANG)
                except ChildProcessError:  # a signal came between its end and our note of it
                    self._statuses[number] = 128 + signal.SIGTERM
                    continue
                if pid:
                    code = os.waitstatus_to_exitcode(status)
                    process.returncode = code
                    self._statuses[number] = code if code >= 0 else 128 - code
                    self._peak += used.ru_maxrss << 10
        if len(self._statuses) < len(self._processes):
            return None
        statuses = tuple(self._statuses[i] for i in range(len(self._processes)))
        return Ended(statuses, time.monotonic() - self._begun, self._peak)

    def ask(self) -> None:
        """Ask all to end."""
        self._signal(signal.SIGTERM)

    def end(self) -> None:
        """Ask all to end, and make them after a while; returns when they have."""
        self.ask()
        until = time.monotonic() + GRACE
        while self.poll() is None and time.monotonic() < until:
            time.sleep(0.02)
        if self.poll() is None:
            self._signal(signal.SIGKILL)
            while self.poll() is None:
                time.sleep(0.02)

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._processes[0].pid, number)
