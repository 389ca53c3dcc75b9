"""One process for many small jobs, so that each does not pay for its start; a crash costs one job."""

import contextlib
import json
import os
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bonectl.batching.lines import Line
from bonectl.batching.stages import GRACE, Ended, Room, launched

MODULE = "bonectl.cli.serve"


class Servant:
    """The process; it is started with the first job, and again after one that took it down.

    Parameters
    ----------
    folder : Path
        Where it runs.
    room : Room
    """

    def __init__(self, folder: Path, room: Room) -> None:
        self._folder = folder
        self._room = room
        self._process: subprocess.Popen[bytes] | None = None

    def begin(self, argv: Sequence[str], log: Path, output: Path | None) -> "Errand":
        """Have it run one command line; the last one must have ended."""
        process = self._process
        if process is None or process.poll() is not None:
            self.end()
            process = self._process = self._started()
        words = {"argv": list(argv), "log": str(log), "output": None if output is None else str(output)}
        assert process.stdin is not None
        process.stdin.write(json.dumps(words).encode("ascii") + b"\n")
        process.stdin.flush()
        return Errand(process)

    def start(self, line: Line, log: Path, output: Path | None, room: Room, claim: int) -> "Errand":
        """A line of one command, as `bonectl.batching.work.Start` wants it; the room is its own."""
        return self.begin(line.commands[0], log.absolute(), None if output is None else output.absolute())

    def ask(self, argv: Sequence[str]) -> tuple[str, str]:
        """What a command prints and what it says, when it has ended."""
        with tempfile.TemporaryDirectory() as folder:
            printed, said = Path(folder, "printed"), Path(folder, "said")
            errand = self.begin(argv, said, printed)
            while errand.poll() is None:
                select.select([errand.answers], [], [], 0.2)
            return printed.read_text("utf-8", "replace") if printed.exists() else "", _last(said)

    def ask_to_end(self) -> None:
        """Ask it to end, and do not wait."""
        if self._process is not None:
            Errand(self._process).ask()

    def end(self) -> None:
        """Let it go."""
        if self._process is not None:
            Errand(self._process).end()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    pipe.close()
        self._process = None

    def _started(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            launched((), self._room, MODULE),
            cwd=self._folder,
            env=self._room.environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            process_group=0,
        )


class Errand:
    """One command line of a servant."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        assert process.stdout is not None
        self._process = process
        self.answers = process.stdout
        self._begun = time.monotonic()
        self._ended: Ended | None = None

    def poll(self) -> Ended | None:
        """How it ended; None while it runs."""
        if self._ended is None and select.select([self.answers], [], [], 0)[0]:
            line = self.answers.readline()
            if line:
                told = json.loads(line)
                self._ended = Ended((told["status"],), told["seconds"], told["peak_memory_bytes"])
            else:
                code = self._process.wait()
                status = 128 - code if code < 0 else code or 1
                self._ended = Ended((status,), time.monotonic() - self._begun, 0)
        return self._ended

    def ask(self) -> None:
        """Ask the servant to end."""
        self._signal(signal.SIGTERM)

    def end(self) -> None:
        """Make the servant end."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            self._signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):  # no endless wait: a signal may have struck inside one
                self._process.wait(GRACE)

    def _signal(self, number: signal.Signals) -> None:
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)


def _last(said: Path) -> str:
    lines = said.read_text("utf-8", "replace").splitlines() if said.exists() else []
    return lines[-1] if lines else ""
