"""Scans that arrive while a batch runs: each is taken when it is whole."""

import datetime as dt
import errno
import fcntl
import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bonectl.batching import fingerprint
from bonectl.batching.discovery import Found
from bonectl.batching.fingerprint import State
from bonectl.errors import BonectlError, UsageError

# How often the folders are looked through, as a share of the time that a scan must rest; and at most, at least [s].
SHARE, RARELY, OFTEN = 0.1, 10.0, 0.2

# A scan that cannot be read is waited for this many times as long: then it is taken, and fails aloud.
PATIENCE = 10


@dataclass(frozen=True)
class _Seen:
    states: tuple[State, ...]
    since: float


class Watcher:
    """Tells which scans have become whole since it was asked last.

    A scan is whole when no file of it has changed for a while, none is open for writing (as far as this machine knows:
    Linux tells of local files), and it can be read.

    Parameters
    ----------
    find : callable
        Finds all scans.
    base : Path
        Where their paths start from.
    readable : callable
        Whether a scan's header can be read, and all of it is there.
    settle : float
        How long it must rest [s].
    until : float, optional
        When nothing more is taken (`time.time`).
    """

    def __init__(
        self,
        find: Callable[[], Sequence[Found]],
        base: Path,
        readable: Callable[[Found], bool],
        settle: float,
        until: float | None,
    ) -> None:
        self._find = find
        self._base = base
        self._readable = readable
        self._settle = settle
        self._until = until
        self._seen: dict[str, _Seen] = {}
        self._taken: dict[str, tuple[State, ...]] = {}
        self._next = 0.0
        signal.signal(signal.SIGIO, signal.SIG_IGN)  # see `_is_written`

    def more(self) -> list[Found] | None:
        """Scans to take now; None when it is over."""
        if self._until is not None and time.time() >= self._until:
            return None
        if time.monotonic() < self._next:
            return []
        self._next = time.monotonic() + min(RARELY, max(OFTEN, SHARE * self._settle))
        try:
            found = self._find()
        except UsageError:
            raise
        except BonectlError:  # nothing is there yet
            return []
        return [each for each in found if self._is_whole(each)]

    def _is_whole(self, found: Found) -> bool:
        path = self._base / found.path
        states = fingerprint.states(path)
        now = time.monotonic()
        if not states or self._taken.get(found.scan) == states:
            return False
        seen = self._seen.get(found.scan)
        if seen is None or seen.states != states:
            self._seen[found.scan] = seen = _Seen(states, now - min(_age(path), 2 * self._settle))
        rested = now - seen.since
        if rested < self._settle or _is_written(path):
            return False
        if rested < PATIENCE * self._settle and not self._readable(found):
            return False
        self._taken[found.scan] = states
        return True


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    return [Path(folder, name) for folder, _, names in os.walk(path) for name in names]


def _age(path: Path) -> float:
    """How long ago the youngest file was changed, by the time that no program sets [s]."""
    try:
        return max(0.0, time.time() - max(file.stat().st_ctime for file in _files(path)))
    except (OSError, ValueError):
        return 0.0


def _is_written(path: Path) -> bool:
    """Whether the youngest file is open for writing: then Linux grants no lease for reading (fcntl(2)).

    Who opens it while there is a lease has us sent SIGIO, which is ignored.
    """
    try:
        youngest = max(_files(path), key=lambda file: file.stat().st_ctime)
        with youngest.open("rb") as file:
            fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)
            fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except (OSError, ValueError, AttributeError) as error:
        return isinstance(error, OSError) and error.errno == errno.EAGAIN
    return False


def moment(text: str) -> float:
    """The next time that a clock shows ``18:00``, as `time.time` counts.

    Raises
    ------
    UsageError
        When it is no time of day.
    """
    try:
        wanted = dt.time.fromisoformat(text)
    except ValueError:
        raise UsageError(f"--until {text!r}; give a time of day, such as 18:00") from None
    now = dt.datetime.now()
    then = dt.datetime.combine(now.date(), wanted)
    return (then if then > now else then + dt.timedelta(days=1)).timestamp()
