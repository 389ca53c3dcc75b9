"""What a command will take: estimated before its work, for people and for a batch that asks."""

import tempfile
from dataclasses import asdict, dataclass

from bonectl.core import memory
from bonectl.core.counted import counted

SCHEMA = "bonectl.plan/1"
"""Name and version of the JSON of ``--dry-run --json``; a change that breaks readers raises the number."""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """An estimate; None is what is not known.

    Parameters
    ----------
    memory_bytes : int, optional
        What the process comes to hold.
    memory_at_worst_bytes : int, optional
        The same for an object that is cut off by the detector, where that is more.
    memory_limit_bytes : int, optional
        What it may hold.
    scratch_bytes : int, optional
        Of a temporary file.
    block : str, optional
        How much is worked on at a time.
    seconds : float, optional
        How long it computes.
    threads : int, optional
        On how many threads that is.
    measured : bool
        Whether the time was measured here and now on a small part, and not by the machine of ``bench/RESULTS.md``.
    """

    memory_bytes: int | None = None
    memory_at_worst_bytes: int | None = None
    memory_limit_bytes: int | None = None
    scratch_bytes: int | None = None
    block: str | None = None
    seconds: float | None = None
    threads: int | None = None
    measured: bool = False

    def numbers(self) -> dict[str, float | str]:
        """What is known, by name with its unit."""
        return {key: value for key, value in asdict(self).items() if value is not None and key != "measured"}

    def words(self) -> dict[str, str]:
        """The same for people, a line each."""
        said = {}
        if self.scratch_bytes is not None:
            said["scratch"] = scratch(self.scratch_bytes)
        if self.block is not None:
            said["block"] = self.block
        if self.memory_bytes is not None:
            said["memory"] = f"about {memory.spoken(self.memory_bytes)}{self._more()}"
        if self.seconds is not None:
            where = "measured on a part" if self.measured else "of the machine in bench/RESULTS.md"
            said["time"] = f"about {spoken(self.seconds)} on {counted(self.threads or 1, 'thread')} {where}"
        return said

    def _more(self) -> str:
        worst, limit = self.memory_at_worst_bytes, self.memory_limit_bytes
        more = "" if worst is None else f", {memory.spoken(worst)} for an object that is cut off"
        return more if limit is None else f"{more}; {memory.spoken(limit)} may be taken"


def scratch(size: int) -> str:
    """A temporary file, in words."""
    return f"a temporary file of {memory.spoken(size)} in {tempfile.gettempdir()} (or in TMPDIR)"


def spoken(seconds: float) -> str:
    """A duration for people: 40 s, 7 min, 3.5 h."""
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
