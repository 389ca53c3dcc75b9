"""The only voice on stderr: bars on a terminal (see `bonectl.cli.bars`), JSON lines for machines, one-line notes."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum

from bonectl.core.printable import one_line
from bonectl.core.progress import Advance, Reporter


class Progress(StrEnum):
    """How progress is shown."""

    auto = "auto"
    bar = "bar"
    json = "json"
    none = "none"


def reporter(name: str, progress: Progress, *, quiet: bool) -> Reporter:
    """The reporter that the options ask for; bars need a terminal on stderr unless asked for by name."""
    if progress is Progress.json:
        return Lines(name)
    if quiet or progress is Progress.none:
        return Notes(name, quiet=quiet)
    if progress is Progress.bar or (sys.stderr is not None and sys.stderr.isatty()):
        from bonectl.cli.bars import Bars

        return Bars(name)
    return Notes(name, quiet=False)


class Notes:
    """Notes only, one line each; nothing at all when quiet."""

    def __init__(self, name: str, *, quiet: bool) -> None:
        self.name = name
        self.quiet = quiet

    def note(self, message: str) -> None:
        """Say one line."""
        if not self.quiet:
            _say(f"{self.name}: {one_line(message)}")

    @contextmanager
    def task(self, name: str, total: int | None, unit: str) -> Iterator[Advance]:
        """Nothing is shown."""
        yield lambda done=1, **facts: None


class Lines:
    """One JSON object a line, at most twice a second, for other programs."""

    INTERVAL = 0.5

    def __init__(self, name: str) -> None:
        self.name = name

    def note(self, message: str) -> None:
        """Say one line."""
        _say(json.dumps({"command": self.name, "note": message}))

    @contextmanager
    def task(self, name: str, total: int | None, unit: str) -> Iterator[Advance]:
        """Report the work done so far."""
        done, begun, spoken = 0, time.monotonic(), 0.0

        def say(**facts: object) -> None:
            seconds = round(time.monotonic() - begun, 2)
            line = {
                "command": self.name,
                "task": name,
                "done": done,
                "total": total,
                "unit": unit,
                "seconds": seconds,
            }
            _say(json.dumps(line | facts, default=str))

        def advance(count: int = 1, **facts: object) -> None:
            nonlocal done, spoken
            done += count
            if time.monotonic() - spoken >= self.INTERVAL:
                spoken = time.monotonic()
                say(**facts)

        yield advance
        say()


def _say(line: str) -> None:
    """Write one line to stderr, if there is one."""
    try:
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()
    except (OSError, ValueError, AttributeError):
        pass
